"""slurmic cat: one file of a snapshot."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, BinaryIO

import tyro

from slurmic.errors import SlurmicError

from .console import number, safe
from .exits import DONE
from .options import StoreOption
from .references import Reference

if TYPE_CHECKING:
    from slurmic.snapshot.codetree import CodeTree
    from slurmic_store import TreeEntry

_MAX_LINKS = 40


@dataclass
class Cat:
    """Write a file of a snapshot to standard output: exactly its bytes, unless that is a terminal.

    It comes from the store, or, if that has lost it, from the code folder; what a job has changed
    there is never taken for what was packed."""

    ref: Reference
    """the snapshot: see 'slurmic --help'; . is the working tree"""

    path: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PATH")]
    """the file, relative to the tree; or its path in the code folder or the source tree"""

    store: StoreOption = ""
    """the store; by default the one that a submission from here would use"""

    def run(self) -> int:
        """Write it."""
        from .trees import find_tree

        tree = find_tree(self.ref, self.store)
        with tree.open(_follow(tree, path_in(tree, self.path))) as stream:
            if sys.stdout.isatty():
                _show(stream, self.path)
            else:
                shutil.copyfileobj(stream, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        return DONE


def path_in(tree: CodeTree, path: str) -> bytes:
    """A path as it stands in a tree, however the user names it; b"" is the whole tree."""
    raw = os.path.normpath(os.fsencode(path))
    if os.path.isabs(raw):
        for folder in tree.folders:
            for own in (folder, os.path.realpath(folder)):
                if raw == own or raw.startswith(own.rstrip(b"/") + b"/"):
                    return raw[len(own) :].strip(b"/")
    return b"" if raw == b"." else raw


def _follow(tree: CodeTree, path: bytes) -> TreeEntry:
    """The file at a path; symbolic links are followed as long as they stay in the tree.

    Raises:
        SlurmicError: there is none.
    """
    wanted = path
    for _ in range(_MAX_LINKS):
        entry = tree.entries.get(path)
        if entry is None:
            raise missing_file(tree, path)
        if entry.target is None:
            return entry
        path = os.path.normpath(os.path.join(os.path.dirname(path), entry.target))
        if path not in tree.entries:
            raise SlurmicError(
                f"'{safe(wanted)}' is a symbolic link to '{safe(entry.target)}', which is no file "
                f"of {tree.label}",
                hint="only the link itself was packed",
            )
    raise SlurmicError(f"'{safe(wanted)}' is a symbolic link that leads to itself")


def missing_file(tree: CodeTree, path: bytes) -> SlurmicError:
    """The error for a path at which a tree has no file."""
    below = [other for other in tree.entries if not path or other.startswith(path + b"/")]
    if below:
        count, example = number(len(below), "file"), safe(below[0])
        return SlurmicError(
            f"'{safe(path or b'.')}' is a folder of {tree.label}, not a file",
            hint=f"it has {count}, such as '{example}'; 'slurmic checkout' writes folders",
        )
    close = _close(path, tree.entries)
    return SlurmicError(
        f"no file '{safe(path)}' in {tree.label}",
        hint=f"did you mean {close}?" if close else "paths are relative to the tree's top",
    )


def _close(path: bytes, paths: Iterable[bytes]) -> str:
    """Paths that look alike, those with the same last part first; "" for none."""
    names = {os.fsdecode(other): other for other in paths}
    name = os.path.basename(os.fsdecode(path))
    same = [other for other in names if os.path.basename(other) == name]
    close = same or difflib.get_close_matches(os.fsdecode(path), names, n=3)
    return " or ".join(f"'{safe(other)}'" for other in close[:3])


def _show(stream: BinaryIO, name: str) -> None:
    """Write to a terminal, with control characters as escape sequences."""
    data = stream.read()
    if b"\0" in data:
        raise SlurmicError(
            f"'{safe(name)}' is a binary file, and standard output is a terminal",
            hint="write it to a file: slurmic cat ... > FILE",
        )
    text = b"\t".join(safe(part).encode() for part in data.split(b"\t"))
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()

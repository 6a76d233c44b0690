"""Paths in the tree of a snapshot, as people write them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from slurmic.errors import SlurmicError
from slurmic.text import counted, printable, quoted
from slurmic_store import TreeEntry

from .codetree import CodeTree

_MAX_LINKS = 40


def path_in(tree: CodeTree, path: str) -> bytes:
    """A user's path as the tree has it, relative to its top; b"" is the whole tree."""
    raw = os.path.normpath(os.fsencode(path))
    if os.path.isabs(raw):
        for folder in tree.folders:
            for own in (folder, os.path.realpath(folder)):
                if raw == own or raw.startswith(own.rstrip(b"/") + b"/"):
                    return raw[len(own) :].strip(b"/")
    return b"" if raw == b"." else raw


def follow(tree: CodeTree, path: bytes) -> TreeEntry:
    """The file at a path; symbolic links are followed as long as they stay in the tree.

    Raises:
        SlurmicError: no file is there.
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
                f"{quoted(wanted)} is a symbolic link to {quoted(entry.target)}, which is not a "
                f"file of {tree.label}",
                hint="only the link itself was packed",
            )
    raise SlurmicError(f"{quoted(wanted)} is a symbolic link that leads to itself")


def missing_file(tree: CodeTree, path: bytes) -> SlurmicError:
    """The error for a path at which a tree has no file."""
    below = [other for other in tree.entries if not path or other.startswith(path + b"/")]
    if below:
        count, example = counted(len(below), "file"), printable(below[0])
        return SlurmicError(
            f"{quoted(path or b'.')} is a folder of {tree.label}, not a file",
            hint=f"it has {count}, such as '{example}'; 'slurmic checkout' writes folders",
        )
    close = _close(path, tree.entries)
    return SlurmicError(
        f"no file {quoted(path)} in {tree.label}",
        hint=f"did you mean {close}?" if close else "paths are relative to the tree's top",
    )


def _close(path: bytes, paths: Iterable[bytes]) -> str:
    """Similar paths, those with the same last part first, for a message; "" if there are none."""
    import difflib  # for a path that is not in the tree

    names = {os.fsdecode(other): other for other in paths}
    name = os.path.basename(os.fsdecode(path))
    same = [other for other in names if os.path.basename(other) == name]
    close = same or difflib.get_close_matches(os.fsdecode(path), names, n=3)
    return " or ".join(quoted(other) for other in close[:3])

"""Rebuilding a manifest from a code folder: the tree's name says whether it came out right."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from .digests import digest_of
from .manifest import TreeEntry, encode_tree, tree_digest
from .source import digest_file


def tree_from_folder(folder: bytes, tree: str) -> bytes | None:
    """The canonical encoding of a tree, from a code folder that still holds exactly that.

    Jobs may have added files. Packed files have no write permission, and added ones nearly always
    do; so do caches of bytecode. Each reasonable guess at what was packed is tried: a wrong one
    cannot come out under the tree's name.

    Args:
        folder: a code folder.
        tree: the name that must come out.

    Returns:
        None if it does not come out, or the folder cannot be read.
    """
    try:
        found = sorted(_entries(folder, b""), key=lambda item: item[0].path)
    except OSError:
        return None
    guesses: tuple[Callable[[TreeEntry, int], bool], ...] = (
        lambda entry, mode: not mode & 0o222 and not _is_bytecode(entry.path),
        lambda _, mode: not mode & 0o222,
        lambda *_: True,
    )
    for is_packed in guesses:
        encoded = encode_tree([entry for entry, mode in found if is_packed(entry, mode)])
        if tree_digest(encoded) == tree:
            return encoded
    return None


def _is_bytecode(path: bytes) -> bool:
    return b"__pycache__" in path.split(b"/") or path.endswith((b".pyc", b".pyo"))


def _entries(folder: bytes, relative: bytes) -> Iterator[tuple[TreeEntry, int]]:
    """All files and links below a folder, each with its permission bits as they are (links: 0)."""
    for item in os.scandir(os.path.join(folder, relative)):
        path = os.path.join(relative, item.name)
        status = item.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield from _entries(folder, path)
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(item.path)
            yield TreeEntry(path, 0, len(target), digest_of(target), target), 0
        elif stat.S_ISREG(status.st_mode):
            mode = stat.S_IMODE(status.st_mode)
            digest = digest_file(item.path)
            yield TreeEntry(path, mode & 0o555, status.st_size, digest), mode

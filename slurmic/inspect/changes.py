"""What differs between two trees, file by file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from slurmic_store import Tree, TreeEntry

ChangeKind = Literal["added", "removed", "changed", "mode", "type"]


@dataclass(frozen=True)
class Change:
    """A file that is not the same in both trees.

    Attributes:
        path: of the file, relative, raw bytes.
        kind: "added" or "removed"; "changed" if the content differs (and perhaps the mode); "mode"
            if only the mode does; "type" if one is a file and the other a symbolic link.
        old: the file in the first tree; None for one that was added.
        new: the file in the second tree; None for one that was removed.
    """

    path: bytes
    kind: ChangeKind
    old: TreeEntry | None
    new: TreeEntry | None


def compare_trees(
    old: Tree, new: Tree, wanted: Callable[[bytes], bool] = lambda _: True
) -> list[Change]:
    """All changes from one tree to another, sorted by path.

    Args:
        old: the first tree.
        new: the second tree.
        wanted: which paths to look at.
    """
    before = {entry.path: entry for entry in old.entries}
    after = {entry.path: entry for entry in new.entries}
    changes = []
    for path in sorted(before.keys() | after.keys()):
        first, second = before.get(path), after.get(path)
        if first != second and wanted(path):
            changes.append(Change(path, _kind(first, second), first, second))
    return changes


def _kind(old: TreeEntry | None, new: TreeEntry | None) -> ChangeKind:
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if (old.target is None) != (new.target is None):
        return "type"
    return "mode" if (old.digest, old.size) == (new.digest, new.size) else "changed"


def below(folders: list[bytes]) -> Callable[[bytes], bool]:
    """A test whether a path is one of `folders`, or lies in one; any path if there are none."""
    if not folders:
        return lambda _: True
    exact = frozenset(folders)
    inside = tuple(folder + b"/" for folder in exact)
    return lambda path: path in exact or b"" in exact or path.startswith(inside)

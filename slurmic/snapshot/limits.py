"""How large a snapshot may be: a code tree is small, and what is large was not meant to be packed.

A data set that .gitignore does not name costs minutes, quota and inodes at every edit. So a large
snapshot is warned of, and a very large one is refused before anything is read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Final, NamedTuple

from slurmic.defaults import (
    MAX_FILES,
    MAX_MB,
    WARN_ADDED_FILES,
    WARN_ADDED_MB,
    WARN_FILES,
    WARN_MB,
)
from slurmic.errors import SelectionError
from slurmic.text import counted, in_megabytes, quoted

_MB: Final = 1_000_000
_NAMED: Final = 3

#: A folder that holds more than this share of the folder above is named in its place.
_NEARLY_ALL: Final = 0.8


_LEAVE_OUT: Final = (
    "leave out what is not code (by exclude_code_folders, or by .gitignore what code_file_suffixes "
    "do not take)"
)


@dataclass(frozen=True)
class SizeLimits:
    """How large a snapshot may be; 0 means any size.

    Attributes:
        warn_files: number of files above which a warning is given.
        warn_mb: megabytes (10^6 bytes) above which a warning is given.
        max_files: number of files above which it is refused.
        max_mb: megabytes above which it is refused.
        warn_added: number of files that suffixes add back although git ignores them, above which
            a warning is given (see :func:`slurmic.selection.select`).
        warn_added_mb: the same for their size (see `Selection.warn_of_size`).
    """

    warn_files: int = WARN_FILES
    warn_mb: int = WARN_MB
    max_files: int = MAX_FILES
    max_mb: int = MAX_MB
    warn_added: int = WARN_ADDED_FILES
    warn_added_mb: int = WARN_ADDED_MB

    def check(self, paths: Sequence[bytes], sizes: Sequence[int]) -> str:
        """A warning for a snapshot of these files, or "".

        Args:
            paths: of all files, sorted.
            sizes: bytes of each.

        Raises:
            SelectionError: it is above a limit.
        """
        count, total = len(sizes), sum(sizes)
        if _above(count, total, self.max_files, self.max_mb):
            raise SelectionError(
                f"{_described(count, total)} would be packed, more than the limit of "
                f"{_limit(self.max_files, self.max_mb)}; {_largest(paths, sizes)}",
                hint=f"{_LEAVE_OUT}, or raise max_code_files and max_code_mb",
            )
        if _above(count, total, self.warn_files, self.warn_mb):
            verb = "is" if count == 1 else "are"
            return (
                f"{_described(count, total)} {verb} packed, more than a code tree should have; "
                f"{_largest(paths, sizes)}\n  {_LEAVE_OUT}, or raise warn_code_files and "
                "warn_code_mb"
            )
        return ""


def _above(count: int, total: int, files: int, megabytes: int) -> bool:
    return bool(files and count > files) or bool(megabytes and total > megabytes * _MB)


def _described(count: int, total: int) -> str:
    return f"{counted(count, 'file')}, {in_megabytes(total)},"


def _limit(files: int, megabytes: int) -> str:
    limits = [counted(files, "file")] if files else []
    limits += [f"{megabytes:,} MB"] if megabytes else []
    return " or ".join(limits)


def _largest(paths: Sequence[bytes], sizes: Sequence[int]) -> str:
    """The folders that hold the most bytes and the most files."""
    up_to = [0, *accumulate(sizes)]
    below = partial(_folders_in, paths, up_to)
    tree = _Folder(b"", 0, len(paths), up_to[-1])
    top = below(tree)
    files = tree.files - sum(folder.files for folder in top)
    if files:
        # They are not next to each other in the list, but only their number and size are used.
        top.append(_Folder(b"", 0, files, tree.weight - sum(folder.weight for folder in top)))
    heaviest = sorted(top, key=_weight, reverse=True)[:_NAMED]
    fullest = max(top, key=_files)
    most = dict.fromkeys(
        [
            *(_narrowed(folder, _weight, below) for folder in heaviest),
            _narrowed(fullest, _files, below),
        ]
    )
    named = (
        f"{quoted(folder.name or b'.')} {counted(folder.files, 'file')}, "
        + in_megabytes(folder.weight)
        for folder in most
    )
    return f"most in {'; '.join(named)}"


class _Folder(NamedTuple):
    """A folder of the tree.

    Attributes:
        name: with a slash at its end; b"" for the tree's top.
        first, end: where the files below it begin and end in the sorted list of all.
        weight: their bytes.
    """

    name: bytes
    first: int
    end: int
    weight: int

    @property
    def files(self) -> int:
        """How many files are below it."""
        return self.end - self.first


def _files(folder: _Folder) -> int:
    return folder.files


def _weight(folder: _Folder) -> int:
    return folder.weight


def _folders_in(paths: Sequence[bytes], up_to: Sequence[int], parent: _Folder) -> list[_Folder]:
    """The folders directly in `parent`.

    Args:
        paths: of all files, sorted.
        up_to: for each file the bytes of all before it, and of all at the end.
        parent: where to look.
    """
    found = []
    index = parent.first
    while index < parent.end:
        name, slash, _ = paths[index][len(parent.name) :].partition(b"/")
        if not slash:
            index += 1
            continue
        # The list is sorted: one folder's files follow each other, and "0" comes right after "/".
        end = bisect_left(paths, parent.name + name + b"0", index, parent.end)
        weight = up_to[end] - up_to[index]
        found.append(_Folder(parent.name + name + slash, index, end, weight))
        index = end
    return found


def _narrowed(
    folder: _Folder,
    measure: Callable[[_Folder], int],
    folders_in: Callable[[_Folder], list[_Folder]],
) -> _Folder:
    """The deepest folder that holds nearly all of `folder`: the one that a user would leave out."""
    while folder.name:
        largest = max(folders_in(folder), key=measure, default=None)
        if largest is None or measure(largest) <= _NEARLY_ALL * measure(folder):
            break
        folder = largest
    return folder

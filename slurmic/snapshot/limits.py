"""How large a snapshot may be: a code tree is small, and what is large was not meant to be packed.

A data set that a .gitignore forgot costs minutes, quota and inodes at every edit. So a large
snapshot is warned of, and a very large one refused before anything is read.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from slurmic.config import MAX_FILES, MAX_MB, WARN_ADDED_FILES, WARN_FILES, WARN_MB
from slurmic.errors import SelectionError
from slurmic_store import shown

_MB = 1_000_000
_NAMED = 3


@dataclass(frozen=True)
class SizeLimits:
    """How large a snapshot may be; 0 means any size.

    Attributes:
        warn_files: number of files above which a warning is given.
        warn_mb: megabytes (10^6 bytes) above which a warning is given.
        max_files: number of files above which it is refused.
        max_mb: megabytes above which it is refused.
        warn_added: files that suffixes add back from one ignored folder, above which a warning is
            given (by the selection; see `slurmic.selection.select`).
    """

    warn_files: int = WARN_FILES
    warn_mb: int = WARN_MB
    max_files: int = MAX_FILES
    max_mb: int = MAX_MB
    warn_added: int = WARN_ADDED_FILES

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
                hint="leave out what is no code (exclude_code_folders, .gitignore), or raise "
                "max_code_files and max_code_mb",
            )
        if _above(count, total, self.warn_files, self.warn_mb):
            return (
                f"{_described(count, total)} are packed, more than a code tree should have; "
                f"{_largest(paths, sizes)}\n  leave out what is no code (exclude_code_folders, "
                ".gitignore), or raise warn_code_files and warn_code_mb"
            )
        return ""


def _above(count: int, total: int, files: int, megabytes: int) -> bool:
    return bool(files and count > files) or bool(megabytes and total > megabytes * _MB)


def _described(count: int, total: int) -> str:
    return f"{count:,} files, {total / _MB:,.1f} MB,"


def _limit(files: int, megabytes: int) -> str:
    limits = [f"{files:,} files"] if files else []
    limits += [f"{megabytes:,} MB"] if megabytes else []
    return " or ".join(limits)


def _largest(paths: Sequence[bytes], sizes: Sequence[int]) -> str:
    """The folders right below the tree's top that hold the most files and the most bytes."""
    files: Counter[bytes] = Counter()
    weight: Counter[bytes] = Counter()
    start = 0
    while start < len(paths):
        top, slash, _ = paths[start].partition(b"/")
        # Sorted: what lies in one folder stands together, and "0" comes right after the slash.
        end = bisect_left(paths, top + b"0", start) if slash else start + 1
        folder = top + slash if slash else b"."
        files[folder] += end - start
        weight[folder] += sum(sizes[start:end])
        start = end
    most = dict.fromkeys(name for name, _ in weight.most_common(_NAMED))
    most.update(dict.fromkeys(name for name, _ in files.most_common(1)))
    named = (
        f"'{shown(os.fsdecode(name))}' {files[name]:,} files, {weight[name] / _MB:,.1f} MB"
        for name in most
    )
    return f"most in {'; '.join(named)}"

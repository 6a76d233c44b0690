"""Directories that are never packed: excluded by a setting, or by what they are.

What they are: ``.git``; folders in which slurmic prepares something; output folders and stores,
known by what lies in them, so that a run's results are not packed into the next run wherever they
are. The marks do not count for code_root itself.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from .ignorefile import read_head
from .rules import SelectionRules, glob_test

GIT_DIRECTORY: Final = b".git"
#: Directories whose names begin so are slurmic's own, half made.
STAGING: Final = b".slurmic-"

BarrierKind = Literal[
    "git_directory",
    "staging",
    "never",
    "excluded_folder",
    "output_folder",
    "store",
    "beyond_symlink",
]

#: How the record of a snapshot begins.
RECORD_HEAD: Final = b'{"slurmic_record"'

#: A file that marks the directory it is in: how its content begins, and as what it marks it.
MARKERS: Final[dict[bytes, tuple[bytes, Literal["output_folder", "store"]]]] = {
    b"code.json": (RECORD_HEAD, "output_folder"),
    b"FORMAT": (b"slurmic store", "store"),
}


_CODE_FOLDER_NAME: Final = re.compile(rb"code(-[0-9]+)?")


def is_code_folder(path: bytes) -> bool:
    """Whether the directory at `path` (absolute) is a code folder: its record stands beside it."""
    return read_head(path + b".json", len(RECORD_HEAD)) == RECORD_HEAD


def is_submissions_folder(name: bytes) -> bool:
    """Whether a code folder of this name lies in a submission's output folder.

    Others were asked for by name (``slurmic snapshot --output``), in a folder that may hold
    anything.
    """
    return _CODE_FOLDER_NAME.fullmatch(name) is not None


def mark_of(
    directory: bytes, names: frozenset[bytes] | None = None
) -> Literal["output_folder", "store"] | None:
    """What a file in `directory` marks it as, or None.

    Args:
        directory: absolute.
        names: regular files known to be in it; None if that is not known.
    """
    for marker, (beginning, kind) in MARKERS.items():
        if (names is None or marker in names) and (
            read_head(os.path.join(directory, marker), len(beginning)) == beginning
        ):
            return kind
    return None


def _holds_code_folder(directory: bytes) -> bool:
    """Whether `directory` (absolute) is an output folder whose first code folder was deleted."""
    try:
        names = os.listdir(directory)
    except OSError:
        return False
    return any(
        is_submissions_folder(name) and is_code_folder(os.path.join(directory, name))
        for name in names
    )


def directory_test(root: bytes, rules: SelectionRules) -> Callable[[bytes], bool] | None:
    """The test of `rules` for excluded directories that are not plain paths; None if it has none.

    The test takes a path relative to `root`.
    """
    if rules.exclude_directory is not None:
        exclude, text_root = rules.exclude_directory, os.fsdecode(root)
        return lambda path: bool(exclude(os.path.join(text_root, os.fsdecode(path)), text_root))
    return glob_test(rules.glob_folders) if rules.glob_folders else None


@dataclass(frozen=True)
class Barrier:
    """A directory below which nothing is packed.

    Attributes:
        kind: why.
        directory: relative to code_root.
        entry: of ``exclude_code_folders``, if that is the reason.
    """

    kind: BarrierKind
    directory: bytes
    entry: str = ""


class Barriers:
    """Finds the barrier above a path, for the few paths that the walk does not come by.

    Args:
        root: absolute.
        rules: the rules in force.
    """

    def __init__(self, root: bytes, rules: SelectionRules) -> None:
        self._root = root
        self._rules = rules
        self._further_test = directory_test(root, rules)
        self._known: dict[bytes, Barrier | None] = {}

    def above(self, path: bytes) -> Barrier | None:
        """The topmost barrier among the directories that hold `path` (relative), or None."""
        directory = os.path.dirname(path)
        if not directory:
            return None
        if directory not in self._known:
            self._known[directory] = self.above(directory) or self.at(directory)
        return self._known[directory]

    def at(self, directory: bytes) -> Barrier | None:
        """The barrier that `directory` (relative) itself is, or None. It need not exist."""
        name = os.path.basename(directory)
        if name == GIT_DIRECTORY:
            return Barrier("git_directory", directory)
        if name.startswith(STAGING):
            return Barrier("staging", directory)
        if directory in self._rules.literal_folders or (
            self._further_test is not None and self._further_test(directory)
        ):
            entry = self._rules.excluding_entry(directory)
            if entry is None and self._rules.exclude_directory is None:
                return Barrier("never", directory)
            return Barrier("excluded_folder", directory, entry or "the exclude function")
        absolute = os.path.join(self._root, directory)
        try:
            if stat.S_ISLNK(os.lstat(absolute).st_mode):
                return Barrier("beyond_symlink", directory)
        except OSError:
            return None
        mark = mark_of(absolute)
        if mark is None and (is_code_folder(absolute) or _holds_code_folder(absolute)):
            mark = "output_folder"
        return Barrier(mark, directory) if mark else None

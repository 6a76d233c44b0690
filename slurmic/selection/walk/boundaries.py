"""Barriers: folders below which nothing is packed, whatever suffixes and git say.

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

from slurmic.selection.ignore.lines import read_head
from slurmic.selection.rules import EXCLUDE_FUNCTION, SelectionRules, glob_test

GIT_DIRECTORY: Final = b".git"
#: Folders whose names begin so are slurmic's own, half made.
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

#: A file that marks the folder it is in: how its content begins, and as what it marks it.
MARKERS: Final[dict[bytes, tuple[bytes, Literal["output_folder", "store"]]]] = {
    b"code.json": (RECORD_HEAD, "output_folder"),
    b"FORMAT": (b"slurmic store", "store"),
}


_CODE_FOLDER_NAME: Final = re.compile(rb"code(-[0-9]+)?")


def is_code_folder(path: bytes) -> bool:
    """Whether the folder at `path` (absolute) is a code folder: its record stands beside it."""
    return read_head(path + b".json", len(RECORD_HEAD)) == RECORD_HEAD


def is_submissions_folder(name: bytes) -> bool:
    """Whether a code folder of this name lies in a submission's output folder.

    Others were asked for by name (``slurmic snapshot --output``), in a folder that may hold
    anything.
    """
    return _CODE_FOLDER_NAME.fullmatch(name) is not None


def mark_of(
    directory: bytes, names: frozenset[bytes] | None = None
) -> tuple[bytes, Literal["output_folder", "store"]] | None:
    """The name of a file in `directory` that marks it, and as what; or None.

    Args:
        directory: absolute.
        names: regular files known to be in it; None if that is not known.
    """
    for marker, (beginning, kind) in MARKERS.items():
        if (names is None or marker in names) and (
            read_head(os.path.join(directory, marker), len(beginning)) == beginning
        ):
            return marker, kind
    return None


def _record_within(directory: bytes) -> bytes | None:
    """The name of a record in `directory` (absolute) whose code folder is there too, or None.

    That is an output folder whose first code folder was deleted.
    """
    try:
        with os.scandir(directory) as entries:
            folders = sorted(
                entry.name
                for entry in entries
                if is_submissions_folder(entry.name) and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return None
    for name in folders:
        if is_code_folder(os.path.join(directory, name)):
            return name + b".json"
    return None


def directory_test(root: bytes, rules: SelectionRules) -> Callable[[bytes], bool] | None:
    """The test of `rules` for excluded folders that are not plain paths; None if it has none.

    The test takes a path relative to `root`.
    """
    if rules.exclude_directory is not None:
        exclude, text_root = rules.exclude_directory, os.fsdecode(root)
        return lambda path: bool(exclude(os.path.join(text_root, os.fsdecode(path)), text_root))
    return glob_test(rules.glob_folders) if rules.glob_folders else None


@dataclass(frozen=True)
class Barrier:
    """A folder below which nothing is packed.

    Attributes:
        kind: why.
        directory: relative to code_root.
        entry: of ``exclude_code_folders``, if that is the reason.
        marker: the file that marks it as an output folder or a store, relative to code_root.
    """

    kind: BarrierKind
    directory: bytes
    entry: str = ""
    marker: bytes = b""


class Barriers:
    """Finds the barrier above a path, for the few paths that the walk does not pass.

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
        """The topmost barrier among the folders that hold `path` (relative), or None."""
        # No recursion: a path may have more parts than Python's stack has room for.
        unknown: list[bytes] = []
        directory = os.path.dirname(path)
        while directory and directory not in self._known:
            unknown.append(directory)
            directory = os.path.dirname(directory)
        barrier = self._known[directory] if directory else None
        for directory in reversed(unknown):
            barrier = self._known[directory] = barrier or self.at(directory)
        return barrier

    def at(self, directory: bytes) -> Barrier | None:
        """The barrier that `directory` (relative) itself is, or None. It need not exist."""
        name = os.path.basename(directory)
        if name == GIT_DIRECTORY:
            return Barrier("git_directory", directory)
        absolute = os.path.join(self._root, directory)
        try:
            mode = os.lstat(absolute).st_mode
        except OSError:
            mode = 0
        if stat.S_ISLNK(mode):
            # Before what is said of folders: a link of that name is none.
            return Barrier("beyond_symlink", directory)
        if name.startswith(STAGING):
            return Barrier("staging", directory)
        if directory in self._rules.literal_folders or (
            self._further_test is not None and self._further_test(directory)
        ):
            entry = self._rules.excluding_entry(directory)
            if entry is None and self._rules.exclude_directory is None:
                return Barrier("never", directory)
            return Barrier("excluded_folder", directory, entry or EXCLUDE_FUNCTION)
        return self._marked(directory, absolute) if stat.S_ISDIR(mode) else None

    def _marked(self, directory: bytes, absolute: bytes) -> Barrier | None:
        """The barrier that a folder is by a file in it or beside it."""
        mark = mark_of(absolute)
        if mark is not None:
            marker, kind = mark
            return Barrier(kind, directory, marker=os.path.join(directory, marker))
        if is_code_folder(absolute):
            return Barrier("output_folder", directory, marker=directory + b".json")
        record = _record_within(absolute)
        if record is not None:
            return Barrier("output_folder", directory, marker=os.path.join(directory, record))
        return None

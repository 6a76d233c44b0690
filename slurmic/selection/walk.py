"""The one walk over the tree.

Directories that cannot contribute are never entered. A file is tested for its suffix first, since
that settles it; what no suffix takes in directories that are not ignored is collected, and decided
in one go for each :class:`Level`. Below an ignored directory only the suffix counts, no .gitignore
is read, and if there is no suffix to look for it is not entered at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .boundaries import (
    GIT_DIRECTORY,
    MARKERS,
    STAGING,
    directory_test,
    is_code_folder,
    is_submissions_folder,
    mark_of,
)
from .discovery import GITIGNORE, with_ignore_file
from .matcher import Level
from .rules import SelectionRules

ENVIRONMENT_MARKER: Final = b"pyvenv.cfg"

#: Names, and ends of names without a suffix of code, that secrets usually have.
SECRET_NAMES: Final = frozenset(
    {
        b".env",
        b".env.local",
        b".env.production",
        b".git-credentials",
        b".netrc",
        b".pgpass",
        b".pypirc",
        b"credentials",
        b"credentials.json",
        b"id_dsa",
        b"id_ecdsa",
        b"id_ed25519",
        b"id_rsa",
        b"secrets.json",
        b"secrets.toml",
        b"secrets.yaml",
        b"secrets.yml",
    }
)
SECRET_ENDINGS: Final = frozenset({b".env", b".jks", b".key", b".p12", b".pem", b".pfx"})

#: In a directory with more files than this that no suffix takes, what is ignored is dropped at
#: once, so that a million ignored files of data are never held together.
MANY: Final = 1000

# One lookup per file tells whether its name means anything to the walk itself.
_NOTED: Final = frozenset({GITIGNORE, GIT_DIRECTORY, ENVIRONMENT_MARKER, *MARKERS, *SECRET_NAMES})


@dataclass
class Walked:
    """What a walk found; all paths are relative to its root.

    Attributes:
        paths: selected files and links, sorted by their bytes.
        links: links that were come by, selected or not.
        suspects: files that look like secrets by their names, selected or not.
        ignored: directories that are ignored, and were entered for files to add back.
        environments: directories that hold a Python virtual environment.
        unreadable: directories that could not be listed.
        unreadable_rules: .gitignore files that could not be read.
    """

    paths: list[bytes] = field(default_factory=list)
    links: list[bytes] = field(default_factory=list)
    suspects: list[bytes] = field(default_factory=list)
    ignored: list[bytes] = field(default_factory=list)
    environments: list[bytes] = field(default_factory=list)
    unreadable: list[tuple[bytes, OSError]] = field(default_factory=list)
    unreadable_rules: list[bytes] = field(default_factory=list)


# Files whose names end with a suffix, the other files but those noted, files whose names mean
# something to the walk itself, folders, links. (Plain, because a named tuple per directory shows.)
_Listing = tuple[list[bytes], list[bytes], list[bytes], list[bytes], list[bytes]]


def _list(path: bytes, endings: tuple[bytes, ...]) -> _Listing:
    matching: list[bytes] = []
    others: list[bytes] = []
    noted: list[bytes] = []
    folders: list[bytes] = []
    links: list[bytes] = []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if entry.is_file(follow_symlinks=False):
                if name in _NOTED:
                    noted.append(name)
                elif name.endswith(endings):
                    matching.append(name)
                else:
                    others.append(name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif entry.is_symlink():
                links.append(name)
    return matching, others, noted, folders, links


def walk(root: bytes, rules: SelectionRules, level: Level | None, prefix: bytes = b"") -> Walked:
    """Select the files below `root`, but for what git's index says.

    Args:
        root: absolute path of a directory.
        rules: which files.
        level: what is ignored in `root`, its own .gitignore not read yet; None where only the
            suffixes count (there is no .gitignore, or git ignores `root` itself).
        prefix: path from the top of the repository to `root`, with a slash at its end unless
            empty; for the names of ignore files.

    Raises:
        OSError: `root` itself cannot be listed.
    """
    walked = Walked()
    base = root if root.endswith(b"/") else root + b"/"
    endings = () if rules.include else rules.endings
    adds_back = bool(endings) or rules.include is not None
    matches = further_suffix_test(root, rules)
    excluded = directory_test(root, rules)
    literal_folders = rules.literal_folders
    # Names and paths that no suffix takes, by level: git's verdict on a name is the same in all
    # directories of a level, so it is asked for once.
    undecided: dict[Level, tuple[list[bytes], list[bytes]]] = {}
    stack: list[tuple[bytes, Level | None]] = [(b"", level)]
    while stack:
        directory, level = stack.pop()
        try:
            taken, others, noted, folders, links = _list(base + directory, endings)
        except (FileNotFoundError, NotADirectoryError):
            if not directory:
                raise
            continue  # removed while we walk
        except OSError as error:
            if not directory:
                raise
            walked.unreadable.append((directory[:-1], error))
            continue

        if noted:
            if directory and mark_of(base + directory, frozenset(noted)):
                continue
            if level is not None and GITIGNORE in noted:
                path = directory + GITIGNORE
                level, readable = with_ignore_file(level, base + path, prefix + path)
                if not readable:
                    walked.unreadable_rules.append(path)
            if ENVIRONMENT_MARKER in noted:
                walked.environments.append(directory[:-1])
            for name in noted:
                if name != GIT_DIRECTORY:
                    (taken if name.endswith(endings) else others).append(name)
                if name in SECRET_NAMES:
                    walked.suspects.append(directory + name)
        if folders:
            # A code folder is known by the record beside it, an output folder by such a folder.
            file_names = {*taken, *others}
            frozen = [
                name
                for name in folders
                if name + b".json" in file_names and is_code_folder(base + directory + name)
            ]
            if frozen:
                if directory and any(map(is_submissions_folder, frozen)):
                    continue
                folders = [name for name in folders if name not in frozen]
        if links:
            if GIT_DIRECTORY in links:
                links.remove(GIT_DIRECTORY)
            walked.links += [directory + name for name in links]
            others += links

        # The formula (rules.packed): what a suffix takes, and what git does not ignore.
        if links or matches is not None:
            others = _split(directory, others, endings, matches, taken)
        walked.paths += [directory + name for name in taken]
        if level is not None and others:
            if len(others) > MANY:
                others = level.kept_files(others)
            names, paths = undecided.setdefault(level, ([], []))
            names += others
            paths += [directory + name for name in others]

        for name in folders:
            path = directory + name
            if name == GIT_DIRECTORY or path in literal_folders or name.startswith(STAGING):
                continue
            if excluded is not None and excluded(path):
                continue
            child = None
            if level is not None:
                child = level.enter(name)
                if child is None and adds_back:
                    walked.ignored.append(path)
            if child is not None or adds_back:
                stack.append((path + b"/", child))

    for level, (names, paths) in undecided.items():
        kept = frozenset(level.kept_files(list(set(names))))
        discovered = [path for name, path in zip(names, paths, strict=True) if name in kept]
        walked.suspects += [path for path in discovered if path[-4:] in SECRET_ENDINGS]
        walked.paths += discovered
    walked.paths.sort()
    return walked


def further_suffix_test(
    root: bytes, rules: SelectionRules
) -> Callable[[bytes, bytes], bool] | None:
    """What the suffix test needs beyond comparing ends; takes (directory with slash, name)."""
    if rules.include is not None:
        include, text_root = rules.include, os.fsdecode(root)
        return lambda directory, name: bool(
            include(os.path.join(text_root, os.fsdecode(directory + name)), text_root)
        )
    exact_names = rules.exact_names
    return (lambda _, name: name in exact_names) if exact_names else None


def _split(
    directory: bytes,
    names: list[bytes],
    endings: tuple[bytes, ...],
    matches: Callable[[bytes, bytes], bool] | None,
    taken: list[bytes],
) -> list[bytes]:
    """Move the names that a suffix takes to `taken`; the rest is returned."""
    rest: list[bytes] = []
    for name in names:
        by_suffix = name.endswith(endings) or (matches is not None and matches(directory, name))
        (taken if by_suffix else rest).append(name)
    return rest

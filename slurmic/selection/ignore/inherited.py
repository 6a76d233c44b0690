"""Where the ignore rules of a source tree come from, above its own top.

code_root may be a folder within a repository. git's answer then takes in, from the lowest
precedence to the highest: core.excludesFile, info/exclude, and the .gitignore files from the top of
the repository down to code_root. If one of them ignores code_root itself or a folder above it, all
of it is ignored, and only the suffixes and git's index are left.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from slurmic.git.asking import Git
from slurmic.git.repository import Repository
from slurmic.git.settings import GitSettings
from slurmic.selection.ignore.folderrules import FolderRules
from slurmic.selection.ignore.lines import read_ignore_file
from slurmic.selection.ignore.patterns import IgnoreRule

GITIGNORE: Final = b".gitignore"
_NONE: Final[Mapping[bytes, bytes]] = {}


@dataclass(frozen=True)
class SourceTree:
    """A folder to select from, and the repository around it.

    Attributes:
        root: absolute path of the folder.
        discovering: it has a .gitignore (a regular file); otherwise only suffixes count.
        repository: the one it is in; None outside of any, and not looked for if not `discovering`.
        prefix: path from the repository's top to the root, with a slash at its end unless empty.
    """

    root: bytes
    discovering: bool
    repository: Repository | None = None
    prefix: bytes = b""

    @classmethod
    def at(cls, root: bytes, git: Git) -> SourceTree:
        """Look at the folder `root` (absolute), the one that `git` is asked about."""
        try:
            mode = os.lstat(os.path.join(root, GITIGNORE)).st_mode
        except OSError:
            return cls(root, discovering=False)
        if not stat.S_ISREG(mode):
            return cls(root, discovering=False)
        repository = git.repository
        if repository is None:
            return cls(root, discovering=True)
        physical = os.path.realpath(root)
        prefix = physical[len(repository.top) :].lstrip(b"/")
        return cls(root, True, repository, prefix + b"/" if prefix else b"")


@dataclass(frozen=True)
class InheritedRules:
    """What is ignored in the root, its own .gitignore not read yet.

    Attributes:
        level: None if the root itself is ignored.
        ignoring: the rule that ignores it, in that case.
        unreadable: ignore files that may not be read.
    """

    level: FolderRules | None
    ignoring: IgnoreRule | None
    unreadable: tuple[bytes, ...]


def inherited_rules(
    tree: SourceTree, settings: GitSettings | None, hidden: Mapping[bytes, bytes] = _NONE
) -> InheritedRules:
    """Read the ignore files above the root of `tree`.

    Args:
        tree: with `discovering` set.
        settings: git's; None if there is no repository.
        hidden: see `with_ignore_file`.
    """
    level = FolderRules.top(fold=settings is not None and settings.fold)
    if tree.repository is None or settings is None:
        return InheritedRules(level, None, ())
    top = tree.repository.top
    unreadable: list[bytes] = []
    exclude = os.path.join(tree.repository.common, b"info", b"exclude")
    for path in (settings.excludes_file, exclude):
        if path is not None:
            level, readable = with_ignore_file(
                level, path, path.removeprefix(top + b"/"), follow_symlink=True
            )
            if not readable:
                unreadable.append(path)
    directory = b""
    for name in tree.prefix.split(b"/")[:-1]:
        path = directory + GITIGNORE
        level, readable = with_ignore_file(level, os.path.join(top, path), path, hidden=hidden)
        if not readable:
            unreadable.append(os.path.join(top, path))
        below = level.enter(name)
        if below is None:
            rule = level.deciding_rule(name, directory=True)
            return InheritedRules(None, rule, tuple(unreadable))
        level = below
        directory += name + b"/"
    return InheritedRules(level, None, tuple(unreadable))


def with_ignore_file(
    level: FolderRules,
    path: bytes,
    source: bytes,
    *,
    follow_symlink: bool = False,
    hidden: Mapping[bytes, bytes] = _NONE,
) -> tuple[FolderRules, bool]:
    """`level` with the patterns of the ignore file at `path`, and whether that could be read.

    One that is not there counts as read.

    git goes on without a file that it may not read, and so do we, but not silently.

    Args:
        level: without the file.
        path: absolute.
        source: how to name the file.
        follow_symlink: see `read_ignore_file`.
        hidden: contents by source, taken in the place of files that cannot be opened.
    """
    readable = True
    content = None
    try:
        content = read_ignore_file(path, follow_symlink=follow_symlink)
    except PermissionError:
        readable = source in hidden
    if content is None and source in hidden and not _is_directory(path):
        content = hidden[source]
    return (level if content is None else level.with_file(content, source)), readable


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False

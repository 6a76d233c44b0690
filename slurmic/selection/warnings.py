"""What a user should know about a selection before relying on it, each kind once, with counts."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from slurmic.text import counted

from .display import shown_list
from .ignorefile import read_head
from .rules import SelectionRules
from .secretnames import is_public, may_be_public
from .sortedpaths import count_below

#: So many files that look like keys are looked into, at most, and so far.
READ_AT_MOST: Final = 100
HEAD: Final = 1 << 20

WarningKind = Literal[
    "virtual_environment",
    "large_add_back",
    "ignored_root",
    "link_outside",
    "link_dangling",
    "secret",
    "nested_repository",
    "unreadable_directory",
    "unreadable_gitignore",
    "git_unavailable",
]


@dataclass(frozen=True)
class SelectionWarning:
    """Something in a selection that is probably not meant.

    Attributes:
        kind: for programs.
        message: one line, lower case, with counts; names the first few paths.
        hint: what changes it.
        paths: all paths concerned, relative to the root (absolute for ignore files above it).
    """

    kind: WarningKind
    message: str
    hint: str
    paths: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}"


def link_warnings(
    root: bytes, paths: Sequence[bytes], symlinks: Sequence[bytes]
) -> Iterator[SelectionWarning]:
    """Warn of packed links whose targets will not be in the code folder.

    A target is judged by its path alone: a link through another link counts by where it seems to
    lead.

    Args:
        root: absolute.
        paths: the selection, sorted.
        symlinks: those of it that are links, sorted.
    """
    outside: list[bytes] = []
    dangling: list[bytes] = []
    for link in symlinks:
        try:
            target = os.readlink(os.path.join(root, link))
        except OSError:
            continue  # replaced since; whoever packs it finds out
        resolved = os.path.normpath(os.path.join(os.path.dirname(link), target))
        if os.path.isabs(target) or resolved == b".." or resolved.startswith(b"../"):
            outside.append(link)
        elif resolved != b".":
            index = bisect_left(paths, resolved)
            is_file = index < len(paths) and paths[index] == resolved
            if not is_file and not count_below(paths, resolved):
                dangling.append(link)
    if outside:
        yield SelectionWarning(
            "link_outside",
            f"{counted(len(outside), 'link')} out of the tree: {shown_list(outside)}; "
            "what is there is not frozen",
            "copy the target into code_root, or leave it if the job needs it live",
            tuple(outside),
        )
    if dangling:
        yield SelectionWarning(
            "link_dangling",
            f"{counted(len(dangling), 'link')} to something that is not packed: "
            f"{shown_list(dangling)}",
            "pack the target too (`slurmic why` says what keeps it out), or remove the link",
            tuple(dangling),
        )


def secret_warnings(
    root: bytes, suspects: Sequence[bytes], rules: SelectionRules
) -> Iterator[SelectionWarning]:
    """Warn of files whose names say that they hold secrets.

    Certificates and public keys do not; of very many files all are believed to.

    Args:
        root: absolute.
        suspects: selected files with such names, sorted.
        rules: that they were selected by.
    """
    secrets = list(suspects)
    if len(secrets) <= READ_AT_MOST:
        secrets = [path for path in secrets if not _is_public(os.path.join(root, path))]
    if not secrets:
        return
    by_suffix = [path for path in secrets if rules.taking_entry(root, path) is not None]
    them = "it" if len(secrets) == 1 else "them"
    hint = (
        f"add {them} to .gitignore (and `git rm --cached` what git tracks), or move {them} into a"
    )
    if by_suffix:
        hint = f"move {them} out of code_root, or into a"
    hint += " folder that exclude_code_folders names"
    if by_suffix:
        which = them if len(by_suffix) == len(secrets) else shown_list(by_suffix)
        hint += f"; .gitignore does not keep {which} out, because of code_file_suffixes"
    yield SelectionWarning(
        "secret",
        f"{counted(len(secrets), 'file')} that may hold secrets: {shown_list(secrets)}",
        hint,
        tuple(secrets),
    )


def _is_public(path: bytes) -> bool:
    return may_be_public(path) and is_public(read_head(path, HEAD))


def nested_warnings(left_out: Sequence[bytes]) -> Iterator[SelectionWarning]:
    """Warn of files that are ignored here, but tracked by a repository within the tree."""
    if left_out:
        noun, verb = counted(len(left_out), "file"), "is" if len(left_out) == 1 else "are"
        yield SelectionWarning(
            "nested_repository",
            f"{noun} that a repository within code_root tracks {verb} ignored and not packed: "
            f"{shown_list(left_out)}",
            "if a job needs them, re-include them in .gitignore (`slurmic why` names the pattern), "
            "or add their endings to code_file_suffixes",
            tuple(left_out),
        )


def unreadable_warnings(
    directories: Sequence[tuple[bytes, OSError]], ignore_files: Sequence[bytes]
) -> Iterator[SelectionWarning]:
    """Warn of what the walk could not look into."""
    if directories:
        paths = tuple(path for path, _ in directories)
        reason = (directories[0][1].strerror or "error").lower()
        verb = "is" if len(paths) == 1 else "are"
        noun = counted(len(paths), "directory")
        yield SelectionWarning(
            "unreadable_directory",
            f"{noun} cannot be read and {verb} not packed: {shown_list(paths)} ({reason})",
            "make them readable, or add them to exclude_code_folders",
            paths,
        )
    if ignore_files:
        yield SelectionWarning(
            "unreadable_gitignore",
            f"{counted(len(ignore_files), 'ignore file')} cannot be read: "
            f"{shown_list(ignore_files)}; as in git, nothing is ignored by them",
            "make them readable",
            tuple(ignore_files),
        )

"""A warning: something in a selection that is probably not meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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

"""What is said of a path: whether it is packed, and what decided."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from slurmic.selection.ignore.patterns import IgnoreRule
from slurmic.selection.rules import EXCLUDE_FUNCTION, INCLUDE_FUNCTION
from slurmic.selection.walk.boundaries import BarrierKind
from slurmic.selection.warn.warning import SelectionWarning
from slurmic.text import quoted

#: "unknown" is what cannot be looked at, and is in a folder that cannot be listed.
PathKind = Literal["file", "symlink", "directory", "special", "missing", "unknown"]

#: What decided. "not_ignored" comes with a rule if one re-includes the path, "suffix" with one if
#: the file is packed although it is ignored. "suffixes_only" and "no_suffix" are for trees without
#: a .gitignore: for folders, and for files.
Reason = (
    BarrierKind
    | Literal[
        "code_root",
        "outside_root",
        "special_file",
        "unreadable_directory",
        "suffix",
        "tracked",
        "ignored",
        "not_ignored",
        "suffixes_only",
        "no_suffix",
    ]
)


@dataclass(frozen=True)
class Explanation:
    """The verdict on one path.

    Attributes:
        path: relative to code_root; absolute if it is outside.
        packed: whether it is packed. For a directory: whether the files in it are, each unless a
            rule of its own keeps it out. So it is false where only code_file_suffixes takes files
            from a directory: if git ignores it, and in a tree without a .gitignore. code_root
            itself counts as packed.
        reason: what decided.
        kind: what is there now; a path that is missing or unknown is judged as a file would be (as
            a folder if given with a slash at its end).
        entry: of code_file_suffixes or exclude_code_folders, if one decided.
        directory: the directory that was decided about: one above `path`, or `path` itself if it
            is a folder that cannot be read or is kept out whatever git says; b"." is code_root.
            Empty if no folder decided, or an ignore rule that matches `path` itself.
        rule: the line of an ignore file that decided, or that code_file_suffixes overruled.
        marker: the file that makes `directory` an output folder or a store, relative to code_root.
    """

    path: bytes
    packed: bool
    reason: Reason
    kind: PathKind
    entry: str = ""
    directory: bytes = b""
    rule: IgnoreRule | None = None
    marker: bytes = b""

    def __str__(self) -> str:
        missing = " (does not exist)" if self.kind == "missing" else ""
        verdict = "packed, " if self.packed else "not packed, "
        if self.reason == "suffixes_only":
            verdict = ""  # Neither is true of the folder as a whole.
        return f"{quoted(self.path)}{missing}: {verdict}{self._because()}"

    def _because(self) -> str:
        where = quoted(self.directory)
        if self.reason == "suffix":
            although = f", although {self._ignoring()}" if self.rule else ""
            return f"by {_named(self.entry, 'code_file_suffixes')}{although}"
        if self.reason == "tracked":
            assert self.rule is not None
            return f"tracked by git, although {_location(self.rule)} matches"
        if self.reason == "ignored":
            return self._ignoring() + (
                ", but files in it with code_file_suffixes are" if self.kind == "directory" else ""
            )
        if self.reason == "not_ignored":
            return f"re-included by {_location(self.rule)}" if self.rule else "not ignored"
        if self.reason == "suffixes_only":
            which = f"that {self.entry} takes" if self.entry else "with code_file_suffixes"
            return f"only files in it {which} are packed, since code_root has no .gitignore"
        if self.reason == "excluded_folder":
            return f"{where} is excluded by {_named(self.entry, 'exclude_code_folders')}"
        if self.reason == "output_folder" and os.path.dirname(self.marker) != self.directory:
            return f"{where} is a code folder of slurmic ({quoted(self.marker)} is its record)"
        return _FIXED[self.reason].format(
            where=where, marker=os.fsdecode(os.path.basename(self.marker))
        )

    def _ignoring(self) -> str:
        assert self.rule is not None
        what = f"its folder {quoted(self.directory)}" if self.directory else "it"
        return f"{_location(self.rule)} ignores {what}"


_FIXED: Final[dict[str, str]] = {
    "code_root": "it is code_root itself",
    "outside_root": "it is outside of code_root",
    "special_file": "it is neither a file nor a link",
    "unreadable_directory": "{where} cannot be read",
    "no_suffix": "none of code_file_suffixes matches, and code_root has no .gitignore",
    "git_directory": "{where} belongs to git",
    "staging": "slurmic prepares something in {where}",
    "never": "{where} is the output folder or the store",
    "output_folder": "{where} is an output folder of slurmic (it has a {marker})",
    "store": "{where} is a store of slurmic (it has a {marker})",
    "beyond_symlink": "it is beyond the link {where}",
}


@dataclass(frozen=True)
class Explanations:
    """What `explain` has to say; iterating gives the explanations.

    Attributes:
        explanations: one for each path, in their order.
        warnings: what could not be asked or read, so that they may be wrong.
    """

    explanations: tuple[Explanation, ...]
    warnings: tuple[SelectionWarning, ...] = ()

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.explanations)


def _named(entry: str, setting: str) -> str:
    return entry if entry in (INCLUDE_FUNCTION, EXCLUDE_FUNCTION) else f"{entry} in {setting}"


def _location(rule: IgnoreRule) -> str:
    return f"{quoted(rule.source)} line {rule.line} ({quoted(rule.text)})"

"""Labelled lines, and what a record's info says in such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slurmic.text import counted, printable

from .console import painted
from .summary import info_text

Line = tuple[str, str]
"""A label, or "" to go on with the one above, and what is to be said."""

_NAMED = 10


def draw(lines: Iterable[Line]) -> None:
    """Write labelled lines; those with nothing to say are left out.

    Long ones are not broken, so that paths can be copied.
    """
    lines = [line for line in lines if line[1]]
    width = max(len(label) for label, _ in lines) + 2
    for label, text in lines:
        print(painted(f"{label:{width}}", "dim") + text)


def labelled(label: str, texts: Sequence[str]) -> list[Line]:
    """Several lines under one label."""
    return [(label if index == 0 else "", printable(text)) for index, text in enumerate(texts)]


def origin_lines(info: Mapping[str, Any]) -> list[Line]:
    """Where a snapshot came from, as its record says; what stands there may be anything."""
    import shlex

    command = info.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    versions = [
        f"{name} {version}"
        for name, key in (("Python", "python"), ("slurmic", "slurmic"))
        if (version := info_text(info, key))
    ]
    return [
        ("name", printable(info_text(info, "job_name"))),
        ("command", printable(shlex.join(words))),
        ("source", printable(info_text(info, "code_root"))),
        *_git(_mapping(info.get("git"))),
        *_selection(_mapping(info.get("selection"))),
        ("versions", printable(", ".join(versions))),
        *labelled("warnings", _lines(_strings(info.get("warnings")))),
    ]


def _git(git: Mapping[str, Any]) -> list[Line]:
    commit, branch = info_text(git, "commit"), info_text(git, "branch")
    lines = []
    if commit:
        dirty = git.get("dirty")
        state = ", with changes" if dirty is True else ", no changes" if dirty is False else ""
        lines.append(f"{commit}{f' ({branch})' if branch else ''}{state}")
    if remote := info_text(git, "remote"):
        lines.append(f"from {remote}")
    differing = git.get("differing")
    named = [_mapping(each) for each in differing] if isinstance(differing, list) else []
    for each in named[:_NAMED]:
        lines.append(f"{info_text(each, 'change'):11} {info_text(each, 'path')}")
    total = git.get("differing_files")
    if isinstance(total, int) and total > len(named[:_NAMED]):
        lines.append(f"and {counted(total - len(named[:_NAMED]), 'file')} more")
    if note := info_text(git, "note"):
        lines.append(note)
    return labelled("git", lines)


def _selection(selection: Mapping[str, Any]) -> list[Line]:
    """What selected the files; a function of the program's takes the place of a setting."""
    suffixes = " ".join(_strings(selection.get("code_file_suffixes")))
    excluded = " ".join(_strings(selection.get("exclude_code_folders")))
    include, exclude = info_text(selection, "include"), info_text(selection, "exclude_directory")
    parts = [
        "what git does not ignore" if info_text(selection, "mode") == "gitignore" else "",
        f"function {include}" if include else suffixes and f"suffixes {suffixes}",
        f"excluded by function {exclude}" if exclude else excluded and f"not in {excluded}",
    ]
    return labelled("selection", ["; ".join(part for part in parts if part)])


def _lines(texts: list[str]) -> list[str]:
    """The lines of texts that may have several: a warning has its hint in the second."""
    return [line for text in texts for line in text.splitlines() if line]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _strings(value: Any) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []

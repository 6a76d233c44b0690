"""What can be written behind a command: its options and arguments, from the fields of its class."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any, Literal

import tyro

from .commands import Command

WordKind = Literal["flag", "text", "reference", "pinned", "folder", "file", "choice"]
"""What a word is, or what follows an option: nothing ("flag"), or what it is completed with."""


@dataclass(frozen=True)
class Word:
    """An option, or an argument without one.

    Attributes:
        names: as they are written, ``("--output", "-o")``; none for an argument.
        kind: what its value is completed with.
        choices: the values, where these are all.
        repeats: whether an argument may come several times.
    """

    names: tuple[str, ...]
    kind: WordKind
    choices: tuple[str, ...] = ()
    repeats: bool = False


def words_of(command: Command) -> list[Word]:
    """The options and arguments of a command; ``--help`` is one of them."""
    words = list(_words_in(command.load()))
    if command.name == "unpin":
        words = [
            dataclasses.replace(word, kind="pinned") if word.kind == "reference" else word
            for word in words
        ]
    return [*words, Word(("--help", "-h"), "flag")]


def _words_in(cls: type[Any]) -> typing.Iterator[Word]:
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        marks = getattr(hint, "__metadata__", ())
        plain = typing.get_args(hint)[0] if marks else hint
        if dataclasses.is_dataclass(plain) and isinstance(plain, type):
            yield from _words_in(plain)
            continue
        kind, choices = _kind(plain, _mark(marks, "metavar"), field.name)
        if tyro.conf.Positional[str].__metadata__[0] in marks:  # type: ignore[attr-defined]
            yield Word((), kind, choices, repeats=typing.get_origin(plain) is list)
            continue
        name = (_mark(marks, "name") or field.name).replace("_", "-")
        if kind == "flag" and field.default is True:
            name = f"no-{name}"
        yield Word((f"--{name}", *(_mark(marks, "aliases") or ())), kind, choices)


def _mark(marks: tuple[Any, ...], name: str) -> Any:
    """What ``tyro.conf.arg`` was given as this argument; None if nothing was."""
    return next(filter(None, (getattr(mark, name, None) for mark in marks)), None)


_KINDS: dict[str, WordKind] = {
    **dict.fromkeys(("REF", "A", "B", "JOB"), "reference"),
    **dict.fromkeys(("DIR", "FOLDER"), "folder"),
    **dict.fromkeys(("FILE", "PATH"), "file"),
}


def _kind(plain: Any, metavar: str | None, field: str) -> tuple[WordKind, tuple[str, ...]]:
    if plain is bool:
        return "flag", ()
    if typing.get_origin(plain) is Literal:
        return "choice", tuple(map(str, typing.get_args(plain)))
    if field in ("code_root", "folder"):
        return "folder", ()
    return _KINDS.get((metavar or "").strip("[ .]"), "text"), ()

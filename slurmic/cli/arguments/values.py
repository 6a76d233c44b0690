"""What the values of options and arguments can be, and what shells complete them with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import click

from slurmic.cli.exits import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def _completions(incomplete: str, kind: str, names: Sequence[str] = ()) -> list[CompletionItem]:
    """Names, and what the shell itself finds: folders ("dir"), files ("file") or nothing ("")."""
    from click.shell_completion import CompletionItem  # not needed but for completion

    items = [CompletionItem(name) for name in names]
    return [*items, CompletionItem(incomplete, type=kind)] if kind else items


class Folder(_Type):
    """A path; folders complete it."""

    name = "folder"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """By the shell itself."""
        return _completions(incomplete, "dir")


class File(_Type):
    """A path; files and folders complete it."""

    name = "file"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """By the shell itself."""
        return _completions(incomplete, "file")


class Reference(_Type):
    """What names a snapshot, a REF: jobs, pins and ids complete it, and folders."""

    name = "reference"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """What the store knows, then folders by the shell itself."""
        from .names import snapshot_names

        return _completions(incomplete, "dir", snapshot_names(incomplete))


class Pinned(_Type):
    """A pin's name, or a pinned snapshot's id."""

    name = "pin"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """What the store knows."""
        from .names import pin_names

        return _completions(incomplete, "", pin_names(incomplete))


class AtLeast(_Type):
    """A whole number that must not be smaller than another."""

    name = "integer"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number.

        Raises:
            UsageError: it is not a number, or it is smaller.
        """
        name = max(param.opts, key=len) if param is not None else "the number"
        try:
            found = int(value)
        except ValueError:
            raise UsageError(f"{name} must be a whole number, not '{value}'") from None
        if found < self._least:
            raise UsageError(f"{name} must be at least {self._least}")
        return found


def duration(text: str) -> float:
    """Seconds in a text like "90", "30m", "1h", "2d".

    Raises:
        UsageError: the text is not of this form.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", text.strip())
    if match is None:
        raise UsageError(
            f"'{text}' is not a length of time", hint="write 90 (seconds), 30m, 1h, 2d or 1w"
        )
    return float(match[1]) * _UNITS[match[2] or "s"]


class Duration(_Type):
    """A length of time, as :func:`duration` reads it; "" stays what it is."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Seconds; None if the text is empty.

        Raises:
            UsageError: it is not a length of time.
        """
        return duration(value) if value != "" else None


def choice_of(values: Any) -> click.Choice[str]:
    """One of the values of a Literal."""
    return click.Choice(get_args(values))


FOLDER, FILE, REFERENCE, PINNED = Folder(), File(), Reference(), Pinned()
COUNT, DURATION = AtLeast(0), Duration()

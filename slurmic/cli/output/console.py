"""What the commands share for talking to people: messages, warnings, lists of paths, colours."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from slurmic.errors import SlurmicWarning
from slurmic.text import printable

from .streams import OutputError

if TYPE_CHECKING:
    from rich.console import Console


def say(message: str) -> None:
    """Print a line for a person, on standard error; behind what was written so far."""
    with contextlib.suppress(OutputError):  # it comes again, when the command ends
        sys.stdout.flush()
    print(printable_lines(message), file=sys.stderr)


def warn(message: str) -> None:
    """Print a warning, on standard error."""
    say(f"slurmic: warning: {message}")


@contextlib.contextmanager
def submission_warnings() -> Iterator[None]:
    """Within, warnings of a submission are given as those of this command, at the end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                if issubclass(warning.category, SlurmicWarning):
                    warn(str(warning.message))


def printable_lines(text: str | bytes) -> str:
    """As :func:`slurmic.text.printable`, line by line."""
    return "\n".join(map(printable, os.fsdecode(text).split("\n")))


def write_paths(paths: list[bytes], *, nul: bool) -> None:
    """Write paths to standard output, one a line; raw, unless a person is looking.

    Args:
        paths: raw bytes.
        nul: end each with NUL instead of a newline, and write it raw in any case.
    """
    if sys.stdout.isatty() and not nul:
        sys.stdout.write("".join(f"{printable(path)}\n" for path in paths))
    else:
        end = b"\0" if nul else b"\n"
        sys.stdout.buffer.write(b"".join(path + end for path in paths))
    sys.stdout.flush()


ColourWhen = Literal["auto", "always", "never"]


def colours(when: ColourWhen = "auto") -> bool:
    """Whether to colour standard output: on a terminal that can, unless NO_COLOR is set."""
    if when != "auto":
        return when == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


_STYLES = {"dim": 2, "bold red": "1;31", "green": 32, "yellow": 33, "cyan": 36}


def painted(text: str, style: str) -> str:
    """A text as it is written to standard output in a style, such as "dim"; "" is none."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if style and text and colours() else text


def cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def terminal_width() -> int:
    """How many columns the terminal has; 80 where there is none."""
    import shutil

    return shutil.get_terminal_size().columns


def console() -> Console:
    """Where rich draws: standard output, unwrapped when it is not a terminal.

    Importing rich takes as long as all else that a command does: lines are written without it.
    """
    from rich.console import Console

    return Console(
        highlight=False,
        # Not in names of files: ":smile:" is one.
        emoji=False,
        soft_wrap=False,
        width=None if sys.stdout.isatty() else 100_000,
        # rich's own way with NO_COLOR leaves bold and dim text.
        color_system="auto" if colours() else None,
    )

"""What the commands share for talking to people: messages, sizes, ages, names that are safe."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from slurmic.errors import SlurmicWarning

from .streams import OutputError

if TYPE_CHECKING:
    from rich.console import Console


def say(message: str) -> None:
    """Print a line for a person, on standard error; behind what was written so far."""
    with contextlib.suppress(OutputError):  # it comes again, when the command ends
        sys.stdout.flush()
    print(safe(message), file=sys.stderr)


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


def safe(text: str | bytes) -> str:
    """Text for a terminal: control characters and bytes that are no UTF-8 as escape sequences."""
    text = os.fsdecode(text)
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char == "\n"
        else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def write_paths(paths: list[bytes], *, nul: bool) -> None:
    """Write paths to standard output, one a line; raw, unless a person is looking.

    Args:
        paths: raw bytes.
        nul: end each with NUL instead of a newline, and write it raw in any case.
    """
    if sys.stdout.isatty() and not nul:
        sys.stdout.write("".join(f"{one_line(path)}\n" for path in paths))
    else:
        end = b"\0" if nul else b"\n"
        sys.stdout.buffer.write(b"".join(path + end for path in paths))
    sys.stdout.flush()


def one_line(text: str | bytes) -> str:
    """As :func:`safe`, and newlines escaped too."""
    return safe(text).replace("\n", "\\n")


def size(count: float) -> str:
    """A number of bytes for people: "999 B", "1.2 kB", "34 MB" (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def number(count: int, noun: str) -> str:
    """A count with its noun: "1 file", "1,234 files"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def local_time(seconds: float) -> str:
    """A time for people, in their time zone: "2026-11-22 17:40"."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


ColourWhen = Literal["auto", "always", "never"]


def colours(when: ColourWhen = "auto") -> bool:
    """Whether to colour standard output: on a terminal that can, unless NO_COLOR is set."""
    if when != "auto":
        return when == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def console() -> Console:
    """Where tables are drawn: standard output, unwrapped when it is no terminal."""
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

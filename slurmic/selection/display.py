"""How a path of bytes is shown in a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NAMED_AT_MOST: Final = 3


def shown(path: bytes) -> str:
    """`path` in double quotes, on one line, whatever its bytes are.

    Bytes that are not UTF-8 and control characters are written as escapes, so the result can be
    printed and put into JSON, but is not meant to be read back.
    """
    text = path.decode("utf-8", "backslashreplace")
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) + '"'


def shown_list(paths: Sequence[bytes]) -> str:
    """The first few of `paths`, and how many more there are."""
    named = ", ".join(shown(path) for path in paths[:NAMED_AT_MOST])
    more = len(paths) - NAMED_AT_MOST
    return f"{named} and {more} more" if more > 0 else named

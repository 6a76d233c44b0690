"""Lengths of time as people write them."""

from __future__ import annotations

import re

from .exits import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def duration(text: str) -> float:
    """Seconds in a text like "90", "30m", "1h", "2d".

    Raises:
        UsageError: it is no such text.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", text.strip())
    if match is None:
        raise UsageError(
            f"'{text}' is not a length of time", hint="write 90 (seconds), 30m, 1h, 2d or 1w"
        )
    return float(match[1]) * _UNITS[match[2] or "s"]

"""How counts, sizes, times and names are written in messages, in one place."""

from __future__ import annotations

import time

from slurmic_store import printable, quoted

__all__ = ["ago", "counted", "in_megabytes", "local_time", "printable", "quoted", "size"]


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 file", "1,234 files", "2 directories"."""
    if count == 1:
        return f"1 {noun}"
    is_consonant_y = noun.endswith("y") and noun[-2:-1] not in "aeiou"
    plural = noun[:-1] + "ies" if is_consonant_y else noun + "s"
    return f"{count:,} {plural}"


def size(count: float) -> str:
    """A number of bytes: "999 B", "1.2 kB", "34 MB" (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        # By what would be shown: 999,600 bytes are "1.0 MB", not "1000 kB".
        if round(count) < 1000:
            whole = unit == "B" or count >= 9.95
            return f"{count:.0f} {unit}" if whole else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def in_megabytes(count: float) -> str:
    """A number of bytes beside a limit in megabytes (10^6 bytes): "1,234.5 MB"."""
    return f"{count / 1_000_000:,.1f} MB"


def ago(seconds: float) -> str:
    """How long ago something was, in the largest unit that it reaches: "3 days ago"."""
    for length, noun in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            return f"{counted(int(seconds // length), noun)} ago"
    return "just now" if seconds >= 0 else "in the future: the clocks differ"


def local_time(seconds: float) -> str:
    """A time since the epoch, in the reader's time zone: "2026-11-22 17:40"."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))

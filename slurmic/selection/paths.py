"""Lists of paths: looking things up in a sorted one, and naming the first few in a message."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from slurmic.text import quoted

NAMED_AT_MOST: Final = 3


def contains(paths: Sequence[bytes], path: bytes) -> bool:
    """Whether `path` is among `paths`, which are sorted."""
    index = bisect_left(paths, path)
    return index < len(paths) and paths[index] == path


def count_below(paths: Sequence[bytes], directory: bytes) -> int:
    """How many of `paths`, which are sorted, lie below `directory`."""
    first, end = range_below(paths, directory)
    return end - first


def range_below(paths: Sequence[bytes], directory: bytes) -> tuple[int, int]:
    """Where in `paths`, which are sorted, those below `directory` begin and end."""
    # The byte after "/" is "0".
    return bisect_left(paths, directory + b"/"), bisect_left(paths, directory + b"0")


def quoted_list(paths: Sequence[bytes]) -> str:
    """The first few of `paths`, and how many more there are."""
    named = ", ".join(quoted(path) for path in paths[:NAMED_AT_MOST])
    more = len(paths) - NAMED_AT_MOST
    return f"{named} and {more} more" if more > 0 else named

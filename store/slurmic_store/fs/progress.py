"""Progress: telling a listener how far a loop is.

Loops that may take long say what they do through :func:`followed`. A listener is set for a part of
a program by :func:`reporting`, not handed through every function in between. Without one,
`followed` gives back what it was given, so that it costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias, TypeVar

Item = TypeVar("Item")

Listener: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and of how many (0: not known).

A few times a second at most, in the thread that does the work; with "" when it is over.
"""

_EVERY_SECONDS = 0.1

_listener: ContextVar[Listener | None] = ContextVar("slurmic_progress", default=None)


@contextmanager
def reporting(listener: Listener | None) -> Iterator[None]:
    """Within this, `listener` is told how far loops are; None for no listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def followed(what: str, items: Iterable[Item], total: int = 0) -> Iterable[Item]:
    """The items; the listener is told how many have been worked on.

    Args:
        what: what is being done to them, as in "hashing blobs".
        items: the steps.
        total: how many there are, roughly; 0 if that is not known.
    """
    listener = _listener.get()
    return items if listener is None else _follow(listener, what, items, total)


def _follow(listener: Listener, what: str, items: Iterable[Item], total: int) -> Iterator[Item]:
    due = time.monotonic() + _EVERY_SECONDS
    told = False
    try:
        for done, item in enumerate(items):
            now = time.monotonic()
            if now >= due:
                listener(what, done, total)
                due, told = now + _EVERY_SECONDS, True
            yield item
    finally:
        if told:
            listener("", 0, 0)

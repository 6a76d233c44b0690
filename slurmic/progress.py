"""A progress line on a terminal; nothing anywhere else.

It is drawn once something has taken a second, and erased when that is done.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slurmic_store import reporting

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SILENT_SECONDS = 1.0
_EVERY_SECONDS = 0.1


@contextmanager
def shown_progress() -> Iterator[None]:
    """Show the engine's progress on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    line = _Line()
    try:
        with reporting(line):
            yield
    finally:
        line.remove()


class ProgressBar:
    """The progress of a loop of slurmic's own, shown in the same way; a context manager.

    Args:
        what: what is done, as in "submitting tasks".
        total: how many of them.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._line = _Line() if sys.stderr.isatty() else None
        self._next = 0.0

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.remove()

    def step(self, count: int = 1) -> None:
        """Say that so many more are done."""
        self.at(self._done + count)

    def at(self, done: int) -> None:
        """Say that so many are done in all."""
        self._done = done
        if self._line is None or (now := time.monotonic()) < self._next:
            return
        self._next = now + _EVERY_SECONDS
        self._line(self._what, done, self._total)


class _Line:
    """The line; called as :data:`slurmic_store.Listener`."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._drawn: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if not what:
            self.remove()
        elif self._drawn is not None or time.monotonic() - self._began >= _SILENT_SECONDS:
            self._draw(what, done, total)

    def _draw(self, what: str, done: int, total: int) -> None:
        if self._drawn is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            # Not drawn by a thread: a submission may fork.
            self._drawn = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
            )
            self._task = self._drawn.add_task(what)
            self._drawn.start()
        assert self._task is not None
        # More may be found on the way than the total said.
        self._drawn.update(
            self._task, description=what, completed=done, total=max(total, done) if total else None
        )
        self._drawn.refresh()

    def remove(self) -> None:
        """Erase the line, if it is drawn."""
        if self._drawn is not None:
            self._drawn.stop()
            self._drawn = None

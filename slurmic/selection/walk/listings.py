"""Listing the folders of one walk, with help where that is faster.

Most trees are listed before help could start. In a large one, listing is most of the work, and the
kernel does it on one processor while others idle; so another process lists some of the folders
(module `listing`, as a program). Threads would not help there: the interpreter runs one of them at
a time, and switching for each name costs more than the listing. On a network filesystem, where
listing means waiting, it is the other way round: threads wait side by side.

The walk alone decides what is listed, and what follows from it. If the other process cannot be
started, or ends early, the walk does all of it.
"""

from __future__ import annotations

import os
import select
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from slurmic.git.beside import keep_apart
from slurmic.selection.walk import listing as program
from slurmic.selection.walk.listing import GREETING, Listing, list_directory, message, receive
from slurmic_store import THREADS, Pace, threaded_map

if TYPE_CHECKING:
    import subprocess

Mark = TypeVar("Mark")
Outcome = Listing | OSError

#: This many folders are listed before another process is started. That takes 10 ms on a local
#: disk; Python needs 7 to 14 ms to start, of which we wait for less than two.
ALONE_AT_MOST: Final = 1000

#: This many are listed between two looks at the others, or at the clock.
TURN: Final = 16

#: With fewer pending than this, the other process gets none: a request costs as much as two
#: listings. The walk goes down first, so even a large tree may never have more pending at a time.
PENDING_AT_LEAST: Final = 8

#: It gets this many at a time, at most: two milliseconds of listing.
REQUEST_AT_MOST: Final = 256

#: It has the next request before it is done with one. If it had to be woken up for each, it would
#: often run on our processor: the kernel wakes a reader where the writer is.
REQUESTS_AT_MOST: Final = 2


class _Others(Protocol):
    """What lists folders beside this thread."""

    def share(self, pending: int) -> int:
        """How many of the `pending` folders to ask for next."""

    def ask(self, directories: list[bytes]) -> None:
        """Let them list `directories`, after those that they were asked for before."""

    def answered(self) -> bool:
        """Whether there is an answer already."""

    def answer(self) -> Iterable[Outcome] | None:
        """Wait for the next answer: the outcome for each of its folders; None if none will come."""

    def close(self) -> None:
        """Leave nothing running. What was asked for is given up."""


class Listings(Generic[Mark]):
    """A source of listings: add folders, iterate over what was found in them, add more.

    Use as a context manager: on leaving, nothing is left running.

    Args:
        root: absolute path of a folder.

    Attributes:
        pending: folders to be listed, each with whatever the user marks it with; relative to
            the root, with a slash at their end unless empty.
    """

    def __init__(self, root: bytes) -> None:
        self.pending: list[tuple[Mark, bytes]] = []
        self._base = root if root.endswith(b"/") else root + b"/"
        self._pace = Pace()
        self._others: _Others | None = None
        #: What they have been asked for, oldest first.
        self._asked: deque[list[tuple[Mark, bytes]]] = deque()
        self._process_tried = False

    def __enter__(self) -> Listings[Mark]:
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss()

    def __iter__(self) -> Iterator[tuple[Mark, bytes, Outcome]]:
        """Each pending folder with its mark and its listing, or why there is none.

        They come in no particular order, and include those that are added meanwhile.
        """
        base, pending, asked = self._base, self.pending, self._asked
        listed = 0
        while pending or asked:
            others = self._others
            if others is not None:
                self._ask(others)
            for _ in range(TURN):
                if not pending:
                    break
                mark, directory = pending.pop()
                outcome: Outcome
                try:
                    outcome = list_directory(base + directory)
                except OSError as error:
                    outcome = error
                listed += 1
                yield mark, directory, outcome
            if others is not None and asked and (not pending or others.answered()):
                yield from self._answered(others)
            self._choose_others(listed)

    def _choose_others(self, listed: int) -> None:
        if isinstance(self._others, _Threads):
            return
        if self._pace.is_waiting(listed):
            self._dismiss()
            self._others = _Threads(self._base)
        elif listed >= ALONE_AT_MOST and not self._process_tried:
            self._process_tried = True
            self._others = _Process.started(self._base)

    def _ask(self, others: _Others) -> None:
        while len(self._asked) < REQUESTS_AT_MOST:
            share = others.share(len(self.pending))
            if not share:
                return
            # Those that have waited longest: much is below them, so there will be more to ask for.
            request = self.pending[:share]
            del self.pending[:share]
            self._asked.append(request)
            others.ask([directory for _, directory in request])

    def _answered(self, others: _Others) -> Iterator[tuple[Mark, bytes, Outcome]]:
        outcomes = others.answer()
        if outcomes is None:
            self._dismiss()
            return
        request = self._asked.popleft()
        self._ask(others)
        for (mark, directory), outcome in zip(request, outcomes, strict=True):
            yield mark, directory, outcome

    def _dismiss(self) -> None:
        if self._others is not None:
            self._others.close()
            self._others = None
        while self._asked:
            self.pending += self._asked.pop()


class _Threads:
    """Threads of this process, for where listing is waiting."""

    def __init__(self, base: bytes) -> None:
        self._base = base
        self._asked: deque[list[bytes]] = deque()

    def share(self, pending: int) -> int:
        return pending

    def ask(self, directories: list[bytes]) -> None:
        self._asked.append(directories)

    def answered(self) -> bool:
        return bool(self._asked)

    def answer(self) -> Iterable[Outcome]:
        return threaded_map(self._listed, self._asked.popleft(), threads=THREADS)

    def _listed(self, directory: bytes) -> Outcome:
        try:
            return list_directory(self._base + directory)
        except OSError as error:
            return error

    def close(self) -> None:
        self._asked.clear()


class _Process:
    """Another process, for another processor."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin.fileno()
        self._answers = process.stdout
        self._is_there = False
        self._unsent = b""
        # Both of us could otherwise wait for the other to read.
        os.set_blocking(self._requests, False)
        self._readable = select.poll()
        self._readable.register(self._answers, select.POLLIN)

    @classmethod
    def started(cls, base: bytes) -> _Process | None:
        """A process that lists folders below `base`; None if it is of no use, or not to be had.

        A program that only contains Python would not run ours.
        """
        name = os.path.basename(sys.executable or "")
        is_python = name.startswith(("python", "pypy")) and not hasattr(sys, "frozen")
        if not is_python or len(os.sched_getaffinity(0)) < 2:
            return None
        import subprocess

        try:
            process = subprocess.Popen(
                (sys.executable, "-I", "-S", program.__file__),
                cwd=base,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # What it would say, of being interrupted together with us, we say ourselves.
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return None
        keep_apart(process.pid)
        return cls(process)

    def share(self, pending: int) -> int:
        if not self._is_there and self.answered():
            self._is_there = self._answers.read(len(GREETING)) == GREETING
        if not self._is_there or pending < PENDING_AT_LEAST:
            return 0
        # We look at all that it lists, and it does not, so the larger part is its.
        return min(pending * 3 // 5, REQUEST_AT_MOST)

    def ask(self, directories: list[bytes]) -> None:
        self._unsent += message(directories)
        self._send()

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._requests, self._unsent) :]
        except BlockingIOError:
            pass  # it has enough to do
        except OSError:
            self._unsent = b""  # it has ended; nor will there be an answer

    def answered(self) -> bool:
        self._send()
        return bool(self._readable.poll(0))

    def answer(self) -> list[Outcome] | None:
        while self._unsent and not self.answered():
            self._readable.poll(1)
        try:
            outcomes: list[Listing | int] = receive(self._answers)
        except (EOFError, ValueError, TypeError):
            return None
        return [
            OSError(outcome, os.strerror(outcome)) if isinstance(outcome, int) else outcome
            for outcome in outcomes
        ]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._answers):
            if file is not None:
                file.close()

"""How many calls at a time: one after another, or in threads, as measured while the work goes on.

On a local disk whose folders are in memory, a link, a stat or a listing takes microseconds, all of
it on the processor. One thread is fastest there: several take turns with the interpreter, and the
hand-overs cost more than the calls. On a filesystem with latency (NFS, FUSE, GlusterFS, a cold
disk) the same call waits for a millisecond, and sixteen can wait at the same time.

Nothing says in advance which of the two it is, not even the type of the filesystem (an NFS server
may answer from its cache, an ext4 may lie on a disk that spins). So the work begins one item after
another, and the time on the clock is compared with the processor time of this thread. The
difference was spent waiting, if the thread went to sleep of its own accord that often: the kernel
counts these (voluntary) switches apart from those by which it takes the processor away on a busy
machine. When the waiting adds up to more than the start of some threads costs, and is most of the
time, the rest is done in threads.
"""

from __future__ import annotations

import resource
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 16
"""Threads that wait at the same time. More than 16 gained nothing on any network filesystem."""

_AHEAD = 4
"""Items for each thread that are begun or waiting to be begun, so that no thread runs dry."""

_WORTH_SECONDS = 0.004
"""Waiting from which the start of the threads pays."""

_WORTH_WAITS = 8
"""Waits from which they are a rule: a local disk reads a folder now and then, too."""

_LOOK_SECONDS = 0.001
"""How long to work between two looks at the clocks; a look costs about a microsecond."""

_WINDOW_SECONDS = 0.1
"""How far back is looked: what was quick at first may come from a cache that ends here."""

BUNDLE = 32
"""Items in a bundle, each of which takes a few calls: a millisecond or less where nothing waits."""

_MOSTLY = 0.5
"""The share of the time from which waiting is worth threads."""


class Pace:
    """Measures the work of one thread, to tell whether it mostly waits.

    Used by :func:`paced_map`; a loop that is not a map may call :meth:`is_waiting` now and then.
    """

    def __init__(self) -> None:
        self._restart(time.perf_counter(), 0)

    def _restart(self, now: float, done: int) -> None:
        self._began = now
        self._done = done
        self._processor = time.thread_time()
        self._waits = _voluntary_switches()
        self._next_look = now + _LOOK_SECONDS

    def is_waiting(self, done: int) -> bool:
        """Whether the thread has lately waited so much that threads would gain.

        Args:
            done: how many calls that may wait have been made so far, in a count of which
                at least every other call waits, if any does.
        """
        now = time.perf_counter()
        if now < self._next_look:
            return False
        self._next_look = now + _LOOK_SECONDS
        total = now - self._began
        waited = total - (time.thread_time() - self._processor)
        waits = _voluntary_switches() - self._waits
        # Time that is missing without a switch of its own was taken from it by other processes.
        is_often = waits >= max(_WORTH_WAITS, (done - self._done) / 2)
        if is_often and waited >= max(_WORTH_SECONDS, _MOSTLY * total):
            return True
        if total > _WINDOW_SECONDS:
            self._restart(now, done)
        return False


def _voluntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def paced_map(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results of `work` for each item, in the items' order.

    The work begins in the calling thread, one item after another, and is handed to threads if it
    turns out to wait. So `work` must be safe to call from several threads at once; it should be a
    bundle of calls that takes between ten microseconds and a few milliseconds.

    The first exception ends it: items that have not been begun are dropped, those under way are
    waited for. The same happens when the iterator is closed.
    """
    remaining = iter(items)
    pace = Pace()
    for done, item in enumerate(remaining, 1):
        yield work(item)
        if pace.is_waiting(done):
            break
    else:
        return
    yield from threaded_map(work, remaining, threads=THREADS)


def in_bundles(items: Iterable[Item], size: int = BUNDLE) -> Iterator[list[Item]]:
    """The items in lists of up to `size`: for work that is too small to hand over one by one."""
    remaining = iter(items)
    while bundle := list(islice(remaining, size)):
        yield bundle


def threaded_map(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int
) -> Iterator[Result]:
    """The results of `work` for each item, in the items' order, computed in threads.

    The first exception ends it: what has not been begun by then never is, what is under way is
    waited for. The same is true when the iterator is closed.

    Args:
        work: must be safe to be called from several threads at once.
        items: are asked for as they are needed, a few ahead.
        threads: how many work at once.
    """
    # Only here: it takes as long to import as half of the engine.
    from concurrent.futures import ThreadPoolExecutor

    remaining = iter(items)
    pool = ThreadPoolExecutor(threads)
    under_way: deque[Future[Result]] = deque()
    try:
        for item in islice(remaining, threads * _AHEAD):
            under_way.append(pool.submit(work, item))
        while under_way:
            result = under_way.popleft().result()
            for item in islice(remaining, 1):
                under_way.append(pool.submit(work, item))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

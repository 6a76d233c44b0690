"""Measuring candidates against each other: in turn, in changing order, in one process.

Absolute times say little (another machine, another disk, another neighbour); what is compared is
the median, over the rounds, of the ratio within a round, so that a machine that is busy for a while
does not favour one of them. Processor time, that of child processes included, stands beside the
time on the clock: where a machine is busy all the time it is the steadier of the two.
"""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

Size = Literal["tiny", "quick", "full"]
Kind = Literal["clock", "processor", "waiting", "busy"]
T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What a benchmark is given.

    Attributes:
        size: "tiny" proves that it works, in a second or two; "quick" is for every day, "full" for
            the figures that one quotes.
        scratch: an empty folder on a local filesystem; removed afterwards.
        cache: what was fetched is kept here from run to run.
    """

    size: Size
    scratch: Path
    cache: Path

    def pick(self, *, tiny: T, quick: T, full: T) -> T:
        """The value for this size."""
        return {"tiny": tiny, "quick": quick, "full": full}[self.size]


class Sample(NamedTuple):
    """Seconds that one run took.

    Attributes:
        clock: on the clock.
        processor: of the processor, children included.
        waiting: on the clock, of what is also reported apart (waiting for the disk).
    """

    clock: float
    processor: float
    waiting: float

    def seconds(self, kind: Kind) -> float:
        """One of the attributes; or "busy": on the clock, without the waiting."""
        if kind == "busy":
            return self.clock - self.waiting
        return {"clock": self.clock, "processor": self.processor, "waiting": self.waiting}[kind]


@dataclass(frozen=True)
class Candidate:
    """One of those that are compared.

    Attributes:
        name: as the tables show it.
        run: what is timed. It is given a path that does not exist yet, in an existing folder, and
            may make a file or folder there. It returns the seconds of it that it spent
            waiting and that are reported apart, or None.
        prepare: called before, untimed.
        clean: called after, untimed; then whatever is at the path is removed.
        slow: it takes part in the first few rounds only.
    """

    name: str
    run: Callable[[Path], float | None]
    prepare: Callable[[], object] = lambda: None
    clean: Callable[[], object] = lambda: None
    slow: bool = False


class Samples:
    """What all candidates took.

    Attributes:
        taken: samples of each candidate, by name, one for each round that it took part in.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.taken: dict[str, list[Sample]] = {name: [] for name in names}

    def __contains__(self, name: object) -> bool:
        return name in self.taken

    def median(self, name: str, kind: Kind = "clock") -> float:
        """Seconds: the median over the rounds."""
        return statistics.median(sample.seconds(kind) for sample in self.taken[name])

    def ratio(self, one: str, other: str, kind: Kind = "clock") -> float:
        """The median over the rounds of one / other."""
        return statistics.median(
            first.seconds(kind) / max(second.seconds(kind), 1e-9)
            for first, second in zip(self.taken[one], self.taken[other], strict=False)
        )


def alternate(
    candidates: Sequence[Candidate],
    scratch: Path,
    *,
    rounds: int,
    slow_rounds: int = 1,
    warm: bool = True,
) -> Samples:
    """Measure all candidates in turn, beginning with another one in each round.

    Args:
        candidates: those that are compared, the slow ones among them in `slow_rounds` only.
        scratch: where they may write.
        rounds: how often each runs.
        slow_rounds: how often the slow ones run.
        warm: let each that is not slow run once before, unmeasured: files are in the page cache
            then, and what a candidate keeps from run to run is there.
    """
    samples = Samples([candidate.name for candidate in candidates])
    folder = scratch / "made"
    folder.mkdir(exist_ok=True)
    if warm:
        for candidate in candidates:
            if not candidate.slow:
                measure(candidate, folder / "warm")
    for number in range(max(rounds, slow_rounds)):
        start = number % len(candidates)
        for candidate in [*candidates[start:], *candidates[:start]]:
            if number < (slow_rounds if candidate.slow else rounds):
                sample = measure(candidate, folder / f"round-{number}")
                samples.taken[candidate.name].append(sample)
    folder.rmdir()
    return samples


def measure(candidate: Candidate, path: Path) -> Sample:
    """Run one candidate once; `path` is gone again afterwards."""
    candidate.prepare()
    gc.collect()
    try:
        started, used = time.perf_counter(), processor_time()
        waiting = candidate.run(path) or 0.0
        return Sample(time.perf_counter() - started, processor_time() - used, waiting)
    finally:
        candidate.clean()
        remove(path)


def processor_time() -> float:
    """Seconds of processor time that this process and its ended children have used."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def remove(path: Path) -> None:
    """Remove whatever is there, if anything is."""
    subprocess.run(["rm", "-rf", "--one-file-system", "--", str(path)], check=True)

"""Job ids as Slurm writes them: ``1234``, ``1234_7``, ``1234_[0-9999]``.

A record holds an array as one such range, and not as ten thousand ids: every command that looks
through the store reads all records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_TASK = re.compile(r"(\d+)_(\d+)")
_RANGES = re.compile(r"(\d+)_\[(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)\]")


def compact(ids: Iterable[str]) -> tuple[str, ...]:
    """The same jobs, the tasks of an array as ranges; arrays in the order of their first task.

    Args:
        ids: job ids; ranges among them, and ids that are not Slurm's, are kept.
    """
    arrays: dict[str, set[int] | None] = {}
    for job in expand(ids):
        task = _TASK.fullmatch(job)
        if task is None or str(int(task[2])) != task[2]:
            arrays.setdefault(job)
        else:
            numbers = arrays.setdefault(f"{task[1]}_", set())
            assert numbers is not None
            numbers.add(int(task[2]))
    return tuple(
        key if numbers is None else key + _as_ranges(sorted(numbers))
        for key, numbers in arrays.items()
    )


def _as_ranges(numbers: list[int]) -> str:
    """``7`` for one number, else ``[0-3,7]``."""
    if len(numbers) == 1:
        return str(numbers[0])
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return (
        "["
        + ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)
        + "]"
    )


def expand(jobs: Iterable[str]) -> Iterator[str]:
    """Every single id; what is not a range comes out as it is."""
    for job in jobs:
        ranges = _RANGES.fullmatch(job)
        if ranges is None:
            yield job
            continue
        for first, last in _runs(ranges[2]):
            for number in range(first, last + 1):
                yield f"{ranges[1]}_{number}"


def whole_job(job: str) -> str:
    """The job or array that an id is of: "12" for "12_3", "12_[0-9]" and "12+1"."""
    return job.partition("_")[0].partition("+")[0]


def count(job: str) -> int:
    """How many tasks an id or a range stands for."""
    ranges = _RANGES.fullmatch(job)
    return 1 if ranges is None else sum(last - first + 1 for first, last in _runs(ranges[2]))


def covers(job: str, wanted: str) -> bool:
    """Whether an id or a range is the job that is asked for, or contains it.

    Args:
        job: as a record holds it.
        wanted: an id; that of an array means any of its tasks.
    """
    if job == wanted or job.partition("_")[0] == wanted:
        return True
    task = _TASK.fullmatch(wanted)
    ranges = _RANGES.fullmatch(job)
    if task is None or ranges is None or task[1] != ranges[1]:
        return False
    return any(first <= int(task[2]) <= last for first, last in _runs(ranges[2]))


def in_short(jobs: Iterable[str], at_most: int = 4) -> str:
    """The ids for people: an array once, with the number of its tasks.

    Args:
        jobs: ids and ranges.
        at_most: how many jobs are named; the others are counted.
    """
    arrays: dict[str, int] = {}
    for job in jobs:
        array = job.partition("_")[0]
        arrays[array] = arrays.get(array, 0) + count(job)
    named = [
        job if tasks == 1 else f"{job} ({tasks:,} tasks)"
        for job, tasks in list(arrays.items())[:at_most]
    ]
    more = [f"and {len(arrays) - at_most:,} more"] if len(arrays) > at_most else []
    return " ".join([", ".join(named), *more])


def _runs(text: str) -> Iterator[tuple[int, int]]:
    for run in text.split(","):
        first, _, last = run.partition("-")
        yield int(first), int(last or first)

"""The queue of Slurm's controller: which jobs have not ended; cancelling and releasing jobs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from slurmic import environment

from .client import ask
from .jobids import whole_job
from .states import has_ended

if TYPE_CHECKING:
    from slurmic_store import SnapshotRecord

_AT_ONCE = 1000
"""How many ids go into one command, whose length is limited."""


class QueueUnknownError(Exception):
    """Slurm did not answer; the text says why."""


def unfinished_jobs() -> frozenset[str]:
    """The numbers of this user's jobs and arrays that wait or run, by this host's Slurm.

    Raises:
        QueueUnknownError: it cannot be asked.
    """
    # Not by --jobs: one that the controller has forgotten would make the whole question fail.
    command = ("squeue", "--noheader", "--states=all", "--format=%F|%A|%T")
    answer = ask(*command, f"--user={os.geteuid()}")
    if answer.problem:
        raise QueueUnknownError(answer.problem)
    unfinished = set()
    for line in answer.lines:
        array, number, state = line.split("|")
        if not has_ended(state):
            unfinished |= {array, number}
    return frozenset(unfinished)


def why_unfinished(record: SnapshotRecord, unfinished: Iterable[str]) -> str:
    """Why jobs of a snapshot may still need it, as far as is known; "" if all have ended.

    Args:
        record: the snapshot's record.
        unfinished: as :func:`unfinished_jobs` gives them.
    """
    if not record.jobs:
        return "none of its jobs is known"
    if record.info.get("mode") == "local":
        return _why_local_unfinished(record)
    numbers = {whole_job(job) for job in record.jobs}
    waiting = sorted(numbers.intersection(unfinished))
    return f"job {waiting[0]} has not ended" if waiting else ""


def _why_local_unfinished(record: SnapshotRecord) -> str:
    if record.info.get("host") != environment.host_name():
        return f"its processes ran on host {record.info.get('host')}"
    for job in record.jobs:
        # Another process may have the number by now; then the record is kept a little longer.
        if os.path.exists(f"/proc/{job}"):
            return f"process {job} runs"
    return ""


def time_limit(job_id: str) -> str:
    """The time limit of a job as squeue prints it, like "1-00:00:00"; "" without an answer."""
    lines = ask("squeue", "--noheader", f"--jobs={job_id}", "--format=%l").lines
    return lines[0].strip() if lines else ""


def cancel(job_ids: Sequence[str]) -> str:
    """Cancel jobs; why that failed, or ""."""
    problems = (
        ask("scancel", *job_ids[start : start + _AT_ONCE]).problem
        for start in range(0, len(job_ids), _AT_ONCE)
    )
    return "; ".join(filter(None, list(problems)))


def release(job_ids: Sequence[str]) -> str:
    """Release held jobs; why that failed, or ""."""
    # The jobs are separated by commas: a word after the first would be taken for an option.
    return ask("scontrol", "release", ",".join(job_ids)).problem if job_ids else ""

"""The states of given jobs: squeue knows those of today, sacct the older ones.

A host without Slurm has no states of jobs; that is not a problem to report.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .client import ask
from .jobids import whole_job
from .states import state_name

TaskStates = dict[str, dict[str, str]]
"""States of jobs and of tasks, each by its id, by the job or array that they are of."""


@dataclass(frozen=True)
class JobState:
    """What Slurm says of a job, of a task of an array, or of a range of tasks that wait.

    Attributes:
        job: its id as Slurm writes it.
        state: as in "RUNNING", "COMPLETED", "OUT_OF_MEMORY".
        elapsed: how long it has run, as in "1-02:03:04"; "" if not known.
        nodes: where, as in "node[1-3]"; "".
        exit_code: exit code and signal, as in "1:0"; "" if not known.
        reason: why it waits; "".
    """

    job: str
    state: str
    elapsed: str = ""
    nodes: str = ""
    exit_code: str = ""
    reason: str = ""


def job_states(jobs: Iterable[str]) -> tuple[list[JobState], str]:
    """The states of jobs.

    Args:
        jobs: ids and ranges, as a record holds them.

    Returns:
        What Slurm knows, and why it knows nothing: "" if it does, and on a host without Slurm.
    """
    numbers = sorted({whole_job(job) for job in jobs})
    if not all(number.isdecimal() for number in numbers) or not numbers:
        return [], ""
    ids = ",".join(numbers)
    # All states: otherwise squeue shows only jobs that wait or run. An id that it has forgotten is
    # an error to it if it is the only one.
    queue = ["squeue", "--noheader", "--states=all", f"--jobs={ids}", "--format=%i|%T|%M|%N|%r"]
    account = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={ids}"]
    account.append("--format=JobID,State,Elapsed,NodeList,ExitCode")
    with ThreadPoolExecutor(max_workers=2) as pool:
        queued, accounted = pool.map(lambda command: ask(*command), (queue, account))
    states: dict[str, JobState] = {}
    for job, state, elapsed, nodes, exit_code in _rows(accounted.lines, 5):
        known = "" if nodes == "None assigned" else nodes
        states[job] = JobState(job, state_name(state), elapsed, known, exit_code)
    for job, state, elapsed, nodes, reason in _rows(queued.lines, 5):
        before = states.get(job)
        states[job] = JobState(
            job,
            state_name(state),
            elapsed,
            nodes,
            before.exit_code if before is not None and before.state == state_name(state) else "",
            "" if reason == "None" else reason,
        )
    if states:
        return sorted(states.values(), key=_order), ""
    if queued.is_missing and accounted.is_missing:
        return [], ""
    if not queued.problem or queued.has_forgotten:
        return [], "Slurm no longer knows them"
    return [], f"Slurm does not answer: {queued.problem}"


def _rows(lines: Iterable[str], columns: int) -> Iterator[list[str]]:
    for line in lines:
        # The last column may contain the separator.
        row = [cell.strip() for cell in line.split("|", columns - 1)]
        if len(row) == columns:
            yield row


def _order(state: JobState) -> tuple[int, int, str]:
    array, _, task = state.job.partition("_")
    first = re.search(r"\d+", task)
    return int(array) if array.isdecimal() else 0, int(first[0]) if first else -1, state.job


def tasks_by_state(states: Iterable[JobState]) -> dict[str, dict[str, list[str]]]:
    """The ids of the tasks in each state, by array; a job that is not an array counts as one.

    A limit on the number of tasks at once, as in ``12_[5-9%2]``, is left out.
    """
    arrays: dict[str, dict[str, list[str]]] = {}
    for state in states:
        array = state.job.partition("_")[0]
        job = re.sub(r"%\d+", "", state.job)
        arrays.setdefault(array, {}).setdefault(state.state, []).append(job)
    return arrays


def queued_tasks(jobs: Collection[str]) -> TaskStates | None:
    """The states of all tasks of these jobs and arrays, as far as the controller knows them.

    None if it does not answer; jobs that it has forgotten are left out.
    """
    named = f"--jobs={','.join(sorted(jobs))}"
    answer = ask("squeue", "--noheader", "--states=all", "--array", "--format=%i|%T", named)
    if answer.problem and not answer.has_forgotten:
        return None
    return _read_tasks(answer.lines)


def _read_tasks(lines: Iterable[str]) -> TaskStates:
    """The states in lines like "12_3|FAILED"."""
    known: TaskStates = {}
    for line in lines:
        job_id, _, state = line.strip().partition("|")
        if state:
            known.setdefault(whole_job(job_id), {})[job_id] = state_name(state)
    return known


def accounted_tasks(jobs: Collection[str]) -> TaskStates | None:
    """The states of all tasks of these jobs and arrays; None if there is no accounting."""
    if not jobs:
        return {}
    fields = ("--noheader", "--allocations", "--parsable2", "--format=JobID,State")
    answer = ask("sacct", *fields, f"--jobs={','.join(sorted(jobs))}")
    return None if answer.problem else _read_tasks(answer.lines)

"""What Slurm knows of jobs: squeue for those of today, sacct for older ones.

Asking is a courtesy: it has a time limit, and where there is no Slurm, nothing is said of it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

TIMEOUT = 5.0
"""Seconds that squeue and sacct may take."""


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


def ask_slurm(jobs: Iterable[str]) -> tuple[list[JobState], str]:
    """The states of jobs.

    Args:
        jobs: ids and ranges, as a record holds them.

    Returns:
        What Slurm knows, and why it does not know more: "" if it was asked and answered, and where
        there is no Slurm.
    """
    numbers = sorted({job.partition("_")[0] for job in jobs})
    if not all(number.isdecimal() for number in numbers) or not numbers:
        return [], ""
    ids = ",".join(numbers)
    # All states: otherwise squeue shows only jobs that wait or run. An id that it has forgotten is
    # an error to it if it is the only one.
    queue = ["squeue", "--noheader", "--states=all", f"--jobs={ids}", "--format=%i|%T|%M|%N|%r"]
    account = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={ids}"]
    account.append("--format=JobID,State,Elapsed,NodeList,ExitCode")
    with ThreadPoolExecutor(max_workers=2) as pool:
        (queued, queue_problem), (accounted, account_problem) = pool.map(_ask, (queue, account))
    states: dict[str, JobState] = {}
    for job, state, elapsed, nodes, exit_code in _rows(accounted, 5):
        known = "" if nodes == "None assigned" else nodes
        # "CANCELLED by 1000"
        states[job] = JobState(job, state.partition(" ")[0], elapsed, known, exit_code)
    for job, state, elapsed, nodes, reason in _rows(queued, 5):
        before = states.get(job)
        states[job] = JobState(
            job,
            state,
            elapsed,
            nodes,
            before.exit_code if before is not None and before.state == state else "",
            "" if reason == "None" else reason,
        )
    if states:
        return sorted(states.values(), key=_order), ""
    if queue_problem == account_problem == _NOT_INSTALLED:
        return [], ""
    if not queue_problem or "Invalid job id" in queue_problem:
        return [], "Slurm does not know them any more"
    return [], f"Slurm does not answer: {queue_problem}"


_NOT_INSTALLED = "not installed"


def _ask(command: Sequence[str]) -> tuple[str, str]:
    """What a command prints, and why it failed; "" if it did not."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except FileNotFoundError:
        return "", _NOT_INSTALLED
    except OSError as error:
        return "", f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} took more than {TIMEOUT:.0f} s"
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return "", lines[-1] if lines else f"{command[0]} failed"
    return done.stdout.decode(errors="replace"), ""


def _rows(text: str, columns: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        # The last column may have anything in it.
        row = [cell.strip() for cell in line.split("|", columns - 1)]
        if len(row) == columns:
            yield row


def _order(state: JobState) -> tuple[int, int, str]:
    array, _, task = state.job.partition("_")
    first = re.search(r"\d+", task)
    return int(array) if array.isdecimal() else 0, int(first[0]) if first else -1, state.job


def tasks_by_state(states: Iterable[JobState]) -> dict[str, dict[str, list[str]]]:
    """The ids of the tasks in each state, by array; jobs that are none have themselves alone.

    A limit on the number of tasks at once, as in ``12_[5-9%2]``, is left out.
    """
    arrays: dict[str, dict[str, list[str]]] = {}
    for state in states:
        array = state.job.partition("_")[0]
        job = re.sub(r"%\d+", "", state.job)
        arrays.setdefault(array, {}).setdefault(state.state, []).append(job)
    return arrays

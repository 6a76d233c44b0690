"""What a job waits for: sbatch's dependencies, and what to say when one can never be met.

Two traps of Slurm's are closed here (both seen with 22.05):

- A job that depends on one that Slurm has forgotten (some minutes after its end), or that never
  was, starts at once, whatever the condition: ``afterok`` of a job that failed an hour ago holds.
  So what the controller does not know is looked up in the accounting, and a submission that it
  contradicts is refused.
- A job whose dependency can never be met stays in the queue for ever. Ours are submitted with
  ``kill-on-invalid-dep=yes``: Slurm removes them, and ``result()`` says why.

Without accounting (``sacct``) nothing is known of jobs that are gone, and nothing is refused.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence

from slurmic.errors import SubmissionError

_FAILED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)
"""Final states that are no success; a requeued job passes through PREEMPTED only for a moment."""


def dependency_option(conditions: Sequence[str]) -> str:
    """The value of sbatch's option for these conditions, all of which must hold; "" for none.

    All tasks of an array become the array itself, so that to wait for 10,000 tasks is one
    dependency and not 10,000.

    Args:
        conditions: each like "afterok:12:13_2".

    Raises:
        SubmissionError: there is no such job; or one that has ended rules a condition out, and
            Slurm has forgotten it.
    """
    if not conditions:
        return ""
    known = _queued({_array(job_id) for each in conditions for job_id in _ids(each)})
    if known is not None:
        for condition in conditions:
            forgotten = [
                job_id
                for job_id in _ids(condition)
                if job_id not in known.get(_array(job_id), ())
                and ("_" in job_id or _array(job_id) not in known)
            ]
            if forgotten:
                _check_forgotten(condition, forgotten)
    return ",".join(_shortened(condition, known or {}) for condition in conditions)


def why_impossible(conditions: Sequence[str]) -> str:
    """Which of these conditions can't be met any more, and why; "" if all of them still can, or
    nothing is known.
    """
    for condition in conditions:
        states = _accounted(_ids(condition)) or {}
        reason = _contradiction(condition, states)
        if reason:
            return f"'{condition}' cannot be met: {reason}"
    return ""


def _ids(condition: str) -> list[str]:
    return condition.split(":")[1:]


def _array(job_id: str) -> str:
    """The job or array that an id is of: "12" for "12_3" and for "12+1"."""
    return job_id.partition("_")[0].partition("+")[0]


def _queued(arrays: Iterable[str]) -> dict[str, set[str]] | None:
    """The ids of all tasks that the controller knows, by the job or array that they are of.

    None if it does not answer; then sbatch will find out.
    """
    jobs = f"--jobs={','.join(sorted(arrays))}"
    lines = _ask("squeue", "--noheader", "--states=all", "--array", "--format=%i", jobs)
    if lines is None:
        return None
    known: dict[str, set[str]] = {}
    for job_id in lines:
        known.setdefault(_array(job_id), set()).add(job_id)
    return known


def _shortened(condition: str, known: dict[str, set[str]]) -> str:
    kind, *ids = condition.split(":")
    if kind == "afternotok":
        return condition  # of a list of tasks it means each of them; of an array, one of them
    given = set(ids)
    whole = {array for array, tasks in known.items() if len(given & tasks) > 1 and tasks <= given}
    short = (_array(job_id) if _array(job_id) in whole else job_id for job_id in ids)
    return ":".join((kind, *dict.fromkeys(short)))


def _check_forgotten(condition: str, ids: Sequence[str]) -> None:
    states = _accounted(ids)
    if states is None:
        return
    unknown = [job_id for job_id in ids if not states[job_id]]
    if unknown:
        raise SubmissionError(
            f"condition '{condition}' is on job {unknown[0]}, and Slurm knows no such job",
            hint="Slurm would take the condition as met, and start the job at once; give it the "
            "Job that a call in mode 'slurm' returned, or the id of one on this cluster",
        )
    reason = _contradiction(condition, states)
    if reason:
        raise SubmissionError(
            f"condition '{condition}' cannot be met: {reason}",
            hint="it ended so long ago that Slurm would take the condition as met, and start the "
            "job at once; submit that job again, and this one after it",
        )


def _contradiction(condition: str, states: dict[str, list[str]]) -> str:
    """Why a condition cannot hold, by the states of the tasks of each job; "" if it can."""
    kind = condition.partition(":")[0]
    for job_id, found in states.items():
        failed = [state for state in found if state in _FAILED]
        if kind == "afterok" and failed:
            many = f" ({len(failed)} of {len(found)} tasks)" if len(found) > 1 else ""
            return f"job {job_id} is {failed[0]}{many}"
        if kind == "afternotok" and found and all(state == "COMPLETED" for state in found):
            return f"job {job_id} is COMPLETED"
    return ""


def _accounted(ids: Iterable[str]) -> dict[str, list[str]] | None:
    """The states of each job's tasks, as the accounting has them; None without accounting."""
    wanted = list(ids)
    fields = ("--noheader", "--allocations", "--parsable2", "--format=JobID,State")
    lines = _ask("sacct", *fields, f"--jobs={','.join({_array(job_id) for job_id in wanted})}")
    if lines is None:
        return None
    rows = [line.split("|") for line in lines if "|" in line]
    return {
        job_id: [
            state.split()[0]
            for found, state in rows
            if state and (found == job_id or (_array(found) == job_id))
        ]
        for job_id in wanted
    }


def _ask(*command: str) -> list[str] | None:
    """The lines that a command of Slurm's prints; None if it fails.

    squeue fails when none of the jobs asked for is known; that is an answer, too: no lines.
    """
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    if answer.returncode and "Invalid job id" not in answer.stderr:
        return None
    return answer.stdout.splitlines()

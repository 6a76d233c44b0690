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

from collections.abc import Iterable, Sequence

from slurmic.cluster.jobids import whole_job
from slurmic.cluster.jobstates import TaskStates, accounted_tasks, queued_tasks
from slurmic.cluster.states import has_failed
from slurmic.errors import SubmissionError


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
    queued = queued_tasks(_arrays(conditions))
    if queued is not None:
        for condition in conditions:
            forgotten = [job_id for job_id in _ids(condition) if not _states(job_id, queued)]
            if forgotten:
                _check_forgotten(condition, forgotten)
    return ",".join(_shortened(condition, queued or {}) for condition in conditions)


def why_impossible(conditions: Sequence[str]) -> str:
    """Which of these conditions can't be met any more, and why; "" if all of them still can, or
    nothing is known.
    """
    arrays = _arrays(conditions)
    # The controller first: the accounting hears of things later.
    queued = queued_tasks(arrays) or {}
    accounted = accounted_tasks(arrays - queued.keys()) or {}
    for condition in conditions:
        states = {
            job_id: _states(job_id, queued) or _states(job_id, accounted)
            for job_id in _ids(condition)
        }
        reason = _contradiction(condition, states)
        if reason:
            return f"'{condition}' cannot be met: {reason}"
    return ""


def _ids(condition: str) -> list[str]:
    return condition.split(":")[1:]


def _arrays(conditions: Iterable[str]) -> set[str]:
    return {whole_job(job_id) for condition in conditions for job_id in _ids(condition)}


def _states(job_id: str, known: TaskStates) -> list[str]:
    """The states of a job, or of all tasks of an array; [] if it is not known."""
    tasks = known.get(whole_job(job_id), {})
    if job_id in tasks:
        return [tasks[job_id]]
    return [] if "_" in job_id else list(tasks.values())


def _shortened(condition: str, queued: TaskStates) -> str:
    kind, *ids = condition.split(":")
    if kind == "afternotok":
        return condition  # of a list of tasks it means each of them; of an array, one of them
    given = set(ids)
    whole = {array for array, tasks in queued.items() if len(tasks) > 1 and tasks.keys() <= given}
    short = (whole_job(job_id) if whole_job(job_id) in whole else job_id for job_id in ids)
    return ":".join((kind, *dict.fromkeys(short)))


def _check_forgotten(condition: str, ids: Sequence[str]) -> None:
    accounted = accounted_tasks({whole_job(job_id) for job_id in ids})
    if accounted is None:
        return
    states = {job_id: _states(job_id, accounted) for job_id in ids}
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
        failed = [state for state in found if has_failed(state)]
        if kind == "afterok" and failed:
            many = f" ({len(failed)} of {len(found)} tasks)" if len(found) > 1 else ""
            return f"job {job_id} is {failed[0]}{many}"
        if kind == "afternotok" and found and all(state == "COMPLETED" for state in found):
            return f"job {job_id} is COMPLETED"
    return ""

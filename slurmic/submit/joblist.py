"""Many jobs at once: to wait for ten thousand costs no more than to wait for one.

submitit asks the filesystem for the result of each job. Here the output folder is listed once each
time; and Slurm's accounting is asked about all jobs in one call, as rarely as submitit does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import submitit
from submitit.core.utils import UncompletedJobError

from slurmic.cluster import queue
from slurmic.errors import SubmissionError
from slurmic.progress import ProgressBar
from slurmic.text import counted

from .jobs import SubmittedJob

_POLL_SECONDS = 1.0


class JobList(list[submitit.Job[Any]]):
    """The jobs of a submission, in order: a list, with what is done to all of them.

    In an interactive program, waiting shows a progress bar after one second.
    """

    def results(self) -> list[Any]:
        """What the jobs returned, in order; waits for all of them.

        Raises:
            Exception: what went wrong with the first job that failed; see ``job.exception()``.
        """
        self.wait()
        return [job.result() for job in self]

    def exceptions(self) -> list[Exception | None]:
        """What went wrong with each job, or None, in order; waits for all of them."""
        self.wait()
        return [_exception(job) for job in self]

    def failed(self) -> JobList:
        """The jobs that went wrong; waits for all of them."""
        errors = self.exceptions()
        return JobList(job for job, error in zip(self, errors, strict=True) if error is not None)

    def wait(self) -> None:
        """Return when all have ended, well or not."""
        for _ in self.as_completed():
            pass

    def as_completed(self) -> Iterator[submitit.Job[Any]]:
        """Each job when it has ended, well or not; the earliest first."""
        waiting = dict(enumerate(self))
        ended = 0
        with ProgressBar("jobs ended", len(self)) as bar:
            while True:
                found = _ended(waiting)
                for number in found:
                    ended += 1
                    bar.at(ended)
                    yield waiting.pop(number)
                if not waiting:
                    return
                bar.at(ended)
                if not found:
                    time.sleep(_POLL_SECONDS)

    def cancel(self) -> None:
        """Cancel all that have not ended.

        Raises:
            SubmissionError: Slurm refused.
        """
        in_slurm = [job.job_id for job in self if isinstance(job, SubmittedJob)]
        problem = queue.cancel(in_slurm)
        for job in self:
            if not isinstance(job, SubmittedJob):
                job.cancel(check=False)
        if problem:
            raise SubmissionError(
                f"not all of {counted(len(in_slurm), 'job')} could be cancelled: {problem}",
                hint="'squeue --me' says which are left; cancel them by 'scancel'",
            )


def _exception(job: submitit.Job[Any]) -> Exception | None:
    try:
        return job.exception()
    except UncompletedJobError as error:
        return error


def _ended(waiting: dict[int, submitit.Job[Any]]) -> list[int]:
    """The numbers of those that have ended."""
    listed: dict[str, set[str]] = {}
    found = []
    for number, job in waiting.items():
        if not isinstance(job, SubmittedJob) or job._sub_jobs:
            if job.done():
                found.append(number)
            continue
        folder, name = os.path.split(job.paths.result_pickle)
        if folder not in listed:
            listed[folder] = _names(folder)
        if name in listed[folder] or job.watcher.is_done(job.job_id):
            found.append(number)
    return found


def _names(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()

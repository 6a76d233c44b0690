"""Jobs on this machine: in processes of their own (mode "local"), or in this one (mode "run")."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.core import InfoWatcher

from slurmic.job import FrozenCall, FrozenCode
from slurmic.job.delayed import DelayedSubmission
from slurmic.job.payload import Call
from slurmic.progress import ProgressBar

from .executors import build_executor
from .request import Settings

Job = submitit.Job[Any]

_POLL_SECONDS = 0.02


def run_local(settings: Settings, calls: Sequence[Call], frozen: FrozenCode | None) -> list[Job]:
    """Run calls, a few at once, and return when all have ended, well or not.

    Args:
        settings: the functions'.
        calls: what is called.
        frozen: the code that it runs from; None for the live tree.

    Raises:
        ConfigError: mode "local" cannot do what is asked for; nothing has run.
    """
    executor = build_executor(settings, frozen)
    config = settings.config
    processors = len(os.sched_getaffinity(0))
    at_once = max(1, processors // max(1, config.cpus_per_task * config.tasks_per_node))
    if config.array_parallelism:
        at_once = min(at_once, config.array_parallelism)
    jobs: list[Job] = []
    running: list[Job] = []
    try:
        with ProgressBar("running tasks", len(calls)) as bar:
            for call in calls:
                running = _wait_until_fewer(running, at_once)
                bar.at(len(jobs) - len(running))
                (job,) = executor._internal_process_submissions([_delayed(call, frozen)])
                jobs.append(job)
                running.append(job)
            while running:
                running = _wait_until_fewer(running, len(running))
                bar.at(len(jobs) - len(running))
    except BaseException:
        for job in running:
            job.cancel(check=False)
        raise
    return jobs


def _wait_until_fewer(running: list[Job], limit: int) -> list[Job]:
    while len(running := [job for job in running if not job.done()]) >= limit:
        time.sleep(_POLL_SECONDS)
    return running


def _delayed(call: Call, frozen: FrozenCode | None) -> DelayedSubmission:
    function, args, kwargs = call
    if frozen is None:
        return DelayedSubmission(function, *args, **kwargs)
    return DelayedSubmission(FrozenCall.pack(frozen, function, args, kwargs))


class _NoWatcher(InfoWatcher):
    """Nothing is asked about jobs that are finished."""

    def register_job(self, job_id: str) -> None:
        pass


class FinishedJob(submitit.Job[Any]):
    """The outcome of a call that ran in this process, with the interface of a Job.

    Args:
        folder: the output folder; nothing is written there.
        job_id: any name.
        value: what the function returned.
        error: what it raised, or None.
    """

    watcher = _NoWatcher()

    def __init__(
        self, folder: str | Path, job_id: str, value: Any, error: Exception | None
    ) -> None:
        super().__init__(folder, job_id)
        self._value = value
        self._error = error

    def wait(self) -> None:
        """Nothing: it is finished."""

    def done(self, force_check: bool = False) -> bool:
        """True."""
        return True

    def cancel(self, check: bool = True) -> None:
        """Nothing: it is finished."""

    def results(self) -> list[Any]:
        """The value, in a list.

        Raises:
            Exception: what the function raised.
        """
        if self._error is not None:
            raise self._error
        return [self._value]

    def exception(self) -> Exception | None:  # type: ignore[override]
        """What the function raised, or None."""
        return self._error

    @property
    def state(self) -> str:
        """COMPLETED or FAILED, as Slurm would say."""
        return "COMPLETED" if self._error is None else "FAILED"

    def get_info(self, mode: str = "force") -> dict[str, str]:
        """The state, as submitit's other jobs have it."""
        return {"State": self.state}


def run_here(
    function: Callable[..., Any], args: Sequence[Any], folder: str, index: int
) -> FinishedJob:
    """Call a function in this process; its job, even if it raised an exception."""
    value, error = None, None
    try:
        value = function(*args)
    except Exception as caught:
        error = caught
    return FinishedJob(folder, f"RUN_{index}", value, error)

"""Jobs in processes of their own on this machine (mode "local")."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import submitit

from slurmic.job import FrozenCall, FrozenCode
from slurmic.job.calls import Call
from slurmic.job.delayed import DelayedSubmission
from slurmic.progress import ProgressBar

from .executors import build_executor
from .settings import Settings

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

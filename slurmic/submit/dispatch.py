"""Running calls: pack the code, hand the calls to an executor, tell the user what to know."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from typing import Any

import submitit

from slurmic.job import FrozenCode
from slurmic.job.distributed import PyTorchDistributedTask
from slurmic.snapshot import PackedSnapshot

from .code import frozen_code, pack, pack_request, record_jobs, warn_user, withdraw
from .executors import build_executor
from .joblist import JobList
from .localjobs import run_here, run_local
from .note import submission_note
from .request import Request, Settings, open_batch
from .slurmexecutor import FrozenSlurmExecutor, Submission, submit_all

Job = submitit.Job[Any]


def run_call(
    settings: Settings, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Job:
    """Run one call in mode "slurm", "local" or "debug"; see SlurmFunction.__call__."""
    if settings.config.use_distributed_env:
        # The task is what is submitted; the program's own second launch calls the function.
        function, args, kwargs = distributed_task(settings), (), {}
    if settings.config.mode == "debug":
        job = build_executor(settings, None).submit(function, *args, **kwargs)
        job.results()
        return job
    request = Request(settings, function, [(args, kwargs)])
    if (batch := open_batch()) is not None:
        return batch.add(request)[0]
    ((job,),) = submit_requests([request])
    if settings.config.mode == "local":
        job.results()  # raises if the job failed
    return job


def run_array(
    settings: Settings, function: Callable[..., Any], iterables: Sequence[Iterable[Any]]
) -> JobList:
    """Run one call for each tuple of arguments; see SlurmFunction.map_array."""
    lengths = {len(values) for values in iterables if isinstance(values, Sized)}
    request = Request(settings, function, [(args, {}) for args in zip(*iterables, strict=False)])
    if len(lengths) > 1:
        warn_user(
            f"map_array got lists of different lengths ({sorted(lengths)}): only the first "
            f"{len(request.calls)} tasks are run, as map does"
        )
    if not request.calls:
        warn_user("map_array got no arguments: nothing is run")
        return JobList()
    if request.mode == "run":
        output = settings.config.output_path
        return JobList(
            run_here(function, args, output, index) for index, (args, _) in enumerate(request.calls)
        )
    if request.mode == "debug":
        executor = build_executor(settings, None)
        jobs = JobList(executor.submit(function, *args) for args, _ in request.calls)
        for job in jobs:
            job.results()
        return jobs
    if (batch := open_batch()) is not None:
        return JobList(batch.add(request))
    return JobList(submit_requests([request])[0])


def submit_requests(requests: Sequence[Request]) -> list[list[Job]]:
    """Submit requests of modes "slurm" and "local", all of them or none; their jobs, in order.

    There is one snapshot for all that pack the same into the same output path. Those for Slurm that
    ask for the same resources become one array, as far as they are not distributed.

    Raises:
        ConfigError, SelectionError, StoreError, SubmissionError: nothing was submitted, and nothing
            is left of it.
    """
    packed: dict[Any, PackedSnapshot] = {}
    frozen: dict[Any, FrozenCode] = {}
    codes: list[tuple[Request, FrozenCode | None]] = []
    try:
        for request in requests:
            config = request.settings.config
            if not config.pack_code:
                codes.append((request, None))
                continue
            wanted = pack_request(request.settings)
            key = wanted.identity()
            if key not in packed:
                packed[key] = pack(wanted)
            kind = (key, config.on_live_import, config.code_scope, config.code_stage)
            if kind not in frozen:
                frozen[kind] = frozen_code(request.settings, packed[key])
            if isinstance(request.function, PyTorchDistributedTask):
                request.function.freeze_command(frozen[kind])
            codes.append((request, frozen[kind]))
        found = start(codes)
    except BaseException:
        for each in packed.values():
            withdraw(each)
        raise
    for each in packed.values():
        record_jobs(
            each,
            [
                job
                for (_, code), jobs in zip(codes, found, strict=True)
                if code is not None and code.snapshot == each.record.id
                for job in jobs
            ],
        )
    return found


def start(codes: Sequence[tuple[Request, FrozenCode | None]]) -> list[list[Job]]:
    """Run or submit requests, each from the code beside it; the jobs of each, in order.

    Raises:
        ConfigError, SubmissionError: nothing was submitted.
    """
    # What runs here first: its failure, or Ctrl-C, finds nothing submitted.
    found = [
        run_local(request.settings, request.whole_calls(), frozen)
        if request.mode == "local"
        else []
        for request, frozen in codes
    ]
    for place, jobs in _submit(codes):
        found[place] = jobs
    return found


def _submit(
    codes: Sequence[tuple[Request, FrozenCode | None]],
) -> Iterator[tuple[int, list[Job]]]:
    """Submit what is for Slurm; the place of each such request, and its jobs."""
    together: dict[Any, list[int]] = {}
    executors: dict[Any, submitit.AutoExecutor] = {}
    keys: dict[tuple[int, int], Any] = {}
    for place, (request, frozen) in enumerate(codes):
        if request.mode != "slurm":
            continue
        settings = request.settings
        known = (id(settings), id(frozen))
        if known not in keys:
            note = repr(submission_note(settings))
            keys[known] = note, tuple(settings.conditions), repr(frozen)
        # A distributed request has a rendezvous of its own, and so a job of its own.
        key = place if settings.config.use_distributed_env else keys[known]
        if key not in executors:
            executors[key] = build_executor(settings, frozen)
        together.setdefault(key, []).append(place)
    submissions: list[Submission] = []
    for key, places in together.items():
        calls = [call for place in places for call in codes[place][0].whole_calls()]
        executor = executors[key]._executor
        assert isinstance(executor, FrozenSlurmExecutor)
        submissions += executor.split(calls)
    jobs = iter(submit_all(submissions))
    for places in together.values():
        for place in places:
            yield place, list(islice(jobs, len(codes[place][0].calls)))


def distributed_task(settings: Settings) -> PyTorchDistributedTask:
    """The task for a distributed function.

    Raises:
        ConfigError: its launch command has a placeholder that nothing fills.
    """
    task = PyTorchDistributedTask(
        settings.config.distributed_launch_command,
        list(sys.argv[1:]) if settings.system_argv is None else list(settings.system_argv),
        settings.config,
        verbose=True,
        **settings.task,
    )
    task.command()  # a bad command is found now, not when the job starts
    return task

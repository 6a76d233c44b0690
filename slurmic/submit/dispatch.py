"""Running calls: pack the code, hand the calls to an executor, tell the user what to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any

import submitit

from slurmic.config import Mode
from slurmic.job import FrozenCode
from slurmic.job.calls import Call
from slurmic.snapshot import PackedCode

from .executors import build_executor, recorded
from .finished import run_here
from .freezing import frozen_code, pack, pack_request, record_jobs, warn_user, withdraw
from .joblist import JobList
from .localjobs import run_local
from .pending import open_batch
from .settings import Settings
from .slurmexecutor import FrozenSlurmExecutor, Sending, send_all
from .task import PyTorchDistributedTask, distributed_task

Job = submitit.Job[Any]


@dataclass
class Request:
    """Calls of one function that are to be submitted with the same settings.

    Attributes:
        settings: the function's.
        function: what is called.
        calls: the arguments of each call.
    """

    settings: Settings
    function: Callable[..., Any]
    calls: list[tuple[Sequence[Any], Mapping[str, Any]]]

    @property
    def mode(self) -> Mode:
        """Where it runs."""
        return self.settings.config.mode

    def whole_calls(self) -> list[Call]:
        """The calls, each with the function."""
        return [(self.function, args, kwargs) for args, kwargs in self.calls]


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
    packed: dict[Any, PackedCode] = {}
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
        of_it = [request for request, code in codes if code and code.snapshot == each.record.id]
        record_jobs(each, [job for request in of_it for job in found[id(request)]])
    return [found[id(request)] for request in requests]


def start(codes: Sequence[tuple[Request, FrozenCode | None]]) -> dict[int, list[Job]]:
    """Run or submit requests from the code that each has; their jobs, by the request's id().

    Raises:
        ConfigError, SubmissionError: nothing was submitted.
    """
    # What runs here first: its failure, or Ctrl-C, finds nothing submitted.
    found = {
        id(request): run_local(request.settings, request.whole_calls(), frozen)
        for request, frozen in codes
        if request.mode == "local"
    }
    found.update(_send(codes))
    return found


def _send(
    codes: Sequence[tuple[Request, FrozenCode | None]],
) -> dict[int, list[Job]]:
    """Submit what is for Slurm; the jobs of each request, by its identity."""
    together: dict[Any, list[Request]] = {}
    executors: dict[Any, submitit.AutoExecutor] = {}
    keys: dict[tuple[int, int], Any] = {}
    for request, frozen in codes:
        if request.mode != "slurm":
            continue
        settings = request.settings
        known = (id(settings), id(frozen))
        if known not in keys:
            keys[known] = repr(recorded(settings)), tuple(settings.conditions), repr(frozen)
        key = keys[known]
        if settings.config.use_distributed_env:
            key = id(request)  # each has a rendezvous of its own
        if key not in executors:
            executors[key] = build_executor(settings, frozen)
        together.setdefault(key, []).append(request)
    sendings: list[Sending] = []
    for key, requests in together.items():
        calls = [call for request in requests for call in request.whole_calls()]
        executor = executors[key]._executor
        assert isinstance(executor, FrozenSlurmExecutor)
        sendings += executor.parts(calls)
    jobs = iter(send_all(sendings))
    return {
        id(request): list(islice(jobs, len(request.calls)))
        for requests in together.values()
        for request in requests
    }

"""Running calls: pack the code, hand the calls to an executor, tell the user what to know."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any

import submitit

from slurmic import environment
from slurmic.errors import SlurmicWarning
from slurmic.job import FrozenCall, FrozenCode
from slurmic.job.delayed import DelayedSubmission
from slurmic.job.paths import interpreter_prefixes
from slurmic.snapshot import PackedCode, PackRequest, SizeLimits, pack_code
from slurmic_store import StoreError

from .executors import build_executor
from .finished import run_here
from .import_roots import find_import_roots, unpacked_modules
from .settings import Settings
from .task import PyTorchDistributedTask, distributed_task

Call = tuple[Sequence[Any], Mapping[str, Any]]

_POLL_SECONDS = 0.02


def run_call(
    settings: Settings, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> submitit.Job[Any]:
    """Run one call in mode "slurm", "local" or "debug"; see SlurmFunction.__call__."""
    if settings.config.use_distributed_env:
        # The task is what is submitted; the program's own second launch calls the function.
        function, args, kwargs = distributed_task(settings), (), {}
    if settings.config.mode == "debug":
        job = build_executor(settings, None).submit(function, *args, **kwargs)
        job.results()
        return job
    (job,) = _submit(settings, function, [(args, kwargs)])
    if settings.config.mode == "local":
        job.results()  # raises if the job failed
    return job


def run_array(
    settings: Settings, function: Callable[..., Any], iterables: Sequence[Iterable[Any]]
) -> list[Any]:
    """Run one call for each tuple of arguments; see SlurmFunction.map_array."""
    lengths = {len(values) for values in iterables if isinstance(values, Sized)}
    calls: list[Call] = [(args, {}) for args in zip(*iterables, strict=False)]
    if len(lengths) > 1:
        _warn(
            f"map_array got lists of different lengths ({sorted(lengths)}): only the first "
            f"{len(calls)} tasks are run, as map does"
        )
    if not calls:
        _warn("map_array got no arguments: nothing is run")
        return []
    mode = settings.config.mode
    if mode == "run":
        return [
            run_here(function, args, settings.config.output_path, index)
            for index, (args, _) in enumerate(calls)
        ]
    if mode == "debug":
        executor = build_executor(settings, None)
        jobs = [executor.submit(function, *args) for args, _ in calls]
        for job in jobs:
            job.results()
        return jobs
    return _submit(settings, function, calls)


def _submit(
    settings: Settings, function: Callable[..., Any], calls: Sequence[Call]
) -> list[submitit.Job[Any]]:
    """Pack if asked to, submit, and record the jobs; undo the packing if that fails."""
    if not settings.config.pack_code:
        return _start(settings, None, _delayed(function, calls, None))
    packed = pack_code(_request(settings))
    try:
        frozen = _frozen_code(settings, packed)
        for message in packed.warnings:
            _warn(message)
        if isinstance(function, PyTorchDistributedTask):
            function.freeze_command(frozen)
        jobs = _start(settings, frozen, _delayed(function, calls, frozen))
    except BaseException:
        try:
            packed.withdraw()
        except StoreError as error:
            _warn(f"what the failed submission left could not be removed: {error}")
        raise
    try:
        packed.attach_jobs(tuple(job.job_id for job in jobs))
    except (OSError, StoreError) as error:
        # The jobs run, and their code is there; only the list of their ids is not.
        _warn(f"job ids could not be recorded: {error}")
    return jobs


def _request(settings: Settings) -> PackRequest:
    config = settings.config
    return PackRequest(
        code_root=config.code_root,
        suffixes=config.code_file_suffixes,
        exclude_folders=config.exclude_code_folders,
        output_path=config.output_path,
        reuse=config.code_scope == "tree",
        link_mode=config.link_mode,
        store_path=config.store_path,
        store_setting=environment.store_setting(),
        home=environment.home_folder(),
        include=settings.include,
        exclude_directory=settings.exclude_directory,
        limits=SizeLimits(
            config.warn_code_files,
            config.warn_code_mb,
            config.max_code_files,
            config.max_code_mb,
            config.warn_added_files,
        ),
        about={
            "job_name": config.job_name,
            "mode": config.mode,
            **environment.about_process(),
        },
        require_clean=config.require_clean,
    )


def _frozen_code(settings: Settings, packed: PackedCode) -> FrozenCode:
    """What the job has to know; warns of imported modules that the snapshot lacks."""
    cwd = os.getcwd()
    here: dict[str, Any] = {
        "cwd": cwd,
        "modules": dict(sys.modules),
        "prefixes": interpreter_prefixes(),
        "frozen_folder": environment.frozen_folder(packed.code_root),
    }
    roots = find_import_roots(
        packed.code_root,
        sys_path=list(sys.path),
        pythonpath=environment.python_path(),
        meta_path=list(sys.meta_path),
        **here,
    )
    lacking = unpacked_modules(packed.code_root, frozenset(packed.selection.paths), **here)
    if lacking:
        shown = ", ".join(f"{module.name} ({module.path})" for module in lacking[:5])
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        message = (
            f"this program has imported modules that are not in the snapshot: {shown}{more}; a "
            "job that needs them will fail. Take them out of .gitignore or exclude_code_folders, "
            "or add their ending to code_file_suffixes"
        )
        packed.later_warnings.append(message)
        _warn(message)
    return FrozenCode(
        code_root=packed.code_root,
        code_folder=packed.code_folder,
        snapshot=packed.record.id,
        git_commit=str(packed.record.info["git"]["commit"]),
        import_roots=roots.roots,
        late_roots=roots.late_roots,
        packages=roots.packages,
        on_live_import=settings.config.on_live_import,
        working_directory=cwd,
        per_task=settings.config.code_scope == "task",
        archive=packed.archive() if settings.config.code_stage == "node" else "",
        store=os.fsdecode(packed.store.path),
        tree=packed.record.tree,
    )


def _delayed(
    function: Callable[..., Any], calls: Sequence[Call], frozen: FrozenCode | None
) -> list[DelayedSubmission]:
    if frozen is None:
        return [DelayedSubmission(function, *args, **kwargs) for args, kwargs in calls]
    return [
        DelayedSubmission(FrozenCall.pack(frozen, function, args, kwargs)) for args, kwargs in calls
    ]


def _start(
    settings: Settings,
    frozen: FrozenCode | None,
    submissions: Sequence[DelayedSubmission],
) -> list[submitit.Job[Any]]:
    executor = build_executor(settings, frozen)
    if settings.config.mode == "slurm":
        return executor._internal_process_submissions(list(submissions))
    processors = len(os.sched_getaffinity(0))
    tasks = max(1, settings.config.cpus_per_task * settings.config.tasks_per_node)
    return _run_local(executor, submissions, at_once=max(1, processors // tasks))


def _run_local(
    executor: submitit.AutoExecutor,
    submissions: Sequence[DelayedSubmission],
    at_once: int,
) -> list[submitit.Job[Any]]:
    """Run jobs in processes of their own, a few at once, and return when all have ended."""
    jobs: list[submitit.Job[Any]] = []
    running: list[submitit.Job[Any]] = []
    try:
        for submission in submissions:
            running = _wait_until_fewer(running, at_once)
            (job,) = executor._internal_process_submissions([submission])
            jobs.append(job)
            running.append(job)
        _wait_until_fewer(running, 1)
    except BaseException:
        for job in running:
            job.cancel(check=False)
        raise
    return jobs


def _wait_until_fewer(running: list[submitit.Job[Any]], limit: int) -> list[submitit.Job[Any]]:
    while len(running := [job for job in running if not job.done()]) >= limit:
        time.sleep(_POLL_SECONDS)
    return running


def _warn(message: str) -> None:
    # To the line of the user's program that made the call.
    package = os.path.dirname(os.path.dirname(__file__)) + os.sep
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
        depth += 1
    warnings.warn(message, SlurmicWarning, stacklevel=depth)

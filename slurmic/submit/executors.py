"""submitit's executors, with our command in the script and nothing left behind by a refusal.

submitit writes a pickle and a script into the output folder before it calls sbatch; when sbatch
refuses, both stay. Here they go away again, and an array is submitted like a single job.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission, FailedJobError, JobPaths
from submitit.local.local import LocalExecutor
from submitit.slurm.slurm import SlurmExecutor

from slurmic.config import NO_LIMIT, SlurmConfig
from slurmic.environment import SECOND_LAUNCH
from slurmic.errors import ConfigError, SubmissionError
from slurmic.job import FrozenCode, job_command, shell_exports
from slurmic.job.delayed import UNLIMITED_MIN

from .conditions import dependency_option
from .jobs import SubmittedJob
from .rendezvous import shell_port
from .settings import Settings


class FrozenSlurmExecutor(SlurmExecutor):
    """Submits to Slurm; the job runs from a code folder if there is one.

    Args:
        folder: the output folder.
        frozen: the code that jobs belong to; None to run on the live tree.
        one_task_per_node: whether each node runs one task, whatever is requested for it: the
            launch command of a distributed job starts the processes of its node.
        conditions: what the jobs wait for; for their errors only.
    """

    job_class = SubmittedJob

    def __init__(
        self,
        folder: str,
        frozen: FrozenCode | None,
        *,
        one_task_per_node: bool = False,
        conditions: Sequence[str] = (),
    ) -> None:
        try:
            super().__init__(folder)
        except RuntimeError as error:
            raise SubmissionError(
                "Slurm's commands are not on PATH: mode 'slurm' works on a cluster's login node",
                hint="mode 'local' runs the same function in a process of its own on this machine",
            ) from error
        self._frozen = frozen
        self._one_task_per_node = one_task_per_node
        self._conditions = tuple(conditions)
        self._script_ids: list[str] = []

    @property
    def _submitit_command_str(self) -> str:
        if self._frozen is None:
            return str(super()._submitit_command_str)
        return job_command(self.python, str(self.folder))

    def _num_tasks(self) -> int:
        if self._one_task_per_node:
            return int(self.parameters.get("nodes", 1))
        return super()._num_tasks()

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        self._script_ids.append(uid)
        return str(super()._make_submission_file_text(command, uid))

    def _internal_process_submissions(
        self, delayed_submissions: Sequence[DelayedSubmission]
    ) -> list[submitit.Job[Any]]:
        """Submit one job, or one array.

        Raises:
            SubmissionError: sbatch refused; nothing is left in the output folder.
        """
        folder = JobPaths.get_first_id_independent_folder(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        minutes = self.parameters.get("time") or UNLIMITED_MIN
        pickles: list[Path] = []
        job: SubmittedJob | None = None
        try:
            for submission in delayed_submissions:
                submission.set_timeout(minutes, self.max_num_timeout)
                pickles.append(folder / f"{uuid.uuid4().hex}.pkl")
                submission.dump(pickles[-1])
            self._check_size(pickles)
            job = self._call_sbatch(len(pickles))
            jobs = [job] if len(pickles) == 1 else _array_jobs(job, len(pickles))
            for each, path in zip(jobs, pickles, strict=True):
                each.paths.move_temporary_file(path, "submitted_pickle")
                each.with_conditions(self._conditions)
            return [*jobs]
        except BaseException as error:
            if job is not None:
                # Interrupted after sbatch: the job would wait for a pickle that never comes.
                job.cancel(check=False)
            scripts = [folder / f".submission_file_{uid}.sh" for uid in self._script_ids]
            for path in (*pickles, *scripts):
                path.unlink(missing_ok=True)
            if isinstance(error, FailedJobError):
                raise _refusal(str(error)) from error
            raise

    def _call_sbatch(self, count: int) -> SubmittedJob:
        executor = self
        if count > 1:
            executor = copy.copy(self)
            executor.parameters = {**self.parameters, "map_count": count}
        job = executor._submit_command(self._submitit_command_str)
        assert isinstance(job, SubmittedJob)
        return job

    def _check_size(self, pickles: Sequence[Path]) -> None:
        size = sum(path.stat().st_size for path in pickles)
        if size > self.max_pickle_size_gb * 1024**3:
            raise SubmissionError(
                f"function and arguments of {len(pickles)} tasks take {size / 1024**3:.1f} GB as "
                f"pickles, more than {self.max_pickle_size_gb:g} GB",
                hint="pass paths to large data rather than the data",
            )


def _array_jobs(first: SubmittedJob, count: int) -> list[SubmittedJob]:
    tasks = range(first.num_tasks)
    folder = first.paths._folder
    return [
        SubmittedJob(folder=folder, job_id=f"{first.job_id}_{index}", tasks=list(tasks))
        for index in range(count)
    ]


def _refusal(text: str) -> SubmissionError:
    lines = [line for line in text.splitlines() if line.strip()]
    reason = lines[-1].removeprefix("sbatch: error: ") if lines else "no reason given"
    return SubmissionError(
        f"sbatch refused the job: {reason}",
        hint="nothing was submitted, and nothing is left of it in the output path",
    )


class FrozenLocalExecutor(LocalExecutor):
    """Runs jobs in processes of their own on this machine; see :class:`FrozenSlurmExecutor`."""

    def __init__(self, folder: str, frozen: FrozenCode | None) -> None:
        super().__init__(folder)
        self._frozen = frozen
        # submitit waits 0.2 s between submissions to spare a scheduler; here there is none.
        self._throttling = 0.0

    @property
    def _submitit_command_str(self) -> str:
        if self._frozen is None:
            return str(super()._submitit_command_str)
        return job_command(self.python, str(self.folder))


class ExecutorFor(submitit.AutoExecutor):
    """submitit's AutoExecutor around one of the executors above."""

    def __init__(self, executor: FrozenSlurmExecutor | FrozenLocalExecutor, cluster: str) -> None:
        super().__init__(folder=executor.folder, cluster=cluster)
        self._executor = executor
        self.parameters = executor.parameters


def build_executor(settings: Settings, frozen: FrozenCode | None) -> submitit.AutoExecutor:
    """An executor for a configuration, with all its parameters set.

    Args:
        settings: the configured function's.
        frozen: the code that jobs belong to, or None.

    Raises:
        ConfigError: submitit knows no such parameter.
        SubmissionError: mode "slurm" without Slurm.
    """
    config = settings.config
    try:
        if config.mode == "slurm":
            return _slurm_executor(settings, frozen)
        if config.mode == "local":
            return _local_executor(settings, frozen)
    except (NameError, ValueError, AssertionError) as error:
        raise ConfigError(
            f"submitit does not take these parameters: {error}",
            hint="see extra_submit_kwargs and extra_params_kwargs",
        ) from error
    return submitit.AutoExecutor(folder=config.output_path, cluster="debug")


def _slurm_executor(settings: Settings, frozen: FrozenCode | None) -> submitit.AutoExecutor:
    config = settings.config
    distributed = config.use_distributed_env
    slurm = FrozenSlurmExecutor(
        config.output_path, frozen, one_task_per_node=distributed, conditions=settings.conditions
    )
    executor = ExecutorFor(slurm, "slurm")
    extra = dict(settings.submit)
    # This process may itself be one that a launch command has started; the job is not.
    setup = [f"unset {SECOND_LAUNCH}", *config.setup]
    setup += [*extra.pop("local_setup", ()), *extra.pop("slurm_setup", ())]
    srun_args = list(extra.pop("slurm_srun_args", ()))
    if frozen is not None:
        setup += shell_exports(frozen)
    if distributed:
        setup += shell_port(slurm.python)
        # One task a node, with all the CPUs of the node's tasks: it starts their processes.
        cpus = config.cpus_per_task * config.tasks_per_node
        srun_args += [
            f"--ntasks={config.num_of_node}",
            "--ntasks-per-node=1",
            f"--cpus-per-task={cpus}",
            "--kill-on-bad-exit=1",
        ]
    options = {
        **_given(
            nodelist=config.node_list, exclude=config.node_list_exclude, mem=config.mem or None
        ),
        **settings.params,
        **extra.pop("slurm_additional_parameters", {}),
    }
    options = {name.replace("_", "-"): value for name, value in options.items()}
    wanted = (options.pop("dependency", ""), dependency_option(settings.conditions))
    if dependency := ",".join(filter(None, wanted)):
        options = {"kill-on-invalid-dep": "yes", **options, "dependency": dependency}
    if frozen is not None:
        options["chdir"] = frozen.code_folder
    limit = {} if config.timeout_min == NO_LIMIT else {"timeout_min": config.timeout_min}
    executor.update_parameters(
        **{
            **_shared_parameters(config),
            **limit,
            "slurm_partition": config.partition or None,
            "slurm_setup": setup or None,
            "slurm_srun_args": srun_args or None,
            "slurm_additional_parameters": options or None,
            **extra,
        }
    )
    # submitit's default is 5 minutes, and Slurm keeps a job with a limit above the partition's
    # waiting for ever; no limit of ours means the partition's own.
    executor._executor.parameters.setdefault("time", None)
    return executor


def _local_executor(settings: Settings, frozen: FrozenCode | None) -> submitit.AutoExecutor:
    config = settings.config
    if config.num_of_node > 1:
        raise ConfigError(
            f"mode 'local' has one node, and num_of_node is {config.num_of_node}",
            hint="set num_of_node=1 to try it on this machine",
        )
    executor = ExecutorFor(FrozenLocalExecutor(config.output_path, frozen), "local")
    executor.update_parameters(
        **{
            **_shared_parameters(config),
            "tasks_per_node": 1 if config.use_distributed_env else config.tasks_per_node,
            "timeout_min": min(config.timeout_min, UNLIMITED_MIN),
            "local_setup": config.setup or None,
        }
    )
    return executor


def _shared_parameters(config: SlurmConfig) -> dict[str, Any]:
    gpus = (
        config.gpus_per_task * config.tasks_per_node
        if config.gpus_per_node is None
        else config.gpus_per_node
    )
    return {
        "name": config.job_name,
        "nodes": config.num_of_node,
        "tasks_per_node": config.tasks_per_node,
        "cpus_per_task": config.cpus_per_task,
        # GPUs can't be assigned to tasks; and a request for none is left out: some clusters
        # refuse any mention of GPUs on partitions without.
        "gpus_per_node": gpus or None,
        "stderr_to_stdout": config.stderr_to_stdout,
    }


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}

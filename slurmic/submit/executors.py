"""The executor for a configuration, with all its parameters set."""

from __future__ import annotations

from typing import Any

import submitit
from submitit.local.local import LocalExecutor, LocalJob

from slurmic.config import SlurmConfig
from slurmic.defaults import NO_LIMIT
from slurmic.environment import SECOND_LAUNCH
from slurmic.errors import ConfigError
from slurmic.job import FrozenCode, job_command, shell_exports
from slurmic.job.delayed import UNLIMITED_MIN
from slurmic.job.rendezvous import shell_port

from .conditions import dependency_option
from .jobs import ChildJob
from .note import submission_note
from .request import Settings
from .slurmexecutor import FrozenSlurmExecutor


class FrozenLocalExecutor(LocalExecutor):
    """Runs jobs in processes of their own on this machine; see :class:`FrozenSlurmExecutor`."""

    def __init__(self, folder: str, frozen: FrozenCode | None) -> None:
        super().__init__(folder)
        self._frozen = frozen
        # submitit waits 0.2 s between submissions to spare a scheduler; here there is none.
        self._throttling = 0.0

    def _submit_command(self, command: str) -> ChildJob:
        job: LocalJob[Any] = super()._submit_command(command)
        return ChildJob(self.folder, job.job_id, tasks=job._tasks, process=job._process)

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
        config.output_path,
        frozen,
        one_task_per_node=distributed,
        conditions=settings.conditions,
        notes=submission_note(settings),
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
    if config.array_parallelism:
        extra["slurm_array_parallelism"] = config.array_parallelism
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

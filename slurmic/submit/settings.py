"""What a configured function carries besides the function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from slurmic.config import SlurmConfig
from slurmic.errors import ConfigError

from .pending import PendingJob

Condition = Literal["afterany", "afterok", "afternotok"]


@dataclass
class Settings:
    """The configuration of a function and what was given along with it.

    Attributes:
        config: the configuration.
        params: sbatch options by name; the configuration's extra_params_kwargs come on top.
        submit: arguments of submitit's update_parameters, likewise.
        task: environment of the distributed task, likewise.
        system_argv: the program's arguments for the second launch; None for this program's.
        include: replaces the suffix test of the selection, or None.
        exclude_directory: replaces the folder test of the selection, or None.
        conditions: Slurm dependencies, as in "afterok:12:13"; all must hold.
    """

    config: SlurmConfig
    params: dict[str, Any] = field(default_factory=dict)
    submit: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    system_argv: list[str] | None = None
    include: Callable[[str, str], bool] | None = None
    exclude_directory: Callable[[str, str], bool] | None = None
    conditions: list[str] = field(default_factory=list)

    def add_condition(self, condition: Condition, jobs: Any) -> None:
        """Let the job wait for others.

        Args:
            condition: what must have become of them.
            jobs: a Job, a job id, or a list or tuple of those.

        Raises:
            ConfigError: unknown condition, or no jobs.
        """
        if condition not in get_args(Condition):
            choices = ", ".join(f"'{choice}'" for choice in get_args(Condition))
            raise ConfigError(f"unknown condition {condition!r}", hint=f"it is one of {choices}")
        if self.config.mode != "slurm":
            return  # what the others run is finished when the call returns
        ids = list(_job_ids(jobs))
        if not ids:
            raise ConfigError(f"condition '{condition}' on no job", hint="give it a job")
        self.conditions.append(":".join((condition, *ids)))


def _job_ids(jobs: Any) -> Iterable[str]:
    for job in jobs if isinstance(jobs, (list, tuple)) else [jobs]:
        if isinstance(job, (list, tuple)):
            yield from _job_ids(job)
            continue
        if isinstance(job, PendingJob):
            raise ConfigError(
                "a condition on a job of the same batch, which has no id yet",
                hint="submit the first job before the batch, or the second one after it",
            )
        job_id = str(getattr(job, "job_id", job))
        if not job_id.replace("_", "").replace("+", "").isdigit():
            raise ConfigError(
                f"{job!r} is not a Slurm job, nor the id of one",
                hint="conditions take the Job that a call in mode 'slurm' returned, or its id",
            )
        yield job_id

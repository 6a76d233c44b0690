"""What is to be submitted: the settings of a configured function, and the calls of it.

Also which batch is open: inside one, requests are collected and not submitted at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from slurmic.config import Mode, SlurmConfig
from slurmic.errors import ConfigError
from slurmic.job.payload import Call

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


class Collecting(Protocol):
    """What calls are collected in."""

    def add(self, request: Request) -> list[PendingJob]:
        """Collect the calls of a request; their jobs-to-be."""
        ...


OPEN_BATCH: ContextVar[Collecting | None] = ContextVar("OPEN_BATCH", default=None)
"""The batch that calls are collected in, by thread and task."""


def open_batch() -> Collecting | None:
    """The batch that this call is part of, or None."""
    return OPEN_BATCH.get()


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

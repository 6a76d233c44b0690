"""Decorators: the ways to make a SlurmFunction."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

from slurmic.config import SlurmConfig
from slurmic.environment import is_job_process
from slurmic.errors import ConfigError

from .function import SlurmFunction


def slurm_fn(submit_fn: Callable[..., Any]) -> SlurmFunction:
    """Make a function one that runs where its configuration says.

    Examples:
        >>> @slurm_fn
        ... def add(a, b):
        ...     return a + b
        >>> add[SlurmConfig(mode="run")](1, b=2)
        3
        >>> [job.result() for job in add[SlurmConfig(mode="run")].map_array([1, 2], [3, 4])]
        [4, 6]
    """
    return SlurmFunction(submit_fn)


slurm = slurm_fn


def slurm_launcher(
    ArgsType: type[Any],  # noqa: N803  (0.2.1's name: scripts pass it by keyword)
    parser: str | Callable[..., Any] = "tyro",
    slurm_key: str = "slurm",
    slurm_params_kwargs: dict[str, Any] | None = None,
    slurm_submit_kwargs: dict[str, Any] | None = None,
    slurm_task_kwargs: dict[str, Any] | None = None,
    *extra_args: Any,
    **extra_kwargs: Any,
) -> Callable[[Callable[..., Any]], SlurmFunction]:
    """A decorator for a program's main function, which takes its parsed arguments.

    The command line is parsed when the decorator is made. Calling the decorated function without
    arguments runs it with what was parsed, where its SlurmConfig says. In a job, which may import
    the program's module, nothing is parsed: the command line is not the program's.

    Args:
        ArgsType: a dataclass with a SlurmConfig in the field `slurm_key`.
        parser: "tyro", or what is called with (ArgsType, *extra_args, **extra_kwargs) and returns
            an instance.
        slurm_key: name of the field.
        slurm_params_kwargs: further sbatch options, by name.
        slurm_submit_kwargs: further arguments of submitit's ``update_parameters``.
        slurm_task_kwargs: further environment variables of the distributed task.
        extra_args: for the parser.
        extra_kwargs: for the parser.

    Raises:
        ConfigError: no such parser, or no SlurmConfig in the field.
    """
    if is_job_process():
        return SlurmFunction
    argv = sys.argv[1:]
    args = _parse(ArgsType, parser, extra_args, extra_kwargs)
    config = getattr(args, slurm_key, None)
    if not isinstance(config, SlurmConfig):
        raise ConfigError(
            f"{getattr(ArgsType, '__name__', ArgsType)} has no SlurmConfig in a field "
            f"'{slurm_key}'",
            hint=f"add '{slurm_key}: SlurmConfig', or name the field with slurm_key",
        )

    def decorate(submit_fn: Callable[..., Any]) -> SlurmFunction:
        return SlurmFunction(submit_fn, default_submit_fn_args=(args,)).configure(
            config,
            slurm_params_kwargs,
            slurm_submit_kwargs,
            slurm_task_kwargs,
            system_argv=argv,
        )

    return decorate


def _parse(
    args_type: type[Any],
    parser: str | Callable[..., Any],
    extra_args: tuple[Any, ...],
    extra_kwargs: dict[str, Any],
) -> Any:
    if callable(parser):
        return parser(args_type, *extra_args, **extra_kwargs)
    if parser != "tyro":
        raise ConfigError(
            f"unknown parser {parser!r}", hint="give 'tyro', or a callable that takes the type"
        )
    import tyro  # only here: it takes longer to import than all of slurmic

    return tyro.cli(args_type, *extra_args, **extra_kwargs)


def slurm_function(submit_fn: Callable[..., Any]) -> Callable[..., SlurmFunction]:
    """The older form of :func:`slurm_fn`: ``function(config)(*args)``. Deprecated."""

    def configured(
        slurm_config: SlurmConfig,
        slurm_params_kwargs: dict[str, Any] | None = None,
        slurm_submit_kwargs: dict[str, Any] | None = None,
        slurm_task_kwargs: dict[str, Any] | None = None,
        system_argv: list[str] | None = None,
    ) -> SlurmFunction:
        warnings.warn(
            "slurm_function is deprecated: use slurm_fn, and function[config](...)",
            DeprecationWarning,
            stacklevel=2,
        )
        return SlurmFunction(submit_fn).configure(
            slurm_config,
            slurm_params_kwargs,
            slurm_submit_kwargs,
            slurm_task_kwargs,
            system_argv,
        )

    return configured

"""SlurmFunction: a function that runs where its configuration says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from slurmic.config import SlurmConfig
from slurmic.environment import is_second_launch
from slurmic.errors import ConfigError

from .request import Condition, Settings

if TYPE_CHECKING:
    import submitit

    from .joblist import JobList


class SlurmFunction:
    """A function that can be called on Slurm, in a local process, or right here.

    ``function[config]`` gives a configured copy; calling that runs it. See :func:`slurm_fn`.

    Args:
        submit_fn: the function.
        default_submit_fn_args: arguments for a call without any.
        default_submit_fn_kwargs: keyword arguments for a call without any.
    """

    def __init__(
        self,
        submit_fn: Callable[..., Any],
        default_submit_fn_args: tuple[Any, ...] | None = None,
        default_submit_fn_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.submit_fn = submit_fn
        self.default_submit_fn_args = default_submit_fn_args or ()
        self.default_submit_fn_kwargs = default_submit_fn_kwargs or {}
        self._settings: Settings | None = None
        self.__doc__ = submit_fn.__doc__
        self.__name__ = getattr(submit_fn, "__name__", type(submit_fn).__name__)

    def is_configured(self) -> bool:
        """Whether it has a configuration."""
        return self._settings is not None

    def is_distributed(self) -> bool:
        """Whether its configuration asks for a distributed environment.

        Raises:
            ConfigError: it has no configuration.
        """
        return self.settings.config.use_distributed_env

    @property
    def settings(self) -> Settings:
        """The configuration, and what was given along with it.

        Raises:
            ConfigError: there is none yet.
        """
        if self._settings is None:
            raise ConfigError(
                f"'{self.__name__}' is not configured",
                hint=f"call it as {self.__name__}[slurm_config](...), with a SlurmConfig",
            )
        return self._settings

    @property
    def slurm_config(self) -> SlurmConfig:
        """The configuration.

        Raises:
            ConfigError: there is none yet.
        """
        return self.settings.config

    def get_executor(self) -> submitit.AutoExecutor:
        """The submitit executor for this configuration, on the live tree.

        Raises:
            ConfigError: there is no configuration, or submitit does not know a parameter in it.
        """
        from .executors import build_executor

        return build_executor(self.settings, None)

    def configure(
        self,
        slurm_config: SlurmConfig,
        slurm_params_kwargs: dict[str, Any] | None = None,
        slurm_submit_kwargs: dict[str, Any] | None = None,
        slurm_task_kwargs: dict[str, Any] | None = None,
        system_argv: list[str] | None = None,
        pack_code_include_fn: Callable[[str, str], bool] | None = None,
        pack_code_exclude_fn: Callable[[str, str], bool] | None = None,
    ) -> SlurmFunction:
        """A copy with this configuration.

        Args:
            slurm_config: the configuration.
            slurm_params_kwargs: further sbatch options, by name.
            slurm_submit_kwargs: further arguments of submitit's ``update_parameters``.
            slurm_task_kwargs: further environment variables of the distributed task. In all three,
                what the configuration itself says wins.
            system_argv: the program's arguments for the second launch of a distributed job; by
                default those of this program.
            pack_code_include_fn: called with (absolute path, absolute code_root) instead of the
                test of code_file_suffixes.
            pack_code_exclude_fn: called with (absolute path of a folder, absolute code_root)
                instead of the test of exclude_code_folders.

        Raises:
            ConfigError: `slurm_config` is no SlurmConfig.
        """
        if not isinstance(slurm_config, SlurmConfig):
            raise ConfigError(
                f"{type(slurm_config).__name__} {slurm_config!r} is not a SlurmConfig",
                hint="write function[SlurmConfig(...)](...)",
            )
        configured = copy.copy(self)
        configured._settings = Settings(
            config=slurm_config,
            params={**deepcopy(slurm_params_kwargs or {}), **slurm_config.extra_params_kwargs},
            submit={**deepcopy(slurm_submit_kwargs or {}), **slurm_config.extra_submit_kwargs},
            task={**deepcopy(slurm_task_kwargs or {}), **slurm_config.extra_task_kwargs},
            system_argv=system_argv,
            include=pack_code_include_fn,
            exclude_directory=pack_code_exclude_fn,
        )
        return configured

    def __getitem__(
        self, slurm_config: SlurmConfig | dict[str, Any] | tuple[Any, ...] | list[Any]
    ) -> SlurmFunction:
        """A copy with this configuration; a dict or tuple holds the arguments of `configure`."""
        if isinstance(slurm_config, dict):
            return self.configure(**slurm_config)
        if isinstance(slurm_config, (list, tuple)):
            return self.configure(*slurm_config)
        return self.configure(slurm_config)

    def __call__(self, *submit_fn_args: Any, **submit_fn_kwargs: Any) -> Any:
        """Run the function; ``submit`` is another name for it.

        Args:
            submit_fn_args: the function's arguments; without any, the default ones.
            submit_fn_kwargs: its keyword arguments, likewise.

        Returns:
            In mode "slurm" the submitted Job; its ``result()`` waits. In "local" and "debug" the
            finished Job. In "run", and in the second launch of a distributed job, the function's
            own value.

        Raises:
            ConfigError: it has no configuration, or a bad one; nothing was written.
            SelectionError, StoreError: the code could not be packed; nothing was submitted.
            SubmissionError: the job was refused; nothing is left of it.
            Exception: in modes other than "slurm", what the function raised.
        """
        config = self.settings.config
        args = submit_fn_args or self.default_submit_fn_args
        kwargs = submit_fn_kwargs or self.default_submit_fn_kwargs
        if config.mode == "run" or (config.use_distributed_env and is_second_launch()):
            return self.submit_fn(*args, **kwargs)
        from .dispatch import run_call

        return run_call(self.settings, self.submit_fn, args, kwargs)

    submit = __call__

    def map_array(self, *submit_fn_args: Iterable[Any], **submit_fn_kwargs: Any) -> JobList:
        """Run the function once for each tuple of arguments, as ``map`` does.

        In mode "slurm" that is one Slurm array with one snapshot; or several with one, if there are
        more tasks than this cluster takes in one. In the other modes the jobs are finished when
        this returns; a task that failed raises from its job's ``result()``, so a sweep can be tried
        without a cluster.

        Args:
            submit_fn_args: one iterable for each positional argument.
            submit_fn_kwargs: none may be given; the parameter is there for a clear error.

        Returns:
            A Job for each task, in order, in a list that can wait for all of them.

        Raises:
            ConfigError: it has no configuration, or a bad one, or is distributed; nothing was
                written.
            SelectionError, StoreError: the code could not be packed; nothing was submitted.
            SubmissionError: there are more tasks than may be in the queue, or Slurm refused them;
                all that was accepted is cancelled again.
        """
        if submit_fn_kwargs:
            names = ", ".join(sorted(submit_fn_kwargs))
            raise ConfigError(
                f"map_array takes no keyword arguments ({names})",
                hint="use functools.partial for arguments that are the same for all tasks",
            )
        if self.is_distributed():
            raise ConfigError(
                "map_array of a distributed function",
                hint="call it once for each configuration instead",
            )
        from .dispatch import run_array

        return run_array(
            self.settings, self.submit_fn, submit_fn_args or self.default_submit_fn_args
        )

    def on_condition(self, jobs: Any, condition: Condition = "afterok") -> SlurmFunction:
        """Run only after other jobs: several calls add up, and all conditions must hold.

        Works as a statement on a configured function, and by its value. Only mode "slurm" has
        anything to wait for; in the others a job is finished when its call returns.

        Args:
            jobs: a Job, a job id, or a list of those.
            condition: "afterok", "afterany" or "afternotok".

        Returns:
            This function itself.

        Raises:
            ConfigError: it has no configuration, or `jobs` are no Slurm jobs.
        """
        self.settings.add_condition(condition, jobs)
        return self

    def afterok(self, *jobs: Any) -> SlurmFunction:
        """Run only if these jobs end well; see :meth:`on_condition`."""
        return self.on_condition(jobs, "afterok")

    def afterany(self, *jobs: Any) -> SlurmFunction:
        """Run when these jobs have ended, however; see :meth:`on_condition`."""
        return self.on_condition(jobs, "afterany")

    def afternotok(self, *jobs: Any) -> SlurmFunction:
        """Run only if these jobs fail; see :meth:`on_condition`."""
        return self.on_condition(jobs, "afternotok")

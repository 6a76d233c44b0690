"""Distributed jobs: a task that computes the rendezvous, and launches the program again.

The submitted task runs once on each node. It works out the values of the rendezvous from Slurm's
environment, fills them into the launch command, and runs it there; the program that it starts finds
SLURMIC_SLURM_HAS_BEEN_SET_UP set, and its call of the function runs the function directly. The job
ends as the command ends.

When Slurm preempts the job, or its time is up, it sends submitit's signal (USR2) to every process
of the job. The launch command and what it starts ignore it unless they handle it, for instance to
save their state; the task has the job requeued, and leaves its processes what Slurm allows between
SIGTERM and SIGKILL (KillWait). The second run starts the same command, from the same code folder.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import submitit

from slurmic.config import SlurmConfig
from slurmic.environment import SECOND_LAUNCH
from slurmic.errors import ConfigError, SubmissionError
from slurmic.job.frozen_code import FrozenCode
from slurmic.job.rendezvous import free_port


class Task:
    """What a distributed job runs; the base of such tasks.

    Args:
        argv: the program's arguments for the second launch.
        slurm_config: the configuration.
        verbose: whether :meth:`log` prints.
    """

    def __init__(self, argv: list[str], slurm_config: SlurmConfig, verbose: bool = False) -> None:
        self.argv = argv
        self.slurm_config = slurm_config
        self.verbose = verbose

    def log(self, msg: str | Callable[[], str]) -> None:
        """Print a message, if the task is verbose; a callable is called only then."""
        if self.verbose:
            print(msg() if callable(msg) else msg, flush=True)

    def command(self) -> str:
        """The shell command of the second launch.

        Raises:
            NotImplementedError: a subclass has to say.
        """
        raise NotImplementedError

    def __call__(self) -> Any:
        """Run the task, in the job.

        Raises:
            NotImplementedError: a subclass has to say how.
        """
        raise NotImplementedError

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What to run after a requeue: the same again."""
        return submitit.helpers.DelayedSubmission(self)


@dataclass
class DistributedTaskConfig:
    """The values of a rendezvous.

    By default they are the names of the shell variables that :meth:`export_bash` sets.

    Attributes:
        num_processes: processes on all machines.
        num_machines: machines.
        machine_rank: which of the machines this is, from 0.
        main_process_ip: host of the process of rank 0.
        main_process_port: its port.
    """

    num_processes: int | str = "$slurmic_num_processes"
    num_machines: int | str = "$slurmic_num_machines"
    machine_rank: int | str = "$slurmic_machine_rank"
    main_process_ip: str = "$slurmic_main_process_ip"
    main_process_port: int | str = "$slurmic_main_process_port"

    def variables(self) -> dict[str, str]:
        """The values as environment variables, ``slurmic_<name>``."""
        return {f"slurmic_{name}": str(value) for name, value in asdict(self).items()}

    def export_bash(self, output_folder: str) -> None:
        """Write ``slurmic_distributed_env.sh``, which sets the variables when it is sourced.

        Args:
            output_folder: an existing folder.
        """
        lines = [f"export {name}={shlex.quote(v)}" for name, v in self.variables().items()]
        text = "\n".join(("#!/bin/bash", *lines, ""))
        Path(output_folder, "slurmic_distributed_env.sh").write_text(text)


class PyTorchDistributedTask(Task):
    """Computes PyTorch's rendezvous and runs the launch command with it.

    Args:
        launch_cmd: the command, with ``{num_processes}`` and so on for the values.
        argv: the program's arguments, appended to it.
        slurm_config: the configuration.
        verbose: whether it says what it does.
        env_setup_kwargs: further environment variables for the command.
    """

    def __init__(
        self,
        launch_cmd: str,
        argv: list[str],
        slurm_config: SlurmConfig,
        verbose: bool = False,
        **env_setup_kwargs: str,
    ) -> None:
        super().__init__(argv, slurm_config, verbose)
        self.launch_cmd = launch_cmd
        self.env_setup_kwargs = env_setup_kwargs
        self.code_folder = ""
        self.dist_args = DistributedTaskConfig()
        self.dist_env: submitit.helpers.TorchDistributedEnvironment | None = None

    def set_up_dist_env(
        self,
    ) -> tuple[DistributedTaskConfig, submitit.helpers.TorchDistributedEnvironment]:
        """Work out the values from the job's environment, and set the variables for the command.

        RANK, WORLD_SIZE and their like are left to the launch command: it starts the processes
        that have ranks.
        """
        config = self.slurm_config
        if config.mode != "slurm" and "MASTER_PORT" not in os.environ:
            os.environ["MASTER_PORT"] = str(free_port())
        environment = submitit.helpers.TorchDistributedEnvironment()
        variables = {
            "MASTER_ADDR": environment.master_addr,
            "MASTER_PORT": str(environment.master_port),
        }
        if config.mode == "slurm" and "SLURM_JOB_GPUS" in os.environ:
            variables["CUDA_VISIBLE_DEVICES"] = os.environ["SLURM_JOB_GPUS"]
        variables.update({name: str(value) for name, value in self.env_setup_kwargs.items()})
        os.environ.update(variables)
        self.dist_args = DistributedTaskConfig(
            num_processes=config.tasks_per_node * config.processes_per_task * config.num_of_node,
            num_machines=config.num_of_node,
            machine_rank=submitit.JobEnvironment().node,
            main_process_ip=environment.master_addr,
            main_process_port=environment.master_port,
        )
        self.dist_env = environment
        self.log(f"rendezvous: {self.dist_args}")
        return self.dist_args, environment

    def command(self) -> str:
        """The launch command with the values filled in and the program's arguments appended.

        Raises:
            ConfigError: it has a placeholder that nothing fills.
        """
        values = asdict(self.dist_args)
        try:
            launch = self.launch_cmd.format(**values)
        except (KeyError, IndexError, ValueError) as error:
            names = ", ".join("{" + name + "}" for name in values)
            raise ConfigError(
                f"distributed_launch_command '{self.launch_cmd}' has an unknown placeholder "
                f"({error})",
                hint=f"it may have {names}; write {{{{ and }}}} for braces",
            ) from error
        return f"{launch} {shlex.join(self.argv)}" if self.argv else launch

    def freeze_command(self, frozen: FrozenCode) -> None:
        """Let paths in the launch command that lie in the live tree mean their frozen copies."""
        for word in _words(self.launch_cmd):
            copied = frozen.frozen_path(word) if os.path.isabs(word) else None
            if copied is not None:
                self.launch_cmd = self.launch_cmd.replace(word, copied)
        self.code_folder = frozen.code_folder

    def __call__(self) -> int:
        """Run the launch command on this node, and wait for it.

        Returns:
            0

        Raises:
            SubmissionError: the command failed.
        """
        self.set_up_dist_env()
        own_folder = os.environ.get("SLURMIC_CODE", "")
        if self.code_folder and own_folder:
            # Each task, or each node, may have a folder of its own.
            self.launch_cmd = self.launch_cmd.replace(self.code_folder, own_folder)
            self.code_folder = own_folder
        command = self.command()
        self.log(f"running: {command}")
        variables = {**os.environ, **self.dist_args.variables(), SECOND_LAUNCH: "1"}
        sys.stdout.flush()
        local = self.slurm_config.mode != "slurm"
        process = subprocess.Popen(
            ["bash", "-c", f"trap '' {submitit.JobEnvironment.USR_SIG}\n{command}"],
            env=variables,
            start_new_session=local,  # Slurm ends what a job has started; here we have to
        )
        try:
            status = process.wait()
        except BaseException as error:
            if local:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
            elif not isinstance(error, SystemExit):
                process.kill()  # this task has failed, and its step is about to end
            # Else the job was requeued: Slurm ends these processes, as it ends this one.
            process.wait()
            raise
        if status:
            raise SubmissionError(
                f"the launch command ended with status {status}: {command}",
                hint="its output is in this job's log",
            )
        return 0


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()

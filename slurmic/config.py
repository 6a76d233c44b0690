"""SlurmConfig: everything that a user sets for a submission."""

from __future__ import annotations

import copy
import os
import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .defaults import (
    DEFAULT_EXCLUDED,
    DEFAULT_SUFFIXES,
    MAX_FILES,
    MAX_MB,
    NO_LIMIT,
    WARN_ADDED_FILES,
    WARN_ADDED_MB,
    WARN_FILES,
    WARN_MB,
)
from .errors import ConfigError

Mode = Literal["run", "debug", "local", "slurm"]
LinkMode = Literal["auto", "hardlink", "reflink", "copy"]
OnLiveImport = Literal["warn", "error", "ignore"]
CodeScope = Literal["submission", "tree", "task"]
CodeStage = Literal["shared", "node"]


@dataclass
class SlurmConfig:
    """How, and from which code, a function runs.

    Attributes:
        mode: "run" calls the function in this process and returns its plain value; "debug" does
            the same with a debugger on exceptions; "local" runs it in a process of its own on this
            machine; "slurm" submits it.
        job_name: name of the Slurm job.
        partition: Slurm partition; the cluster's default if empty.
        output_parent_path: folder above the output folder.
        output_folder: the output folder, for logs, results and code. Made to end in "slurm" in
            mode "slurm", in "slurm_<mode>" in the others; a name that does not end in "slurm" gets
            that as a subfolder. The whole path is `output_path`.
        node_list: nodes to run on, as in ``sbatch --nodelist``; any if empty.
        node_list_exclude: nodes not to run on, as in ``sbatch --exclude``.
        num_of_node: number of nodes.
        tasks_per_node: tasks on each node.
        gpus_per_task: GPUs for each task; they are requested for the node.
        cpus_per_task: CPUs for each task.
        gpus_per_node: GPUs on each node; if given, `gpus_per_task` is ignored.
        mem: memory per node as in ``sbatch --mem`` ("8GB"); the partition's default if empty.
        timeout_min: time limit in minutes; by default none is requested, and the partition's own
            limit applies.
        stderr_to_stdout: write both streams into one log.
        array_parallelism: how many tasks of an array run at once at most; 0 for as many as Slurm
            starts (or as "slurm_array_parallelism" in extra_submit_kwargs says).
        setup: shell commands that run before the job's own (environment variables, modules).
        pack_code: run from a frozen copy of the source tree (modes "slurm" and "local").
        use_packed_code: has no effect, and had none in 0.2.1, whose scripts may set it.
        code_root: the source tree to pack.
        code_file_suffixes: with a .gitignore in code_root: files that are packed although they
            are ignored; without one: the only files that are packed. An entry that begins with a
            dot is the end of a name (".py"); any other is a whole name or an extension
            ("Dockerfile").
        exclude_code_folders: folders relative to code_root that are never packed; with a
            wildcard, a pattern ("**/wandb").
        use_distributed_env: run `distributed_launch_command` on each node, with the values of a
            rendezvous filled in; in it, calling the function runs it directly.
        distributed_env_task: what computes the rendezvous; "torch" is the only one.
        processes_per_task: processes that the launch command starts for each task.
        distributed_launch_command: a shell command with ``{num_processes}``, ``{num_machines}``,
            ``{machine_rank}``, ``{main_process_ip}``, ``{main_process_port}``; the program's own
            arguments are appended.
        extra_params_kwargs: further sbatch options, by name.
        extra_submit_kwargs: further arguments of submitit's ``update_parameters``.
        extra_task_kwargs: further environment variables for the distributed task.
        store_path: where the store is; if empty, SLURMIC_STORE says so; otherwise it is in the home
            folder or above the output path, on the output path's filesystem.
        link_mode: how files get into code folders: "auto" takes hard links, else reflinks, else
            copies; each of the others fails where it is impossible.
        code_scope: which jobs share a code folder: "submission" gives each submission its own,
            shared by the tasks of an array; "tree" reuses the newest code folder of the same
            output path if it still holds exactly the same files; "task" gives each job and each
            array task its own, built when it starts.
        code_stage: where jobs read their code from: "shared", the output path; or "node", a copy
            on the node's own disk, below TMPDIR, that is deleted when the job ends.
        on_live_import: what a job does when a module comes from the live tree: "warn" in its log,
            fail with an "error", or "ignore" it.
        warn_code_files: warn if a snapshot has more files than this; 0 for never.
        warn_code_mb: warn if a snapshot has more megabytes (10^6 bytes) than this; 0 for never.
        warn_added_files: warn if code_file_suffixes adds back more files than this that git
            ignores; 0 for never. Files in git's index do not count, nor do virtual environments,
            which are warned of whatever their size.
        warn_added_mb: the same for their size in megabytes.
        max_code_files: refuse to pack more files than this; 0 for no limit.
        max_code_mb: refuse to pack more megabytes than this; 0 for no limit.
        require_clean: with `pack_code`: refuse a source tree that differs from its git commit
            (changed files, and packed files that git does not track), or if git cannot tell.

    Raises:
        ConfigError: a value is not allowed, or two contradict each other.
    """

    mode: Mode = "run"
    job_name: str = "Job"
    partition: str = ""
    output_parent_path: str = "./"
    output_folder: str = "slurm"
    node_list: str = ""
    node_list_exclude: str = ""
    num_of_node: int = 1
    tasks_per_node: int = 1
    gpus_per_task: int = 0
    cpus_per_task: int = 1
    gpus_per_node: int | None = None
    mem: str = ""
    timeout_min: int = NO_LIMIT
    stderr_to_stdout: bool = False
    setup: list[str] = field(default_factory=list)
    pack_code: bool = False
    use_packed_code: bool = False
    code_root: str = "."
    code_file_suffixes: list[str] = field(default_factory=lambda: list(DEFAULT_SUFFIXES))
    exclude_code_folders: list[str] = field(default_factory=lambda: list(DEFAULT_EXCLUDED))
    use_distributed_env: bool = False
    distributed_env_task: Literal["torch"] = "torch"
    processes_per_task: int = 1
    distributed_launch_command: str = ""
    extra_params_kwargs: dict[str, str] = field(default_factory=dict)
    extra_submit_kwargs: dict[str, str] = field(default_factory=dict)
    extra_task_kwargs: dict[str, str] = field(default_factory=dict)
    store_path: str = ""
    link_mode: LinkMode = "auto"
    code_scope: CodeScope = "submission"
    code_stage: CodeStage = "shared"
    on_live_import: OnLiveImport = "warn"
    array_parallelism: int = 0
    warn_code_files: int = WARN_FILES
    warn_code_mb: int = WARN_MB
    warn_added_files: int = WARN_ADDED_FILES
    warn_added_mb: int = WARN_ADDED_MB
    max_code_files: int = MAX_FILES
    max_code_mb: int = MAX_MB
    require_clean: bool = False

    def __post_init__(self) -> None:
        _require("mode", self.mode, get_args(Mode))
        _require("link_mode", self.link_mode, get_args(LinkMode))
        _require("code_scope", self.code_scope, get_args(CodeScope))
        _require("code_stage", self.code_stage, get_args(CodeStage))
        _require("on_live_import", self.on_live_import, get_args(OnLiveImport))
        _require("distributed_env_task", self.distributed_env_task, ("torch",))
        for name in _LIMITS:
            _require_count(name, getattr(self, name))
        if self.use_distributed_env and not self.distributed_launch_command:
            raise ConfigError(
                "distributed_launch_command is empty although use_distributed_env is True",
                hint="set it to the command that starts the processes of one node, such as "
                "'torchrun --nnodes {num_machines} --node_rank {machine_rank} ... train.py'",
            )
        self.output_folder = _output_folder(self.output_folder, self.mode)

    @property
    def output_path(self) -> str:
        """Where logs, results and code folders go: output_parent_path / output_folder.

        May be set (in 0.2.1 it was a plain attribute), and then is what it was set to.
        """
        given: str = self.__dict__.get("_output_path", "")
        return given or os.path.join(self.output_parent_path, self.output_folder)

    @output_path.setter
    def output_path(self, path: str) -> None:
        self.__dict__["_output_path"] = path

    def set_output_path(self, output_parent_path: str) -> SlurmConfig:
        """A copy of this configuration with another folder above its output folder."""
        changed = copy.deepcopy(self)
        changed.output_parent_path = output_parent_path
        changed.__dict__.pop("_output_path", None)
        return changed


SlurmArgs = SlurmConfig


def _output_folder(name: str, mode: Mode) -> str:
    """The output folder's name, with what the mode adds; the same again if it has been added."""
    base = re.sub(r"slurm_(run|debug|local)$", "slurm", name)
    ending = "" if mode == "slurm" else f"_{mode}"
    if not base.endswith("slurm"):
        base = os.path.join(base, "slurm")
    return base + ending


_LIMITS = (
    "array_parallelism",
    "warn_code_files",
    "warn_code_mb",
    "warn_added_files",
    "warn_added_mb",
    "max_code_files",
    "max_code_mb",
)


def _require_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(
            f"{name} cannot be {value!r}", hint="it is a whole number; 0 stands for no limit"
        )


def _require(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        choices = ", ".join(f"'{choice}'" for choice in allowed)
        raise ConfigError(f"{name} cannot be {value!r}", hint=f"it is one of {choices}")

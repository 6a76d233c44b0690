"""Commands as jobs: ``slurmic submit`` runs any command from a frozen copy of the source tree."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submitit.core.utils import CommandFunction, FailedJobError, JobPaths

from slurmic.errors import ConfigError
from slurmic.job import FrozenCode
from slurmic.job.command import command_line
from slurmic.progress import ProgressBar

from .arrays import refusal
from .code import pack_for, record_job_ids, withdraw
from .executors import build_executor
from .note import submission_note
from .request import Settings
from .slurmexecutor import FrozenSlurmExecutor

_SPEC = re.compile(r"(\d+(?:-\d+(?::\d+)?)?(?:,\d+(?:-\d+(?::\d+)?)?)*)(?:%(\d+))?")
_SIGNAL = "#SBATCH --signal="


@dataclass(frozen=True)
class ArraySpec:
    """The tasks of an array, as sbatch's option writes them: ``0-99``, ``1,3,7``, ``0-99:2%10``.

    Attributes:
        text: the numbers, without the limit.
        at_once: how many run at once; 0 for no limit.
    """

    text: str
    at_once: int = 0

    @classmethod
    def parse(cls, text: str, at_once: int = 0) -> ArraySpec:
        """Read one.

        Args:
            text: as the user wrote it.
            at_once: the limit where it has none.

        Raises:
            ConfigError: it is not one.
        """
        match = _SPEC.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"'{text}' is not an array",
                hint="write 0-99, or 1,3,7, or 0-99:2 for every second one; 0-99%10 runs ten at "
                "once",
            )
        spec = cls(match[1], int(match[2] or at_once))
        if not list(spec.numbers()):
            raise ConfigError(f"array '{text}' has no tasks")
        return spec

    def numbers(self) -> Iterator[int]:
        """SLURM_ARRAY_TASK_ID of each task, in order, each once."""
        seen = set()
        for run in self.text.split(","):
            bounds, _, step = run.partition(":")
            first, _, last = bounds.partition("-")
            for number in range(int(first), int(last or first) + 1, max(1, int(step or 1))):
                if number not in seen:
                    seen.add(number)
                    yield number

    def __str__(self) -> str:
        return f"{self.text}%{self.at_once}" if self.at_once else self.text


@dataclass
class CommandJob:
    """A command that was submitted, or that has run here.

    Attributes:
        job_id: the id of the job, or of the array.
        tasks: the ids of all its tasks.
        logs: where each writes its standard output.
        statuses: in mode "local", how each ended (0, or what the system gave); else empty.
    """

    job_id: str
    tasks: tuple[str, ...]
    logs: tuple[str, ...]
    statuses: list[int] = field(default_factory=list)


def frozen_argv(frozen: FrozenCode | None, argv: Sequence[str]) -> list[str]:
    """The command with packed files that it names by their live path replaced by their copies."""
    if frozen is None:
        return list(argv)
    words = []
    for word in argv:
        copied = frozen.frozen_path(word) if os.path.isabs(word) else None
        words.append(copied if copied is not None and os.path.isfile(copied) else word)
    return words


def submit_command(
    settings: Settings, argv: Sequence[str], array: ArraySpec | None = None
) -> CommandJob:
    """Submit a command, from a frozen copy of the source tree if the configuration says so.

    Raises:
        ConfigError, SelectionError, StoreError, SubmissionError: nothing was submitted, and nothing
            is left of it.
    """
    if not settings.config.pack_code:
        return run_command(settings, argv, array, None)
    packed, frozen = pack_for(settings)
    try:
        job = run_command(settings, frozen_argv(frozen, argv), array, frozen)
    except BaseException:
        withdraw(packed)
        raise
    record_job_ids(packed, job.tasks)
    return job


def run_command(
    settings: Settings, argv: Sequence[str], array: ArraySpec | None, frozen: FrozenCode | None
) -> CommandJob:
    """Submit a command, or run it here in mode "local" and return when it has ended.

    Args:
        settings: of mode "slurm" or "local".
        argv: the command's words.
        array: run it once for each of these numbers, which it finds in SLURM_ARRAY_TASK_ID.
        frozen: the code that it runs from; None for the live tree and the current folder.

    Raises:
        SubmissionError: sbatch refused; nothing is left of it in the output path.
        ConfigError: submitit knows no such parameter.
    """
    if settings.config.mode == "local":
        return _run_here(settings, argv, array, frozen)
    executor = build_executor(settings, frozen)._executor
    assert isinstance(executor, FrozenSlurmExecutor)
    options = dict(executor.parameters.get("additional_parameters") or {})
    if array is not None:
        options["array"] = str(array)
        executor.parameters["map_count"] = 1  # names the logs after array and task
    if frozen is None:
        options.setdefault("chdir", os.getcwd())
    executor.parameters["additional_parameters"] = options
    script = _script(
        executor, argv, frozen, {**submission_note(settings), **note(argv, array, frozen)}, options
    )
    folder = JobPaths.get_first_id_independent_folder(executor.folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f".submission_file_{uuid.uuid4().hex}.sh"
    try:
        written.write_text(script)
        output = CommandFunction(["sbatch", str(written)], verbose=False)()
        job_id = executor._get_job_id_from_submission_command(output)
        written.rename(folder / f"{job_id}_submission.sh")
    except BaseException as error:
        written.unlink(missing_ok=True)
        if isinstance(error, FailedJobError):
            raise refusal(str(error), "the command") from error
        raise
    tasks = [job_id] if array is None else [f"{job_id}_{number}" for number in array.numbers()]
    logs = [str(JobPaths(executor.folder, task).stdout) for task in tasks]
    return CommandJob(job_id, tuple(tasks), tuple(logs))


def note(argv: Sequence[str], array: ArraySpec | None, frozen: FrozenCode | None) -> dict[str, Any]:
    """What the script keeps of the command, for ``slurmic rerun``."""
    return {
        "command": list(argv),
        "array": "" if array is None else str(array),
        "frozen": None if frozen is None else frozen.to_dict(),
    }


def _script(
    executor: FrozenSlurmExecutor,
    argv: Sequence[str],
    frozen: FrozenCode | None,
    notes: dict[str, Any],
    options: dict[str, Any],
) -> str:
    executor._notes = notes
    command = command_line(executor.python, frozen, argv)
    text = executor._make_submission_file_text(command, uuid.uuid4().hex)
    if "signal" in options:
        return text
    # submitit's signal before the time limit would end a command that does not expect it.
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_SIGNAL))


def _run_here(
    settings: Settings, argv: Sequence[str], array: ArraySpec | None, frozen: FrozenCode | None
) -> CommandJob:
    config = settings.config
    folder = Path(config.output_path).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    command = command_line(shlex.quote(sys.executable), frozen, argv)
    lines = [*config.setup, f"exec {command}"]
    job_id = str(os.getpid())
    numbers: list[int | None] = [None] if array is None else [*array.numbers()]
    tasks = [job_id if number is None else f"{job_id}_{number}" for number in numbers]
    paths = [JobPaths(folder, task) for task in tasks]
    done = CommandJob(job_id, tuple(tasks), tuple(str(path.stdout) for path in paths))
    at_once = max(1, len(os.sched_getaffinity(0)) // max(1, config.cpus_per_task))
    if array is not None and array.at_once:
        at_once = min(at_once, array.at_once)
    seconds = None if config.timeout_min > 10**8 else 60.0 * config.timeout_min
    from concurrent.futures import ThreadPoolExecutor

    def run(number: int | None, path: JobPaths) -> int:
        variables = {
            **os.environ,
            "SUBMITIT_EXECUTOR": "local",
            "SUBMITIT_LOCAL_JOB_ID": str(path.job_id),
            "SUBMITIT_LOCAL_GLOBALID": "0",
        }
        if number is not None and array is not None:
            variables |= _array_variables(array, job_id, number)
        with open(path.stdout, "ab") as out, open(path.stderr, "ab") as err:
            errors = out if config.stderr_to_stdout else err
            try:
                return subprocess.run(
                    ["bash", "-c", "\n".join(lines)],
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=errors,
                    timeout=seconds,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                errors.write(b"slurmic: ended: its time limit has passed\n")
                return 124

    with ProgressBar("running tasks", len(tasks)) as bar, ThreadPoolExecutor(at_once) as pool:
        for status in pool.map(run, numbers, paths):
            done.statuses.append(status)
            bar.step()
    return done


def _array_variables(array: ArraySpec, job_id: str, number: int) -> dict[str, str]:
    numbers = list(array.numbers())
    return {
        "SLURM_ARRAY_JOB_ID": job_id,
        "SLURM_ARRAY_TASK_ID": str(number),
        "SLURM_ARRAY_TASK_COUNT": str(len(numbers)),
        "SLURM_ARRAY_TASK_MIN": str(min(numbers)),
        "SLURM_ARRAY_TASK_MAX": str(max(numbers)),
    }

"""slurmic submit: run any command on Slurm, from a frozen copy of the source tree."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import tyro

from slurmic.config import SlurmConfig
from slurmic.errors import ConfigError, SlurmicWarning
from slurmic.submit import ArraySpec, CommandJob, Settings, submit_command

from .configfields import CommandConfig
from .console import number, one_line, say, warn
from .exits import DONE, FAILED, USAGE

_LOG_BYTES, _LOG_LINES = 8192, 10


@dataclass
class Submit:
    """Run a command from a frozen copy of the source tree, and print the id of its job.

    Usage: slurmic submit [options] -- COMMAND [arguments]

    The command runs in the code folder, with its arguments as they are (packed files that are
    named by absolute paths are replaced by their copies); the job ends with its exit code. Its
    output goes to logs in the output folder. With --mode local it runs on this machine, and slurmic
    waits for it."""

    array: Annotated[str, tyro.conf.arg(metavar="SPEC")] = ""
    """run it once for each number, which it finds in SLURM_ARRAY_TASK_ID: 0-99, or 1,3,7, or 0-99:2
    for every second one; 0-99%10 runs ten at once"""

    after: Annotated[
        list[str], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="CONDITION:JOB[:JOB...]")
    ] = field(default_factory=list)
    """start only after other jobs: ok:1234 if they end well, notok:1234 if they fail, any:1234_7
    however they end; may be repeated, and all must hold"""

    config: Annotated[CommandConfig, tyro.conf.arg(name="configuration")] = field(
        default_factory=CommandConfig
    )
    """the configuration"""

    words: ClassVar[tuple[str, ...]] = ()  # what stands behind "--"; main sets it

    def run(self) -> int:
        """Submit it; the id goes to standard output."""
        if not self.words:
            say(
                "slurmic: error: no command\n  write it after --: slurmic submit -- python train.py"
            )
            return USAGE
        settings = Settings(self.config, dict(self.config.extra_params_kwargs))
        settings.submit = dict(self.config.extra_submit_kwargs)
        check_mode(self.config)
        for condition in self.after:
            add_condition(settings, condition)
        array = ArraySpec.parse(self.array, self.config.array_parallelism) if self.array else None
        with said_by_us():
            job = submit_command(settings, self.words, array)
        return report(job, self.config)


def check_mode(config: SlurmConfig) -> None:
    """Refuse what means nothing for a command.

    Raises:
        ConfigError: another mode, or a distributed function's settings.
    """
    if config.mode not in ("slurm", "local"):
        raise ConfigError(
            f"mode '{config.mode}' is for functions", hint="a command runs in mode slurm or local"
        )
    if config.use_distributed_env:
        raise ConfigError(
            "use_distributed_env is for functions",
            hint="give the launch command itself: slurmic submit -- torchrun ...",
        )


def add_condition(settings: Settings, text: str) -> None:
    """Let the job wait, as ``ok:1234:1235_7`` says.

    Raises:
        ConfigError: it says nothing of the kind.
    """
    kind, _, jobs = text.partition(":")
    kinds = {"ok": "afterok", "any": "afterany", "notok": "afternotok"}
    if kind not in kinds or not jobs:
        raise ConfigError(
            f"'{text}' is no condition", hint="write ok:1234, any:1234 or notok:1234_7:1235"
        )
    settings.add_condition(kinds[kind], jobs.replace(",", ":").split(":"))  # type: ignore[arg-type]


@contextlib.contextmanager
def said_by_us() -> Iterator[None]:
    """Give warnings of a submission as those of this command."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                if issubclass(warning.category, SlurmicWarning):
                    warn(str(warning.message))


def report(job: CommandJob, config: SlurmConfig) -> int:
    """Print the id, and say where to look; the exit code."""
    print(job.job_id)
    output = os.path.abspath(config.output_path)
    many = f"{number(len(job.tasks), 'task')}, " if len(job.tasks) > 1 else ""
    failed = [place for place, status in enumerate(job.statuses) if status]
    if not job.statuses:
        say(f"{many}submitted; logs: {one_line(job.logs[0] if not many else output)}")
    for place in failed[:5]:
        say(f"slurmic: error: {job.tasks[place]} ended with status {job.statuses[place]}")
        _say_end_of(job.logs[place])
        _say_end_of(job.logs[place].removesuffix(".out") + ".err")
    if len(failed) > 5:
        say(f"slurmic: error: and {len(failed) - 5} more")
    return FAILED if failed else DONE


def _say_end_of(log: str) -> None:
    try:
        with open(log, "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LOG_BYTES))
            lines = stream.read().decode(errors="replace").rstrip().splitlines()
    except OSError:
        return
    if lines:
        say(f"the end of {one_line(log)}:")
        for line in lines[-_LOG_LINES:]:
            say(f"  | {one_line(line)}")

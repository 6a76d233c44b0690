"""slurmic submit: run any command on Slurm, from a frozen copy of the source tree."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from slurmic.cli.arguments import configuration
from slurmic.cli.arguments.configuration import config_options, given_fields
from slurmic.cli.arguments.group import argument, command, option
from slurmic.cli.arguments.values import FILE
from slurmic.cli.exits import DONE, FAILED, UsageError
from slurmic.cli.output.console import say, submission_warnings
from slurmic.config import SlurmConfig
from slurmic.errors import ConfigError
from slurmic.text import counted, printable

if TYPE_CHECKING:
    from slurmic.submit import CommandJob, Settings

_LOG_BYTES, _LOG_LINES = 8192, 10


@command("submit", words=True)
@argument("words", "-- COMMAND [ARGUMENT]...", "what to run", nargs=-1, type=FILE)
@option(
    "--array",
    metavar="SPEC",
    default="",
    help="run it once for each number, which it finds in SLURM_ARRAY_TASK_ID: 0-99, or 1,3,7, or "
    "0-99:2 for every second one; 0-99%10 runs ten at once",
)
@option(
    "--after",
    metavar="CONDITION:JOB[:JOB...]",
    multiple=True,
    help="start only after other jobs: ok:1234 if they end well, notok:1234 if they fail, "
    "any:1234_7 however they end; may be repeated, and all must hold",
)
@config_options(
    configuration.GROUPS,
    defaults={"mode": "slurm", "pack_code": True},
    texts={
        "mode": '"slurm" submits it; "local" runs it on this machine, and slurmic waits for it',
        "pack_code": "run on the live source tree, in the current folder, not from a frozen copy",
        "output_folder": 'the output folder, for logs and code. Made to end in "slurm", or in '
        '"slurm_local" in mode "local"; a name that does not end so gets that as a subfolder',
        "setup": "a shell command that runs before it (to load modules, say)",
    },
    modes=("slurm", "local"),
)
def submit(words: tuple[str, ...], array: str, after: tuple[str, ...], **options: Any) -> int:
    """Run a command from a frozen copy of the source tree.

    The id of its job goes to standard output. The command runs in the code folder, with its
    arguments as they are (packed files that are named by absolute paths are replaced by their
    copies). The job ends with the command's exit code. The command's output goes to logs in the
    output folder. Options of slurmic stand before the --, and the command behind it.
    """
    if not words:
        raise UsageError(
            "no command was given", hint="write it after --: slurmic submit -- python train.py"
        )
    from slurmic.submit import ArraySpec, Settings, submit_command

    config = SlurmConfig(**given_fields(options))
    settings = Settings(config, dict(config.extra_params_kwargs))
    settings.submit = dict(config.extra_submit_kwargs)
    for condition in after:
        _add_condition(settings, condition)
    tasks = ArraySpec.parse(array, config.array_parallelism) if array else None
    with submission_warnings():
        job = submit_command(settings, words, tasks)
    return _report(job, config)


def _add_condition(settings: Settings, text: str) -> None:
    """Let the job wait, as ``ok:1234:1235_7`` says.

    Raises:
        ConfigError: the text is not of this form.
    """
    kind, _, jobs = text.partition(":")
    kinds = {"ok": "afterok", "any": "afterany", "notok": "afternotok"}
    if kind not in kinds or not jobs:
        raise ConfigError(
            f"'{text}' is not a condition", hint="write ok:1234, any:1234 or notok:1234_7:1235"
        )
    settings.add_condition(kinds[kind], jobs.replace(",", ":").split(":"))  # type: ignore[arg-type]


def _report(job: CommandJob, config: SlurmConfig) -> int:
    """Print the id, and say where to look; the exit code."""
    print(job.job_id)
    output = os.path.abspath(config.output_path)
    many = f"{counted(len(job.tasks), 'task')}, " if len(job.tasks) > 1 else ""
    failed = [place for place, status in enumerate(job.statuses) if status]
    if not job.statuses:
        say(f"{many}submitted; logs: {printable(job.logs[0] if not many else output)}")
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
        say(f"the end of {printable(log)}:")
        for line in lines[-_LOG_LINES:]:
            say(f"  | {printable(line)}")

"""What a submission takes from the environment, and what a record says of the process.

    SLURMIC_STORE                  where the store is, unless the configuration says so
    PYTHONPATH                     import roots of the submitting process
    SLURM_CONF                     which cluster Slurm's commands talk to
    SLURMIC_CODE_ROOT              in a job: the source tree that its code was packed from
    SLURMIC_CODE                   in a job: the code folder that it runs from
    SLURMIC_SLURM_HAS_BEEN_SET_UP  in the second launch of a distributed job

No other module of the submitting side takes a setting from the environment. The command line reads
how to draw (``NO_COLOR``, ``TERM``), and what runs in a job reads the variables of its job. The
whole environment is handed on to git, to Slurm's clients and to the processes of local jobs.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from .version import installed_version

SECOND_LAUNCH = "SLURMIC_SLURM_HAS_BEEN_SET_UP"
"""Set for the processes that a distributed job's launch command starts."""


def store_setting() -> str:
    """Where the user wants the store to be, or ""."""
    return os.environ.get("SLURMIC_STORE", "")


def cluster_setting() -> str:
    """Which cluster Slurm's commands talk to, as far as the environment says."""
    return os.environ.get("SLURM_CONF", "")


def python_path() -> str:
    """PYTHONPATH, or ""."""
    return os.environ.get("PYTHONPATH", "")


def frozen_folder(code_root: str) -> str:
    """The code folder that this process runs from, if it is a job of the tree at `code_root`.

    "" in any other process: a job of one project may submit another.
    """
    root = os.environ.get("SLURMIC_CODE_ROOT", "")
    if not root or os.path.realpath(root) != os.path.realpath(code_root):
        return ""
    return os.environ.get("SLURMIC_CODE", "")


def is_second_launch() -> bool:
    """Whether this process was started by a distributed job's launch command."""
    return SECOND_LAUNCH in os.environ


def is_job_process() -> bool:
    """Whether this process is a job's, so that its arguments are submitit's, not the program's."""
    parts = os.path.normpath(sys.argv[0] if sys.argv else "").split(os.sep)
    return parts[-3:] == ["submitit", "core", "_submit.py"]


def home_folder() -> str:
    """The user's home folder; "" if there is none."""
    home = os.path.expanduser("~")
    return home if os.path.isabs(home) else ""


def user_name() -> str:
    """The user's name, or the user id where there is no name (in containers)."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def host_name() -> str:
    """This host's name."""
    return os.uname().nodename


def python_version() -> str:
    """The interpreter's version, as in "3.12.1"."""
    return sys.version.partition(" ")[0]


def about_process() -> dict[str, Any]:
    """What a record says of the process that takes a snapshot: command, host, user, versions."""
    return {
        "command": command_line(),
        "host": host_name(),
        "user": user_name(),
        "python": python_version(),
        "slurmic": installed_version(),
    }


def command_line() -> list[str]:
    """The command line of this process; a long one is cut, as every look at a store reads it."""
    command, room = [], COMMAND_CHARACTERS
    for word in sys.orig_argv:
        if len(word) > room:
            command.append(word[:room] + "…")
            break
        command.append(word)
        room -= len(word) + 1
    return command


COMMAND_CHARACTERS = 4096
"""How much of a command line goes into a record."""

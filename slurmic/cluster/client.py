"""Running one of Slurm's clients: one time limit, one environment, one kind of answer."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

TIME_LIMIT = 30.0
"""Seconds that a client may take: three times Slurm's own default for one message
(``MessageTimeout``), and short enough for a job to ask twice in the 90 s before its end."""

_FILTERS = ("SQUEUE_", "SACCT_", "SCONTROL_", "SINFO_")
"""Variables by which a user sets what these clients show *people*. SQUEUE_PARTITION, for instance,
hides jobs, and a job that is hidden would be taken for one that has ended."""

_UNKNOWN_JOB = "Invalid job id"


@dataclass(frozen=True)
class Answer:
    """The answer of a client.

    Attributes:
        text: its standard output; "" if it failed.
        problem: why there is no answer, in one line; "" if there is one.
        is_missing: there is no such program on this host.
    """

    text: str = ""
    problem: str = ""
    is_missing: bool = False

    @property
    def lines(self) -> list[str]:
        """The lines of its output."""
        return self.text.splitlines()

    @property
    def has_forgotten(self) -> bool:
        """Whether it failed because Slurm does not know the jobs (any more)."""
        return _UNKNOWN_JOB in self.problem


def ask(*command: str) -> Answer:
    """Run a client and wait for its answer, at most :data:`TIME_LIMIT` seconds.

    Args:
        command: the program and its arguments.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIME_LIMIT,
            check=False,
            env=_environment(),
        )
    except FileNotFoundError:
        return Answer(problem=f"there is no {command[0]} on this host", is_missing=True)
    except OSError as error:
        return Answer(problem=f"{command[0]} cannot be run: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Answer(problem=f"{command[0]} took more than {TIME_LIMIT:g} s")
    if done.returncode:
        # The last line says why; those before it tell of attempts that failed.
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return Answer(problem=said[-1] if said else f"{command[0]} ended with {done.returncode}")
    return Answer(done.stdout.decode(errors="replace"))


def _environment() -> dict[str, str]:
    """This process's environment without the user's display settings for Slurm's clients.

    Which cluster is asked (``SLURM_CONF``, ``SLURM_CLUSTERS``) stays as it is.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_FILTERS)}
    kept.pop("SLURM_TIME_FORMAT", None)
    # Otherwise the tasks of a long array are cut after 64 characters: "12_[1,3,5,...]".
    return kept | {"SLURM_BITSTR_LEN": "0"}

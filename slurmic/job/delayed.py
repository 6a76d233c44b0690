"""submitit's pickle of a call, with the time limit that the job really has.

submitit compares a job's running time with the limit that was asked for, to tell a time-out from a
preemption: after a time-out it resumes what has a checkpoint, a limited number of times, and fails
what has none. Where no limit is asked for, the partition's own applies. Unless the job looks that
up, its end would be taken for a preemption, and a function without a checkpoint would be requeued,
run into the limit and be requeued for ever.
"""

from __future__ import annotations

import os
import subprocess

from submitit.core import utils

UNLIMITED_MIN = 10 * 366 * 24 * 60
"""Minutes that mean: no limit was asked for, or there is none."""


class DelayedSubmission(utils.DelayedSubmission):
    """A call that submitit runs in a job. Its name must be that of its base: submitit checks it."""

    @property
    def _timeout_min(self) -> int:
        """The job's time limit in minutes; submitit's handler of signals asks for it."""
        asked = int(self.__dict__.get("_limit", 0))
        return granted_minutes() if asked >= UNLIMITED_MIN else asked

    @_timeout_min.setter
    def _timeout_min(self, minutes: int) -> None:
        self.__dict__["_limit"] = minutes


def granted_minutes() -> int:
    """The time limit in minutes of the Slurm job that this process belongs to.

    :data:`UNLIMITED_MIN` if it has none, or Slurm does not answer, or this is no Slurm job.
    """
    job_id = os.environ.get("SLURM_JOB_ID", "")
    if not job_id:
        return UNLIMITED_MIN
    try:
        answer = subprocess.run(
            ["squeue", "--noheader", f"--jobs={job_id}", "--format=%l"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return parse_minutes(answer.stdout.split()[0])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return UNLIMITED_MIN


def parse_minutes(text: str) -> int:
    """Minutes of a time limit as squeue prints it: ``[days-][hours:]minutes:seconds``.

    Raises:
        ValueError: it is none, as "INVALID".
    """
    if text in ("UNLIMITED", "NOT_SET"):
        return UNLIMITED_MIN
    days, _, clock = text.rpartition("-")
    hours, minutes, seconds = (int(part) for part in ["0", "0", *clock.split(":")][-3:])
    return (int(days or 0) * 24 + hours) * 60 + minutes + seconds // 60

"""Requeued and timed-out jobs told from failed ones: submitit's pickle of a call, in the job.

**The time limit is the one that the job really has.** submitit compares a job's running time with
the limit that was asked for, to tell a time-out from a preemption: after a time-out it resumes what
has a checkpoint, a limited number of times, and fails what has none. Where no limit is asked for,
the partition's own applies. Unless the job looks that up, its end would be taken for a preemption,
and a function without a checkpoint would be requeued, run into the limit and be requeued for ever.

**A requeued job has not failed.** To requeue itself, a job runs ``scontrol requeue``; Slurm answers
by ending all processes of the job, and on a busy machine ``scontrol`` is one of them. submitit took
its death for an error of the function, and wrote that down as the job's result, although the job
was about to start again.

**A checkpoint that was cut off does not prevent the next one.** submitit refuses to write where the
temporary file of an earlier, killed attempt lies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from submitit.core import utils
from submitit.core.job_environment import JobEnvironment

from slurmic.cluster.queue import time_limit

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

    def result(self) -> Any:
        """Call the function, in the job, and return what it returns.

        Raises:
            SystemExit: the job is on its way out because it was requeued.
            Exception: what the function raises.
        """
        _remove_cut_off()
        _take_continue_silently()
        try:
            return super().result()
        except subprocess.CalledProcessError as error:
            if _is_requeue(error):
                sys.exit(-1)  # as submitit does after a requeue that it saw the end of
            raise


def _take_continue_silently() -> None:
    """Do nothing on SIGCONT, where submitit writes a line to the log.

    Slurm sends it right before the signal that a job is about to end. If that came amid the line,
    logging swallowed what submitit's handler raised, and the job ran on until it was killed.
    """
    if getattr(signal.getsignal(signal.SIGCONT), "__name__", "") == "bypass":
        signal.signal(signal.SIGCONT, lambda *_: None)


def _is_requeue(error: subprocess.CalledProcessError) -> bool:
    """Whether Slurm ended ``scontrol requeue`` together with the job."""
    command = error.cmd if isinstance(error.cmd, list) else []
    return command[:2] == ["scontrol", "requeue"] and error.returncode in (
        -signal.SIGTERM,
        -signal.SIGKILL,
    )


def _remove_cut_off() -> None:
    """Remove the temporary files of an earlier run of this job; no other process writes them."""
    try:
        environment = JobEnvironment()
        paths = environment.paths
    except (RuntimeError, KeyError):
        return  # no job: DelayedSubmission is also called where it was made
    written = [paths.result_pickle]
    if environment.global_rank == 0:
        written.append(paths.submitted_pickle)
    for path in written:
        with contextlib.suppress(OSError):
            Path(f"{path}.save_tmp").unlink()


def granted_minutes() -> int:
    """The time limit in minutes of the Slurm job that this process belongs to.

    :data:`UNLIMITED_MIN` if it has none, or Slurm does not answer, or this is no Slurm job.
    """
    job_id = os.environ.get("SLURM_JOB_ID", "")
    if not job_id:
        return UNLIMITED_MIN
    # Twice: at the end of its time a job without an answer would be taken for a preempted one, and
    # requeued. Both tries are over within the 90 seconds that are left then.
    for _ in range(2):
        with contextlib.suppress(ValueError):
            return parse_minutes(time_limit(job_id))
    return UNLIMITED_MIN


def parse_minutes(text: str) -> int:
    """Minutes of a time limit as squeue prints it: ``[days-][hours:]minutes:seconds``.

    Raises:
        ValueError: it is not one, as "INVALID" or "".
    """
    if text in ("UNLIMITED", "NOT_SET"):
        return UNLIMITED_MIN
    days, _, clock = text.rpartition("-")
    hours, minutes, seconds = (int(part) for part in ["0", "0", *clock.split(":")][-3:])
    return (int(days or 0) * 24 + hours) * 60 + minutes + seconds // 60

"""Which jobs have ended: asked of Slurm's controller, or for local jobs of this host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable

from slurmic import environment
from slurmic_store import SnapshotRecord

PATIENCE_SECONDS = 60.0
"""How long squeue is waited for."""

_ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    }
)
"""States that a job does not leave again by itself. (Jobs that are requeued are PENDING, or
SPECIAL_EXIT.)"""


class QueueUnknownError(Exception):
    """Slurm did not answer; the text says why."""


def unfinished_jobs() -> frozenset[str]:
    """The numbers of this user's jobs and arrays that wait or run, by this host's Slurm.

    Raises:
        QueueUnknownError: it cannot be asked.
    """
    # Not by --jobs: one that the controller has forgotten would make the whole question fail.
    command = ["squeue", "--noheader", "--states=all", "--format=%F|%A|%T"]
    command.append(f"--user={os.geteuid()}")
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise QueueUnknownError("there is no squeue on this host") from None
    except subprocess.TimeoutExpired:
        raise QueueUnknownError(f"squeue took more than {PATIENCE_SECONDS:.0f} s") from None
    except OSError as error:
        raise QueueUnknownError(f"squeue cannot be run: {error.strerror}") from error
    if answer.returncode:
        lines = answer.stderr.strip().splitlines()
        raise QueueUnknownError(lines[0] if lines else f"squeue ended with {answer.returncode}")
    unfinished = set()
    for line in answer.stdout.splitlines():
        array, number, state = line.split("|")
        if state not in _ENDED:
            unfinished |= {array, number}
    return frozenset(unfinished)


def why_unfinished(record: SnapshotRecord, unfinished: Iterable[str]) -> str:
    """Why jobs of a snapshot may still need it, for all that is known; "" if all have ended.

    Args:
        record: the snapshot's record.
        unfinished: as :func:`unfinished_jobs` gives them.
    """
    if not record.jobs:
        return "no job of it is known"
    if record.info.get("mode") == "local":
        return _why_local_unfinished(record)
    numbers = {job.partition("_")[0].partition("+")[0] for job in record.jobs}
    waiting = sorted(numbers.intersection(unfinished))
    return f"job {waiting[0]} has not ended" if waiting else ""


def _why_local_unfinished(record: SnapshotRecord) -> str:
    if record.info.get("host") != environment.host_name():
        return f"its processes were of host {record.info.get('host')}"
    for job in record.jobs:
        # Some other process may have the number by now: then the record stays a little longer.
        if os.path.exists(f"/proc/{job}"):
            return f"process {job} runs"
    return ""

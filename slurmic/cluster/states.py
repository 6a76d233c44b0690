"""Every state of a job, and what it means. The names and codes are those of squeue's manual.

A state that is not in the table (of a newer Slurm) counts as one that has not ended: then nothing
that the job may need is deleted, and no submission that waits for it is refused.
"""

from __future__ import annotations

from typing import Literal

Phase = Literal["waiting", "running", "succeeded", "killed", "failed"]
"""waiting: it may start (again). running: it has started, and its processes may still be there.
succeeded, failed: its processes have ended. killed: it was ended from outside, and need not have
left a result."""

_TABLE: dict[str, tuple[str, Phase]] = {
    "BOOT_FAIL": ("BF", "killed"),
    "CANCELLED": ("CA", "killed"),
    "COMPLETED": ("CD", "succeeded"),
    "COMPLETING": ("CG", "running"),
    "CONFIGURING": ("CF", "running"),
    "DEADLINE": ("DL", "killed"),
    "FAILED": ("F", "failed"),
    "NODE_FAIL": ("NF", "killed"),
    "OUT_OF_MEMORY": ("OOM", "killed"),
    "PENDING": ("PD", "waiting"),
    "PREEMPTED": ("PR", "killed"),
    "REQUEUED": ("RQ", "waiting"),
    "REQUEUE_FED": ("RF", "waiting"),
    "REQUEUE_HOLD": ("RH", "waiting"),
    "RESIZING": ("RS", "running"),
    "RESV_DEL_HOLD": ("RD", "waiting"),
    # In a federation: another cluster has started the job, and this one only keeps its number.
    "REVOKED": ("RV", "running"),
    "RUNNING": ("R", "running"),
    "SIGNALING": ("SI", "running"),
    "SPECIAL_EXIT": ("SE", "waiting"),
    "STAGE_OUT": ("SO", "running"),
    "STOPPED": ("ST", "running"),
    "SUSPENDED": ("S", "running"),
    "TIMEOUT": ("TO", "killed"),
}

_NAMES = {code: name for name, (code, _) in _TABLE.items()}


def state_name(text: str) -> str:
    """The state that a client has written, in full: one word, without what follows it.

    "CANCELLED by 1000" is CANCELLED, "OUT_OF_ME+" (cut by sacct's column) OUT_OF_MEMORY, "TO"
    TIMEOUT. What is not in the table comes out as its first word.
    """
    word = text.split()[0] if text.split() else ""
    if word.endswith("+"):
        found = [name for name in _TABLE if name.startswith(word[:-1])]
        return found[0] if len(found) == 1 else word[:-1]
    return _NAMES.get(word, word)


def phase(text: str) -> Phase | None:
    """What a state means; None for one that this table does not have."""
    entry = _TABLE.get(state_name(text))
    return None if entry is None else entry[1]


def has_ended(text: str) -> bool:
    """Whether a job in this state has ended, and does not run again unless it is requeued."""
    return phase(text) in ("succeeded", "killed", "failed")


def has_failed(text: str) -> bool:
    """Whether the job has ended, and not well.

    A requeued job passes through PREEMPTED and NODE_FAIL for a moment: ask the controller, which
    has it PENDING by then, before the accounting.
    """
    return phase(text) in ("killed", "failed")


def was_killed(text: str) -> bool:
    """Whether the job was ended from outside, and so need not have left a result."""
    return phase(text) == "killed"

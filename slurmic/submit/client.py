"""Slurm's client commands: what they answer, and what they say when they fail."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

_ASK_SECONDS, _RUN_SECONDS = 60, 120


def ask(*command: str) -> list[str] | None:
    """The lines that a command of Slurm's prints; None if it fails.

    squeue fails when none of the jobs asked for is known; that is an answer, too: no lines.
    """
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    if answer.returncode and "Invalid job id" not in answer.stderr:
        return None
    return answer.stdout.splitlines()


def run(command: Sequence[str]) -> str:
    """Run one that changes something; what it said if it failed, else ""."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{shlex.join(command)}: {error}"
    return (answer.stderr.strip() or f"status {answer.returncode}") if answer.returncode else ""

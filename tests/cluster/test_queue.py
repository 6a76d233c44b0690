"""Which jobs have not ended, and why code may still be needed, by what clients answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slurmic import environment
from slurmic.cluster.queue import (
    QueueUnknownError,
    release,
    time_limit,
    unfinished_jobs,
    why_unfinished,
)
from slurmic_store import SnapshotRecord

Client = Callable[[str, str], None]


def record(*jobs: str, **info: Any) -> SnapshotRecord:
    """A record of a snapshot with these jobs."""
    return SnapshotRecord("261122-174000-3f9a1c", 1.7e9, "0" * 32, (), jobs=jobs, info=info)


def test_jobs_that_wait_or_run_or_are_in_an_unknown_state_have_not_ended(script: Client) -> None:
    states = {"1": "RUNNING", "2": "COMPLETED", "3": "TIMEOUT", "4": "A_NEW_STATE", "5": "REVOKED"}
    lines = [f"echo '{number}|{number}|{state}'" for number, state in states.items()]
    script("squeue", "; ".join([*lines, "echo '10|17|PENDING'"]))
    assert unfinished_jobs() == {"1", "4", "5", "10", "17"}


def test_silence_does_not_mean_that_jobs_have_ended(script: Client) -> None:
    with pytest.raises(QueueUnknownError, match="there is no squeue on this host"):
        unfinished_jobs()
    script("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(QueueUnknownError, match="Unable to contact"):
        unfinished_jobs()


def test_only_jobs_that_are_known_to_have_ended_do_not_need_their_code() -> None:
    assert why_unfinished(record("12_[0-9]", "7"), {"12"}) == "job 12 has not ended"
    assert why_unfinished(record("12_[0-9]", "7"), {"1"}) == ""
    assert why_unfinished(record(), set()) == "none of its jobs is known"


def test_local_processes_are_asked_of_their_own_host() -> None:
    here = environment.host_name()
    running = record(str(os.getpid()), mode="local", host=here)
    assert why_unfinished(running, set()) == f"process {os.getpid()} runs"
    elsewhere = record("1", mode="local", host=here + "-2")
    assert why_unfinished(elsewhere, set()) == f"its processes ran on host {here}-2"
    # Above the highest number that Linux gives to a process.
    assert why_unfinished(record(str(2**22 + 1), mode="local", host=here), set()) == ""


def test_a_time_limit_is_what_squeue_prints(script: Client) -> None:
    assert time_limit("1") == ""
    script("squeue", "echo '  1-00:00:00 '")
    assert time_limit("1") == "1-00:00:00"


def test_held_jobs_are_released_by_one_command(script: Client, program: Path) -> None:
    script("scontrol", f"echo $@ >>{program}/said")
    assert release(["1", "2"]) == release([]) == ""
    assert (program / "said").read_text() == "release 1,2\n"

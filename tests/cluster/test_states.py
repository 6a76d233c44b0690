"""The one table of job states, held against squeue's own help where it is installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from slurmic.cluster.states import (
    has_ended,
    has_failed,
    phase,
    state_name,
    was_killed,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("RUNNING", "RUNNING"),
        ("CANCELLED by 1000", "CANCELLED"),
        ("CANCELLED+", "CANCELLED"),
        ("OUT_OF_ME+", "OUT_OF_MEMORY"),
        ("REQUEUE_+", "REQUEUE_"),  # of several: not guessed
        ("TO", "TIMEOUT"),
        ("OOM", "OUT_OF_MEMORY"),
        ("A_NEW_STATE", "A_NEW_STATE"),
        ("", ""),
    ],
)
def test_what_clients_write_is_read(text: str, name: str) -> None:
    assert state_name(text) == name


def test_what_the_states_mean() -> None:
    ended = "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED"
    for state in (ended + " TIMEOUT").split():
        assert has_ended(state), state
        assert has_failed(state) is (state != "COMPLETED"), state
        assert was_killed(state) is (state not in ("COMPLETED", "FAILED")), state
    waiting = "PENDING REQUEUED REQUEUE_HOLD REQUEUE_FED RESV_DEL_HOLD SPECIAL_EXIT"
    for state in waiting.split():
        assert phase(state) == "waiting" and not has_ended(state), state
    running = "RUNNING COMPLETING CONFIGURING RESIZING SIGNALING STAGE_OUT STOPPED SUSPENDED"
    for state in running.split():
        assert phase(state) == "running" and not has_ended(state), state


def test_a_job_that_another_cluster_has_started_has_not_ended() -> None:
    """gc would delete the code of a job that runs elsewhere in the federation."""
    assert not has_ended("REVOKED") and not has_failed("RV") and not was_killed("REVOKED")


def test_an_unknown_state_has_not_ended() -> None:
    assert phase("A_NEW_STATE") is None
    assert not has_ended("A_NEW_STATE") and not has_failed("A_NEW_STATE")


@pytest.mark.skipif(shutil.which("squeue") is None, reason="Slurm is not installed")
def test_squeue_knows_every_state_of_the_table() -> None:
    """squeue reads its options before it looks for a cluster, and refuses unknown names."""
    from slurmic.cluster.states import _TABLE

    unknown = [
        name
        for name in _TABLE
        if "Invalid job state"
        in subprocess.run(
            ["squeue", f"--states={name}"], capture_output=True, text=True, timeout=60, check=False
        ).stderr
    ]
    assert not unknown

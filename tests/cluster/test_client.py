"""Running Slurm's clients: programs on PATH stand for clients that answer oddly or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from slurmic.cluster import client
from slurmic.cluster.client import Answer, ask
from slurmic.cluster.jobstates import accounted_tasks, queued_tasks
from slurmic.cluster.queue import cancel

Client = Callable[[str, str], None]


def test_an_answer(script: Client) -> None:
    script("squeue", "echo a; echo b")
    assert ask("squeue").lines == ["a", "b"]
    assert not ask("squeue").problem


def test_no_answer_says_why(script: Client, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ask("no-such-client")
    assert missing == Answer(problem="there is no no-such-client on this host", is_missing=True)
    script("squeue", "echo first >&2; echo 'squeue: error: last' >&2; echo out; exit 1")
    assert ask("squeue") == Answer(problem="squeue: error: last")
    script("squeue", "exit 3")
    assert ask("squeue").problem == "squeue ended with 3"
    (program / "squeue").write_bytes(b"\x7fELF, but not really")
    assert ask("squeue").problem == "squeue cannot be run: Exec format error"
    script("squeue", "while :; do :; done")
    monkeypatch.setattr(client, "TIME_LIMIT", 0.2)
    assert ask("squeue").problem == "squeue took more than 0.2 s"


def test_display_settings_of_the_user_do_not_hide_jobs(
    script: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that SQUEUE_PARTITION hides would be taken for one that has ended."""
    for name in ("SQUEUE_PARTITION", "SQUEUE_FORMAT", "SACCT_FORMAT", "SLURM_TIME_FORMAT"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("SLURM_CONF", "/the/cluster")
    monkeypatch.setenv("SLURM_BITSTR_LEN", "64")
    script("squeue", "/usr/bin/env")
    shown = ask("squeue").lines
    assert "SLURM_CONF=/the/cluster" in shown
    assert "SLURM_BITSTR_LEN=0" in shown
    assert not [line for line in shown if line.endswith("=mine")]


def test_forgotten_jobs_are_an_answer_and_silence_is_not(script: Client) -> None:
    script("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert queued_tasks({"1"}) == {}
    script("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert queued_tasks({"1"}) is None
    script("squeue", "echo '12_3|RUNNING'; echo '12_4|CANCELLED by 1000'; echo '7|PENDING'")
    assert queued_tasks({"7", "12"}) == {
        "12": {"12_3": "RUNNING", "12_4": "CANCELLED"},
        "7": {"7": "PENDING"},
    }
    script("sacct", "exit 1")
    assert accounted_tasks({"1"}) is None
    assert accounted_tasks(set()) == {}


def test_many_jobs_are_cancelled_by_several_commands(script: Client, program: Path) -> None:
    script("scancel", f"echo $# >>{program}/counts")
    assert cancel([str(number) for number in range(2500)]) == ""
    assert (program / "counts").read_text().split() == ["1000", "1000", "500"]
    assert cancel([]) == ""
    script("scancel", "echo 'scancel: error: Access denied' >&2; exit 1")
    assert cancel(["1"]) == "scancel: error: Access denied"

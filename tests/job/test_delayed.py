"""The time limit that a job really has: what tells a time-out from a preemption."""

from __future__ import annotations

import pickle
import signal
import subprocess
from pathlib import Path

import cloudpickle
import pytest
from submitit.core import utils
from submitit.core.job_environment import JobEnvironment, SignalHandler

from slurmic.job.delayed import UNLIMITED_MIN, DelayedSubmission, parse_minutes


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("30:00", 30),
        ("1:00", 1),
        ("2:00:00", 120),
        ("1-00:00:00", 24 * 60),
        ("3-12:30:00", (3 * 24 + 12) * 60 + 30),
        ("UNLIMITED", UNLIMITED_MIN),
    ],
)
def test_limits_as_squeue_prints_them(text: str, minutes: int) -> None:
    assert parse_minutes(text) == minutes


def test_something_else_is_no_limit() -> None:
    with pytest.raises(ValueError):
        parse_minutes("INVALID")


def submission(asked: int) -> DelayedSubmission:
    """A call as a job has it: pickled and loaded again."""
    delayed = DelayedSubmission(max, 1, 2)
    delayed.set_timeout(asked, 3)
    loaded = pickle.loads(cloudpickle.dumps(delayed))
    assert isinstance(loaded, DelayedSubmission)
    return loaded


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A squeue that answers as the file says, for job 7."""
    program = tmp_path / "squeue"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    return program


def answers(program: Path, text: str) -> None:
    program.write_text(f'#!/bin/sh\ncase "$*" in *--jobs=7*) {text} ;; *) exit 2 ;; esac\n')
    program.chmod(0o755)


def test_the_partitions_limit_counts_where_none_was_asked_for(
    squeue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, a function that has no checkpoint is requeued at its end, for ever."""
    answers(squeue, "echo 15:00")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    paths = utils.JobPaths(tmp_path, "7")

    def ran_for(minutes: float, delayed: DelayedSubmission) -> bool:
        handler = SignalHandler(JobEnvironment(), paths, delayed)
        handler._start_time -= minutes * 60
        return handler.has_timed_out()

    assert ran_for(14, submission(UNLIMITED_MIN))
    assert not ran_for(1, submission(UNLIMITED_MIN))
    assert not ran_for(14, submission(60))
    answers(squeue, "echo UNLIMITED")
    assert not ran_for(14, submission(UNLIMITED_MIN))


@pytest.mark.parametrize("answer", ["exit 1", "true", "echo INVALID"])
def test_a_slurm_that_does_not_answer_means_no_limit(squeue: Path, answer: str) -> None:
    answers(squeue, answer)
    assert submission(UNLIMITED_MIN)._timeout_min == UNLIMITED_MIN


def test_the_signal_of_the_end_is_not_lost_in_a_line_about_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes right behind SIGCONT; raised amid submitit's line on that, the error was swallowed
    by logging, and the function went on."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SUBMITIT_FOLDER", str(tmp_path))
    handler = SignalHandler(JobEnvironment(), utils.JobPaths(tmp_path, "7"), submission(60))
    before = signal.signal(signal.SIGCONT, handler.bypass)
    try:
        DelayedSubmission(max, 1, 2).result()
        taken = signal.getsignal(signal.SIGCONT)
        assert callable(taken)
        assert taken not in (handler.bypass, signal.SIG_IGN)  # which a child would inherit
        signal.raise_signal(signal.SIGCONT)
    finally:
        signal.signal(signal.SIGCONT, before)


def test_slurm_is_asked_once_more(squeue: Path) -> None:
    """A job whose limit is not known at its end is requeued, instead of being told of it."""
    answers(squeue, f"test -e {squeue}.asked && echo 15:00 || {{ : >{squeue}.asked; exit 1; }}")
    assert submission(UNLIMITED_MIN)._timeout_min == 15


def fail_to_requeue(*, status: int) -> None:
    raise subprocess.CalledProcessError(status, ["scontrol", "requeue", "7"])


def test_a_requeue_that_ends_with_the_job_is_no_error() -> None:
    """Seen on a busy machine: Slurm ended scontrol together with the job that it was to requeue,
    and the job's result was an error, while the job started again."""
    with pytest.raises(SystemExit):
        DelayedSubmission(fail_to_requeue, status=-signal.SIGTERM).result()
    with pytest.raises(subprocess.CalledProcessError):
        DelayedSubmission(fail_to_requeue, status=1).result()
    with pytest.raises(subprocess.CalledProcessError):
        DelayedSubmission(subprocess.run, ["false"], check=True).result()


def test_a_checkpoint_that_was_cut_off_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """submitit asserts that no temporary file is there, and the requeued job would fail."""
    names = {"SUBMITIT_EXECUTOR": "slurm", "SUBMITIT_FOLDER": str(tmp_path), "SLURM_JOB_ID": "7"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    left = [tmp_path / f"7_{name}.pkl.save_tmp" for name in ("submitted", "0_result")]
    for path in left:
        path.write_bytes(b"half")
    monkeypatch.setenv("SLURM_PROCID", "1")
    DelayedSubmission(max, 1, 2).result()
    assert [path.exists() for path in left] == [True, True]  # they are another process's
    monkeypatch.setenv("SLURM_PROCID", "0")
    DelayedSubmission(max, 1, 2).result()
    assert [path.exists() for path in left] == [False, False]


def test_submitit_takes_it_for_its_own(tmp_path: Path) -> None:
    """It is loaded by submitit's own loader, which looks at the name of the class."""
    path = tmp_path / "7_submitted.pkl"
    submission(5).dump(path)
    assert utils.DelayedSubmission.load(path).result() == 2

"""Checkpoints without a cluster: a job of mode "local" that is signalled starts again, resumed."""

from __future__ import annotations

import os
from typing import Any

import pytest
import submitit

from slurmic import SlurmConfig, slurm_fn
from slurmic_store import Store, read_records


def settings(tmp_path: Any, **fields: Any) -> SlurmConfig:
    return SlurmConfig(
        mode="local",
        pack_code=True,
        code_root=str(tmp_path / "project"),
        output_parent_path=str(tmp_path / "out"),
        store_path=str(tmp_path / "store"),
        **fields,
    )


SOURCE = '''
import os
import signal

import submitit


def preempt():
    """What Slurm does to a job that has to make room; submitit's handler runs at once."""
    os.kill(os.getpid(), signal.SIGUSR2)


class Training(submitit.helpers.Checkpointable):
    def __init__(self):
        self.steps = []

    def __call__(self, rounds, label="fresh"):
        self.steps.append((label, os.getcwd(), VERSION))
        if len(self.steps) < rounds:
            preempt()
        return self.steps


class Renamed(Training):
    def checkpoint(self, rounds, label="fresh"):
        return submitit.helpers.DelayedSubmission(self, rounds, label="resumed")


class Marked(Training):
    def __submitit_checkpoint__(self, rounds, label="fresh"):
        return submitit.helpers.DelayedSubmission(finish, self.steps)

    checkpoint = None


def finish(steps):
    return [*steps, ("finished", os.getcwd(), VERSION)]


class Hopeless(Training):
    def checkpoint(self, rounds):
        return None


def interrupted_once(note):
    if not os.path.exists(note):
        open(note, "w").close()
        preempt()
    return os.getcwd()


VERSION = "one"
'''


@pytest.fixture
def training(tmp_path: Any, write: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module above, imported from a project."""
    import importlib
    import sys

    project = write(tmp_path / "project", {"resumed_training.py": SOURCE})
    monkeypatch.syspath_prepend(str(project))
    module = importlib.import_module("resumed_training")
    yield module
    del sys.modules["resumed_training"]


def test_state_survives_in_the_callable(training: Any, tmp_path: Any) -> None:
    """The second run has what the first one noted in itself, and the same code folder; the jobs
    of a checkpoint are no new snapshot."""
    job = slurm_fn(training.Training())[settings(tmp_path)](3)
    code = str(tmp_path / "out/slurm_local/code")
    assert job.result() == [("fresh", code, "one")] * 3
    store = Store.open(str(tmp_path / "store"), create=False)
    assert [record.jobs for record in read_records(store)] == [(job.job_id,)]


def test_a_checkpoint_may_change_the_arguments(training: Any, tmp_path: Any) -> None:
    steps = slurm_fn(training.Renamed())[settings(tmp_path)](2).result()
    assert [label for label, _, _ in steps] == ["fresh", "resumed"]


def test_a_checkpoint_may_be_another_function(training: Any, tmp_path: Any) -> None:
    """submitit's other name for the method, and a resumed run that is no checkpointable object:
    it comes from the frozen copy all the same."""
    steps = slurm_fn(training.Marked())[settings(tmp_path)](9).result()
    code = str(tmp_path / "out/slurm_local/code")
    assert steps == [("fresh", code, "one"), ("finished", code, "one")]


def test_a_function_sequence_keeps_what_it_has_computed(training: Any, tmp_path: Any) -> None:
    """submitit's FunctionSequence holds submissions, with their results, as its state."""
    sequence = submitit.helpers.FunctionSequence()
    sequence.add(os.getpid)
    sequence.add(training.Training(), 1)
    sequence.add(training.interrupted_once, str(tmp_path / "seen"))
    sequence.add(os.getpid)
    first, steps, _, last = slurm_fn(sequence)[settings(tmp_path)]().result()
    assert first != last  # two processes: what stands before the interruption was not run again
    assert [label for label, _, _ in steps] == ["fresh"]


def test_a_function_without_a_checkpoint_starts_from_the_beginning(
    training: Any, tmp_path: Any
) -> None:
    """As submitit does it: preempted, it runs again with the same arguments."""
    job = slurm_fn(training.interrupted_once)[settings(tmp_path)](str(tmp_path / "seen"))
    assert job.result() == str(tmp_path / "out/slurm_local/code")


def test_a_checkpoint_of_nothing_ends_the_job(training: Any, tmp_path: Any) -> None:
    with pytest.raises(submitit.core.utils.FailedJobError, match="checkpoint function returned"):
        slurm_fn(training.Hopeless())[settings(tmp_path)](2)


def test_too_many_time_outs_end_the_job(training: Any, tmp_path: Any) -> None:
    """A job with less than ten minutes counts each signal as a time-out, and has three."""
    with pytest.raises(submitit.core.utils.FailedJobError, match="timed-out too many times"):
        slurm_fn(training.Training())[settings(tmp_path, timeout_min=5)](9)

"""Batches, lists of jobs and failures without a cluster."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import slurmic
from slurmic import SlurmConfig, slurm_fn
from slurmic_store import Store, read_records


@slurm_fn
def add(a: int, b: int = 10) -> int:
    return a + b


@slurm_fn
def inverse(a: int) -> float:
    return 1 / a


@slurm_fn
def vanish() -> None:
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmConfig:
    """Mode "local", packing a small tree."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/code.py").write_text("")
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    return SlurmConfig(
        mode="local",
        pack_code=True,
        code_root=str(tmp_path / "tree"),
        output_parent_path=str(tmp_path / "out"),
    )


def records(tmp_path: Path) -> list[Any]:
    return list(read_records(Store.open(tmp_path / "store", create=False)))


def test_a_batch_runs_at_its_end_with_one_snapshot(config: SlurmConfig, tmp_path: Path) -> None:
    elsewhere = config.set_output_path(str(tmp_path / "other"))
    run = SlurmConfig(mode="run")
    with slurmic.batch() as submitted:
        first = add[config](1)
        assert add[run](5) == 15  # runs where it stands
        sweep = inverse[config].map_array([1, 2])
        other = add[elsewhere](1, b=2)
        assert not (tmp_path / "out").exists()
        with pytest.raises(slurmic.SlurmicError, match="submitted when its batch ends"):
            first.result()
        assert not hasattr(first, "job_id")
        assert "not submitted" in repr(first)
        with pytest.raises(slurmic.SlurmicError, match="pickle it after"):
            pickle.dumps(first)
    assert submitted.jobs.results() == [11, 1.0, 0.5, 3]
    assert [*sweep, other] == list(submitted.jobs[1:])
    shared, single = sorted(records(tmp_path), key=lambda record: -len(record.jobs))
    assert set(shared.jobs) == {first.job_id, *(job.job_id for job in sweep)}
    assert single.jobs == (other.job_id,)
    again = pickle.loads(pickle.dumps(first))
    assert again.snapshot == first.snapshot == shared
    assert again.code_folder == str(tmp_path / "out/slurm_local/code")


def test_a_batch_that_raises_submits_nothing(config: SlurmConfig, tmp_path: Path) -> None:
    with pytest.raises(KeyError), slurmic.batch() as submitted:
        job = add[config](1)
        raise KeyError
    assert not (tmp_path / "out").exists()
    for lost in (job, submitted.jobs[0]):
        with pytest.raises(slurmic.SlurmicError, match="never submitted"):
            lost.result()
    with pytest.raises(slurmic.SelectionError, match="no such file"), slurmic.batch():
        add[SlurmConfig(mode="local", pack_code=True, code_root=str(tmp_path / "no"))](1)
    with pytest.raises(slurmic.ConfigError, match="batch inside a batch"), slurmic.batch() as outer:
        outer.__enter__()
    with slurmic.batch() as empty:
        pass
    assert empty.jobs == []


def test_no_condition_on_a_job_of_the_same_batch(tmp_path: Path) -> None:
    config = SlurmConfig(mode="slurm", output_parent_path=str(tmp_path))
    with pytest.raises(slurmic.ConfigError, match="same batch"), slurmic.batch():
        job = add[config](1)
        add[config].afterok(job)(2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["run", "local", "debug"])
def test_a_list_of_jobs(mode: Any, tmp_path: Path) -> None:
    jobs = add[SlurmConfig(mode=mode, output_parent_path=str(tmp_path))].map_array([1, 2, 3])
    assert jobs.results() == [11, 12, 13]
    assert sorted(job.result() for job in jobs.as_completed()) == [11, 12, 13]
    assert jobs.exceptions() == [None] * 3
    assert jobs.failed() == []
    assert jobs[1:] == [jobs[1], jobs[2]]
    jobs.cancel()


def test_failures_of_local_jobs_say_where_to_look(config: SlurmConfig, tmp_path: Path) -> None:
    jobs = inverse[config].map_array([1, 0])
    [failed] = jobs.failed()
    error = failed.exception()
    assert isinstance(error, slurmic.JobFailedError)
    text = str(error)
    assert text.startswith(f"job {failed.job_id} failed: ZeroDivisionError: division by zero\n")
    assert f"its code: '{tmp_path}/out/slurm_local/code' (snapshot {failed.snapshot.id}" in text
    with pytest.raises(slurmic.JobFailedError, match="division by zero"):
        jobs.results()
    with pytest.raises(slurmic.JobDiedError) as caught:
        vanish[config]()
    assert "| last words" in str(caught.value)
    with pytest.raises(slurmic.JobDiedError, match="on the live source tree"):
        vanish[SlurmConfig(mode="local", output_parent_path=str(tmp_path))]()


BAR = """
import sys, time
from slurmic.progress import ProgressBar

with ProgressBar("tasks of a sweep", 3) as bar:
    bar.step()
    time.sleep(float(sys.argv[1]))
    bar.step()
"""


@pytest.mark.parametrize(("terminal", "wait", "shown"), [(1, 1.1, 1), (1, 0, 0), (0, 1.1, 0)])
def test_a_progress_bar_is_for_terminals_and_after_a_second(
    terminal: int, wait: float, shown: int
) -> None:
    import pty

    master, slave = pty.openpty()
    error = slave if terminal else subprocess.PIPE
    command = [sys.executable, "-c", BAR, str(wait)]
    done = subprocess.run(command, stderr=error, stdout=subprocess.PIPE, check=True)
    os.close(slave)
    os.set_blocking(master, False)
    try:
        seen = os.read(master, 65536)
    except OSError:
        seen = b""
    os.close(master)
    seen += done.stderr or b""
    assert done.stdout == b""
    assert (b"tasks of a sweep" in seen) == bool(shown)

"""SlurmFunction without a cluster: modes run, debug and local, and what they refuse."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from slurmic import ConfigError, SlurmConfig, SlurmFunction, slurm, slurm_fn, slurm_function


@slurm_fn
def add(a: int, b: int = 10) -> int:
    """Adds."""
    return a + b


@slurm_fn
def inverse(a: int) -> float:
    return 1 / a


def config(mode: Any, tmp_path: Path, **fields: Any) -> SlurmConfig:
    return SlurmConfig(mode=mode, output_parent_path=str(tmp_path), **fields)


def test_run_gives_the_plain_value(tmp_path: Path) -> None:
    assert add[config("run", tmp_path)](1, b=2) == 3
    assert add[config("run", tmp_path)].submit(1) == 11
    assert add[{"slurm_config": config("run", tmp_path)}](1, 1) == 2
    assert add[(config("run", tmp_path), {}, {})](1, 1) == 2
    assert slurm is slurm_fn
    assert add.__doc__ == "Adds."
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["debug", "local"])
def test_debug_and_local_give_the_finished_job(mode: Any, tmp_path: Path) -> None:
    job = add[config(mode, tmp_path)](1, b=2)
    assert job.done()
    assert job.result() == 3


def test_a_local_job_that_fails_raises_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="ZeroDivisionError"):
        inverse[config("local", tmp_path)](0)


@pytest.mark.parametrize("mode", ["run", "debug", "local"])
def test_map_array_gives_the_same_jobs_in_every_mode(mode: Any, tmp_path: Path) -> None:
    """A sweep is tried without a cluster: 0.2.1 refused map_array outside mode "slurm"."""
    jobs = add[config(mode, tmp_path)].map_array([1, 2, 3, 4, 5], (10, 20, 30, 40, 50))
    assert [job.result() for job in jobs] == [11, 22, 33, 44, 55]
    assert all(job.done() for job in jobs)
    assert len({job.job_id for job in jobs}) == 5


@pytest.mark.parametrize("mode", ["run", "local"])
def test_one_failed_task_of_a_sweep_fails_alone(mode: Any, tmp_path: Path) -> None:
    jobs = inverse[config(mode, tmp_path)].map_array([1, 0, 2])
    assert jobs[0].result() == 1
    assert jobs[2].result() == 0.5
    assert jobs[1].exception() is not None
    with pytest.raises(Exception, match=r"ZeroDivisionError|division by zero"):
        jobs[1].result()


def test_a_local_sweep_runs_no_more_tasks_at_once_than_there_are_processors(
    tmp_path: Path,
) -> None:
    """submitit's own local map starts them all: a sweep of 1,000 would be 1,000 processes."""
    folder = tmp_path / "running"
    folder.mkdir()

    def crowd(number: int) -> int:
        import time

        mine = folder / str(number)
        mine.touch()
        time.sleep(0.3)
        count = len(list(folder.iterdir()))
        mine.unlink()
        return count

    processors = len(os.sched_getaffinity(0))
    jobs = slurm_fn(crowd)[config("local", tmp_path)].map_array(range(3 * processors))
    assert max(job.result() for job in jobs) <= processors
    two = slurm_fn(crowd)[config("local", tmp_path, cpus_per_task=processors)]
    assert max(job.result() for job in two.map_array(range(2))) == 1


def test_lists_of_different_lengths_are_cut_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="different lengths"):
        jobs = add[config("run", tmp_path)].map_array([1, 2, 3], [1, 2])
    assert len(jobs) == 2
    with pytest.warns(UserWarning, match="nothing is run"):
        assert add[config("run", tmp_path)].map_array([]) == []


@pytest.mark.parametrize("mode", ["run", "debug", "local"])
def test_conditions_hold_outside_slurm(mode: Any, tmp_path: Path) -> None:
    """A pipeline can be tried without a cluster; there a job has ended when its call returns."""
    first = add[config(mode, tmp_path)](1)
    second = add[config(mode, tmp_path)]
    assert second.on_condition(first) is second
    assert second.afterany(first).afternotok(first, first) is second
    second(2)


def test_conditions_add_up_as_statement_and_as_value() -> None:
    """Chained, 0.2.1 built "afterok:1:afterany:2", which sbatch refuses: all must hold, so ","."""

    class Job:
        job_id = "12"

    function = add[SlurmConfig(mode="slurm")]
    function.on_condition(Job())
    assert function.afterany("7_1", 8).afternotok([Job(), 9]) is function
    assert function.settings.conditions == ["afterok:12", "afterany:7_1:8", "afternotok:12:9"]
    for wrong in ("job", 1.5, None, []):
        with pytest.raises(ConfigError):
            function.afterok(wrong)
    with pytest.raises(ConfigError, match="'after'"):
        function.on_condition(Job(), "after")  # type: ignore[arg-type]
    assert add[SlurmConfig(mode="slurm")].settings.conditions == []


def test_what_is_not_configured_says_so() -> None:
    assert not add.is_configured()
    for call in (lambda: add(1), lambda: add.map_array([1]), lambda: add.afterok(1)):
        with pytest.raises(ConfigError, match="'add' is not configured"):
            call()
    with pytest.raises(ConfigError, match="is not a SlurmConfig"):
        add["slurm"]  # type: ignore[index]


def test_methods_decorated_in_a_class(tmp_path: Path) -> None:
    class Worker:
        factor = 3

        @slurm_fn
        def run(self, a: int, b: int) -> int:
            return self.factor * a + b

    worker = Worker()
    assert worker.run[config("run", tmp_path)](worker, 2, 1) == 7
    assert worker.run[config("local", tmp_path)](worker, 2, 1).result() == 7


def test_the_older_form_warns_and_works(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="slurm_fn"):
        assert slurm_function(lambda a: a + 1)(config("run", tmp_path))(1) == 2


def test_configured_functions_pickle(tmp_path: Path) -> None:
    """A job's function may refer to slurm functions of its module, itself among them."""
    configured = add[config("run", tmp_path)]
    copy: SlurmFunction = pickle.loads(cloudpickle.dumps(configured))
    assert copy(1, 2) == 3


def test_slurm_mode_without_slurm_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Exception, match=r"Slurm's commands are not on PATH(.|\n)*mode 'local'"):
        add[config("slurm", tmp_path)](1)


def test_parameters_that_submitit_does_not_know_are_refused_before_anything_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    """The code is packed first: it has to go away again with everything that was made for it."""
    project = write(tmp_path / "project", {"a.py": "1"})
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    for name in ("srun", "sbatch"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    output = tmp_path / "out" / "deep"
    fields = {"code_root": str(project), "store_path": str(tmp_path / "store"), "pack_code": True}
    bad = config("slurm", output, extra_submit_kwargs={"slurm_nonsense": "1"}, **fields)
    with pytest.raises(ConfigError, match="nonsense"):
        add[bad](1)
    assert not (tmp_path / "out").exists()
    with pytest.raises(Exception, match="sbatch refused the job"):
        add[config("slurm", output, **fields)](1)
    assert not (tmp_path / "out").exists()

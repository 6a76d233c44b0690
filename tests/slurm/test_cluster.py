"""The cluster itself, with plain submitit: what the other tests of this folder rest on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import submitit

from .cluster import SlurmCluster, until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def executor(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> submitit.SlurmExecutor:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    # The job must be able to import this module, whose functions it runs.
    paths = [str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, paths)))
    return submitit.SlurmExecutor(tmp_path)


def add(a: int, b: int) -> int:
    return a + b


def fail() -> None:
    raise ValueError("on purpose")


def note_start(path: Path, wait_until: Path) -> int:
    """Append a line per start; the first start waits, the next ones find the file and end."""
    with path.open("a") as file:
        file.write("started\n")
    until(wait_until.exists, lambda: "nobody let the job go on")
    return len(path.read_text().splitlines())


def test_three_nodes_run_one_step(cluster: SlurmCluster) -> None:
    said = cluster.run("srun", "--nodes=3", "bash", "-c", "echo $SLURMD_NODENAME")
    assert sorted(said.split()) == ["n1", "n2", "n3"]


def test_submit(cluster: SlurmCluster, executor: submitit.SlurmExecutor) -> None:
    job = executor.submit(add, 1, 2)
    assert job.result() == 3
    assert cluster.wait_for(job.job_id) == "COMPLETED"
    until(
        lambda: cluster.accounted_state(job.job_id) == "COMPLETED",
        lambda: f"sacct says {cluster.accounted_state(job.job_id)!r}",
    )


def test_array(executor: submitit.SlurmExecutor) -> None:
    jobs = executor.map_array(add, [1, 2, 3], [10, 20, 30])
    assert [job.result() for job in jobs] == [11, 22, 33]
    assert len({job.job_id.split("_")[0] for job in jobs}) == 1


def test_dependency(cluster: SlurmCluster, executor: submitit.SlurmExecutor) -> None:
    failed = executor.submit(fail)
    cluster.wait_for(failed.job_id, "FAILED")
    executor.update_parameters(dependency=f"afternotok:{failed.job_id}")
    assert executor.submit(add, 1, 1).result() == 2
    executor.update_parameters(dependency=f"afterok:{failed.job_id}")
    never = executor.submit(add, 1, 1)
    until(
        lambda: cluster.show(never.job_id)["Reason"] == "DependencyNeverSatisfied",
        lambda: str(cluster.show(never.job_id)),
    )
    cluster.cancel(never.job_id)
    cluster.wait_for(never.job_id, "CANCELLED")


def test_requeue(cluster: SlurmCluster, executor: submitit.SlurmExecutor, tmp_path: Path) -> None:
    starts, go_on = tmp_path / "starts", tmp_path / "go-on"
    job = executor.submit(note_start, starts, go_on)
    until(starts.exists, lambda: f"not started: {cluster.show(job.job_id)}")
    cluster.requeue(job.job_id)
    go_on.touch()
    assert job.result() == 2


def test_a_closed_queue_takes_jobs_and_keeps_them(
    cluster: SlurmCluster, executor: submitit.SlurmExecutor
) -> None:
    with cluster.queue_closed():
        job = executor.submit(add, 1, 2)
        until(
            lambda: cluster.show(job.job_id)["Reason"] == "PartitionDown",
            lambda: str(cluster.show(job.job_id)),
        )
    assert job.result() == 3


OWNER = """
import os, sys, time
from slurm.cluster import SlurmCluster
cluster = SlurmCluster().__enter__()
cluster.run("sbatch", "--output=/dev/null", "--wrap=exec sleep 987654")
cluster.wait_for("1", "RUNNING")
print(cluster.root, flush=True)
time.sleep(600)
"""


def test_nothing_outlives_a_killed_session(cluster: SlurmCluster) -> None:
    """`kill -9` of pytest skips every fixture's teardown: daemons and jobs must go all the same.

    Also shows that two clusters run side by side.
    """
    environment = {**cluster.environment, "PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], env=environment, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        root = Path(owner.stdout.readline().strip())
        assert (root / "slurm.conf").exists()
        assert processes_below(root)
        os.kill(owner.pid, signal.SIGKILL)
    until(lambda: not root.exists(), lambda: f"{root} is still there")
    until(lambda: not processes_below(root), lambda: f"still running: {processes_below(root)}")
    assert "UP" in cluster.run("scontrol", "show", "partition", "main")


def processes_below(root: Path) -> list[str]:
    """Command lines of the processes that were started with this cluster's configuration."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(root).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # ended in between
    return [command for command in found if "-c \nimport os" not in command]

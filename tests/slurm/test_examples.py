"""The examples on a real cluster, edited while jobs wait; tests/examples runs them without one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .cluster import FINISHED, SlurmCluster, until
from .project import Project, Script
from .torch_environment import torch_site_packages

EXAMPLES = Path(__file__).parents[2] / "examples"


def start(project: Project, example: str, script: str, *arguments: str) -> tuple[Path, Script]:
    """A copy of the example in the project, and its program, running."""
    folder = project.root / example
    shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("runs"))
    return folder, project.start(*arguments, script=script, folder=example)


def spoil(file: Path) -> None:
    """Edit a program so that nothing of it runs any more."""
    file.write_text("raise SystemExit('edited while it waited')\n")


def test_sweep(cluster: SlurmCluster, project: Project) -> None:
    with cluster.queue_closed():
        folder, script = start(project, "sweep", "sweep.py", "--mode", "slurm")
        until(lambda: any(folder.glob("runs/slurm/*_submission.sh")), lambda: script.log)
        spoil(folder / "sweep.py")
    lines = script.finish().log.splitlines()
    assert len(lines) == 11, script.log
    assert [re.search(r"\d+_\d$", line) is not None for line in lines[1:10]] == [True] * 9
    assert lines[10].endswith(f"rate 0.3, seed 1; the code is in {folder}/runs/slurm/code")


def test_chain(cluster: SlurmCluster, project: Project) -> None:
    with cluster.queue_closed():
        folder, script = start(project, "chain", "pipeline.py", "--mode", "slurm")
        until(lambda: len(list(folder.glob("runs/slurm/*_submission.sh"))) == 3, lambda: script.log)
        spoil(folder / "pipeline.py")
    assert script.finish().log == (
        "3 models; the best, of rate 0.5, is y = 2.98 x + 1.00 (error 0.011)\n"
    )
    assert [path.name for path in folder.glob("runs/slurm/code*.json")] == ["code.json"]


def test_resume(cluster: SlurmCluster, project: Project) -> None:
    """The signal that the docstring names, in the middle of an epoch."""
    arguments = ("--mode", "slurm", "--epochs", "4", "--seconds", "1")
    folder, script = start(project, "resume", "train.py", *arguments)
    state = folder / "runs/state.json"
    until(
        lambda: state.exists() and json.loads(state.read_text())["epoch"] >= 1, lambda: script.log
    )
    spoil(folder / "train.py")
    (submitted,) = folder.glob("runs/slurm/*_submission.sh")
    job_id = submitted.name.split("_")[0]
    cluster.run("scancel", "--signal=USR2", job_id)
    cluster.start_requeued(job_id)
    assert script.finish().log == f"job {job_id}: 4 epochs, loss 0.0625, in 2 runs\n"


def test_command(cluster: SlurmCluster, project: Project) -> None:
    shutil.copytree(EXAMPLES / "command", project.root / "command")
    with cluster.queue_closed():
        job, *rest = subprocess.run(
            ["command/submit.sh", "slurm"],
            cwd=project.root,
            env=project.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.splitlines()
        (project.root / "command/longest.sh").write_text("#!/bin/sh\nexit 3\n")
    assert rest[1] == "# longest.sh FILE OUTPUT: the longest words of a text."
    assert cluster.wait_for(job.removeprefix("job "), *FINISHED) == "COMPLETED"
    result = (project.root / "command/runs/longest.txt").read_text()
    assert result == "9 thousands\n9 submitted\n9 addressed\n"


def test_torchrun(cluster: SlurmCluster, project: Project, tmp_path: Path) -> None:
    packages = torch_site_packages()
    if packages is None:
        pytest.skip("needs PyTorch (SLURMIC_TORCH_PYTHON names an interpreter that has it)")
    (project.site_packages / "torch-environment.pth").write_text(f"{packages}\n")
    model = tmp_path / "model.pt"
    # Both nodes are this machine, whose own name need not lead anywhere that gloo can bind to.
    interface = ["--slurm.extra-task-kwargs", "GLOO_SOCKET_IFNAME", "lo", "OMP_NUM_THREADS", "1"]
    with cluster.queue_closed():
        folder, script = start(project, "torchrun", "train.py", "--output", str(model), *interface)
        job_id = script.line("submitted")
        spoil(folder / "train.py")
    state = cluster.wait_for(job_id, *FINISHED)
    details = cluster.show(job_id)
    log = Path(details["StdOut"]).read_text()
    assert state == "COMPLETED", log + Path(details["StdErr"]).read_text()
    assert "4 processes: loss 0.00" in log
    assert model.stat().st_size

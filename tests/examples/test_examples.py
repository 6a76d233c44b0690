"""The examples run without a cluster, as a newcomer runs them; tests/slurm runs them on one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a command in a copy of an example's folder: ``start("sweep", "python", "a.py")``."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("python", ""), ("slurmic", "-m slurmic ")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {command}"$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))  # where the store is

    def start(example: str, *command: str) -> subprocess.Popen[str]:
        folder = tmp_path / example
        shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("runs"))
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)

    return start


def finished(process: subprocess.Popen[str]) -> list[str]:
    """The lines that a process has written, when it has ended well."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output.splitlines()


def test_sweep(start: Start, tmp_path: Path) -> None:
    head, *rows, best = finished(start("sweep", "python", "sweep.py"))
    assert head.split() == ["rate", "seed", "loss", "job"]
    pairs = [f"{rate} {seed}" for rate in (0.03, 0.1, 0.3) for seed in (1, 2, 3)]
    assert [" ".join(row.split()[:2]) for row in rows] == pairs
    assert best == (
        f"best: rate 0.3, seed 1; the code is in {tmp_path}/sweep/runs/slurm_local/code"
    )


def test_chain(start: Start, tmp_path: Path) -> None:
    (line,) = finished(start("chain", "python", "pipeline.py"))
    assert line == "3 models; the best, of rate 0.5, is y = 2.98 x + 1.00 (error 0.011)"
    assert [path.name for path in (tmp_path / "chain/runs/slurm_local").glob("code*.json")] == [
        "code.json"
    ]


def test_resume(start: Start, tmp_path: Path) -> None:
    """The signal of the docstring, between two epochs: a second process goes on after the first."""
    process = start("resume", "python", "train.py", "--epochs", "6", "--seconds", "0.5")
    state = tmp_path / "resume/runs/state.json"
    deadline = time.monotonic() + 60
    while not state.exists() or json.loads(state.read_text())["epoch"] < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(json.loads(state.read_text())["processes"][-1], signal.SIGUSR2)
    (line,) = finished(process)
    assert re.fullmatch(r"job \d+: 6 epochs, loss 0\.0156, in 2 runs", line), line


def test_command(start: Start) -> None:
    job, *rest = finished(start("command", "./submit.sh"))
    assert re.fullmatch(r"job \d+", job)
    assert rest == [
        "#!/bin/sh",
        "# longest.sh FILE OUTPUT: the longest words of a text.",
        "9 thousands",
        "9 submitted",
        "9 addressed",
    ]


def test_demo(start: Start) -> None:
    """It fails by itself if a job ran another version than the one that it was submitted with."""
    lines = finished(start("demo", "python", "demo.py"))
    versions = [re.findall(r"\bv[12]\b", line) for line in lines if "runs/" in line]
    assert [each for each in versions if len(each) == 2] == [["v1", "v1"]] * 3 + [["v2", "v2"]] * 3

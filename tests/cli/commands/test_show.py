"""slurmic show: whole outputs, and what is said of jobs."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from slurmic.cli.main import main
from slurmic.cluster import client
from slurmic.cluster.jobstates import JobState, job_states, tasks_by_state
from slurmic_store import pin

NOON = 1_795_348_800.0  # 2026-11-22 12:00:00 UTC

INFO = {
    "code_root": "/home/ada/project",
    "command": ["python", "train.py", "--name", "two words"],
    "job_name": "sweep",
    "mode": "slurm",
    "host": "login1",
    "user": "ada",
    "python": "3.12.1",
    "slurmic": "0.3.0",
    "git": {
        "commit": "8f3e21a" + "0" * 33,
        "branch": "main",
        "remote": "https://example.org/ada/project",
        "dirty": True,
        "differing": [
            {"path": "train.py", "change": "modified"},
            {"path": "new\x1b[31m.py", "change": "untracked"},
        ],
        "differing_files": 3,
        "note": "",
    },
    "selection": {
        "mode": "gitignore",
        "code_file_suffixes": [".py", ".sh"],
        "exclude_code_folders": ["wandb"],
    },
    "warnings": ["two files look like secrets: .env\n  keep them out", "one\x1b[31m link"],
}

SHOWN = """\
snapshot   261122-120000-aaaaaa
taken      2026-11-22 12:00 (3 days ago), by ada on login1
jobs       1240 (10,000 tasks)
code       TMP/runs/a/code  (gone)
tree       0123456789abcdef0123456789abcdef  3 files, 1.2 kB
name       sweep
command    python train.py --name 'two words'
source     /home/ada/project
git        8f3e21a000000000000000000000000000000000 (main), with changes
           from https://example.org/ada/project
           modified    train.py
           untracked   new\\x1b[31m.py
           and 1 file more
selection  what git does not ignore; suffixes .py .sh; not in wandb
versions   Python 3.12.1, slurmic 0.3.0
warnings   two files look like secrets: .env
             keep them out
           one\\x1b[31m link
pin        pinned 'paper'
store      TMP/store
"""


@pytest.fixture
def run(run_here: Any) -> Any:
    return run_here


@pytest.fixture
def no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host without Slurm's commands."""
    (tmp_path / "bin").mkdir()
    os.symlink("/usr/bin/git", tmp_path / "bin" / "git")
    os.symlink("/usr/bin/env", tmp_path / "bin" / "env")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def record(records: Any, no_slurm: None) -> Any:
    record = records.add(
        "261122-120000-aaaaaa", NOON, "runs/a/code", jobs=("1240_[0-9999]",), info=INFO
    )
    pin(records.store, record.id, "paper")
    return record


def test_all_of_a_record(
    record: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOON + 3.5 * 24 * 3600)
    assert main(["show", "1240_7"]) == 0
    assert capsys.readouterr().out.replace(str(tmp_path), "TMP") == SHOWN


def test_on_a_terminal(terminal: Any, record: Any, tmp_path: Path) -> None:
    """Paths are not broken, however narrow it is: they are there to be copied."""
    shown = re.sub(
        r"\(\d+ \w+ ago\)|\(in the future[^)]*\)", "(3 days ago)", terminal(40, "show", "aaaaaa")
    )
    assert shown.replace(str(tmp_path), "TMP") == SHOWN
    coloured = terminal(40, "show", "aaaaaa", plain=False)
    assert "\x1b[2msnapshot   \x1b[0m261122" in coloured and "\x1b[31m" not in coloured


def test_a_record_that_says_little(run: Any, records: Any, no_slurm: None, tmp_path: Path) -> None:
    records.add("261122-120000-bbbbbb", NOON, info={"git": 7, "warnings": "x", "command": None})
    done = run("show", "bbbbbb")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == [
        "snapshot",
        "taken",
        "jobs",
        "code",
        "tree",
        "store",
    ]
    assert lines[3] == "code      only stored"


def test_a_moved_folder_without_its_store(
    run: Any, write: Any, tmp_path: Path, no_slurm: None
) -> None:
    write(tmp_path / "project", {"a.py": "a"})
    run("snapshot", "project", "--output", "out/code", "--store", "store")
    os.rename(tmp_path / "out", tmp_path / "kept")
    shown = run("show", "kept").stdout.decode()
    assert f"code       {tmp_path}/out/code  (gone)\n" in shown
    assert f"           found at {tmp_path}/kept/code\n" in shown
    assert "\nstore" not in shown


def test_the_working_tree(run: Any, write: Any, git_commit: Any, tmp_path: Path) -> None:
    project = write(tmp_path / "project", {"a.py": "a", "b.py": "b"})
    commit = git_commit(project)
    taken = run("snapshot", "project", "--store", "store").stdout.decode().strip()
    shown = run("show", ".", "--store", "../store", cwd=project).stdout.decode()
    assert f"2 files, 2 B\nsame tree     snapshot {taken}\n" in shown
    assert f"git           {commit} (main), no changes\n" in shown
    (project / "a.py").write_text("new")
    shown = run("show", ".", "--store", "../store", cwd=project).stdout.decode()
    assert "same tree" not in shown and "(main), with changes" in shown


def command(folder: Path, name: str, script: str) -> None:
    """A program that answers as squeue or sacct have been seen to."""
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_slurm_is_not_asked_for_other_jobs(
    run: Any, records: Any, no_slurm: None, tmp_path: Path
) -> None:
    """The jobs of mode "local" are processes: their ids may be jobs of somebody else."""
    command(tmp_path, "squeue", "echo '1|RUNNING|0:01|n1|None'")
    records.add("261122-120000-bbbbbb", NOON, jobs=("1",), info={"mode": "local"})
    assert "jobs      1  (mode local)\n" in run("show", "bbbbbb").stdout.decode()
    assert json.loads(run("show", "bbbbbb", "--json").stdout)["job_states"] == []
    assert job_states(["not-a-number"]) == ([], "")


def test_what_slurm_says(run: Any, records: Any, no_slurm: None, tmp_path: Path) -> None:
    """The latest of squeue's and sacct's answers; tasks of an array are counted by state."""
    command(
        tmp_path,
        "squeue",
        "echo '1240_[8-99%4]|PENDING|0:00||Priority'; echo '1240_7|RUNNING|0:05|n2|None'",
    )
    command(
        tmp_path,
        "sacct",
        "echo '1240_0|COMPLETED|00:00:05|n1|0:0'; echo '1240_1|FAILED|00:00:02|n1|3:0'\n"
        "echo '1240_7|PENDING|00:00:00|None assigned|0:0'\n"
        "echo '7|CANCELLED by 1000|00:01:00|n3|0:15'",
    )
    records.add("261122-120000-bbbbbb", NOON, jobs=("7", "1240_[0-99]"))
    lines = run("show", "bbbbbb").stdout.decode().splitlines()[2:8]
    assert lines == [
        "jobs      7, 1240 (100 tasks)",
        "          7 CANCELLED by signal 15 on n3 after 00:01:00",
        "          COMPLETED 1  1240",
        "          FAILED 1  1240_1",
        "          RUNNING 1  1240_7",
        "          PENDING 92  1240_[8-99]",
    ]
    states = json.loads(run("show", "bbbbbb", "--json").stdout)["job_states"]
    assert states[-1] == {
        "job": "1240_[8-99%4]",
        "state": "PENDING",
        "elapsed": "0:00",
        "nodes": "",
        "exit_code": "",
        "reason": "Priority",
    }


def test_slurm_that_does_not_answer(
    no_slurm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert job_states(["1"]) == ([], "")
    command(
        tmp_path, "squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
    )
    assert job_states(["1"]) == ([], "Slurm no longer knows them")
    command(tmp_path, "squeue", "echo 'squeue: error: Unable to contact slurm' >&2; exit 1")
    problem = "Slurm does not answer: squeue: error: Unable to contact slurm"
    assert job_states(["1"]) == ([], problem)
    command(tmp_path, "squeue", "while :; do :; done")
    monkeypatch.setattr(client, "TIME_LIMIT", 0.2)
    assert job_states(["1"]) == ([], "Slurm does not answer: squeue took more than 0.2 s")
    command(tmp_path, "sacct", "echo '1|COMPLETED|00:00:05|n1|0:0'")
    states = [JobState("1", "COMPLETED", "00:00:05", "n1", "0:0")]
    assert job_states(["1"]) == (states, "")
    assert tasks_by_state(states) == {"1": {"COMPLETED": ["1"]}}

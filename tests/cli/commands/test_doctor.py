"""slurmic doctor: what it finds is really tried, and nothing is left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from json_fields import json_fields
from taken_snapshots import take


def _checks(done: Any) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in map(json.loads, done.stdout.splitlines())}


def _listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_before_the_first_submission_nothing_is_made(run: Any, tmp_path: Path) -> None:
    before = _listing(tmp_path)
    done = run("doctor", "--output", "not/yet/there", "--json")
    assert done.returncode == 0, done.stderr
    assert _listing(tmp_path) == before
    checks = _checks(done)
    assert all(set(check) == json_fields("doctor") for check in checks.values())
    assert "made by the first submission" in checks["store"]["message"]
    assert checks["versions"]["message"].startswith("slurmic ")


def test_a_healthy_store_and_a_cluster(
    run: Any, tmp_path: Path, bin_folder: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    take(write(tmp_path / "project", {"a.py": "1"}), tmp_path / "store", tmp_path / "run")
    _program(bin_folder, "sbatch", "echo slurm-wlm 24.11")
    _program(bin_folder, "sinfo", "printf 'gpu\\ncpu\\ngpu\\n'")
    before = _listing(tmp_path)
    done = run("doctor", "--output", "run", "--json")
    assert done.returncode == 0, done.stdout
    checks = _checks(done)
    assert _listing(tmp_path) == before
    assert checks["links"]["state"] == "ok"
    assert checks["slurm"]["message"] == "slurm-wlm 24.11, partitions: gpu, cpu"
    assert checks["git"]["state"] == "warning", "it is not on this PATH"
    assert checks["access"]["state"] == "ok"


def test_problems_have_advice_and_an_exit_code(
    run: Any, tmp_path: Path, bin_folder: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    take(write(tmp_path / "project", {"a.py": "1"}), tmp_path / "store", tmp_path / "run")
    (tmp_path / "store").chmod(0o777)
    _program(bin_folder, "sbatch", "echo slurm-wlm 24.11")
    _program(bin_folder, "sinfo", "exit 1")
    _program(bin_folder, "quota", "echo '/dev/sda1  2000*  1000  1000'")
    done = run("doctor", "--output", "run", "--json")
    assert done.returncode == 4
    checks = _checks(done)
    assert checks["store"]["state"] == "problem"
    assert f"chmod go-w '{tmp_path}/store'" in checks["store"]["advice"]
    assert checks["slurm"]["state"] == "problem"
    assert checks["quota"]["state"] == "warning" and "2000*" in checks["quota"]["message"]
    assert checks["purge"]["state"] == "warning", "pytest's folder is below /tmp"
    text = run("doctor", "--output", "run").stdout.decode()
    line = next(line for line in text.splitlines() if line.startswith("problem store"))
    assert line.endswith("so what it holds need not be what was stored")
    assert f"{'':20}-> if nobody else was there: chmod go-w '{tmp_path}/store'" in text
    assert "\x1b" not in text


def test_where_links_are_impossible_copies_are_announced(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two filesystems")
    done = run("doctor", "--output", str(other), "--store", "store", "--json")
    checks = _checks(done)
    assert checks["links"]["state"] == "warning" and "full copy" in checks["links"]["message"]
    assert checks["filesystem"]["name"] == "filesystem"
    assert not [name for name in os.listdir(other) if name.endswith(".trial")]


def test_a_store_that_is_something_else(run: Any, tmp_path: Path) -> None:
    (tmp_path / "mine\x1b").mkdir()
    (tmp_path / "mine\x1b" / "FORMAT").write_text("notes\n")
    done = run("doctor", "--store", "mine\x1b")
    assert done.returncode == 4
    assert b"\x1b" not in done.stdout
    assert "is not a store's format file" in done.stdout.decode()

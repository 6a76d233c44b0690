"""slurmic du: whole outputs."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from json_fields import json_fields
from taken_snapshots import take


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "pkg").mkdir(parents=True)
    for index in range(10):
        (folder / "pkg" / f"{index}.py").write_text(f"x = {index}\n" * 3000)
    return folder


def test_a_table_that_people_can_look_at(
    run: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    monkeypatch.setenv("SLURMIC_STORE", str(store))
    take(project, store, tmp_path / "runs" / "first", jobs=("7", "8_0", "8_1"))
    (project / "pkg" / "0.py").write_text("y = 1\n" * 6000)
    take(project, store, tmp_path / "runs" / "second\x1b[31m\n[red]")
    pinned = take(project, store, None)
    run("pin", pinned.id, "--name", "x")
    done = run("du")
    lines = [re.sub(r"\s+", " ", line).strip() for line in done.stdout.decode().splitlines()]
    assert lines[1] == "files apparent shared frees inodes output folder"
    rows = [line for line in lines[3:] if line]
    assert re.fullmatch(
        r"10 180 kB \d+ kB \d+ kB 6 #+-+ " + re.escape(f"{tmp_path}/runs/first") + r" \(job 7, 8 "
        r"\(2 tasks\)\)",
        rows[0],
    )
    assert rows[1].endswith(f"{tmp_path}/runs/second\\x1b[31m\\n[red]")
    assert rows[2].endswith(f"pinned {pinned.id}")
    assert "\x1b" not in done.stdout.decode()
    assert done.stderr.decode().startswith(f"store {store}: 11 blobs, ")
    assert done.stderr.decode().endswith("for 20 files of 378 kB in code folders\n")


def test_on_a_narrow_terminal_the_folder_stays_readable(
    terminal: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    take(project, tmp_path / "store", tmp_path / "runs" / "experiment with a name", jobs=("7",))
    shown = terminal(60, "du")
    assert max(map(len, shown.splitlines())) <= 60
    heading, _, *rows = [line for line in shown.splitlines() if line.strip()]
    assert heading.split() == ["shared", "frees", "inodes", "output", "folder"]
    start = heading.index("output folder")
    folded = "".join(row[start:].rstrip("\n") for row in rows)
    assert re.sub(r"\s", "", f"{tmp_path}/runs/experiment with a name (job 7)") == re.sub(
        r"\s", "", folded
    )
    wide = terminal(200, "du")
    assert "####" in wide and "apparent" in wide
    assert "\x1b" not in wide, "NO_COLOR"


def test_as_json_and_after_a_deletion(
    run: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    monkeypatch.setenv("SLURMIC_STORE", str(store))
    record = take(project, store, tmp_path / "runs" / "first", jobs=("7",))
    *users, whole = [json.loads(line) for line in run("du", "--json").stdout.splitlines()]
    (user,) = users
    assert user["output_folder"] == str(tmp_path / "runs" / "first")
    assert (user["snapshots"], user["jobs"], user["files"]) == ([record.id], ["7"], 10)
    assert user["own_size"] > whole["size"] > 180_000
    assert set(user) == json_fields("du")
    assert set(whole) == json_fields("du: the store")
    shutil.rmtree(tmp_path / "runs")
    done = run("du")
    assert b"in 10 blobs that nothing uses: 'slurmic gc' frees them" in done.stderr
    (whole,) = [json.loads(line) for line in run("du", "--json").stdout.splitlines()]
    assert (whole["unused"], whole["unused_size"]) == (10, whole["size"])


def test_what_cannot_be_read_is_said(
    run: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    monkeypatch.setenv("SLURMIC_STORE", str(store))
    record = take(project, store, tmp_path / "runs" / "first")
    os.unlink(store / "trees" / record.tree[:2] / f"{record.tree}.zst")
    done = run("du")
    assert done.returncode == 3
    assert f"slurmic: warning: cannot read manifest '{store}/trees/" in done.stderr.decode()

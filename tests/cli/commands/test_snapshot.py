"""The life of a snapshot: stored, listed, verified, repaired, deleted."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from hostile_names import HOSTILE


def test_a_snapshot_that_is_too_large_is_refused(run: Any, project: Path, tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "store"))
    done = run("snapshot", str(project), "--max-code-files", "3", *store)
    assert done.returncode == 1
    assert b"more than the limit of 3 files" in done.stderr
    assert run("snapshot", str(project), "--max-code-files", "0", *store).returncode == 0


def test_snapshot_ls_gc(run: Any, project: Path, tmp_path: Path) -> None:
    """The life of a snapshot: stored, listed, let go."""
    store = ("--store", str(tmp_path / "store"))
    folder = tmp_path / "frozen"
    done = run("snapshot", str(project), "--output", str(folder), *store)
    assert done.returncode == 0, done.stderr
    snapshot_id = done.stdout.decode().strip()
    assert (folder / "a.py").read_text() == "a = 1\n"
    assert (folder / os.fsdecode(HOSTILE)).read_text() == "x"
    assert json.loads((tmp_path / "frozen.json").read_text())["id"] == snapshot_id

    done = run("snapshot", str(project), "--name", "kept", *store)
    kept = done.stdout.decode().strip()

    done = run("ls", "--json", *store)
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["id"] for entry in listed] == [kept, snapshot_id]
    assert [entry["pinned"] for entry in listed] == [True, False]
    assert [entry["code_folder"] for entry in listed] == [None, str(folder)]
    assert {entry["tree"] for entry in listed} == {listed[0]["tree"]}
    table = run("ls", *store).stdout.decode()
    assert str(folder) in table and "pinned 'kept'" in table

    shutil.rmtree(folder)
    (project / "a.py").write_text("a = 2\n")
    run("snapshot", str(project), "--output", str(folder / "2"), *store)
    shutil.rmtree(folder)
    done = run("gc", "--dry-run", "--grace", "0", *store)
    assert done.stdout == b"would delete 1 blob (6 B), 1 tree, 2 snapshots\n", done.stderr
    done = run("gc", *store)
    assert done.stdout == b"deleted 0 blobs (0 B), 0 trees, 0 snapshots\n", "all is younger"
    done = run("gc", "--grace", "0s", *store)
    assert done.stdout == b"deleted 1 blob (6 B), 1 tree, 2 snapshots\n"
    assert b"1 live snapshot" in done.stderr
    assert not (tmp_path / "frozen.json").exists()


def test_an_output_folder_that_exists_is_left_alone(run: Any, project: Path) -> None:
    done = run("snapshot", str(project), "--output", str(project / "b"), "--store", "s")
    assert done.returncode == 1
    assert b"already exists" in done.stderr
    assert os.listdir(project / "b") == ["c.sh"]


def test_gc_reports_what_it_cannot_account_for(run: Any, project: Path, tmp_path: Path) -> None:
    """A record that cannot be read might need any blob."""
    store = ("--store", str(tmp_path / "store"))
    run("snapshot", str(project), "--output", str(tmp_path / "frozen"), *store)
    shutil.rmtree(tmp_path / "frozen")
    (tmp_path / "store" / "snapshots" / "broken.json").write_text("{")
    done = run("gc", "--grace", "0", *store)
    assert done.returncode == 3
    assert b"broken.json" in done.stderr
    assert any((tmp_path / "store" / "blobs").glob("*/*"))


def test_verify_finds_what_a_job_has_damaged_and_repairs_it(
    run: Any, project: Path, tmp_path: Path
) -> None:
    """A job that chmods and writes through its link changes the blob for everyone."""
    store = ("--store", str(tmp_path / "store"))
    folder = tmp_path / "frozen"
    run("snapshot", str(project), "--output", str(folder), *store)
    assert run("verify", *store).returncode == 0
    assert run("verify", str(folder), *store).returncode == 0
    shutil.copytree(folder, tmp_path / "elsewhere")
    for suffix in (".json", ".tree.zst"):
        shutil.copy(f"{folder}{suffix}", f"{tmp_path}/elsewhere{suffix}")
    assert run("verify", "elsewhere", "--checksum").returncode == 0, "without the store"

    (folder / "a.py").chmod(0o644)
    (folder / "a.py").write_text("a = 9\n")
    for target in ((), (str(folder),)):
        done = run("verify", *target, *store)
        assert done.returncode == 4
        assert done.stdout.count(b"\n") == 1
    done = run("verify", "--repair", *store)
    assert done.returncode == 0, done.stdout
    done = run("verify", str(folder), "--repair", *store)
    assert done.returncode == 0, done.stdout
    assert (folder / "a.py").read_text() == "a = 1\n"
    assert run("verify", str(folder), "--checksum", "--json", *store).stdout == b""

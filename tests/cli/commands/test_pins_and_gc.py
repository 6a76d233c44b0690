"""What is kept and what may go: slurmic pin, unpin and gc."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from json_fields import json_fields
from taken_snapshots import DAY, make_older, rewrite, take

from slurmic import environment


@pytest.fixture
def project(tmp_path: Path, write: Any) -> Path:
    folder: Path = write(tmp_path / "project", {"a.py": "a = 1\n", "b/c.sh": "echo\n"})
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store that all commands of a test use."""
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def _squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a squeue first on PATH: for answers that a real one gives only when it is broken."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin" / "squeue").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "bin" / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def test_a_pin_keeps_what_has_no_folder_any_more(
    run: Any, project: Path, store: Path, tmp_path: Path
) -> None:
    record = take(project, store, tmp_path / "run", jobs=("17",))
    done = run("pin", "17", "--name", "paper")
    assert done.stdout.decode() == f"{record.id}\n"
    assert done.stderr == b"pinned as 'paper': gc keeps all that it needs\n"
    assert run("pin", "17").returncode == 0, "again"
    done = run("pin", "17", "--name", "thesis")
    assert done.returncode == 1 and b"is already pinned, as 'paper'" in done.stderr
    shutil.rmtree(tmp_path / "run")
    assert run("gc", "--grace", "0").stdout == b"deleted 0 blobs (0 B), 0 trees, 0 snapshots\n"
    done = run("unpin", "paper")
    assert done.stdout.decode() == f"{record.id}\n"
    assert b"the next 'slurmic gc' deletes it" in done.stderr
    assert run("gc", "--grace", "0").stdout == b"deleted 2 blobs (11 B), 1 tree, 1 snapshot\n"


def test_what_is_not_pinned_cannot_be_unpinned(
    run: Any, project: Path, store: Path, tmp_path: Path
) -> None:
    record = take(project, store, tmp_path / "run")
    done = run("unpin", record.id)
    assert done.returncode == 1 and b"is not pinned" in done.stderr
    others = [take(project, store, None) for _ in range(2)]
    for other in others:
        run("unpin", other.id)
        assert run("pin", other.id, "--name", "same").returncode == 0
    done = run("unpin", "same")
    assert done.returncode == 1
    assert all(other.id.encode() in done.stderr for other in others)
    done = run("unpin", others[0].id)
    assert done.returncode == 0 and b"nothing keeps it now" in done.stderr
    done = run("unpin", "no\x1b[31msuch")
    assert done.returncode == 1 and b"\x1b" not in done.stderr


def test_a_snapshot_that_is_in_no_store_cannot_be_pinned(
    run: Any, project: Path, store: Path, tmp_path: Path
) -> None:
    take(project, store, tmp_path / "run")
    shutil.rmtree(store)
    take(project, store, tmp_path / "other")
    done = run("pin", str(tmp_path / "run"))
    assert done.returncode == 1 and b"no longer in a store" in done.stderr


def test_gc_explains_what_stays_and_what_goes(
    run: Any, project: Path, store: Path, tmp_path: Path
) -> None:
    kept = take(project, store, tmp_path / "runs" / "kept", jobs=("1", "2_0", "2_1"))
    (project / "a.py").write_text("a = 2\n")
    gone = take(project, store, tmp_path / "runs" / "gone\x1b[31m\n", jobs=("3",))
    (project / "a.py").write_text("a = 3\n")
    pinned = take(project, store, None)
    unpinned = take(project, store, None)
    run("unpin", unpinned.id)
    shutil.rmtree(tmp_path / "runs" / "gone\x1b[31m\n")
    expected = (
        f"stays  {kept.id}  job 1, 2 (2 tasks)  its code folder exists: {tmp_path}/runs/kept/code\n"
        f"stays  {pinned.id}  pinned\n"
        f"goes   {gone.id}  job 3  its code folder is gone: "
        f"{tmp_path}/runs/gone\\x1b[31m\\n/code\n"
        f"goes   {unpinned.id}  no longer pinned, and it has no code folder\n"
        "blobs: 3 needed by snapshots that stay; of no snapshot: 0 stay because folders link to "
        "them, 0 because they are young, 1 go\n"
        "would delete 1 blob (6 B), 1 tree, 2 snapshots\n"
    )
    lines = expected.splitlines(keepends=True)
    expected = "".join([*sorted(lines[:2]), *sorted(lines[2:4]), *lines[4:]])
    done = run("gc", "--explain", "--dry-run", "--grace", "0")
    assert done.stdout.decode() == expected

    done = run("gc", "--json", "--grace", "0")
    answer = json.loads(done.stdout)
    assert set(answer) == json_fields("gc")
    assert {entry["id"]: entry["stays"] for entry in answer["snapshots"]} == {
        kept.id: True,
        pinned.id: True,
        gone.id: False,
        unpinned.id: False,
    }
    assert answer["blobs"] == {
        "needed": 3,
        "linked": 0,
        "young": 0,
        "to_delete": 1,
        "size_to_delete": 6,
    }
    assert (answer["dry_run"], answer["done"]["records"], answer["problems"]) == (False, 2, [])
    done = run("gc", "--json", "--dry-run", "--grace", "0")
    assert json.loads(done.stdout)["done"] is None


def test_finished_snapshots_are_forgotten_but_their_folders_stay(
    run: Any, project: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone with a thousand old runs, whose list is too long, and who keeps the results."""
    old = take(project, store, tmp_path / "old", age=40 * DAY, jobs=("11", "12_0"))
    running = take(project, store, tmp_path / "running", age=40 * DAY, jobs=("13_0", "13_1"))
    young = take(project, store, tmp_path / "young", age=20 * DAY, jobs=("14",))
    pinned = take(project, store, tmp_path / "pinned", age=40 * DAY, jobs=("15",))
    by_hand = take(project, store, tmp_path / "by hand", age=40 * DAY)
    run("pin", pinned.id)
    make_older(store, 40 * DAY)
    _squeue(tmp_path, monkeypatch, "echo '13|18|RUNNING'; echo '11|11|COMPLETED'")
    done = run("gc", "--older-than", "30d", "--json")
    assert done.returncode == 0, done.stderr
    found = {entry["id"]: entry for entry in json.loads(done.stdout)["snapshots"]}
    assert not found[old.id]["stays"]
    assert found[old.id]["reason"] == "its jobs have ended; its code folder stays"
    assert all(found[record.id]["stays"] for record in (running, young, pinned, by_hand))
    assert found[running.id]["unfinished"] == "job 13 has not ended"
    assert found[by_hand.id]["unfinished"] == "none of its jobs is known"
    # What the folder is, it still says itself; and nobody can take its name.
    assert (tmp_path / "old" / "code" / "a.py").read_text() == "a = 1\n"
    assert json.loads((tmp_path / "old" / "code.json").read_text())["id"] == old.id
    done = run("verify", str(tmp_path / "old" / "code"), "--checksum")
    assert done.returncode == 0, done.stdout
    again = take(project, store, tmp_path / "old")
    assert again.code_folder == os.fsencode(tmp_path / "old" / "code-2")


def test_blobs_of_finished_copies_go(
    run: Any, project: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where folders are copies, the store's blobs are what a finished run still costs."""
    _squeue(tmp_path, monkeypatch, "exit 0")
    record = take(project, store, tmp_path / "run", age=40 * DAY, jobs=("11",))
    code = tmp_path / "run" / "code"
    shutil.copytree(code, tmp_path / "copy")
    shutil.rmtree(code)
    (tmp_path / "copy").rename(code)
    make_older(store, 40 * DAY)
    done = run("gc", "--older-than", "30d")
    assert done.stdout == b"deleted 2 blobs (11 B), 1 tree, 1 snapshot\n", done.stderr
    assert (code / "a.py").read_text() == "a = 1\n"
    assert (tmp_path / "run" / "code.json").exists(), record


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'slurm_load_jobs error: Unable to contact' >&2; exit 1", "Unable to contact"),
        (None, "there is no squeue on this host"),
    ],
)
def test_without_slurm_nothing_is_let_go_for_its_age(
    run: Any,
    project: Path,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str | None,
    reason: str,
) -> None:
    if script is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        _squeue(tmp_path, monkeypatch, script)
    take(project, store, tmp_path / "old", age=40 * DAY, jobs=("11",))
    done = run("gc", "--older-than", "30d")
    assert done.returncode == 3
    assert reason in done.stderr.decode()
    assert done.stdout == b"deleted 0 blobs (0 B), 0 trees, 0 snapshots\n"


def test_a_local_run_is_finished_when_its_processes_are_gone(
    run: Any, project: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setenv("PATH", str(tmp_path))
    for name, job, host in (
        ("ended", "4194304999", environment.host_name()),
        ("runs", str(os.getpid()), environment.host_name()),
        ("elsewhere", "4194304999", "another"),
    ):
        record = take(project, store, tmp_path / name, age=40 * DAY, jobs=(job,))
        info = {**record.info, "mode": "local", "host": host}
        rewrite(store, record.id, info=info)
    done = run("gc", "--older-than", "30d", "--dry-run", "--explain")
    lines = done.stdout.decode().splitlines()
    assert [line for line in lines if line.startswith("goes")] == [
        line for line in lines if "/ended/code" in line
    ]
    assert f"process {os.getpid()} runs" in done.stdout.decode()

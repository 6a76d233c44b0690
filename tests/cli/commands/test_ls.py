"""slurmic ls: whole outputs, on narrow and wide terminals, piped, and of hostile records."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from slurmic_store import Store, pin

DAY = 24 * 3600
NOON = 1_795_348_800.0  # 2026-11-22 12:00:00 UTC
CLEAN = {"git": {"commit": "8f3e21a" + "0" * 33, "dirty": False}}
DIRTY = {"git": {"commit": "b0b0b0b" + "0" * 33, "dirty": True}}


@pytest.fixture
def run(run_here: Any) -> Any:
    return run_here


@pytest.fixture
def three(records: Any) -> Any:
    """One that runs, one whose folder is gone, and one that was only stored."""
    records.add(
        "261122-120000-aaaaaa",
        NOON,
        "runs/a/code",
        exists=True,
        jobs=("1240_[0-9999]",),
        files=1234,
        size=5_600_000,
        info=CLEAN | {"code_root": "/home/ada/project"},
    )
    records.add("261121-120000-bbbbbb", NOON - DAY, "runs/b/code", jobs=("7", "8"), info=DIRTY)
    kept = records.add("261120-120000-cccccc", NOON - 2 * DAY, tree="ab" * 16)
    pin(records.store, kept.id, "baseline")
    return records


PIPED = """\
time              snapshot              jobs                 tree      files    size  commit    code folder
2026-11-22 12:00  261122-120000-aaaaaa  1240 (10,000 tasks)  01234567  1,234  5.6 MB  8f3e21a   TMP/runs/a/code
2026-11-21 12:00  261121-120000-bbbbbb  7, 8                 01234567      3  1.2 kB  b0b0b0b*  TMP/runs/b/code (gone)
2026-11-20 12:00  261120-120000-cccccc  -                    abababab      3  1.2 kB  -         only stored (pinned 'baseline')
"""  # noqa: E501

WIDE = """\
time              snapshot  jobs                 tree      files    size  commit    code folder
2026-11-22 12:00  aaaaaa    1240 (10,000 tasks)  01234567  1,234  5.6 MB  8f3e21a   TMP/runs/a/code
2026-11-21 12:00  bbbbbb    7, 8                 01234567      3  1.2 kB  b0b0b0b*  TMP/runs/b/code (gone)
2026-11-20 12:00  cccccc    -                    abababab      3  1.2 kB  -         only stored (pinned 'baseline')
"""  # noqa: E501

NARROW = """\
time              snapshot  jobs                   size  commit
2026-11-22 12:00  aaaaaa    1240 (10,000 tasks)  5.6 MB  8f3e21a
  TMP/runs/a/code
2026-11-21 12:00  bbbbbb    7, 8                 1.2 kB  b0b0b0b*
  TMP/runs/b/code (gone)
2026-11-20 12:00  cccccc    -                    1.2 kB  -
  only stored (pinned 'baseline')
"""


def test_piped(run: Any, three: Any, tmp_path: Path) -> None:
    done = run("ls")
    assert done.stdout.decode().replace(str(tmp_path), "TMP") == PIPED
    assert done.returncode == 0
    note = "; * the tree differed from the commit"
    assert done.stderr.decode() == f"3 snapshots in store {tmp_path}/store{note}\n"


def test_on_terminals(terminal: Any, three: Any, tmp_path: Path) -> None:
    assert terminal(300, "ls").replace(str(tmp_path), "TMP") == WIDE
    assert terminal(80, "ls").replace(str(tmp_path), "TMP") == NARROW
    coloured = terminal(80, "ls", plain=False)
    assert "\x1b[36maaaaaa" in coloured and "\x1b[" not in terminal(80, "ls")


def test_an_empty_store(run: Any, records: Any) -> None:
    done = run("ls")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"0 snapshots in store")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--job", "1240"], "a"),
        (["--job", "1240_17"], "a"),
        (["--job", "8"], "b"),
        (["--job", "80"], ""),
        (["--gone"], "b"),
        (["-n", "2"], "ab"),
        (["--limit", "1", "--gone"], "b"),
        (["--path", "runs"], "ab"),
        (["--path", "./runs/a/"], "a"),
        (["--path", "/home/ada"], "a"),
        (["--path", "run"], ""),
    ],
)
def test_filters(run: Any, three: Any, arguments: list[str], expected: str) -> None:
    done = run("ls", "--json", *arguments)
    listed = [json.loads(line)["id"][-1] for line in done.stdout.splitlines()]
    assert "".join(listed) == expected


def test_filters_by_age(run: Any, records: Any) -> None:
    now = time.time()
    records.add("261122-120000-aaaaaa", now - 3600)
    records.add("261101-120000-bbbbbb", now - 10 * DAY)

    def listed(*arguments: str) -> list[str]:
        lines = run("ls", "--json", *arguments).stdout.splitlines()
        return [json.loads(line)["id"][-1] for line in lines]

    assert listed("--since", "2h") == ["a"]
    assert listed("--since", "2w") == ["a", "b"]
    assert listed("--older-than", "2d") == ["b"]
    assert listed("--older-than", "2d", "--since", "1w") == []
    done = run("ls", "--since", "yesterday")
    assert done.returncode == 2 and b"'yesterday' is not a length of time" in done.stderr
    assert run("ls", "--limit", "-1").returncode == 2


def test_the_newest_of_one_second(run: Any, records: Any) -> None:
    """Ids of one second are in no order: their rest is random."""
    records.add("261122-120000-bbbbbb", NOON)
    records.add("261122-120000-aaaaaa", NOON + 0.5)
    (line,) = run("ls", "--json", "-n", "1").stdout.splitlines()
    assert json.loads(line)["id"] == "261122-120000-aaaaaa"


def test_a_damaged_record_hides_no_other(run: Any, three: Any) -> None:
    Path(os.fsdecode(three.store.snapshots), "261122-130000-dddddd.json").write_text("{")
    done = run("ls")
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 4
    assert b"warning: record" in done.stderr and b"dddddd.json' is damaged" in done.stderr


def test_hostile_records(run: Any, terminal: Any, records: Any) -> None:
    """What a folder is called, or a record says, must not reach the terminal raw."""
    records.add(
        "261122-120000-aaaaaa",
        NOON,
        "\x1b[31m\n[bold]red[/bold]",
        jobs=("\x1b]0;title\x07",),
        info={"git": ["no", "mapping"], "warnings": 7, "code_root": 3},
    )
    for shown in (run("ls").stdout.decode(), terminal(300, "ls"), terminal(40, "ls")):
        assert "\x1b" not in shown and "\x07" not in shown
        assert "/\\x1b[31m\\n[bold]red[/bold] (gone)" in shown
    record = json.loads(run("ls", "--json").stdout)
    assert record["code_folder"].endswith("/\x1b[31m\n[bold]red[/bold]")


def test_a_folder_that_is_another_snapshots_by_now(run: Any, records: Any) -> None:
    """Somebody deletes an output folder and submits to the same path again."""
    records.add("261121-120000-aaaaaa", NOON - DAY, "out/code")
    later = records.add("261122-120000-bbbbbb", NOON, "out/code", exists=True)
    (records.folder / "out" / "code.json").write_text(later.to_json())
    states = [
        json.loads(line)["code_folder_state"] for line in run("ls", "--json").stdout.splitlines()
    ]
    assert states == ["present", "gone"]


def test_from_where_there_is_no_store(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Somebody asks from another filesystem, or from a folder that cannot be written to."""
    home = Path(os.environ["HOME"])
    elsewhere = Path("/dev/shm")
    if elsewhere.stat().st_dev == home.stat().st_dev:
        pytest.skip("there is only one filesystem")
    done = run("ls", cwd=elsewhere)
    assert done.returncode == 1
    assert b"no store at" in done.stderr and b"looked there because" in done.stderr
    store = Store.open(home / ".slurmic")
    done = run("ls", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert b"using the one in your home folder\n0 snapshots in store" in done.stderr
    assert store.name.encode() in done.stderr

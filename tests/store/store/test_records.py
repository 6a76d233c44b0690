"""Records, pins, anchors and claims: what keeps snapshots alive, and what says so."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storechecks import Project, code_folders, collect, read_folder, remove, strange_names
from storefaults import in_child, raising, watched

from slurmic_store import (
    CodeFolderName,
    DamagedError,
    SnapshotRecord,
    Store,
    StoreError,
    UnknownSnapshotError,
    anchor_state,
    attach_jobs,
    pin,
    pinned_ids,
    plan_gc,
    read_record,
    read_records,
    scan_records,
    unpin,
    withdraw_snapshot,
)
from slurmic_store.store.records import record_path, write_record

paths = st.binary(min_size=1).map(lambda data: b"/" + data.replace(b"\0", b"x"))
words = st.text(st.characters(codec="utf-8"), max_size=20)
records = st.builds(
    SnapshotRecord,
    id=st.just("261122-120000-abcdef"),
    created=st.floats(0, 1e11),
    tree=st.binary(min_size=16, max_size=16).map(bytes.hex),
    anchors=st.lists(paths, max_size=3).map(tuple),
    mount=paths,
    files=st.integers(0, 2**40),
    size=st.integers(0, 2**60),
    placement=st.sampled_from(["hardlink", "copy", "none"]),
    jobs=st.lists(words, max_size=3).map(tuple),
    info=st.dictionaries(words, st.one_of(words, st.integers(), st.none()), max_size=3),
)


@given(records)
def test_a_record_reads_back(record: SnapshotRecord) -> None:
    """Paths need not be UTF-8, and must come back to the byte."""
    text = record.to_json()
    assert SnapshotRecord.from_json(text.encode()) == record
    assert text.startswith('{"slurmic_record"')


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60)))
def test_foreign_bytes_are_no_record(data: bytes | str) -> None:
    """Whatever lies there, the answer is a DamagedError, on which gc stops deleting."""
    with pytest.raises(DamagedError):
        SnapshotRecord.from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        {"anchors": "/a/string"},
        {"anchors": ["relative"]},
        {"anchors": ["/nul\0byte"]},
        {"anchors": [5]},
        {"anchors": ["/\ud800"]},
        {"tree": "../../etc/passwd"},
        {"tree": "ab"},
        {"files": float("inf")},
        {"created": "yesterday"},
        {"slurmic_record": 2},
        {"info": "text"},
        {"jobs": None},
    ],
    ids=str,
)
def test_a_damaged_record_stops_deletion(
    tmp_path: Path, store: Store, project: Project, change: dict[str, object]
) -> None:
    """A field that means nothing (a null byte in an anchor, an infinity) once was a crash."""
    snapshot = project.take(store, tmp_path / "out")
    project.take(store, tmp_path / "gone")
    remove(os.fsencode(tmp_path / "gone"))
    path = Path(os.fsdecode(record_path(store, snapshot.record.id)))
    data = {**json.loads(path.read_text()), **change}
    path.unlink()
    path.write_text(json.dumps(data))
    before = strange_names(store), os.listdir(store.snapshots)
    plan = plan_gc(store, grace=0)
    stats = plan.execute()
    assert plan.blocked
    assert path.name in plan.problems[0]
    assert (stats.blobs, stats.trees, stats.records) == (0, 0, 0)
    assert (strange_names(store), os.listdir(store.snapshots)) == before


def test_a_copy_of_a_record_is_not_acted_on(tmp_path: Path, store: Store, project: Project) -> None:
    """Somebody keeps a backup of an old version of a record beside it.

    The copy names a staging folder that is gone, so it looked dead; letting "it" go once deleted
    the record that it was a copy of, which was alive.
    """
    snapshot = project.take(store, tmp_path / "out")
    stale = replace(snapshot.record, anchors=(b"/gone/.slurmic-stage",))
    copy = Path(os.fsdecode(store.snapshots), "261122-000000-aaaaaa.json")
    copy.write_text(stale.to_json())
    plan = plan_gc(store, grace=0)
    plan.execute()
    assert plan.blocked
    assert "261122-000000-aaaaaa" in plan.problems[0]
    assert os.path.exists(record_path(store, snapshot.record.id))


def test_attached_jobs_are_added_for_good(tmp_path: Path, store: Store, project: Project) -> None:
    snapshot = project.take(store, tmp_path / "out")
    record = attach_jobs(store, snapshot.record, ("1", "2"))
    assert read_record(store, record.id).jobs == ("1", "2")
    with pytest.raises(UnknownSnapshotError):
        read_record(store, "nothing")


def test_what_can_be_read_is_read(tmp_path: Path, store: Store, project: Project) -> None:
    """One damaged record must not hide all others from somebody who looks for theirs."""
    snapshot = project.take(store, tmp_path / "out")
    Path(os.fsdecode(store.snapshots), "260101-000000-aaaaaa.json").write_text("{")
    records, damaged = scan_records(store)
    assert [record.id for record in records] == [snapshot.record.id]
    assert ["260101-000000-aaaaaa" in str(error) for error in damaged] == [True]


def test_equal_ids_do_not_meet(
    tmp_path: Path, store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two submissions draw the same id: the second once replaced the first's record."""
    from slurmic_store.pack import snapshot

    ids = iter(["261122-000000-aaaaaa", "261122-000000-aaaaaa", "261122-000000-bbbbbb"])
    monkeypatch.setattr(snapshot, "new_snapshot_id", lambda now: next(ids))
    taken = [project.take(store, tmp_path / "out").record.id for _ in range(2)]
    assert taken == ["261122-000000-aaaaaa", "261122-000000-bbbbbb"]
    assert sorted(record.id for record in read_records(store)) == taken


# Pins.


def test_pins(tmp_path: Path, store: Store, project: Project) -> None:
    """A pin keeps a snapshot whose code folder is gone; without it, it goes."""
    snapshot = project.take(store, tmp_path / "out")
    pin(store, snapshot.record.id, "paper")
    assert pinned_ids(store) == {snapshot.record.id: "paper"}
    remove(os.fsencode(tmp_path / "out"))
    collect(store)
    assert [record.id for record in read_records(store)] == [snapshot.record.id]
    unpin(store, snapshot.record.id)
    collect(store)
    assert list(read_records(store)) == []
    assert os.listdir(store.trees) == [] or strange_names(store) == []
    with pytest.raises(UnknownSnapshotError):
        pin(store, snapshot.record.id)
    with pytest.raises(StoreError, match="not pinned"):
        unpin(store, snapshot.record.id)
    assert os.listdir(store.pins) == []


def test_a_pin_of_nothing_goes_after_a_day(store: Store) -> None:
    """A crash between pinning and the last look leaves a pin of a snapshot that is gone."""
    name = Path(os.fsdecode(store.pins), "261122-000000-aaaaaa.json")
    name.write_text("{}")
    collect(store)
    assert name.exists()
    collect(store, now=time.time() + 2 * 86400)
    assert not name.exists()


def test_a_stored_snapshot_that_fails_leaves_no_pin(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """The disk fills up after the pin was written: the pin was once left for ever."""
    calls = in_child(lambda: project.take(store, None) and None).calls
    for record in read_records(store):
        unpin(store, record.id)
    collect(store)
    for position in range(calls // 2, calls):
        outcome = in_child(
            lambda: project.take(store, None) and None, at=position, error=errno.ENOSPC
        )
        if outcome.kind == "refused":
            assert os.listdir(store.pins) == [], (position, outcome)
        for snapshot_id in pinned_ids(store):
            unpin(store, snapshot_id)


def test_withdrawing_a_stored_snapshot_takes_its_pin(store: Store, project: Project) -> None:
    """A withdrawn snapshot once left its pin behind."""
    withdraw_snapshot(store, project.take(store, None))
    assert os.listdir(store.pins) == os.listdir(store.snapshots) == []


# Anchors.


def test_anchors(tmp_path: Path, store: Store, project: Project) -> None:
    """Gone is only what answers "no such file", on a filesystem that is mounted."""
    record = project.take(store, tmp_path / "out").record
    assert anchor_state(record) == "present"
    gone = replace(record, anchors=(b"/nonexistent/code",))
    assert anchor_state(gone) == "gone"
    assert anchor_state(replace(gone, mount=os.fsencode(tmp_path))) == "unknown"
    long = replace(record, anchors=(b"/" + b"x" * 300,))
    assert anchor_state(long) == "unknown"
    assert anchor_state(replace(record, anchors=())) == "gone"


def test_an_unmounted_output_filesystem_keeps_its_snapshots(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """The scratch filesystem is down for maintenance: its code folders are not gone."""
    record = project.take(store, tmp_path / "out").record
    os.rename(tmp_path / "out", tmp_path / "unmounted")
    write_record(store, replace(record, mount=os.fsencode(tmp_path)))
    plan = plan_gc(store, grace=0)
    plan.execute()
    assert "not mounted" in plan.problems[0]
    assert [kept.id for kept in read_records(store)] == [record.id]


def test_an_output_folder_that_is_used_again(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """``rm -rf out`` and submit again, a hundred times: the path of each code folder is the same.

    The newest folder once kept the records, and the blobs, of all the earlier ones alive.
    """
    for number in range(4):
        project.write(b"train.py", b"%d" % number)
        snapshot = project.take(store, tmp_path / "out")
        if number < 3:
            remove(os.fsencode(tmp_path / "out"))
    collect(store)
    assert [record.id for record in read_records(store)] == [snapshot.record.id]
    assert snapshot.code_folder is not None
    assert os.path.exists(snapshot.code_folder + b".json")
    assert read_folder(snapshot.code_folder) == project.expected()


# Claims.


def test_names_are_numbered(tmp_path: Path, store: Store, project: Project) -> None:
    """code, code-2, code-3; a name that anything has, be it a broken link, is not used."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "code").symlink_to("nowhere")
    (out / "code-2.json").write_text("{}")
    names = [project.take(store, out).code_folder for _ in range(2)]
    assert names == [os.fsencode(out / "code-3"), os.fsencode(out / "code-4")]


def test_no_hard_links_and_still_one_winner(tmp_path: Path, store: Store, project: Project) -> None:
    """Where links are refused, two renames onto one free name both succeeded: two winners."""
    out = tmp_path / "out"
    results = []

    def submit() -> bytes | None:
        with watched(raising("link", errno.EPERM)):
            return project.take(store, out).code_folder

    def run() -> None:
        results.append(in_child(submit).detail)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 6
    assert set(results) == set(code_folders(os.fsencode(out)))
    for folder in results:
        record = SnapshotRecord.from_json(Path(os.fsdecode(folder + b".json")).read_bytes())
        assert record.anchors == (folder,)
        assert read_folder(folder) == project.expected()


def test_another_claims_the_name_between_look_and_rename(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """The same race without luck: the other one comes exactly between the look and the rename."""
    others = []

    def before(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        raising("link", errno.EPERM)(name, args, options)
        if name == "rename" and args[1].endswith(b"/out/code.json") and not others:
            others.append(b"")
            others[0] = project.take(store, tmp_path / "out").code_folder or b""

    with watched(before):
        mine = project.take(store, tmp_path / "out").code_folder
    assert mine != others[0]
    for folder in (mine, others[0]):
        assert folder is not None
        record = SnapshotRecord.from_json(Path(os.fsdecode(folder + b".json")).read_bytes())
        assert record.anchors == (folder,)
        assert read_folder(folder) == project.expected()


def test_updating_the_record_beside_a_folder(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """A crash while it is replaced leaves a temporary file, which the next update replaces."""
    snapshot = project.take(store, tmp_path / "out")
    assert snapshot.code_folder is not None
    claim = CodeFolderName(snapshot.code_folder)
    record = replace(snapshot.record, jobs=("7",))
    calls = in_child(lambda: claim.update_record(record)).calls
    for position in range(calls):
        in_child(lambda: claim.update_record(record), at=position)
        SnapshotRecord.from_json(Path(os.fsdecode(claim.record)).read_bytes())
    claim.update_record(record)
    assert sorted(os.listdir(tmp_path / "out")) == ["code", "code.json", "code.tree.zst"]
    assert SnapshotRecord.from_json(Path(os.fsdecode(claim.record)).read_bytes()) == record

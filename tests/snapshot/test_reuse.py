"""The record of a code folder that several submissions run from."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slurmic.snapshot.reuse import add_jobs, find_reusable
from slurmic_store import SnapshotRecord, Store, attach_jobs, read_record, take_snapshot


def snapshot(tmp_path: Path, store: Store, text: str = "one") -> SnapshotRecord:
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    (project / "a.py").write_text(text)
    output = os.fsencode(tmp_path / "out")
    return take_snapshot(store, os.fsencode(project), [b"a.py"], output_folder=output).record


def test_submissions_that_record_their_jobs_at_once(tmp_path: Path) -> None:
    """Each reads the record, and writes it with its own ids: none may go missing."""
    store = Store.open(str(tmp_path / "store"))
    record = attach_jobs(store, snapshot(tmp_path, store), ("1",))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda job: add_jobs(store, record, (job,)), ["11", "12", "13_0", "14"]))
    assert record.code_folder is not None
    with open(record.code_folder + b".json", "rb") as stream:
        beside = SnapshotRecord.from_json(stream.read())
    for found in (read_record(store, record.id), beside):
        assert sorted(found.jobs) == ["1", "11", "12", "13_0", "14"]


def test_only_the_newest_folder_and_only_with_jobs(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "store"))
    first = snapshot(tmp_path, store)
    second = snapshot(tmp_path, store)
    assert find_reusable(store, second) is None  # the first one's submission may still fail
    add_jobs(store, first, ("1",))
    found = find_reusable(store, second)
    assert found is not None
    assert found.id == first.id
    other = snapshot(tmp_path, store, "other")
    add_jobs(store, other, ("2",))
    assert find_reusable(store, snapshot(tmp_path, store)) is None


def test_a_folder_of_another_store_is_not_reused(tmp_path: Path) -> None:
    """Its record could not be told of the jobs, and that store's gc would not know of them."""
    one, other = (Store.open(str(tmp_path / name)) for name in ("one", "other"))
    add_jobs(one, snapshot(tmp_path, one), ("1",))
    assert find_reusable(other, snapshot(tmp_path, other)) is None

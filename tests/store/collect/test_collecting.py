"""Collections that meet submissions, crashes and purges at the worst moment."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from storechecks import (
    Project,
    blob_files,
    collect,
    read_folder,
    rebuild,
    remove,
    strange_names,
)
from storefaults import in_child, watched

from slurmic_store import Store, plan_gc, read_records, take_snapshot, withdraw_snapshot
from slurmic_store.store import liveness as liveness_module
from slurmic_store.store.records import record_path, write_record

pytestmark = pytest.mark.usefixtures("eager_cache")


def test_a_record_that_is_rewritten_between_plan_and_execution(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """gc reads a record, then the submission publishes a new version and renames its folder.

    What gc had read named only the staging folder, which was gone by then. It once judged by what
    it had read, and deleted the record of a submission that had just succeeded.
    """
    snapshot = project.take(store, tmp_path / "out")
    assert snapshot.code_folder is not None
    published = next(read_records(store))
    stage = published.anchors[0]
    write_record(store, replace(published, anchors=(stage,)))
    plan = plan_gc(store, grace=0)
    assert [record.id for record in plan.dead] == [published.id]
    write_record(store, published)
    plan.execute()
    assert list(read_records(store)) == [published]
    assert os.path.exists(snapshot.code_folder + b".json")
    assert not rebuild(store, published.tree)[1]


def test_a_record_that_is_rewritten_while_it_is_aside(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """The same, but the new version comes while gc holds the old one in quarantine."""
    snapshot = project.take(store, tmp_path / "out")
    assert snapshot.code_folder is not None
    published = next(read_records(store))
    write_record(store, replace(published, anchors=(published.anchors[0],)))
    plan = plan_gc(store, grace=0)
    original = os.rename

    def after(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "rename" and b"/quarantine/record-" in args[1]:
            assert os.rename is not original
            write_record(store, published)

    with watched(after=after):
        plan.execute()
    assert list(read_records(store)) == [published]
    assert os.path.exists(snapshot.code_folder + b".json")
    assert not rebuild(store, published.tree)[1]
    assert strange_names(store) == []


def test_a_collection_that_was_killed_does_not_block_the_next(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """A live snapshot's manifest was left in quarantine.

    It counted as missing, so nothing might be deleted, and since nothing might be deleted, nothing
    was put back either: gc was blocked for ever.
    """
    snapshot = project.take(store, tmp_path / "out")
    path = store.tree_path(snapshot.record.tree)
    os.rename(path, os.path.join(store.quarantine, b"tree-0123456789ab-" + os.path.basename(path)))
    collect(store)
    assert not rebuild(store, snapshot.record.tree)[1]
    assert strange_names(store) == []


def test_a_blocked_collection_still_puts_back(
    tmp_path: Path, store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one manifest is really gone, the other snapshots' blobs must not stay aside."""
    monkeypatch.setattr(liveness_module, "_ATTEMPTS", 1)
    kept = project.take(store, tmp_path / "kept")
    project.write(b"train.py", b"print('edited')\n")
    lost = project.take(store, tmp_path / "lost")
    os.unlink(store.tree_path(lost.record.tree))
    for name, path in blob_files(store).items():
        os.rename(path, os.path.join(store.quarantine, b"blob-0123456789ab-" + name))
    plan = plan_gc(store, grace=0)
    stats = plan.execute()
    assert plan.blocked
    assert stats.blobs == 0
    assert not rebuild(store, kept.record.tree)[1]
    assert os.listdir(store.quarantine) == []


def test_a_leftover_that_does_not_go_stops_nothing(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """One staging folder on a filesystem that answers EIO once kept gc from doing anything."""
    project.take(store, tmp_path / "x")
    calls = in_child(lambda: project.take(store, tmp_path / "x") and None).calls
    crash = in_child(lambda: project.take(store, tmp_path / "bad") and None, at=calls // 2)
    assert crash.kind == "killed"
    project.take(store, tmp_path / "gone")
    remove(os.fsencode(tmp_path / "gone"))

    def refuse(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name in ("rmdir", "unlink") and b"/bad/" in os.fsencode(args[0]):
            raise OSError(errno.EIO, os.strerror(errno.EIO), args[0])

    plan = plan_gc(store, grace=0)
    with watched(refuse):
        stats = plan.execute()
    assert stats.records == 1
    assert "cannot remove the abandoned" in plan.problems[0]
    assert [name for name in os.listdir(store.tmp) if name.endswith(b".stage")]
    collect(store)
    assert os.listdir(tmp_path / "bad") == []


def test_a_purge_that_takes_empty_folders_and_FORMAT(  # noqa: N802
    tmp_path: Path, store: Store, project: Project
) -> None:
    """Scratch purges also remove folders that are empty, as quarantine/ and tmp/ mostly are."""
    project.take(store, tmp_path / "out")
    for folder in (store.tmp, store.quarantine, store.pins):
        os.rmdir(folder)
    Store.open(store.path)
    assert not {b"tmp", b"quarantine", b"pins"} - set(os.listdir(store.path))
    os.unlink(os.path.join(store.path, b"FORMAT"))
    again = Store.open(store.path)
    assert again == store
    snapshot = project.take(again, tmp_path / "out")
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == project.expected()


def test_equal_trees_come_and_go(tmp_path: Path, store: Store, project: Project) -> None:
    """A manifest is shared by all snapshots of a tree: it stays until the last of them goes."""
    for number in range(3):
        project.take(store, tmp_path / str(number))
    (tree,) = {record.tree for record in read_records(store)}
    for number in range(3):
        assert os.path.exists(store.tree_path(tree))
        remove(os.fsencode(tmp_path / str(number)))
        collect(store)
    assert not os.path.exists(store.tree_path(tree))
    assert blob_files(store) == {}
    assert list(read_records(store)) == []


def test_blobs_that_are_still_linked_stay(tmp_path: Path, store: Store, project: Project) -> None:
    """Somebody moved a code folder away: its snapshot is dead, but deleting blobs frees nothing."""
    project.take(store, tmp_path / "out")
    (tmp_path / "out" / "code").rename(tmp_path / "elsewhere")
    plan = plan_gc(store, grace=0)
    stats = plan.execute()
    assert stats.records == 1
    assert plan.linked == len(blob_files(store)) > 0
    assert read_folder(os.fsencode(tmp_path / "elsewhere")) == project.expected()


def test_the_grace_period(tmp_path: Path, store: Store, project: Project) -> None:
    """Nothing that is younger than the grace period goes, whatever it looks like."""
    snapshot = project.take(store, tmp_path / "out")
    withdraw_snapshot(store, snapshot)
    plan = plan_gc(store, grace=3600)
    stats = plan.execute()
    assert (plan.dead, plan.trees, plan.blobs) == ([], [], [])
    assert stats.blobs == stats.trees == stats.records == 0
    assert len(blob_files(store)) == 4
    collect(store)
    assert blob_files(store) == {}


def test_a_plan_changes_nothing(tmp_path: Path, store: Store, project: Project) -> None:
    """A dry run is a plan that is not executed."""
    project.take(store, tmp_path / "out")
    remove(os.fsencode(tmp_path / "out"))
    changes: list[str] = []
    with watched(lambda name, args, options: changes.append(name)):
        plan = plan_gc(store, grace=0)
    assert changes == []
    assert plan.dead
    assert os.path.exists(record_path(store, plan.dead[0].id))


def test_the_cost_of_an_unchanged_tree(tmp_path: Path, store: Store, project: Project) -> None:
    """Per file that is known: one link, and nothing else that changes a filesystem."""
    for number in range(200):
        project.write(b"many/%d.py" % number, b"%d\n" % number)
    project.take(store, tmp_path / "out")
    names: list[str] = []
    with watched(lambda name, args, options: names.append(name)):
        take_snapshot(
            store, project.root, project.names(), output_folder=os.fsencode(tmp_path / "out")
        )
    assert names.count("link") <= 205 + 4  # probe, claim, manifest, and one spare
    assert len(names) - names.count("link") < 45

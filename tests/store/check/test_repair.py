"""Repair mends each kind of damage from each source."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from damaged_worlds import (
    DAMAGE,
    SOURCE,
    World,
    _become_folder,
    assert_whole,
    import_in,
    kinds,
    make_world,
    read,
    write_through,
)

from slurmic_store import (
    LinkMode,
    digest_of,
    plan_gc,
    repair_code_folder,
    repair_store,
    verify_code_folder,
    verify_store,
)


def restore(world: World, *, checksum: bool = True) -> None:
    """Repair the store, then the folder; everything must be as it was."""
    report = repair_store(world.store, checksum=checksum, roots=[world.root])
    assert report.left == ()
    folder = repair_code_folder(world.code, checksum=checksum, store=world.store)
    assert folder.left == ()
    assert_whole(world)


@pytest.mark.parametrize("name", [n for n in DAMAGE if n != "replaced by a folder"])
@pytest.mark.parametrize("link_mode", ["hardlink", "copy"])
def test_every_damage_to_a_folder_is_repaired(
    tmp_path: Path, name: str, link_mode: LinkMode
) -> None:
    world = make_world(tmp_path, link_mode)
    damage, _, _ = DAMAGE[name]
    for path in (b"pkg/model.py", b"run.sh"):
        damage(os.path.join(world.code, path))
    with open(world.code + b"/result.txt", "wb") as stream:
        stream.write(b"a job's")
    report = repair_code_folder(world.code, checksum=False, store=world.store, roots=[world.root])
    assert report.left == ()
    assert {os.path.relpath(r.finding.path, world.code) for r in report.repaired} == {
        b"pkg/model.py",
        b"run.sh",
    }
    assert_whole(world)
    assert read(world.code + b"/result.txt") == b"a job's"
    names = [n for _, _, found in os.walk(world.base) for n in found]
    assert not [n for n in names if os.fsencode(n).startswith(b".slurmic-")]


def test_a_folder_where_a_file_should_be_is_left(world: World) -> None:
    path = world.code + b"/main.py"
    _become_folder(path)
    with open(path + b"/precious", "wb") as stream:
        stream.write(b"a job's")
    report = repair_code_folder(world.code, checksum=False, store=world.store)
    assert kinds(report.left) == {path: "type"}
    assert "a folder stands in its place" in report.left[0].detail
    assert read(path + b"/precious") == b"a job's"


def test_a_repair_never_writes_through_a_link(world: World) -> None:
    """The damaged inode may be another folder's only copy of what a job has written there."""
    second = world.pack("second")
    assert second.code_folder is not None
    write_through(world.code + b"/main.py", b"DAMAGED")
    inode = os.stat(world.code + b"/main.py").st_ino
    damaged = read(world.code + b"/main.py")
    restore(world, checksum=False)
    other = second.code_folder + b"/main.py"
    assert os.stat(other).st_ino == inode
    assert read(other) == damaged
    assert read(world.code + b"/main.py") == SOURCE[b"main.py"][0]


def without_sources(world: World) -> None:
    shutil.rmtree(world.root)


def test_from_a_blob_of_the_same_content_with_other_bits(world: World) -> None:
    without_sources(world)
    write_through(world.code + b"/pkg/model.py", b"l")
    report = repair_store(world.store, checksum=False)
    (repaired,) = report.repaired
    assert repaired.source == world.blob(b"pkg/secret")
    assert stat.S_IMODE(os.stat(world.blob(b"pkg/model.py")).st_mode) == 0o444
    restore(world)


def test_from_a_file_of_another_code_folder(world: World) -> None:
    second = world.pack("second", "copy")
    without_sources(world)
    write_through(world.code + b"/main.py", b"X")
    (repaired,) = repair_store(world.store, checksum=False).repaired
    assert second.code_folder is not None
    assert repaired.source == second.code_folder + b"/main.py"
    restore(world)


def test_from_the_original_if_it_has_not_changed(world: World) -> None:
    write_through(world.code + b"/main.py", b"X")
    write_through(world.code + b"/run.sh", b"X")
    write_through(world.root + b"/run.sh", b"Y")
    report = repair_store(world.store, checksum=False, roots=[world.root])
    (repaired,) = report.repaired
    assert repaired.source == world.root + b"/main.py"
    assert kinds(report.left) == {world.blob(b"run.sh"): "seal"}
    assert "no healthy copy was found" in report.left[0].detail
    # It is left where it is, for somebody who wants to see what became of it.
    assert read(world.blob(b"run.sh")).startswith(b"X")


def test_the_store_remembers_where_originals_were(world: World) -> None:
    for path in SOURCE:
        os.utime(os.path.join(world.root, path), (1, 1))
    # A file whose change time is young is not in the stat cache; the tree's place is.
    from slurmic_store.source import statcache

    cache = statcache.StatCache.load(world.store, world.root)
    stamp = statcache.stamp_of(os.stat(world.root + b"/main.py"))
    digest = digest_of(SOURCE[b"main.py"][0])
    cache.save(world.root, [b"main.py"], [stamp], [digest], stamp[2] + 10**10)
    write_through(world.code + b"/run.sh", b"X")
    (repaired,) = repair_store(world.store, checksum=False).repaired
    assert repaired.source == world.root + b"/run.sh"


def test_from_the_blob_itself_if_only_its_time_or_its_bits_are_wrong(world: World) -> None:
    without_sources(world)
    os.utime(world.code + b"/main.py")
    os.chmod(world.code + b"/run.sh", 0o777)
    inode = os.stat(world.blob(b"main.py")).st_ino
    report = repair_store(world.store, checksum=False)
    assert {r.source for r in report.repaired} == {world.blob(b"main.py"), world.blob(b"run.sh")}
    assert os.stat(world.blob(b"main.py")).st_ino != inode
    restore(world)


def test_a_missing_blob_comes_back_from_its_code_folder(world: World) -> None:
    without_sources(world)
    for path in (b"main.py", b"run.sh"):
        os.unlink(world.blob(path))
    assert len(repair_store(world.store, checksum=False).repaired) == 2
    restore(world)


def test_manifests_come_back_from_beside_a_folder_or_from_the_folder(world: World) -> None:
    manifest = world.store.tree_path(world.snapshot.record.tree)
    original = read(manifest)
    os.unlink(manifest)
    (repaired,) = repair_store(world.store, checksum=False).repaired
    assert repaired.source == world.code + b".tree.zst"
    os.unlink(world.code + b".tree.zst")
    write_through(manifest, b"nonsense")
    # Jobs have added files, as they do.
    import_in(world.code)
    with open(world.code + b"/log", "wb") as stream:
        stream.write(b"a job's")
    (repaired,) = repair_store(world.store, checksum=False).repaired
    assert repaired.source == world.code
    assert read(manifest) == original
    assert verify_store(world.store, checksum=True).intact


def test_a_manifest_is_not_rebuilt_from_a_folder_that_has_changed(world: World) -> None:
    manifest = world.store.tree_path(world.snapshot.record.tree)
    os.unlink(world.code + b".tree.zst")
    os.unlink(manifest)
    write_through(world.code + b"/main.py", b"X")
    report = repair_store(world.store, checksum=False)
    assert kinds(report.left) == {manifest: "missing", world.blob(b"main.py"): "seal"}
    assert not os.path.exists(manifest)


def test_a_manifest_and_its_blobs_are_repaired_in_one_go(world: World) -> None:
    """Which blobs are needed is known only when the manifest is back."""
    os.unlink(world.store.tree_path(world.snapshot.record.tree))
    os.unlink(world.blob(b"main.py"))
    report = repair_store(world.store, checksum=False)
    assert len(report.repaired) == 2
    assert report.left == ()
    restore(world)


def test_a_record_comes_back_from_beside_its_folder(world: World) -> None:
    world.pack("out")  # another one in the same output folder, by which this one is found
    path = os.path.join(world.store.snapshots, world.snapshot.record.id.encode() + b".json")
    write_through(path, b"nonsense")
    (repaired,) = repair_store(world.store, checksum=False).repaired
    assert repaired.source == world.code + b".json"
    assert verify_store(world.store, checksum=True).intact
    plan = plan_gc(world.store, grace=0)
    assert (plan.problems, plan.dead, plan.blobs) == ([], [], [])


def test_record_and_manifest_beside_a_folder_come_back_from_the_store(world: World) -> None:
    write_through(world.code + b".json", b"nonsense")
    os.unlink(world.code + b".tree.zst")
    with open(world.code + b".tree.zst", "wb") as stream:
        stream.write(b"nonsense")
    report = repair_code_folder(world.code, checksum=False, store=world.store)
    assert report.left == ()
    assert len(report.repaired) == 2
    assert verify_code_folder(world.code, checksum=True).findings == ()


def test_a_folder_is_repaired_without_a_store_from_its_sources(world: World) -> None:
    shutil.rmtree(world.store.path)
    write_through(world.code + b"/main.py", b"X")
    os.unlink(world.code + b"/run.sh")
    os.unlink(world.code + b"/link")
    shutil.rmtree(world.code + b"/pkg")
    os.unlink(world.root + b"/run.sh")
    report = repair_code_folder(world.code, checksum=False, roots=[world.root])
    assert kinds(report.left) == {world.code + b"/run.sh": "missing"}
    assert kinds(verify_code_folder(world.code, checksum=True).findings) == {
        world.code + b"/run.sh": "missing"
    }

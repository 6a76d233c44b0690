"""Verify finds each kind of damage, and what is no damage it does not report.

The damage is real: done to files of real stores and code folders with the commands that jobs use.
Root is not stopped by permission bits, and nothing here relies on being stopped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from damaged_worlds import DAMAGE, SOURCE, World, import_in, kinds, make_world, read, write_through

from slurmic_store import (
    LinkMode,
    Store,
    StoreError,
    digest_of,
    repair_code_folder,
    repair_store,
    take_snapshot,
    verify_code_folder,
    verify_store,
)

# What nothing is wrong with.


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("link_mode", ["hardlink", "copy"])
def test_what_is_as_it_was_stored_has_no_findings(
    tmp_path: Path, checksum: bool, link_mode: LinkMode
) -> None:
    world = make_world(tmp_path, link_mode)
    report = verify_store(world.store, checksum=checksum)
    assert (report.findings, report.notes) == ((), ())
    assert report.intact
    # Record, manifest, five blobs: model.py and secret differ in their bits alone.
    assert report.checked == 7
    assert report.hashed == (5 if checksum else 0)
    folder = verify_code_folder(world.code, checksum=checksum)
    assert (folder.findings, folder.added, folder.notes) == ((), (), ())
    assert folder.checked == len(SOURCE) + 2


def test_an_empty_store_and_an_empty_tree_are_fine(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    assert verify_store(store, checksum=True).intact
    snapshot = take_snapshot(
        store, os.fsencode(tmp_path), [], output_folder=b"%b/out" % os.fsencode(tmp_path)
    )
    assert snapshot.code_folder is not None
    assert verify_code_folder(snapshot.code_folder, checksum=True).intact


@pytest.mark.parametrize("name", DAMAGE)
def test_a_stat_finds_damage_in_the_folder_and_in_the_store(world: World, name: str) -> None:
    damage, in_folder, in_store = DAMAGE[name]
    path = os.path.join(world.code, b"pkg/model.py")
    damage(path)
    assert kinds(verify_code_folder(world.code, checksum=False).findings) == {path: in_folder}
    blob = world.blob(b"pkg/model.py")
    expected = {} if in_store is None else {blob: in_store}
    assert kinds(verify_store(world.store, checksum=False).findings) == expected


def test_only_a_checksum_finds_a_rewrite_that_restores_the_time(world: World) -> None:
    path = os.path.join(world.code, b"pkg/model.py")
    status = os.stat(path)
    write_through(path, b"LAYERS = 13\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert verify_code_folder(world.code, checksum=False).intact
    assert verify_store(world.store, checksum=False).intact
    found = verify_code_folder(world.code, checksum=True).findings
    assert kinds(found) == {path: "content"}
    assert digest_of(b"LAYERS = 13\n").hex() in found[0].detail
    found = verify_store(world.store, checksum=True).findings
    assert kinds(found) == {world.blob(b"pkg/model.py"): "content"}


def test_a_checksum_tells_a_touched_file_from_a_changed_one(world: World) -> None:
    os.utime(os.path.join(world.code, b"main.py"))
    write_through(os.path.join(world.code, b"run.sh"), b"##")
    found = {f.path: f for f in verify_code_folder(world.code, checksum=True).findings}
    assert found[world.code + b"/main.py"].kind == "seal"
    assert "its content is right" in found[world.code + b"/main.py"].detail
    assert found[world.code + b"/run.sh"].kind == "content"


def test_links_and_empty_files_are_compared_too(world: World) -> None:
    os.unlink(world.code + b"/link")
    os.symlink(b"run.sh", world.code + b"/link")
    os.unlink(world.code + b"/pkg/up")
    os.mkdir(world.code + b"/pkg/up")
    os.chmod(world.code + b"/pkg/__init__.py", 0o644)
    with open(world.code + b"/pkg/__init__.py", "wb") as stream:
        stream.write(b"boom")
    assert kinds(verify_code_folder(world.code, checksum=False).findings) == {
        world.code + b"/link": "target",
        world.code + b"/pkg/up": "type",
        world.code + b"/pkg/__init__.py": "size",
    }
    # An empty file is not shared: the store is as it was.
    assert verify_store(world.store, checksum=True).intact


def test_what_jobs_add_is_no_damage(world: World) -> None:
    import_in(world.code)
    os.makedirs(world.code + b"/outputs/deep")
    for name in (b"/outputs/deep/a", b"/log.txt", b"/pkg/stale.pyc"):
        with open(world.code + name, "wb") as stream:
            stream.write(b"a job's")
    report = verify_code_folder(world.code, checksum=True)
    assert report.intact
    assert {(os.path.relpath(f.path, world.code), f.kind, f.detail) for f in report.added} == {
        (b"pkg/__pycache__", "added", "bytecode"),
        (b"pkg/stale.pyc", "added", "bytecode"),
        (b"outputs", "added", "a folder created after packing"),
        (b"log.txt", "added", "a file created after packing"),
    }


def test_a_folder_that_became_a_link_is_not_followed(world: World) -> None:
    """What lies behind it may be whole, and still is not what was packed."""
    shutil.move(os.fsdecode(world.code + b"/pkg"), world.base / "elsewhere")
    os.symlink(world.base / "elsewhere", world.code + b"/pkg")
    found = kinds(verify_code_folder(world.code, checksum=False).findings)
    assert found.pop(world.code + b"/pkg") == "type"
    assert set(found.values()) == {"missing"}
    assert len(found) == 5
    # Nor does a repair write through it.
    report = repair_code_folder(world.code, checksum=False, store=world.store)
    assert not report.repaired
    assert len(report.left) == 6
    assert all("not a folder" in f.detail for f in report.left if f.kind == "missing")


# A code folder elsewhere.


def test_a_folder_that_was_moved_is_verified_without_a_store(world: World) -> None:
    shutil.move(world.base / "out", world.base / "moved")
    shutil.rmtree(world.store.path)
    code = os.fsencode(world.base / "moved" / "code")
    assert verify_code_folder(code, checksum=True).intact
    write_through(code + b"/main.py", b"X")
    assert kinds(verify_code_folder(code, checksum=False).findings) == {code + b"/main.py": "seal"}


def test_a_copy_that_keeps_times_keeps_its_seals(world: World) -> None:
    subprocess.run(["cp", "-a", "out", "copy"], cwd=world.base, check=True)
    code = os.fsencode(world.base / "copy" / "code")
    report = verify_code_folder(code, checksum=False)
    assert (report.findings, report.notes) == ((), ())
    write_through(code + b"/pkg/model.py", b"l")
    found = verify_code_folder(code, checksum=False).findings
    assert kinds(found) == {code + b"/pkg/model.py": "seal"}
    # The original has its own file.
    assert verify_code_folder(world.code, checksum=True).intact


@pytest.mark.parametrize("command", ["cp -r out copy", "umask 077; cp -r out copy"])
def test_a_copy_without_times_says_that_a_stat_cannot_tell(world: World, command: str) -> None:
    subprocess.run(["sh", "-c", command], cwd=world.base, check=True)
    code = os.fsencode(world.base / "copy" / "code")
    report = verify_code_folder(code, checksum=False)
    assert report.intact
    assert len(report.notes) == 1
    assert "bears its seal" in report.notes[0]
    assert "only a checksum can tell" in report.notes[0]
    write_through(code + b"/pkg/model.py", b"l")
    assert verify_code_folder(code, checksum=False).intact
    assert kinds(verify_code_folder(code, checksum=True).findings) == {
        code + b"/pkg/model.py": "content"
    }


def test_a_copy_to_whole_seconds_is_one_without_times(world: World) -> None:
    for path in SOURCE:
        file = os.path.join(world.code, path)
        seconds = int(os.stat(file).st_mtime)
        os.utime(file, (seconds, seconds))
    report = verify_code_folder(world.code, checksum=True)
    assert report.intact
    assert "bears its seal" in report.notes[0]


def test_a_folder_in_its_place_whose_seals_are_all_broken_is_damaged(world: World) -> None:
    for path in SOURCE:
        os.utime(os.path.join(world.code, path))
    report = verify_code_folder(world.code, checksum=False)
    assert set(kinds(report.findings).values()) == {"seal"}
    assert len(report.findings) == 5  # the empty file has none


def test_record_and_manifest_may_be_given_explicitly(world: World) -> None:
    shutil.copytree(os.fsdecode(world.code), world.base / "lonely", symlinks=True)
    lonely = os.fsencode(world.base / "lonely")
    with pytest.raises(StoreError, match="nothing says what"):
        verify_code_folder(lonely, checksum=False)
    with pytest.raises(StoreError, match="nothing says what"):
        verify_code_folder(lonely, checksum=False, store=world.store)
    report = verify_code_folder(
        lonely, checksum=True, record=world.code + b".json", manifest=world.code + b".tree.zst"
    )
    assert report.intact


def test_the_store_stands_in_for_a_record_or_a_manifest_that_is_gone(world: World) -> None:
    os.unlink(world.code + b".tree.zst")
    with pytest.raises(StoreError, match="cannot tell which files belong"):
        verify_code_folder(world.code, checksum=False)
    report = verify_code_folder(world.code, checksum=False, store=world.store)
    assert report.intact
    assert "does not exist" in report.notes[0]
    os.chmod(world.code + b".json", 0o644)
    with open(world.code + b".json", "wb") as stream:
        stream.write(b"{")
    report = verify_code_folder(world.code, checksum=False, store=world.store)
    assert kinds(report.findings) == {world.code + b".json": "record"}
    with pytest.raises(StoreError, match="no code folder"):
        verify_code_folder(world.code + b"-2", checksum=False, store=world.store)


# Damage to a store.


def test_what_live_snapshots_need_and_is_gone_is_missing(world: World) -> None:
    blob = world.blob(b"main.py")
    os.unlink(blob)
    found = verify_store(world.store, checksum=False).findings
    assert kinds(found) == {blob: "missing"}
    assert world.snapshot.record.id in found[0].detail
    manifest = world.store.tree_path(world.snapshot.record.tree)
    os.unlink(manifest)
    assert kinds(verify_store(world.store, checksum=False).findings) == {manifest: "missing"}


def test_what_only_a_dead_snapshot_needs_is_not_missing(world: World) -> None:
    shutil.rmtree(world.code)
    os.unlink(world.blob(b"main.py"))
    assert verify_store(world.store, checksum=False).intact


def test_what_a_collection_holds_in_quarantine_is_not_missing(world: World) -> None:
    blob = world.blob(b"main.py")
    aside = b"blob-0123456789ab-" + os.path.basename(blob)
    os.rename(blob, os.path.join(world.store.quarantine, aside))
    assert verify_store(world.store, checksum=False).intact
    manifest = world.store.tree_path(world.snapshot.record.tree)
    aside = b"tree-0123456789ab-" + os.path.basename(manifest)
    os.rename(manifest, os.path.join(world.store.quarantine, aside))
    assert verify_store(world.store, checksum=False).intact


def test_what_a_submission_has_not_published_yet_is_not_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its record and its blobs, a snapshot names blobs that only its staging folder has."""
    (world.base / "src" / "new.py").write_text("new")
    reports = []
    real_link = os.link

    def link(source: bytes, target: bytes, **options: object) -> None:
        if b"/blobs/" in os.fsencode(target):
            reports.append(verify_store(world.store, checksum=False))
        real_link(source, target, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", link)
    output = os.fsencode(world.base / "second")
    take_snapshot(world.store, world.root, [b"new.py"], output_folder=output)
    assert reports
    assert all(report.intact for report in reports)


def test_records_and_manifests_that_do_not_read_back(world: World) -> None:
    manifest = world.store.tree_path(world.snapshot.record.tree)
    write_through(manifest, b"\0\0\0\0\0\0")
    record = os.path.join(world.store.snapshots, b"260101-000000-aaaaaa.json")
    with open(record, "wb") as stream:
        stream.write(b'{"slurmic_record": 1')
    double = os.path.join(world.store.snapshots, b"260101-000000-bbbbbb.json")
    with open(double, "wb") as stream:
        stream.write(world.snapshot.record.to_json().encode())
    assert kinds(verify_store(world.store, checksum=False).findings) == {
        manifest: "manifest",
        record: "record",
        double: "record",
    }


def test_names_that_do_not_belong_are_listed_and_left(world: World) -> None:
    store = world.store
    blob = world.blob(b"main.py")
    wrong_folder = os.path.join(store.blobs, b"zz", os.path.basename(blob))
    os.mkdir(os.path.dirname(wrong_folder))
    strange = [
        wrong_folder,
        os.path.join(os.path.dirname(blob), b"notes.txt"),
        os.path.join(os.path.dirname(blob), os.path.basename(blob)[:-3] + b"777"),
        os.path.join(store.path, b"thesis.pdf"),
        os.path.join(store.snapshots, b"README"),
        os.path.join(store.pins, b"x"),
        os.path.join(os.path.dirname(store.tree_path(world.snapshot.record.tree)), b"x.zst"),
    ]
    for path in strange:
        with open(path, "wb") as stream:
            stream.write(b"precious")
    found = verify_store(store, checksum=False).findings
    assert kinds(found) == dict.fromkeys(strange, "foreign")
    report = repair_store(store, checksum=True)
    assert not report.repaired
    assert kinds(report.left) == kinds(found)
    assert all(read(path) == b"precious" for path in strange)


def test_a_blob_of_no_known_size_is_still_checked(world: World) -> None:
    """No live snapshot names it; its bits, its seal and its content are all that can be said."""
    shutil.rmtree(world.code)
    shutil.rmtree(world.store.snapshots)
    os.mkdir(world.store.snapshots)
    blob = world.blob(b"main.py")
    write_through(blob, b"x")
    assert kinds(verify_store(world.store, checksum=False).findings) == {blob: "seal"}
    assert kinds(verify_store(world.store, checksum=True).findings) == {blob: "content"}

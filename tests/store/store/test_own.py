"""A store that others may change is not used: what they put there would run in jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from storechecks import Project, blob_files, read_folder

from slurmic_store import Store, StoreOwnerError, plan_gc

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
@pytest.mark.parametrize("name", ["", "blobs", "trees", "snapshots", "pins", "index", "tmp"])
def test_a_store_that_others_may_write_to_is_refused(
    store: Store, project: Project, tmp_path: Path, name: str, mode: int
) -> None:
    folder = tmp_path / "store" / name
    folder.chmod(mode)
    for act in (
        lambda: project.take(store, tmp_path / "out"),
        lambda: plan_gc(store, grace=0).execute(),
    ):
        with pytest.raises(StoreOwnerError, match=r"others may write to .* \(mode 0"):
            act()
    assert not (tmp_path / "out" / "code").exists()
    folder.chmod(0o700)
    project.take(store, tmp_path / "out")


def test_a_folder_that_was_open_before_is_no_store(tmp_path: Path, project: Project) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StoreOwnerError, match="chmod go-w"):
        project.take(Store.open(tmp_path / "open"), tmp_path / "out")


def test_parents_in_which_everybody_may_rename(tmp_path: Path, project: Project) -> None:
    """Without the sticky bit, another user could put a folder of theirs in the store's place."""
    parent = tmp_path / "shared"
    (parent / "deep").mkdir(parents=True)
    parent.chmod(0o777)
    store = Store.open(parent / "deep" / "store")
    with pytest.raises(StoreOwnerError, match="everybody may write to"):
        project.take(store, tmp_path / "out")
    parent.chmod(0o1777)
    project.take(store, tmp_path / "out")
    parent.chmod(0o775)  # a group is trusted: so are many homes
    project.take(store, tmp_path / "out-2")


def test_a_folder_of_the_store_is_not_a_link(
    store: Store, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.rmdir(store.quarantine)
    os.symlink(tmp_path / "elsewhere", store.quarantine)
    with pytest.raises(Exception, match="cannot open folder of the store"):
        project.take(store, tmp_path / "out")


@needs_root
def test_what_somebody_else_has_put_under_a_blobs_name_is_not_linked(
    store: Store, project: Project, tmp_path: Path
) -> None:
    """It has the right name, size, mode and seal, and other bytes."""
    project.take(store, tmp_path / "first")
    for path in blob_files(store).values():
        status = os.stat(path)
        data = b"EVIL" * status.st_size
        os.unlink(path)
        Path(os.fsdecode(path)).write_bytes(data[: status.st_size])
        os.chmod(path, status.st_mode & 0o777)
        os.chown(path, 65534, 65534)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    snapshot = project.take(store, tmp_path / "second")
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == project.expected()
    for parent, _, names in os.walk(snapshot.code_folder):
        for name in names:
            assert os.lstat(os.path.join(parent, name)).st_uid == os.geteuid()


@needs_root
def test_a_folder_of_the_store_that_is_somebody_elses(
    store: Store, project: Project, tmp_path: Path
) -> None:
    os.chown(store.blobs, 65534, 65534)
    with pytest.raises(StoreOwnerError, match=r"folder '.*/blobs' of the store belongs to user id"):
        project.take(store, tmp_path / "out")

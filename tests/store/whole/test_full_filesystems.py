"""Disks, inode tables and quotas that are full before a snapshot is finished, for real.

Root mounts them (see `filesystems.py`); elsewhere these tests are skipped with the reason.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from filesystems import Kind, filesystem, require, run
from small_trees import assert_clean, assert_holds, code_of, pack, plant

from slurmic_store import (
    Store,
    StoreError,
    plan_gc,
    verify_code_folder,
    verify_store,
)

pytestmark = pytest.mark.realfs

MANY = {b"d%d/f%d.py" % (n % 7, n): b"%d\n" % n * 3000 for n in range(40)}


def plant_many(root: Path) -> list[bytes]:
    for path, data in MANY.items():
        file = os.path.join(os.fsencode(root), path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as stream:
            stream.write(data)
    return list(MANY)


def fill(folder: Path, leave: int) -> Path:
    """Fill a filesystem up but for about `leave` bytes."""
    filler = folder / "filler"
    with open(filler, "wb") as stream:
        for block in (1 << 20, 1 << 16, 1 << 12):
            try:
                while os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize > leave + block:
                    os.posix_fallocate(stream.fileno(), stream.seek(0, 2), block)
                    stream.seek(0, 2)
            except OSError as error:
                assert error.errno == errno.ENOSPC
        os.fsync(stream.fileno())
    return filler


FULL: dict[str, tuple[Kind, str]] = {
    "ext4": ("ext4", "64M"),
    "xfs": ("xfs", "320M"),
    "btrfs": ("btrfs", "160M"),
    "tmpfs": ("tmpfs", "16M"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_disk_that_is_full_before_the_end(tmp_path: Path, name: str) -> None:
    """The error says so, nothing is left behind, and with space again it works."""
    kind, size = FULL[name]
    plant_many(tmp_path / "src")
    needed = sum(map(len, MANY.values()))
    with filesystem(tmp_path / "fs", kind, size=size) as folder:
        store = Store.open(folder / "store")
        failed = 0
        for part in (0.0, 0.1, 0.4, 0.8):
            filler = fill(folder, int(needed * part))
            try:
                snapshot = pack(store, tmp_path / "src", folder / "out", list(MANY))
            except StoreError as error:
                failed += 1
                text = str(error)
                assert "no space left on device" in text or "disk quota exceeded" in text, text
                assert "free some space" in text or "free some files" in text
                assert str(folder) in text
                assert_clean(store, folder / "out")
            else:
                # Filesystems keep reserves; then it must be whole.
                assert_holds(code_of(snapshot), MANY)
                shutil.rmtree(folder / "out")
                plan_gc(store, grace=0).execute()
            filler.unlink()
            run("sync", "-f", folder)
        assert failed >= 2
        snapshot = pack(store, tmp_path / "src", folder / "out", list(MANY))
        assert_holds(code_of(snapshot), MANY)
        assert verify_store(store, checksum=True).findings == ()


@pytest.mark.parametrize(
    ("kind", "make", "options"),
    [("ext4", ("-N", "128"), ""), ("tmpfs", (), "nr_inodes=160")],
)
def test_an_inode_table_that_is_full_before_the_end(
    tmp_path: Path, kind: Kind, make: tuple[str, ...], options: str
) -> None:
    plant_many(tmp_path / "src")
    with filesystem(tmp_path / "fs", kind, size="64M", make=make, options=options) as folder:
        store = Store.open(folder / "store")
        for leave in (2, 10, 25, 45):
            (folder / "fillers").mkdir()
            for number in range(os.statvfs(folder).f_ffree - leave):
                (folder / "fillers" / str(number)).touch()
            with pytest.raises(StoreError, match="no space left on device") as caught:
                pack(store, tmp_path / "src", folder / "out", list(MANY))
            assert "inode table" in caught.value.hint
            assert_clean(store, folder / "out")
            shutil.rmtree(folder / "fillers")
            plan_gc(store, grace=0).execute()
        outcome = pack(store, tmp_path / "src", folder / "out", [b"d0/f0.py", b"d1/f1.py"])
        assert_holds(code_of(outcome), {path: MANY[path] for path in (b"d0/f0.py", b"d1/f1.py")})


def test_a_quota_that_is_used_up_before_the_end(tmp_path: Path) -> None:
    """Of a subvolume of btrfs: outputs in it and the store beside it, then both in it."""
    require("btrfs")
    plant_many(tmp_path / "src")
    with filesystem(tmp_path / "fs", "btrfs") as folder:
        limited = folder / "limited"
        run("btrfs", "subvolume", "create", limited)
        run("btrfs", "quota", "enable", folder)
        for used, store_place in ((400, folder), (500, limited)):
            store = Store.open(store_place / "store")
            # A part of what is needed is left.
            (limited / "filler").write_bytes(os.urandom(used << 10))
            run("sync", "-f", folder)
            run("btrfs", "quota", "rescan", "-w", folder)
            run("btrfs", "qgroup", "limit", f"{used + 300}K", limited)
            with pytest.raises(StoreError, match="disk quota exceeded") as caught:
                pack(store, tmp_path / "src", limited / "out", list(MANY), link_mode="copy")
            assert "a quota (bytes or inodes) is used up" in caught.value.hint
            run("btrfs", "qgroup", "limit", "none", limited)
            assert_clean(store, limited / "out")
            snapshot = pack(store, tmp_path / "src", limited / "out", list(MANY), link_mode="copy")
            assert_holds(code_of(snapshot), MANY)
            shutil.rmtree(limited / "out")


def test_a_filesystem_that_is_mounted_read_only(tmp_path: Path) -> None:
    with filesystem(tmp_path / "fs", "ext4") as folder:
        plant(folder / "src")
        store = Store.open(folder / "store")
        snapshot = pack(store, folder / "src", folder / "out")
        run("mount", "-o", "remount,ro", folder)
        with pytest.raises(StoreError, match="read-only file system"):
            pack(store, folder / "src", folder / "out")
        with pytest.raises(StoreError, match="read-only file system"):
            shutil.copytree(folder / "src", tmp_path / "src", symlinks=True)
            pack(Store.open(tmp_path / "store"), tmp_path / "src", folder / "other")
        # Reading is as good as ever.
        reopened = Store.open(folder / "store", create=False)
        assert verify_store(reopened, checksum=True).findings == ()
        assert verify_code_folder(code_of(snapshot), checksum=True).findings == ()
        with pytest.raises(StoreError, match="read-only file system"):
            Store.open(folder / "new")

"""What an output folder takes: compared with what deleting it really frees."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from slurmic_store import (
    LinkMode,
    Snapshot,
    SnapshotOptions,
    Store,
    measure_sharing,
    pin,
    plan_gc,
    take_snapshot,
)


def _taken(path: Path) -> tuple[int, int]:
    """Allocated bytes and inodes below a folder, each inode once."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in (*names, "."):
            status = os.lstat(os.path.join(folder, name))
            found[status.st_ino] = status.st_blocks * 512
    return sum(found.values()), len(found)


def _take(root: Path, store: Store, output: Path, link_mode: LinkMode = "auto") -> Snapshot:
    paths = [
        os.fsencode(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    ]
    return take_snapshot(
        store,
        os.fsencode(root),
        sorted(paths),
        output_folder=os.fsencode(output),
        options=SnapshotOptions(link_mode=link_mode),
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "a" / "b").mkdir(parents=True)
    for index in range(20):
        (folder / "a" / "b" / f"{index}.py").write_text(f"{index}" * 1000 * index)
    (folder / "a" / "link").symlink_to("b")
    (folder / "big.txt").write_bytes(os.urandom(300_000))
    return folder


@pytest.mark.parametrize("link_mode", ["hardlink", "copy"])
def test_what_a_folder_frees_is_what_its_deletion_frees(
    tmp_path: Path, root: Path, link_mode: LinkMode
) -> None:
    """Two submissions that differ in one file, and the folder of one is deleted."""
    world = tmp_path / "world"
    store = Store.open(world / "store")
    _take(root, store, world / "one", link_mode)
    (root / "big.txt").write_bytes(os.urandom(200_000))
    _take(root, store, world / "two", link_mode)
    usage = measure_sharing(store)
    folders = {os.path.basename(user.output_folder or b""): user for user in usage.folders}
    one, two = folders[b"one"], folders[b"two"]
    assert one.files == two.files == 22
    assert one.apparent_size > one.shared_size > 0
    # Of a copy, there is the blob besides.
    times = 1 if link_mode == "hardlink" else 2
    assert one.own_size - two.own_size == pytest.approx(times * 100_000, abs=10_000)

    before, inodes = _taken(world)
    shutil.rmtree(world / "one")
    plan_gc(store, grace=0).execute()
    after, inodes_after = _taken(world)
    # The output folder itself is no part of it, and folders of the store stay.
    assert before - after == pytest.approx(one.own_size, abs=2 * 4096)
    assert inodes - inodes_after == pytest.approx(one.own_inodes, abs=2)
    usage = measure_sharing(store)
    assert [user.shared_size for user in usage.folders] == [0]
    assert usage.unused == 0


def test_a_pin_is_a_user_like_another(tmp_path: Path, root: Path) -> None:
    store = Store.open(tmp_path / "store")
    record = _take(root, store, tmp_path / "one").record
    alone = measure_sharing(store).folders[0]
    pin(store, record.id, "kept")
    folder, pinned = measure_sharing(store).folders
    assert (folder.output_folder, pinned.output_folder) == (os.fsencode(tmp_path / "one"), None)
    assert folder.shared_size == pinned.shared_size > 300_000
    assert folder.own_size < alone.own_size - 300_000
    assert (pinned.own_size, pinned.files) == (0, 0)


def test_what_nothing_uses_is_gc_s(tmp_path: Path, root: Path) -> None:
    store = Store.open(tmp_path / "store")
    _take(root, store, tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    usage = measure_sharing(store)
    assert usage.folders == []
    assert usage.unused == usage.blobs == 20
    assert usage.unused_size == usage.size


def test_a_lost_manifest_is_a_problem(tmp_path: Path, root: Path) -> None:
    store = Store.open(tmp_path / "store")
    record = _take(root, store, tmp_path / "one").record
    os.unlink(store.tree_path(record.tree))
    usage = measure_sharing(store)
    assert len(usage.problems) == 1 and record.tree in usage.problems[0]

"""The store on real filesystems, mounted for the test: what each can do, and what it runs out of.

Root mounts them (see `filesystems.py`); elsewhere these tests are skipped with the reason.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filesystems import Kind, filesystem, mounted, require, run, unavailable
from small_trees import FILES, assert_holds, code_of, names_below, pack, plant

from slurmic_store import (
    LinkMode,
    LinkModeError,
    Store,
    plan_gc,
    repair_code_folder,
    verify_code_folder,
    verify_store,
)

pytestmark = pytest.mark.realfs

# Everything, on each.

ALL: tuple[Kind, ...] = ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "vfat")


@pytest.fixture(params=ALL, scope="module")
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A mounted filesystem of each kind."""
    if request.param == "vfat" and "vfat" not in Path("/proc/filesystems").read_text().split():
        # Not in every kernel, so never required.
        pytest.skip("the kernel has no vfat")
    with filesystem(tmp_path_factory.mktemp(request.param), request.param) as folder:
        (folder / "kind").write_text(request.param)
        yield folder


def test_the_life_of_a_store(place: Path, record_property: Callable[[str, object], None]) -> None:
    """Snapshot, edit, snapshot, damage, verify, repair, delete, collect: on one filesystem."""
    base = place / "life"
    root = base / "src"
    plant(root)
    store = Store.open(base / "store")
    on_vfat = (place / "kind").read_text() == "vfat"
    record_property("granularity_ns", store.granularity)
    record_property("keeps_modes", store.keeps_modes)

    first = pack(store, root, base / "out")
    record_property("placement", first.record.placement)
    if not on_vfat:
        assert first.record.placement == "hardlink"
        assert first.notices == ()
        assert (store.granularity, store.keeps_modes) == (1, True)
        assert stat.S_IMODE(os.stat(code_of(first) + b"/run.sh").st_mode) == 0o555
        assert stat.S_IMODE(os.stat(code_of(first) + b"/pkg/private").st_mode) == 0o400
        blob = os.stat(code_of(first) + b"/main.py")
        assert blob.st_nlink == 2
    (root / "main.py").write_bytes(b"import pkg  # edited\n")
    second = pack(store, root, base / "out")
    assert second.stats.stored == 1
    edited = {**FILES, b"main.py": b"import pkg  # edited\n"}
    assert_holds(code_of(first))
    assert_holds(code_of(second), edited)
    assert verify_store(store, checksum=True).findings == ()
    for snapshot in (first, second):
        assert verify_code_folder(code_of(snapshot), checksum=True).findings == ()

    # A job that will not be stopped writes through its link.
    damaged = code_of(second) + b"/run.sh"
    os.chmod(damaged, 0o755)
    with open(damaged, "ab") as stream:
        stream.write(b"rm -rf /\n")
    assert [f.path for f in verify_code_folder(code_of(second), checksum=False).findings] == [
        damaged
    ]
    third = pack(store, root, base / "out")
    assert_holds(code_of(third), edited)
    report = repair_code_folder(code_of(second), checksum=False, store=store)
    assert report.left == ()
    assert_holds(code_of(second), edited)

    # What only the first needed goes; then everything goes.
    shutil.rmtree(os.fsdecode(code_of(first)))
    stats = plan_gc(store, grace=0).execute()
    assert (stats.records, stats.trees, stats.blobs) == (1, 1, 1)
    assert verify_store(store, checksum=True).findings == ()
    assert_holds(code_of(third), edited)
    shutil.rmtree(base / "out")
    plan = plan_gc(store, grace=0)
    stats = plan.execute()
    assert (plan.problems, stats.records) == ([], 2)
    for folder in (store.blobs, store.trees, store.snapshots, store.tmp, store.quarantine):
        assert names_below(folder) == []


# From one place to another.


@pytest.fixture(scope="module")
def xfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with filesystem(tmp_path_factory.mktemp("xfs"), "xfs") as folder:
        yield folder


@pytest.fixture(scope="module")
def ext4(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # With as many inodes as there are bytes for: 65,000 names need none of them.
    with filesystem(tmp_path_factory.mktemp("ext4"), "ext4") as folder:
        yield folder


def across(
    store_place: Path, output_place: Path, expected: str, reason: str, refused: list[LinkMode]
) -> None:
    """Pack from a store to an output folder that it cannot be linked into."""
    root = store_place / "src"
    plant(root)
    store = Store.open(store_place / "store")
    snapshot = pack(store, root, output_place / "out")
    assert snapshot.record.placement == expected
    (notice,) = snapshot.notices
    assert f"made of {'copies' if expected == 'copy' else 'reflinks'}" in notice
    assert reason in notice
    assert "store_path" in notice
    code = code_of(snapshot)
    assert_holds(code)
    assert os.stat(code + b"/main.py").st_nlink == 1
    # Bits and seals are the same: it can be verified like one that is linked.
    assert verify_code_folder(code, checksum=False).findings == ()
    assert verify_code_folder(code, checksum=False).notes == ()
    assert verify_store(store, checksum=True).findings == ()
    # Damage to it is damage to nobody else.
    os.chmod(code + b"/main.py", 0o644)
    with open(code + b"/main.py", "wb") as stream:
        stream.write(b"X")
    assert verify_store(store, checksum=True).findings == ()
    for mode in refused:
        with pytest.raises(LinkModeError, match=mode):
            pack(store, root, output_place / mode, link_mode=mode)
        assert os.listdir(output_place / mode) == []
    assert names_below(store.tmp) == []
    plan = plan_gc(store, grace=0)
    assert (plan.problems, plan.dead, plan.blobs) == ([], [], [])


def test_between_filesystems_files_are_copied(ext4: Path, xfs: Path) -> None:
    across(ext4 / "one", xfs / "one", "copy", "cross-device", ["hardlink", "reflink"])


def test_between_bind_mounts_of_one_filesystem(ext4: Path) -> None:
    """link(2) refuses although st_dev is equal: only a trial tells."""
    (ext4 / "bound" / "inner").mkdir(parents=True)
    with mounted(ext4 / "bound" / "mnt", "--bind", ext4 / "bound" / "inner") as bound:
        assert os.stat(bound).st_dev == os.stat(ext4).st_dev
        across(ext4 / "bound", bound, "copy", "cross-device", ["hardlink", "reflink"])


def test_between_bind_mounts_of_a_filesystem_with_reflinks(xfs: Path) -> None:
    (xfs / "bound" / "inner").mkdir(parents=True)
    with mounted(xfs / "bound" / "mnt", "--bind", xfs / "bound" / "inner") as bound:
        across(xfs / "bound", bound, "reflink", "cross-device", ["hardlink"])


def test_between_subvolumes_of_btrfs(tmp_path: Path) -> None:
    require("btrfs")
    with filesystem(tmp_path / "fs", "btrfs") as folder:
        for name in ("home", "scratch"):
            run("btrfs", "subvolume", "create", folder / name)
        across(folder / "home", folder / "scratch", "reflink", "cross-device", ["hardlink"])


def make_project(folder: Path, number: int) -> None:
    """Give a folder of an XFS a project of its own, which what is made in it inherits."""
    require("xfs_io")
    folder.mkdir(parents=True)
    run("xfs_io", "-c", f"chproj {number}", "-c", "chattr +P", folder)


def test_between_projects_of_xfs(xfs: Path) -> None:
    make_project(xfs / "projects" / "outputs", 42)
    (xfs / "projects" / "store").mkdir()
    across(
        xfs / "projects" / "store",
        xfs / "projects" / "outputs",
        "reflink",
        "cross-device",
        ["hardlink"],
    )


def test_a_project_that_the_store_is_in_can_be_linked_out_of_no_more_than_into(xfs: Path) -> None:
    """The other way round: the store has a project, the outputs have none."""
    make_project(xfs / "reversed" / "store", 43)
    root = xfs / "reversed" / "src"
    plant(root)
    store = Store.open(xfs / "reversed" / "store" / "store")
    snapshot = pack(store, root, xfs / "reversed" / "out")
    assert_holds(code_of(snapshot))
    assert verify_store(store, checksum=True).findings == ()
    assert verify_code_folder(code_of(snapshot), checksum=True).findings == ()
    # The blobs are where the next snapshot finds them.
    assert pack(store, root, xfs / "reversed" / "out").stats.stored == 0


def test_explicit_modes_do_what_they_say(xfs: Path, ext4: Path) -> None:
    for place, modes in ((xfs, ("hardlink", "reflink", "copy")), (ext4, ("hardlink", "copy"))):
        base = place / "explicit"
        plant(base / "src")
        store = Store.open(base / "store")
        for mode in modes:
            snapshot = pack(store, base / "src", base / mode, link_mode=mode)  # type: ignore[arg-type]
            assert (snapshot.record.placement, snapshot.notices) == (mode, ())
            assert verify_code_folder(code_of(snapshot), checksum=True).findings == ()
    with pytest.raises(LinkModeError, match="reflink"):
        pack(store, ext4 / "explicit" / "src", ext4 / "explicit" / "no", link_mode="reflink")


# Links run out.


def use_up_links(blob: bytes, folder: Path, *, stop_at: int = 200_000) -> int:
    """Link a blob until no more links are possible; how many it has then."""
    folder.mkdir()
    target = os.fsencode(folder)
    for number in range(stop_at):
        try:
            os.link(blob, b"%b/%d" % (target, number))
        except OSError as error:
            assert error.errno == errno.EMLINK
            return os.stat(blob).st_nlink
    raise AssertionError("no end of links")


def outlive_the_limit(base: Path) -> int:
    """Cross the link limit of a blob by a snapshot; what the limit is."""
    root = base / "src"
    plant(root)
    store = Store.open(base / "store")
    first = pack(store, root, base / "out")
    (entry,) = (e for e in first.tree.entries if e.path == b"main.py")
    blob = store.blob_path(entry.digest, entry.mode)
    full = os.stat(blob).st_ino
    limit = use_up_links(blob, base / "links")
    second = pack(store, root, base / "out")
    third = pack(store, root, base / "out")
    assert (second.notices, third.notices) == ((), ())
    for snapshot in (first, second, third):
        assert_holds(code_of(snapshot))
        assert verify_code_folder(code_of(snapshot), checksum=True).findings == ()
    assert os.stat(code_of(first) + b"/main.py").st_ino == full
    fresh = os.stat(blob)
    assert fresh.st_ino != full
    assert os.stat(code_of(second) + b"/main.py").st_ino == fresh.st_ino
    assert os.stat(code_of(third) + b"/main.py").st_ino == fresh.st_ino
    assert fresh.st_nlink == 3
    assert names_below(store.quarantine) == []
    assert verify_store(store, checksum=True).findings == ()
    return limit


def test_the_65000_links_of_ext4(ext4: Path) -> None:
    assert outlive_the_limit(ext4 / "full") == 65_000


def test_the_65535_links_of_btrfs(tmp_path: Path) -> None:
    with filesystem(tmp_path / "fs", "btrfs") as folder:
        assert outlive_the_limit(folder / "full") == 65_535


def test_required_filesystems_fail_instead_of_being_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURMIC_REQUIRE_REALFS", "1")
    with pytest.raises(pytest.fail.Exception, match="no such tool"):
        unavailable("no such tool")
    monkeypatch.delenv("SLURMIC_REQUIRE_REALFS")
    with pytest.raises(pytest.skip.Exception, match="no such tool"):
        unavailable("no such tool")

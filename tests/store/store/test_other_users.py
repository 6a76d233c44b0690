"""Stores of other users, and what permission bits do for users who are not root.

Root ignores permission bits, so these tests drop privileges in a child process.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from filesystems import as_nobody, filesystem
from small_trees import FILES, assert_holds, code_of, pack, plant

from slurmic_store import (
    Store,
    StoreOwnerError,
    plan_gc,
    verify_store,
)

pytestmark = pytest.mark.realfs


@pytest.fixture(scope="module")
def ext4(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # With as many inodes as there are bytes for: 65,000 names need none of them.
    with filesystem(tmp_path_factory.mktemp("ext4"), "ext4") as folder:
        yield folder


def test_another_users_store_is_refused(ext4: Path) -> None:
    """The kernel refuses to link another user's files (protected_hardlinks); so does the store."""
    base = ext4 / "others"
    plant(base / "src")
    store = Store.open(base / "store")
    pack(store, base / "src", base / "out")
    # As somebody who can reach the place: the folders of pytest are closed to others.
    opened = [folder for folder in [base, *base.parents] if not os.stat(folder).st_mode & 0o001]
    modes = {folder: stat.S_IMODE(os.stat(folder).st_mode) for folder in opened}
    (base / "theirs").mkdir()
    os.chown(base / "theirs", 65534, 65534)
    try:
        for folder, mode in modes.items():
            os.chmod(folder, mode | 0o011)
        closed = as_nobody(lambda: str(Store.open(base / "store")))
        assert "permission denied" in closed
        # Even a store that was opened to others by hand is its owner's.
        for parent, folders, _ in os.walk(base / "store"):
            for name in [parent, *(os.path.join(parent, n) for n in folders)]:
                os.chmod(name, 0o755)

        def submit() -> str:
            theirs = Store.open(base / "store")
            return str(pack(theirs, base / "src", base / "theirs" / "out", [b"main.py"]))

        def link() -> str:
            os.link(base / "store" / "FORMAT", base / "theirs" / "FORMAT")
            return "linked"

        refused = as_nobody(submit)
        assert refused.startswith(StoreOwnerError.__name__)
        assert "belongs to user id 0, not to 65534" in refused
        collected = as_nobody(lambda: str(plan_gc(Store.open(base / "store"), grace=0).execute()))
        assert collected.startswith(StoreOwnerError.__name__)
        if Path("/proc/sys/fs/protected_hardlinks").read_text().strip() == "1":
            assert as_nobody(link).startswith("PermissionError")
        assert os.listdir(base / "theirs") == []
    finally:
        for folder, mode in modes.items():
            os.chmod(folder, mode)


def test_an_unprivileged_user_is_stopped_by_modes(ext4: Path) -> None:
    """Root ignores permission bits, so this is shown as nobody: open for writing fails."""
    base = ext4 / "unprivileged"
    base.mkdir()
    os.chown(base, 65534, 65534)
    opened = [folder for folder in base.parents if not os.stat(folder).st_mode & 0o001]
    modes = {folder: stat.S_IMODE(os.stat(folder).st_mode) for folder in opened}

    def life() -> str:
        plant(base / "src")
        store = Store.open(base / "store")
        snapshot = pack(store, base / "src", base / "out")
        code = code_of(snapshot)
        with open(code + b"/created", "wb") as stream:
            stream.write(b"a job's")
        for path in FILES:
            try:
                open(os.path.join(code, path), "wb").close()
            except PermissionError:
                continue
            return f"{path!r} could be written"
        assert verify_store(store, checksum=True).findings == ()
        # A private file stays private, and its blob can still be read by its owner.
        assert stat.S_IMODE(os.stat(code + b"/pkg/private").st_mode) == 0o400
        assert_holds(code)
        shutil.rmtree(os.fsdecode(code))
        stats = plan_gc(store, grace=0).execute()
        return f"collected {stats.records} {stats.blobs}"

    try:
        for folder, mode in modes.items():
            os.chmod(folder, mode | 0o011)
        assert as_nobody(life) == "collected 1 4"
    finally:
        for folder, mode in modes.items():
            os.chmod(folder, mode)

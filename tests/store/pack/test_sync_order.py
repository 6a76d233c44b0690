"""No name is given before its content is on the disk.

Seen on ext4, XFS and btrfs: after a crash of the machine, files that had been given their final
names without a sync were there with no bytes in them. A test cannot pull the plug, but it can watch
the order of the calls.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from storechecks import Project, blob_files, code_folders
from storefaults import raising, watched

from slurmic_store import Store
from slurmic_store.pack.naming import CodeFolderName

Inode = tuple[int, int]


class SyncTrace:
    """Follows which inodes have content that is not on the disk, and who gets a final name."""

    def __init__(self, store: bytes, output: bytes) -> None:
        shared = (b"blobs/", b"trees/", b"snapshots/", b"pins/", b"FORMAT")
        self.final = tuple(os.path.join(store, name) for name in shared)
        self.output = output
        self.dirty: dict[Inode, bytes] = {}
        self.named: list[bytes] = []
        self.early: list[tuple[bytes, bytes]] = []

    def after(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name in ("write", "ftruncate"):
            self.dirty[self._inode(os.fstat(args[0]))] = os.readlink(b"/proc/self/fd/%d" % args[0])
        elif name == "ioctl":
            self.dirty[self._inode(os.fstat(args[0]))] = b"clone"
        elif name == "fdatasync":
            self.dirty.pop(self._inode(os.fstat(args[0])), None)
        elif name == "syncfs":
            device = os.fstat(args[0]).st_dev
            self.dirty = {key: path for key, path in self.dirty.items() if key[0] != device}

    def before(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name in ("link", "rename") and "dst_dir_fd" not in options:
            source, target = args[:2]
            parent, base = os.path.split(target)
            beside = parent == self.output and not base.startswith(b".slurmic-")
            if (target.startswith(self.final) or beside) and os.path.lexists(source):
                self.named.append(target)
                self.early += [(target, path) for path in self._dirty_in(source)]

    def _dirty_in(self, path: bytes) -> Iterator[bytes]:
        found = [path]
        if os.path.isdir(path):
            found = [os.path.join(at, name) for at, _, names in os.walk(path) for name in names]
        for file in found:
            status = os.lstat(file)
            # An empty file has nothing to lose; its inode may have been a temporary file's before.
            if (
                stat.S_ISREG(status.st_mode)
                and status.st_size
                and self._inode(status) in self.dirty
            ):
                yield file

    def _inode(self, status: os.stat_result) -> Inode:
        return status.st_dev, status.st_ino


@pytest.mark.usefixtures("eager_cache")
@pytest.mark.parametrize("case", ["hardlink", "copy", "refused", "store only"])
@pytest.mark.parametrize("new_files", [2, 30])
def test_content_is_synced_before_it_is_named(
    tmp_path: Path, project: Project, case: str, new_files: int
) -> None:
    """A crash of the machine leaves whole files under final names, in store and code folder.

    With a few files each is synced; with many, there is one syncfs. Copies into the code folder
    were once forgotten: the job would have found empty modules.
    """
    for number in range(new_files):
        project.write(b"new/%d.py" % number, b"%d\n" % number)
    trace = SyncTrace(os.fsencode(tmp_path / "store"), os.fsencode(tmp_path / "out"))
    output = None if case == "store only" else tmp_path / "out"
    link_mode = "copy" if case == "copy" else "auto"

    def before(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        # Links into the store are refused, as by an XFS project quota: blobs become copies.
        if case == "refused" and name == "link" and b"/blobs/" in args[1]:
            raising("link", errno.EXDEV)(name, args, options)
        trace.before(name, args, options)

    for _ in range(2):
        with watched(before, trace.after):
            store = Store.open(tmp_path / "store")
            project.take(store, output, link_mode)
        project.write(b"train.py", b"print('edited')\n")
    assert trace.early == []
    # The trace has seen what it is to guard.
    kinds = {
        os.path.relpath(name, tmp_path.as_posix().encode()).split(b"/")[1] for name in trace.named
    }
    assert {b"FORMAT", b"snapshots", b"trees"} <= kinds
    assert b"blobs" in kinds or case == "refused"
    if output is not None:
        for folder in code_folders(trace.output):
            claim = CodeFolderName(folder)
            assert {claim.folder, claim.record, claim.manifest} <= set(trace.named)


def test_the_trace_notices(tmp_path: Path, store: Store, project: Project, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Without the sync, the trace must complain; else the test above could not fail."""
    from slurmic_store.fs import syncing

    monkeypatch.setattr(syncing, "sync_files", lambda paths, folder: None)
    trace = SyncTrace(store.path, os.fsencode(tmp_path / "out"))
    with watched(trace.before, trace.after):
        project.take(store, tmp_path / "out")
    early = {os.path.basename(name) for name, _ in trace.early}
    assert set(blob_files(store)) <= early
    assert b"code" in early

"""How blobs become files of a code folder: hard link, reflink, copy, and each refusal."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from storechecks import Project, blob_files, check_store, read_folder, rebuild, strange_names
from storefaults import raising, watched

from slurmic_store import LinkModeError, Store, StoreError

pytestmark = pytest.mark.usefixtures("eager_cache")

REFUSALS = [errno.EXDEV, errno.EPERM, errno.EIO, errno.EOPNOTSUPP, errno.ENOSYS]


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.__getitem__)
def test_auto_falls_back_and_says_so_once(
    tmp_path: Path, store: Store, project: Project, number: int
) -> None:
    """Two bind mounts of one device answer EXDEV, BeeGFS EPERM, a NAS EIO: then it is copies."""
    with watched(raising("link", number, lambda path: path.endswith("FORMAT"))):
        snapshot = project.take(store, tmp_path / "out")
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == project.expected()
    assert snapshot.record.placement == "copy"
    (notice,) = snapshot.notices
    assert os.strerror(number).lower() in notice
    assert "store_path" in notice
    assert os.stat(os.path.join(snapshot.code_folder, b"train.py")).st_nlink == 1
    assert not rebuild(store, snapshot.record.tree)[1]


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.__getitem__)
def test_an_explicit_mode_fails_clearly(
    tmp_path: Path, store: Store, project: Project, number: int
) -> None:
    """Whoever asked for hard links does not want 5 GB of copies instead; nothing is left."""
    with (
        watched(raising("link", number, lambda path: path.endswith("FORMAT"))),
        pytest.raises(LinkModeError, match="link_mode 'hardlink' does not work") as caught,
    ):
        project.take(store, tmp_path / "out", "hardlink")
    assert os.strerror(number).lower() in str(caught.value)
    assert os.listdir(tmp_path / "out") == []
    assert [name for name in strange_names(store) if not name.startswith(b"index")] == []


@pytest.mark.parametrize("where", ["/blobs/", "/.slurmic-"], ids=["from the store", "to the store"])
def test_one_refused_link_is_a_copy_in_auto_and_an_error_if_explicit(
    tmp_path: Path, store: Store, project: Project, where: str
) -> None:
    """The probe worked, but a single link does not: a project quota works one way only.

    An explicit "hardlink" once fell back to copies without a word.
    """
    project.take(store, tmp_path / "first")
    project.write(b"train.py", b"print('edited')\n")

    def matches(path: str) -> bool:
        return where in path and not path.endswith(("FORMAT", ".json", ".record", ".tree", ".pin"))

    with watched(raising("link", errno.EXDEV, matches)):
        snapshot = project.take(store, tmp_path / "auto")
        assert snapshot.code_folder is not None
        assert read_folder(snapshot.code_folder) == project.expected()
        (notice,) = snapshot.notices
        assert "could not be linked" in notice
    assert not rebuild(store, snapshot.record.tree)[1]
    assert strange_names(store) == []
    project.write(b"train.py", b"print('edited again')\n")
    with (
        watched(raising("link", errno.EXDEV, matches)),
        pytest.raises(LinkModeError, match="'hardlink'"),
    ):
        project.take(store, tmp_path / "explicit", "hardlink")
    assert os.listdir(tmp_path / "explicit") == []


def test_an_explicit_reflink_never_becomes_a_copy(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """The probe could be cloned and a blob then cannot: a copy would not be what was asked for."""
    calls = 0

    def ioctl(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        nonlocal calls
        if name == "ioctl":
            calls += 1
            if calls > 1:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    from slurmic_store.fs import files

    original = files.clone_file
    files.clone_file = lambda source, target: ioctl("ioctl", (), {})  # type: ignore[assignment]
    try:
        with pytest.raises(LinkModeError, match="link_mode 'reflink'"):
            project.take(store, tmp_path / "out", "reflink")
        calls = 0
        assert os.listdir(tmp_path / "out") == []
        with watched(raising("link", errno.EXDEV, lambda path: path.endswith("FORMAT"))):
            snapshot = project.take(store, tmp_path / "out", "auto")
    finally:
        files.clone_file = original
    assert snapshot.record.placement == "reflink"
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == project.expected()


def test_a_full_blob_gets_a_fresh_inode(tmp_path: Path, store: Store, project: Project) -> None:
    """EMLINK is routine: 100 links on a default GlusterFS. Earlier folders keep the old inode."""
    first = project.take(store, tmp_path / "first")
    assert first.code_folder is not None
    before = {name: os.lstat(path).st_ino for name, path in blob_files(store).items()}
    limit = {os.lstat(path).st_ino: os.lstat(path).st_nlink for path in blob_files(store).values()}

    def full(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "link" and b"/blobs/" in args[0]:
            status = os.lstat(args[0])
            if status.st_nlink >= limit.get(status.st_ino, 99):
                raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))

    with watched(full):
        second = project.take(store, tmp_path / "second")
    assert second.notices == ()
    assert second.code_folder is not None
    assert read_folder(second.code_folder) == read_folder(first.code_folder) == project.expected()
    after = {name: os.lstat(path).st_ino for name, path in blob_files(store).items()}
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert strange_names(store) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.__getitem__)
def test_a_full_disk_is_no_reason_for_copies(
    tmp_path: Path, store: Store, project: Project, number: int
) -> None:
    """Copies would need even more room; the error says what is used up, and on which path."""
    with watched(raising("link", number)), pytest.raises(StoreError) as caught:
        project.take(store, tmp_path / "out")
    assert os.strerror(number)[1:] in str(caught.value)
    assert caught.value.path
    assert "free some" in str(caught.value)
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("mode", ["auto", "copy"])
def test_permissions_links_and_empty_files(
    tmp_path: Path, store: Store, project: Project, mode: Any
) -> None:
    """A script stays executable, a secret private, a link a link; empty files share no inode."""
    project.link(b"dangling", b"nowhere/at all")
    project.link(b"absolute", b"/etc/hostname")
    project.link(b"folder", b"package")
    project.write(b"empty.sh", b"", 0o755)
    project.write(b"run twice.sh", b"#!/bin/sh\nexec python train.py\n", 0o644)
    folders = [project.take(store, tmp_path / str(number), mode).code_folder for number in range(2)]
    for folder in folders:
        assert folder is not None
        content = read_folder(folder)
        assert content == project.expected()
        assert content[b"secret.txt"][1] == 0o400
        assert content[b"scripts/run.sh"][1] == 0o555
        assert content[b"folder"] == ("link", 0, b"package")
        for name in (b"package/__init__.py", b"empty.sh"):
            assert os.lstat(os.path.join(folder, name)).st_nlink == 1
        assert stat.S_IMODE(os.stat(folder).st_mode) & 0o200
    names = blob_files(store)
    assert sum(name.endswith(b"-555") for name in names) == 1  # equal bytes, other permissions
    check_store(store)


HOSTILE = [
    b"\xff\xfe not utf-8.py",
    b"new\nline.py",
    b"tab\there",
    b"-rf",
    b"$(reboot)",
    b"quote'\".py",
    b"trailing space ",
    b"...",
    b"*",
    b"a" * 255,
    "Größe.py".encode(),
    b".slurmic-0123456789abcdef",
]


@pytest.mark.parametrize("mode", ["auto", "copy"])
def test_hostile_names(tmp_path: Path, store: Store, mode: Any) -> None:
    """File names are bytes: what a file system can hold, a snapshot can."""
    project = Project(os.fsencode(tmp_path / "pro\udcffject\n"))
    for number, name in enumerate(HOSTILE):
        project.write(name[:250] + b"/" + name[:254], b"%d\n" % number)
        project.link(b"links/" + name, name)
    output = os.fsencode(tmp_path) + b"/out \xff\n"
    snapshot = project.take(store, output, mode)
    assert snapshot.code_folder == output + b"/code"
    assert read_folder(snapshot.code_folder) == project.expected()
    rebuilt, missing = rebuild(store, snapshot.record.tree)
    assert not missing
    assert rebuilt == project.expected()


@pytest.mark.parametrize("path", [b"/etc/passwd", b"../up", b"a/../b", b"a//b", b"./a", b""])
def test_a_path_that_leads_out_is_refused(
    tmp_path: Path, store: Store, project: Project, path: bytes
) -> None:
    """An absolute path would have been joined away from the staging folder: written elsewhere."""
    from slurmic_store import SourceError, take_snapshot

    with pytest.raises(SourceError, match="is not a path below"):
        take_snapshot(store, project.root, [path], output_folder=os.fsencode(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []

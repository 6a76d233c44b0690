"""Building a folder from a stored tree: whole or not there, and never from a damaged blob."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from storechecks import (
    Project,
    age,
    blob_files,
    check_store,
    collect,
    left_for_good,
    read_folder,
    strange_names,
)
from storefaults import in_child, raising, watched

from slurmic_store import (
    DamagedError,
    DestinationError,
    FolderOptions,
    LinkMode,
    LinkModeError,
    Snapshot,
    Store,
    build_folder,
)

pytestmark = pytest.mark.usefixtures("eager_cache")


@pytest.fixture
def stored(store: Store, project: Project, tmp_path: Path) -> Snapshot:
    """A tree that is stored, of a source tree that is gone."""
    snapshot = project.take(store, tmp_path / "out")
    content = project.expected()
    os.rename(project.root, project.root + b".gone")
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == content
    return snapshot


def content_of(snapshot: Snapshot) -> dict[bytes, Any]:
    assert snapshot.code_folder is not None
    return read_folder(snapshot.code_folder)


@pytest.mark.parametrize("mode", ["auto", "hardlink", "copy"])
def test_equals_the_code_folder(
    tmp_path: Path, store: Store, stored: Snapshot, mode: LinkMode
) -> None:
    built = build_folder(
        store,
        stored.record.tree,
        tmp_path / "a" / "b" / "new",
        options=FolderOptions(link_mode=mode),
    )  # type: ignore[arg-type]
    assert built.folder == os.fsencode(tmp_path / "a" / "b" / "new")
    assert read_folder(built.folder) == content_of(stored)
    assert (built.files, built.size) == (stored.record.files, stored.record.size)
    shared = {os.lstat(path).st_ino for path in blob_files(store).values()}
    found = {
        os.lstat(os.path.join(built.folder, name)).st_ino for name in read_folder(built.folder)
    }
    if mode == "copy":
        assert not shared & found
        assert (built.method, built.copied) == ("copy", 5)
    else:
        assert shared <= found
        assert (built.method, built.copied) == ("hardlink", 0)
    assert built.notices == ()
    assert strange_names(store) == []
    assert os.listdir(tmp_path / "a" / "b") == ["new"]
    check_store(store)


def test_writable_files_are_independent(tmp_path: Path, store: Store, stored: Snapshot) -> None:
    """Somebody who checks a tree out to work on it must not change the store's blobs."""
    built = build_folder(
        store,
        stored.record.tree,
        os.fsencode(tmp_path / "new"),
        options=FolderOptions(writable=True),
    )
    for path, (kind, mode, data) in content_of(stored).items():
        new = read_folder(built.folder)[path]
        assert new == (kind, mode | 0o200 if kind == "file" else 0, data)
        file = os.path.join(built.folder, path)
        if kind == "file":
            assert os.lstat(file).st_nlink == 1
            with open(file, "ab") as stream:
                stream.write(b"edited\n")
    assert built.notices == ()
    check_store(store)
    with pytest.raises(LinkModeError, match="both hard links and writable"):
        build_folder(
            store,
            stored.record.tree,
            b"/no/where",
            options=FolderOptions(writable=True, link_mode="hardlink"),
        )


def test_what_is_there_is_refused(tmp_path: Path, store: Store, stored: Snapshot) -> None:
    """A folder, an empty one, a file, a dangling link; and one that comes while it is built."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("empty", "file", "link", "out"):
        with pytest.raises(DestinationError, match="already exists"):
            build_folder(store, stored.record.tree, os.fsencode(tmp_path / name))
    assert (tmp_path / "file").read_text() == "mine"

    left = sorted([*os.listdir(tmp_path), "new"])

    def meanwhile(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "symlink" and not (tmp_path / "new").exists():
            (tmp_path / "new" / "theirs").mkdir(parents=True)

    with watched(meanwhile), pytest.raises(DestinationError, match="already exists"):
        build_folder(store, stored.record.tree, os.fsencode(tmp_path / "new"))
    assert os.listdir(tmp_path / "new") == ["theirs"]
    assert sorted(os.listdir(tmp_path)) == left
    assert strange_names(store) == []


def test_only_some_files(tmp_path: Path, store: Store, stored: Snapshot) -> None:
    built = build_folder(
        store,
        stored.record.tree,
        os.fsencode(tmp_path / "new"),
        options=FolderOptions(only=lambda entry: entry.path.startswith(b"package/")),
    )
    assert set(read_folder(built.folder)) == {
        path for path in content_of(stored) if path.startswith(b"package/")
    }
    assert built.files == 3


def _delete(path: bytes) -> None:
    os.unlink(path)


def _overwrite(path: bytes) -> None:
    data = Path(os.fsdecode(path)).read_bytes()
    os.chmod(path, 0o644)
    Path(os.fsdecode(path)).write_bytes(data[::-1])
    os.chmod(path, int(path[-3:], 8))


def _chmod(path: bytes) -> None:
    os.chmod(path, 0o644)


def _replace_by_folder(path: bytes) -> None:
    os.unlink(path)
    os.mkdir(path)


@pytest.mark.parametrize("mode", ["auto", "copy"])
@pytest.mark.parametrize("harm", [_delete, _overwrite, _chmod, _replace_by_folder])
def test_a_blob_that_is_missing_or_damaged(
    tmp_path: Path, store: Store, stored: Snapshot, harm: Any, mode: LinkMode
) -> None:
    """The error names the files and what to do; a folder with a hole in it never gets its name."""
    (blob,) = (
        path
        for path in blob_files(store).values()
        if b"printf" not in path and os.lstat(path).st_size == len(b"print('training')\n")
    )
    harm(blob)
    with pytest.raises(DamagedError, match=r"'train.py' \((missing|damaged)\)") as caught:
        build_folder(
            store,
            stored.record.tree,
            os.fsencode(tmp_path / "x" / "new"),
            options=FolderOptions(link_mode=mode),
        )
    assert "slurmic verify --repair" in caught.value.hint
    assert caught.value.path == blob
    assert not (tmp_path / "x").exists()
    assert strange_names(store) == [] or harm is _replace_by_folder


def test_many_missing_blobs_are_counted(tmp_path: Path, store: Store, project: Project) -> None:
    for number in range(20):
        project.write(b"many/%02d.py" % number, b"%d\n" % number)
    tree = project.take(store, None).record.tree
    shutil.rmtree(store.blobs)
    with pytest.raises(DamagedError, match="lacks what 25 of the files need") as caught:
        build_folder(store, tree, os.fsencode(tmp_path / "new"))
    assert "and 20 more" in caught.value.message


def test_no_such_tree(tmp_path: Path, store: Store) -> None:
    with pytest.raises(DamagedError, match="cannot read manifest"):
        build_folder(store, "0" * 32, os.fsencode(tmp_path / "new"))
    assert sorted(os.listdir(tmp_path)) == ["store"]


def test_blobs_whose_links_are_used_up(tmp_path: Path, store: Store, stored: Snapshot) -> None:
    """100 links on a default GlusterFS: each blob gets a fresh inode, from its own content."""
    before = {name: os.lstat(path).st_ino for name, path in blob_files(store).items()}
    inodes = set(before.values())

    def full(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "link" and b"/blobs/" in args[0] and os.lstat(args[0]).st_ino in inodes:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))

    with watched(full):
        built = build_folder(
            store,
            stored.record.tree,
            os.fsencode(tmp_path / "new"),
            options=FolderOptions(link_mode="hardlink"),
        )
    assert read_folder(built.folder) == content_of(stored)
    after = {name: os.lstat(path).st_ino for name, path in blob_files(store).items()}
    assert after.keys() == before.keys()
    assert not set(after.values()) & inodes
    assert built.copied == 0
    assert strange_names(store) == []
    check_store(store)


def test_old_blobs_are_renewed_if_asked_for(tmp_path: Path, store: Store, stored: Snapshot) -> None:
    """What a purge by age would soon take is stored anew; without `refresh_after` it is linked."""
    for path in blob_files(store).values():
        age(path, 20 * 86400)
    before = {os.lstat(path).st_ino for path in blob_files(store).values()}
    build_folder(store, stored.record.tree, os.fsencode(tmp_path / "old"))
    assert {os.lstat(path).st_ino for path in blob_files(store).values()} == before
    built = build_folder(
        store,
        stored.record.tree,
        os.fsencode(tmp_path / "new"),
        options=FolderOptions(refresh_after=14 * 86400),
    )
    assert not {os.lstat(path).st_ino for path in blob_files(store).values()} & before
    assert read_folder(built.folder) == content_of(stored)
    check_store(store)
    assert strange_names(store) == []


def test_a_damaged_blob_that_is_old_is_not_renewed(
    tmp_path: Path, store: Store, stored: Snapshot
) -> None:
    """A rewrite that restored the time: the copy is hashed, so that it is found at the latest."""
    (blob,) = (path for path in blob_files(store).values() if path.endswith(b"-400"))
    status = os.lstat(blob)
    os.chmod(blob, 0o600)
    Path(os.fsdecode(blob)).write_bytes(b"A TOKEN\n")
    os.chmod(blob, 0o400)
    os.utime(blob, ns=(status.st_atime_ns, status.st_mtime_ns))
    age(blob, 20 * 86400)
    with pytest.raises(DamagedError, match=r"'secret.txt' \(damaged\)"):
        build_folder(
            store,
            stored.record.tree,
            os.fsencode(tmp_path / "new"),
            options=FolderOptions(refresh_after=14 * 86400),
        )
    assert not (tmp_path / "new").exists()


def test_links_that_are_refused(tmp_path: Path, store: Store, stored: Snapshot) -> None:
    """On another filesystem it is copies, and one sentence says so."""
    refuse = raising("link", errno.EXDEV, lambda path: path.startswith(os.fsdecode(store.path)))
    with watched(refuse):
        built = build_folder(store, stored.record.tree, os.fsencode(tmp_path / "new"))
        with pytest.raises(LinkModeError):
            build_folder(
                store,
                stored.record.tree,
                os.fsencode(tmp_path / "no"),
                options=FolderOptions(link_mode="hardlink"),
            )
    assert read_folder(built.folder) == content_of(stored)
    (notice,) = built.notices
    assert "made of copies" in notice
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES], ids=errno.errorcode.__getitem__)
def test_a_store_that_cannot_be_written_to(
    tmp_path: Path, store: Store, stored: Snapshot, number: int
) -> None:
    """Mounted read-only where jobs run: then there is no note, and the folder all the same."""
    with watched(raising("open", number, lambda path: path.startswith(os.fsdecode(store.path)))):
        built = build_folder(store, stored.record.tree, os.fsencode(tmp_path / "new"))
    assert read_folder(built.folder) == content_of(stored)


@pytest.mark.parametrize("mode", ["auto", "copy"])
@pytest.mark.parametrize("error", [0, errno.ENOSPC])
def test_interrupted_at_every_step(
    tmp_path: Path, store: Store, stored: Snapshot, mode: LinkMode, error: int
) -> None:
    """Killed, or on a full disk: the folder is there whole or not at all, and gc takes the rest."""
    target = tmp_path / "new" / "code"

    def build() -> None:
        build_folder(
            store, stored.record.tree, os.fsencode(target), options=FolderOptions(link_mode=mode)
        )

    calls = in_child(build).calls
    assert calls > 10
    for position in range(calls):
        shutil.rmtree(target.parent)
        outcome = in_child(build, at=position, error=error)
        unremoved = outcome.fault in ("unlink", "rmdir")
        if error and outcome.kind != "done":
            assert outcome.kind == "refused", outcome.detail
            assert unremoved or (not target.parent.exists() and strange_names(store) == [])
        else:
            assert outcome.kind == ("done" if error else "killed"), outcome.detail
        if target.exists():
            assert read_folder(os.fsencode(target)) == content_of(stored)
        target.parent.mkdir(exist_ok=True)
        collect(store)
        left = {*os.listdir(target.parent)} - {"code"}
        assert not left or unremoved
        assert left_for_good(store) == []

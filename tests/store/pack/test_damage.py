"""Blobs that a job has damaged, old blobs, and sources that do not hold still."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from storechecks import (
    Project,
    age,
    blob_files,
    check_store,
    collect,
    read_folder,
    rebuild,
    remove,
    strange_names,
)
from storefaults import in_child, watched

from slurmic_store import (
    SnapshotOptions,
    SourceChangedError,
    SourceError,
    Store,
    StoreError,
    plan_gc,
    take_snapshot,
)
from slurmic_store.source import reading as source_module

pytestmark = pytest.mark.usefixtures("eager_cache")


def _damage(path: bytes, how: str) -> None:
    mode = os.stat(path).st_mode & 0o777
    os.chmod(path, 0o644)
    data = Path(os.fsdecode(path)).read_bytes()
    if how == "folder":
        os.unlink(path)
        os.mkdir(path)
        Path(os.fsdecode(path), "in it").write_text("?")
        return
    if how == "chmod":
        return
    changed = {"same size": data.swapcase(), "truncate": b"", "append": data + b"#"}[how]
    Path(os.fsdecode(path)).write_bytes(changed)
    os.chmod(path, mode)


@pytest.mark.parametrize("mode", ["auto", "hardlink", "copy", None])
@pytest.mark.parametrize("how", ["same size", "truncate", "append", "chmod", "folder"])
@pytest.mark.parametrize("cached", [True, False])
def test_a_damaged_blob_is_never_used_again(
    tmp_path: Path, store: Store, project: Project, mode: Any, how: str, cached: bool
) -> None:
    """``chmod u+w`` and a write through a link changes the blob for everyone.

    The next snapshot of the same source must notice, set the blob aside and store it anew, whether
    the stat cache knows the file or it was read again.
    """
    project.take(store, tmp_path / "first")
    (path,) = [
        path
        for path in blob_files(store).values()
        if b"print" in Path(os.fsdecode(path)).read_bytes()
    ]
    _damage(path, how)
    if not cached:
        remove(store.index)
    snapshot = project.take(store, None if mode is None else tmp_path / "second", mode or "auto")
    if snapshot.code_folder is not None:
        assert read_folder(snapshot.code_folder) == project.expected()
    rebuilt, missing = rebuild(store, snapshot.record.tree)
    assert not missing
    assert rebuilt == project.expected()
    check_store(store)
    assert [name[:19] for name in os.listdir(store.quarantine)] == [
        b"damaged-" + os.path.basename(path)[:11]
    ]
    collect(store)
    assert os.listdir(store.quarantine) == []


def test_a_crash_between_setting_aside_and_storing_anew(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """A job did ``chmod -R u+w``: all blobs look damaged, but their bytes are right.

    The next submission set the first of them aside and died. A pinned snapshot has nothing but the
    store; gc once deleted the blob from quarantine after the grace period. It must put it back.
    """
    pinned = project.take(store, None)
    for path in blob_files(store).values():
        aside = store.set_aside(path)
        assert aside is not None
    collect(store)
    rebuilt, missing = rebuild(store, pinned.record.tree)
    assert not missing
    assert rebuilt == project.expected()


def test_what_is_really_damaged_and_irreplaceable_is_kept_and_named(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """A damaged copy may be all there is; gc says so, and does not throw it away."""
    project.take(store, None)
    path = sorted(blob_files(store).values())[0]
    _damage(path, "append")
    aside = store.set_aside(path)
    assert aside is not None
    plan = plan_gc(store, grace=0)
    plan.execute()
    assert os.path.basename(path).decode() in plan.problems[0]
    assert os.path.exists(aside)


def test_setting_aside_what_another_has_just_replaced(
    tmp_path: Path, store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two submissions find the same damaged blob; the second must not lose the first's new one."""
    project.take(store, tmp_path / "first")
    remove(store.index)
    path = sorted(blob_files(store).values())[0]
    good = Path(os.fsdecode(path)).read_bytes()
    status = os.lstat(path)
    _damage(path, "append")
    original = Store.set_aside

    def set_aside(self: Store, damaged: bytes) -> bytes | None:
        # Meanwhile the other one is done.
        if damaged == path:
            os.unlink(path)
            Path(os.fsdecode(path)).write_bytes(good)
            os.chmod(path, status.st_mode & 0o777)
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
            inodes.append(os.lstat(path).st_ino)
        return original(self, damaged)

    inodes: list[int] = []
    monkeypatch.setattr(Store, "set_aside", set_aside)
    project.take(store, tmp_path / "second")
    assert inodes == [os.lstat(path).st_ino]
    assert os.listdir(store.quarantine) == []


@pytest.mark.parametrize("mode", ["auto", "copy", None])
def test_old_blobs_are_refreshed_on_use(
    tmp_path: Path, store: Store, project: Project, mode: Any
) -> None:
    """A scratch purge takes files by age, and a new link does not make a file younger."""
    project.take(store, tmp_path / "first")
    for path in blob_files(store).values():
        age(path, 15 * 86400)
    inodes = {name: os.lstat(path).st_ino for name, path in blob_files(store).items()}
    project.take(store, None if mode is None else tmp_path / "second", mode or "auto")
    for name, path in blob_files(store).items():
        assert time.time() - os.lstat(path).st_mtime < 60
        assert os.lstat(path).st_ino != inodes[name]
    assert strange_names(store) == []


@pytest.mark.parametrize("mode", ["auto", "copy", None])
def test_refreshing_everything_always(
    store: Store, project: Project, tmp_path: Path, mode: Any
) -> None:
    """refresh_after=0: a blob that was stored a moment ago looked old, and was stored for ever."""
    for number in range(2):
        output = None if mode is None else tmp_path / str(number)
        project.take(store, output, mode or "auto", refresh_after=0)
    check_store(store)


def test_nothing_is_lost_while_an_old_blob_is_refreshed(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """An old blob was once unlinked before its successor had the name.

    A submission that died in between took from a pinned snapshot the only copy of its bytes.
    """
    pinned = project.take(store, None)
    for path in blob_files(store).values():
        age(path, 15 * 86400)
    calls = in_child(lambda: project.take(store, tmp_path / "out") and None).calls
    for path in blob_files(store).values():
        age(path, 15 * 86400)
    for position in range(calls // 2, calls):
        in_child(lambda: project.take(store, tmp_path / "out") and None, at=position)
        collect(store)
        assert not rebuild(store, pinned.record.tree)[1], position
        for path in blob_files(store).values():
            age(path, 15 * 86400)


# Sources.


def test_a_source_that_is_written_all_the_time(
    tmp_path: Path, store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log file among the sources: an error that names it, and nothing is left."""
    monkeypatch.setattr(source_module, "_ATTEMPTS", 3)
    monkeypatch.setattr(source_module, "LARGE", 10)
    log = project.path(b"train.py")

    def scribble(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "write" and b"train.py" in os.readlink(b"/proc/self/fd/%d" % args[0]):
            with open(log, "ab") as stream:
                stream.write(b"# more\n")

    with (
        watched(after=scribble),
        pytest.raises(SourceChangedError, match=r"train\.py' changed each of the 3 times"),
    ):
        project.take(store, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []
    assert [name for name in strange_names(store) if not name.startswith(b"index")] == []


def test_a_source_that_changes_once(
    tmp_path: Path, store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor saves while the file is read: it is read again, and packed as saved."""
    monkeypatch.setattr(source_module, "LARGE", 10)
    path = project.path(b"train.py")
    written: list[bytes] = []

    def save(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "write" and not written:
            target = os.readlink(b"/proc/self/fd/%d" % args[0])
            if target.endswith(b"train.py"):
                written.append(target)
                with open(path, "r+b") as stream:
                    stream.write(b"print('TRAINING')")

    with watched(save):
        snapshot = project.take(store, tmp_path / "out")
    assert written
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == project.expected()
    check_store(store)


def test_a_small_source_that_changes_once(
    tmp_path: Path, store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for a file that is read in one go: what was read is no version of it."""
    path = project.path(b"train.py")
    read = os.read
    changed: list[bytes] = []

    def read_and_save(descriptor: int, size: int) -> bytes:
        if os.readlink(b"/proc/self/fd/%d" % descriptor) == path and not changed:
            changed.append(path)
            data = read(descriptor, 5)
            project.overwrite(b"train.py", b"# saved\n")
            return data + read(descriptor, size)
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", read_and_save)
    snapshot = project.take(store, tmp_path / "out")
    monkeypatch.undo()
    assert changed
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == project.expected()
    check_store(store)


@pytest.mark.parametrize("large", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("how", ["deleted", "fifo", "folder", "link", "socket"])
def test_a_source_that_is_replaced_while_packing(
    tmp_path: Path,
    store: Store,
    project: Project,
    how: str,
    large: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the stat and the read, something else takes the file's place.

    Deleted, it is as if it had been a moment earlier; anything else is an error. A named pipe must
    not hang the submission.
    """
    path = project.path(b"train.py")
    done: list[str] = []
    if large:
        monkeypatch.setattr(source_module, "LARGE", 0)

    def looked_at(*_: object) -> None:
        if not large:
            replace("open", (path,), {})

    def replace(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "open" and os.fsencode(args[0]).endswith(b"/train.py") and not done:
            done.append(how)
            os.unlink(path)
            if how == "fifo":
                os.mkfifo(path)
            elif how == "folder":
                os.mkdir(path)
            elif how == "link":
                os.symlink(b"secret.txt", path)
            elif how == "socket":
                os.mknod(path, stat.S_IFSOCK | 0o600)

    def take() -> Any:
        return take_snapshot(
            store,
            project.root,
            names,
            output_folder=os.fsencode(tmp_path / "out"),
            options=SnapshotOptions(inspect=looked_at),
        )

    names = project.names()
    with watched(replace):
        if how == "deleted":
            snapshot = take()
            assert read_folder(snapshot.code_folder) == project.expected()
            assert b"train.py" not in read_folder(snapshot.code_folder)
        else:
            with pytest.raises(SourceError, match=r"train\.py"):
                take()
            assert os.listdir(tmp_path / "out") == []
    assert done


@pytest.mark.parametrize("mode", ["auto", "copy", None])
def test_a_staging_folder_that_vanishes_is_an_error(
    tmp_path: Path, store: Store, project: Project, mode: Any
) -> None:
    """Somebody cleans up ``tmp/`` of the store, or the output folder, while it is packed into.

    The ENOENT of the destination was once taken for a deleted source: files were left out of the
    tree without a word, and the snapshot succeeded.
    """
    output = None if mode is None else tmp_path / "out"
    parent = os.fsencode(tmp_path / "out") if mode == "auto" else store.tmp
    done: list[bytes] = []

    def sweep(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "open" and args[1] & os.O_CREAT and not done:
            for entry in os.listdir(parent):
                inside = os.path.join(parent, entry)
                if os.path.isdir(inside) and os.fsencode(args[0]).startswith(inside + b"/"):
                    done.append(inside)
                    os.rename(inside, os.fsencode(tmp_path / "swept"))

    with watched(sweep), pytest.raises(StoreError):
        project.take(store, output, mode or "auto")
    assert done
    assert os.listdir(store.snapshots) == []
    assert os.listdir(store.pins) == []


def test_strange_times(tmp_path: Path, store: Store, project: Project) -> None:
    """A file from the year 1600 or 2400 is packed like any other; its times fit no cache row."""
    try:
        os.utime(project.path(b"train.py"), (-11_676_096_000, -11_676_096_000))
    except (OSError, OverflowError):
        pytest.skip("this filesystem has no such times")
    snapshot = project.take(store, tmp_path / "out")
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == project.expected()


def test_a_user_who_deletes_the_output_folder_meanwhile(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """rm -rf of the output folder while a submission fills it: an error, never half a folder."""
    out = os.fsencode(tmp_path / "out")
    stop = threading.Event()

    def destroy() -> None:
        while not stop.is_set():
            for name in os.listdir(out) if os.path.isdir(out) else []:
                # It may have got its name since it was listed.
                if name.startswith(b".slurmic-") and os.path.isdir(os.path.join(out, name)):
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(os.path.join(out, name), out + b"-gone%d" % time.time_ns())

    thread = threading.Thread(target=destroy)
    thread.start()
    try:
        for _ in range(20):
            try:
                snapshot = project.take(store, out)
            except StoreError:
                continue
            assert snapshot.code_folder is not None
            assert read_folder(snapshot.code_folder) == project.expected()
    finally:
        stop.set()
        thread.join()

"""Where every operation waits, work goes to threads; nothing else changes, not even failures."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from storechecks import (
    Project,
    blob_files,
    check_store,
    collect,
    leftovers,
    read_folder,
    rebuild,
    strange_names,
)
from storefaults import in_child, raising, watched

from slurmic_store import Store, StoreError, build_folder
from slurmic_store.fs import files
from slurmic_store.fs.pace import Pace

pytestmark = pytest.mark.usefixtures("eager_cache")


class Sleepy:
    """Lets every file-changing call wait; notes which threads made them."""

    def __init__(self) -> None:
        self.threads: dict[str, set[int]] = {}

    def __call__(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.threads.setdefault(name, set()).add(threading.get_ident())
        time.sleep(0.001)


@pytest.fixture
def large(project: Project) -> Project:
    """Several hundred files in many folders."""
    for number in range(300):
        folder = b"many/%d/%d" % (number % 7, number % 30)
        project.write(folder + b"/%d.py" % number, b"%d\n" % number)
    for number in range(40):
        project.write(b"many/%d/__init__.py" % number, b"")
        project.link(b"many/%d/link" % number, b"../0")
    return project


@pytest.mark.parametrize("mode", ["hardlink", "copy"])
def test_it_is_found_out_and_the_result_is_the_same(
    tmp_path: Path, store: Store, large: Project, mode: Any
) -> None:
    """A millisecond for each operation, as over a network: reading new files, publishing them,
    making folders and placing blobs all take to threads by themselves."""
    first, second = Sleepy(), Sleepy()
    with watched(first):
        new = large.take(store, tmp_path / "new", mode)
    with watched(second):
        known = large.take(store, tmp_path / "known", mode)
        built = build_folder(store, known.record.tree, os.fsencode(tmp_path / "built"))
    assert (new.stats.read, known.stats.read) == (305, 0)
    assert len(blob_files(store)) == new.stats.stored == 304  # two of the files are equal
    for folder in (new.code_folder, known.code_folder, built.folder):
        assert folder is not None
        assert read_folder(folder) == large.expected()
    for name in ("open", "link", "mkdir"):
        assert len(first.threads[name]) > 4, name
    assert len(second.threads["link" if mode == "hardlink" else "utime"]) > 4
    check_store(store)
    assert strange_names(store) == []
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_a_quick_filesystem_is_left_to_one_thread(
    tmp_path: Path, store: Store, large: Project
) -> None:
    seen: set[int] = set()

    def note(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        seen.add(threading.get_ident())

    # A disk may be slow just now, and the machine busy: so the clock is left out of it.
    with pytest.MonkeyPatch.context() as patch, watched(note):
        patch.setattr("slurmic_store.fs.pace._voluntary_switches", lambda: 0)
        large.take(store, tmp_path / "out", "hardlink")
    assert seen == {threading.get_ident()}


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is taken to wait."""
    monkeypatch.setattr(Pace, "is_waiting", lambda self, done: True)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("call", ["mkdir", "link", "open", "write", "utime", "symlink"])
def test_an_error_in_a_thread(tmp_path: Path, store: Store, large: Project, call: str) -> None:
    """A full disk is met by one thread: the others stop, the error names a path, nothing stays."""
    large.take(store, None)
    large.write(b"many/1/new.py", b"new\n")
    large.write(b"many/1/newer.py", b"newer\n")
    before = threading.active_count()
    below = os.fspath(tmp_path / "out") + "/.slurmic-"

    def fail(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        target = args[1 if name in ("link", "symlink") else 0]
        if isinstance(target, int):
            target = os.readlink(f"/proc/self/fd/{target}")
        path = os.fsdecode(target)
        if path.startswith(below) and "/many/1" in path:
            raising(call, errno.ENOSPC)(name, args, options)

    with watched(fail), pytest.raises(StoreError) as caught:
        large.take(store, tmp_path / "out", "hardlink")
    assert os.strerror(errno.ENOSPC)[1:] in str(caught.value)
    assert caught.value.path
    assert os.listdir(tmp_path / "out") == []
    assert threading.active_count() == before
    assert strange_names(store) == []
    check_store(store)


@pytest.mark.usefixtures("threads")
def test_an_interruption_in_the_middle(tmp_path: Path, store: Store, large: Project) -> None:
    """Ctrl-C while threads link: none works on after the staging folder is gone."""
    main = threading.get_ident()

    def interrupt(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "link" and len(os.listdir(tmp_path / "out")) and threading.get_ident() != main:
            raise KeyboardInterrupt

    large.take(store, None)
    before = threading.active_count()
    with watched(interrupt), pytest.raises(KeyboardInterrupt):
        large.take(store, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []
    assert threading.active_count() == before
    assert strange_names(store) == []


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("mode", ["hardlink", "copy"])
def test_killed_while_threads_work(tmp_path: Path, store: Store, large: Project, mode: Any) -> None:
    """The folder is there whole or not at all, and a collection takes the rest."""

    def take() -> None:
        large.take(store, tmp_path / "out", mode)

    total = in_child(lambda: large.take(store, tmp_path / "first", mode) and None).calls
    for position in range(3, total, max(1, total // 12)):
        large.write(b"many/2/edited.py", b"%d\n" % position)
        outcome = in_child(take, at=position)
        assert outcome.kind in ("killed", "done")
        for name in os.listdir(tmp_path / "out"):
            if name.startswith("code") and "." not in name:
                assert read_folder(os.fsencode(tmp_path / "out" / name))
        check_store(store)
    collect(store)
    assert leftovers(os.fsencode(tmp_path / "out")) == []
    snapshot = large.take(store, tmp_path / "out", mode)
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == large.expected()
    assert not rebuild(store, snapshot.record.tree)[1]


def test_what_was_only_touched_is_read_and_not_written(
    tmp_path: Path, store: Store, large: Project
) -> None:
    """Links to the sources (`cp -al` of the live tree), chown, a checkout to and fro, a new clone.

    The change time is another then, so the files are read again; but the store has their content.
    """
    first = large.take(store, tmp_path / "one")
    for path, (kind, _, _) in read_folder(large.root).items():
        if kind == "file":
            os.link(large.path(path), os.path.join(os.fsencode(tmp_path), b"%d" % hash(path)))
    written: list[bytes] = []

    def note(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if name == "write":
            written.append(os.readlink(b"/proc/self/fd/%d" % args[0]))

    with watched(note):
        second = large.take(store, tmp_path / "two")
    assert second.stats.read == 305
    assert second.stats.stored == 0
    assert [path for path in written if b"/many/" in path] == []
    assert second.record.tree == first.record.tree
    assert second.code_folder is not None
    assert read_folder(second.code_folder) == large.expected()
    assert large.take(store, tmp_path / "three").stats.read == 0
    assert files.names_in(store.tmp) == []

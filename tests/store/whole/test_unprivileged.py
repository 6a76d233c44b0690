"""As an ordinary user: root ignores permission bits, so these tests drop privileges."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from storechecks import Project, blob_files, check_store, collect, read_folder
from storefaults import Outcome, in_child

from slurmic_store import Store, plan_gc, withdraw_snapshot

NOBODY = 65534
USER = NOBODY if os.geteuid() == 0 else None

pytestmark = pytest.mark.usefixtures("eager_cache")


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that belongs to an unprivileged user; pytest's own can't be entered by others."""
    folder = Path(tempfile.mkdtemp(prefix="slurmic-user-"))
    if USER is not None:
        os.chown(folder, USER, USER)
    yield folder
    shutil.rmtree(folder)


def as_user(function: Callable[[], Any], **fault: Any) -> Outcome:
    return in_child(function, user=USER, **fault)


def _fill(base: Path) -> Project:
    project = Project(os.fsencode(base / "project"))
    assert as_user(project.fill).kind == "done"
    return project


def test_everything_as_a_user(base: Path) -> None:
    """Submitting, collecting and withdrawing need no privilege."""
    project = _fill(base)

    def act() -> bool:
        store = Store.open(base / "store")
        for mode in ("auto", "copy"):
            snapshot = project.take(store, base / "out", mode)
            assert snapshot.code_folder is not None
            assert read_folder(snapshot.code_folder) == project.expected()
        withdraw_snapshot(store, snapshot)
        check_store(store)
        shutil.rmtree(base / "out")
        collect(store)
        assert blob_files(store) == {}
        return stat.S_IMODE(os.stat(store.path).st_mode) == 0o700

    outcome = as_user(act)
    assert outcome.kind == "done", outcome.detail
    assert outcome.detail


def test_killed_as_a_user(base: Path) -> None:
    """A killed submission of a user is cleaned up by that user: read-only files do not stop it."""
    project = _fill(base)

    def act() -> None:
        project.take(Store.open(base / "store"), base / "out")

    def clean() -> list[str]:
        store = Store.open(base / "store")
        collect(store)
        check_store(store)
        return [name for name in os.listdir(base / "out") if name.startswith(".slurmic-")]

    total = as_user(act).calls
    for position in range(total // 3, total, 5):
        as_user(act, at=position)
        outcome = as_user(clean)
        assert outcome.kind == "done", outcome.detail
        assert outcome.detail == []


@pytest.mark.parametrize("what", ["file", "folder"])
def test_an_unreadable_source(base: Path, what: str) -> None:
    """A selected file that may not be read, or whose folder may not be entered, is named."""
    project = _fill(base)
    names = project.names()
    path = project.path(b"package/model.py" if what == "file" else b"package")
    os.chmod(path, 0)

    def act() -> None:
        from slurmic_store import take_snapshot

        take_snapshot(
            Store.open(base / "store"),
            project.root,
            names,
            output_folder=os.fsencode(base / "out"),
        )

    outcome = as_user(act)
    os.chmod(path, 0o755)
    assert outcome.kind == "refused"
    assert outcome.detail.startswith("SourceError: cannot read '")
    assert "package/" in outcome.detail
    assert "permission denied" in outcome.detail
    assert os.listdir(base / "out") == []


@pytest.mark.parametrize("what", ["out", "store"])
def test_a_folder_that_cannot_be_written(base: Path, what: str) -> None:
    """No permission for the output folder, or for the store: an error that names it."""
    project = _fill(base)
    assert as_user(lambda: Store.open(base / "store") and None).kind == "done"
    (base / "out").mkdir(mode=0o755)
    if USER is not None:
        os.chown(base / "out", USER, USER)
    os.chmod(base / what if what == "out" else base / "store" / "tmp", 0o500)
    outcome = as_user(lambda: project.take(Store.open(base / "store"), base / "out") and None)
    os.chmod(base / what if what == "out" else base / "store" / "tmp", 0o700)
    assert outcome.kind == "refused"
    assert "permission denied" in outcome.detail
    assert str(base / what) in outcome.detail
    assert os.listdir(base / "out") == []
    assert os.listdir(base / "store" / "tmp") == []


@pytest.mark.skipif(USER is None, reason="needs root, to have two users")
def test_another_users_store(base: Path) -> None:
    """protected_hardlinks would refuse every link: a store is one user's, and says so."""
    project = _fill(base)
    Store.open(base / "store")
    os.chmod(base / "store", 0o755)
    outcome = as_user(lambda: project.take(Store.open(base / "store"), base / "out") and None)
    assert outcome.kind == "refused"
    assert outcome.detail.startswith("StoreOwnerError: store ")
    plan = plan_gc(Store.open(base / "store"))
    outcome = as_user(lambda: plan.execute() and None)
    assert outcome.detail.startswith("StoreOwnerError: store ")


def test_packed_files_resist_accidents(base: Path) -> None:
    """A job that opens a packed file for writing is refused; it may add new files."""
    project = _fill(base)

    def act() -> bytes:
        snapshot = project.take(Store.open(base / "store"), base / "out")
        assert snapshot.code_folder is not None
        folder = Path(os.fsdecode(snapshot.code_folder))
        with pytest.raises(PermissionError):
            (folder / "train.py").write_text("oops")
        (folder / "package" / "results.txt").write_text("fine")
        return snapshot.code_folder

    outcome = as_user(act)
    assert outcome.kind == "done", outcome.detail


def test_read_only_folders_go_too(base: Path) -> None:
    """After ``chmod -R a-w`` on a code folder, a folder of nothing but folders once stayed."""
    project = _fill(base)
    assert as_user(lambda: project.write(b"deep/deeper/deepest/x.py", b"x\n")).kind == "done"

    def act() -> bool:
        store = Store.open(base / "store")
        snapshot = project.take(store, base / "out")
        assert snapshot.code_folder is not None
        for parent, _, _ in os.walk(snapshot.code_folder, topdown=False):
            os.chmod(parent, 0o555)
        withdraw_snapshot(store, snapshot)
        return os.listdir(base / "out") == []

    outcome = as_user(act)
    assert outcome.kind == "done", outcome.detail
    assert outcome.detail

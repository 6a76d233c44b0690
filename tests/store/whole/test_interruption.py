"""A process that dies, or a disk that fails, at every single step of a snapshot and of gc.

In CI (``SLURMIC_DEEP=1``) each scenario is run once per file-changing call that it makes: killed
right before it and right after it, or with that call failing. `make test` tries every 29th call,
beginning elsewhere in each scenario. How many were tried is printed at the end.

Afterwards everything is looked at: no code folder under its name that is not whole, earlier folders
unchanged byte for byte, no incomplete file under a final name, gc takes every leftover, and a new
snapshot is what it would be in an empty store.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interruption_scenes import SCENARIOS, Scene
from storechecks import (
    DEEP,
    Project,
    check_store,
    code_folders,
    collect,
    left_for_good,
    leftovers,
    read_folder,
    rebuild,
    strange_names,
    tolerated,
)
from storefaults import FULL, REMOVING, Outcome, in_child, watched

from slurmic_store import Store, read_records
from slurmic_store.store.pins import pinned_ids

pytestmark = pytest.mark.usefixtures("eager_cache")

POINTS = "interruption points tried"
"""The name under which each test reports them; the session's end prints their sum."""


@pytest.fixture
def scene(tmp_path: Path, project: Project) -> Iterator[Callable[[str], Scene]]:
    def make(name: str) -> Scene:
        scene = Scene(tmp_path / "base", project)
        (tmp_path / "base" / "out").mkdir(parents=True)
        SCENARIOS[name](scene)
        scene.freeze()
        return scene

    yield make


def positions(count: int, salt: str) -> list[int]:
    """Every position in CI; by default every 29th, beginning elsewhere in each scenario."""
    return (
        list(range(count))
        if DEEP
        else list(range(sum(salt.encode()) % 29, count, 29)) or [count // 2]
    )


OWNERLESS = re.compile(
    rb"tmp/\.slurmic-[0-9a-f]{16}$"  # FORMAT, before it had its name
    rb"|tmp/[0-9]{6}-[0-9]{6}-[0-9a-f]{6}\.stage$"  # a note that was still empty
    rb"|index/[0-9a-f]{32}/\.slurmic-[0-9a-f]{16}$"  # a stat cache; the next save removes it
)
"""What nobody can be found for, and so stays for a day (but for the stat cache)."""

UNREMOVED = re.compile(OWNERLESS.pattern + rb"|tmp/\.slurmic-|.*/code\.claim$")
"""The same, where a removal failed; the guard of a claim stays until its snapshot is let go."""


def check_after(scene: Scene, allowed: re.Pattern[bytes] = OWNERLESS) -> None:
    """What must hold after whatever happened."""
    if scene.damaged:
        allowed = re.compile(allowed.pattern + rb"|quarantine/damaged-")
    store = scene.open()
    expected = scene.project.expected()
    for folder in code_folders(scene.out):
        assert read_folder(folder) == scene.kept.get(folder, expected), folder
    assert not set(scene.kept) - set(code_folders(scene.out))
    check_store(store, damaged=scene.damaged)
    collect(store, tolerate=tolerated(scene.damaged))
    assert [path for path in leftovers(scene.out) if not allowed.search(path)] == []
    assert [name for name in strange_names(store) if not allowed.match(name)] == []
    assert set(pinned_ids(store)) <= {record.id for record in read_records(store)}
    for tree, content in scene.live.items():
        # What a job has damaged is gone until it is stored anew.
        rebuilt, missing = rebuild(store, tree)
        assert missing <= scene.damaged
        assert rebuilt.items() <= content.items()
    _check_new_snapshot(scene, store)
    assert left_for_good(store, scene.damaged) == []
    for folder, content in scene.kept.items():
        assert read_folder(folder) == content


def _check_new_snapshot(scene: Scene, store: Store) -> None:
    """A new snapshot is what it would be in an empty store."""
    snapshot = scene.project.take(store, scene.output("after"))
    assert snapshot.code_folder is not None
    assert read_folder(snapshot.code_folder) == scene.project.expected()
    fresh = scene.project.take(Store.open(scene.base / "fresh"), scene.output("fresh"))
    assert fresh.record.tree == snapshot.record.tree
    check_store(store)
    for record in read_records(store):
        _, missing = rebuild(store, record.tree)
        assert missing <= scene.damaged
    rebuilt, missing = rebuild(store, snapshot.record.tree)
    assert not missing
    assert rebuilt == scene.project.expected()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_step(scene, name, when, record_property):  # type: ignore[no-untyped-def]
    """The login node dies, or the user presses Ctrl-\\, in the middle of a submission or of gc."""
    state = scene(name)
    total = in_child(lambda: state.act(state.open())).calls
    assert total > 5
    tried = 0
    for position in positions(total, name + when):
        state.restore()
        outcome = in_child(lambda: state.act(state.open()), at=position, when=when)
        assert outcome.kind in ("killed", "done"), (position, outcome.detail)
        tried += outcome.kind == "killed"
        print(f"killed {when} call {position} of {total}")  # shown if the check fails
        check_after(state)
    assert tried
    record_property(POINTS, tried)


@pytest.mark.parametrize("error", FULL, ids=errno.errorcode.__getitem__)
@pytest.mark.parametrize("name", SCENARIOS)
def test_failing_at_every_step(scene, name, error, record_property):  # type: ignore[no-untyped-def]
    """The disk fills up, the quota is used up, or the filesystem answers EIO, at one call.

    What failed is said in a StoreError that names a path, and nothing is left (or the engine had
    another way, as for a link that is refused). Only where a removal failed may what was to be
    removed stay, for gc.
    """
    state = scene(name)
    total = in_child(lambda: state.act(state.open())).calls
    for position in positions(total, name + str(error)):
        state.restore()
        outcome = in_child(lambda: state.act(state.open()), at=position, error=error)
        where = (name, position, outcome)
        assert outcome.kind in ("done", "refused"), where
        assert outcome.fault, where
        if outcome.kind == "refused" and outcome.fault not in REMOVING and "gc" not in name:
            assert leftovers(state.out) == [], where
            store = state.open()
            left = [path for path in strange_names(store) if not path.startswith(b"index/")]
            assert [path for path in left if not path.startswith(b"quarantine/damaged-")] == [], (
                where
            )
        check_after(state, UNREMOVED if outcome.fault in REMOVING else OWNERLESS)
    record_property(POINTS, len(positions(total, name + str(error))))


@pytest.mark.parametrize("name", ["first", "edited", "copies", "store_only", "many_new"])
def test_full_from_some_step_on(scene, name, record_property):  # type: ignore[no-untyped-def]
    """The disk is full and stays full: what has been written is taken back all the same."""
    state = scene(name)
    growing = {"open", "write", "mkdir", "symlink", "link", "fdatasync"}
    total = in_child(lambda: state.act(state.open())).calls
    for position in positions(total, name):
        state.restore()
        seen = 0

        def before(called: str, args: object, options: object, position: int = position) -> None:
            nonlocal seen
            seen += 1
            if seen > position and called in growing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def full(before=before) -> object:  # type: ignore[no-untyped-def]
            with watched(before):
                return state.act(state.open())

        outcome = in_child(full)
        assert outcome.kind in ("done", "refused"), (position, outcome.detail)
        if outcome.kind == "refused":
            assert leftovers(state.out) == [], (position, outcome)
        check_after(state)
    record_property(POINTS, len(positions(total, name)))


def test_the_harness_kills() -> None:
    """A harness that never strikes would make all of the above pass."""

    def act() -> None:
        os.mkdir("/nonexistent/folder")

    assert in_child(act, at=0).kind == "killed"
    assert in_child(act).kind == "failed"
    outcome: Outcome = in_child(lambda: os.write(1, b""), at=0, error=errno.EIO)
    assert outcome.kind == "failed"
    assert outcome.fault == "write"

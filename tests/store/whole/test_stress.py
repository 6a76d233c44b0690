"""Many processes submit, collect and delete at once, as colleagues do on a shared machine."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from storechecks import (
    DEEP,
    Content,
    Project,
    check_store,
    code_folders,
    collect,
    left_for_good,
    leftovers,
    read_folder,
    rebuild,
    remove,
    strange_names,
)
from storefaults import in_child

from slurmic_store import Store, StoreError, plan_gc, read_records, take_snapshot, unpin
from slurmic_store.store.records import anchor_state

SECONDS = 60.0 if DEEP else 5.0
"""How long they are at it: a minute in CI's step "every-step", five seconds in `make test`."""
SUBMITTERS, COLLECTORS = (6, 3) if DEEP else (3, 2)


def _submit(base: Path, number: int, until: float) -> dict[str, object]:
    """Take snapshots of a tree of one's own that shares most of its files with the others'."""
    chance = random.Random(number)
    store = Store.open(base / "store")
    project = Project(os.fsencode(base / f"project{number}"))
    expected: dict[bytes, Content] = {}
    pinned: dict[str, Content] = {}
    ids: dict[str, str] = {}
    done: Counter[str] = Counter()
    while time.time() < until:
        for _ in range(chance.randrange(3)):
            name = b"package/%d.py" % chance.randrange(20)
            project.write(
                name, b"value = %d\n" % chance.randrange(60), chance.choice([0o644, 0o755])
            )
        if chance.random() < 0.1:
            snapshot = project.take(store, None)
            pinned[snapshot.record.tree] = project.expected()
            ids[snapshot.record.tree] = snapshot.record.id
            done["stored"] += 1
            if len(ids) > 2:
                # What nobody names any more comes back in a later tree: blobs come and go.
                tree = chance.choice(sorted(ids))
                unpin(store, ids.pop(tree))
                del pinned[tree]
        else:
            output = base / "out" / f"run{chance.randrange(3)}"
            mode = chance.choice(["auto", "auto", "hardlink", "copy"])
            snapshot = project.take(store, output, mode, refresh_after=chance.choice([1.0, 1e9]))
            assert snapshot.code_folder is not None
            content = project.expected()
            assert read_folder(snapshot.code_folder) == content
            expected[snapshot.code_folder] = content
            done["submitted"] += 1
        if expected and chance.random() < 0.6:
            # A user deletes what a run has left, piece by piece or at once.
            folder = chance.choice(sorted(expected))
            del expected[folder]
            # Its name may be free before it is gone, and be the next one's to delete.
            going = folder + b".going-%d" % time.monotonic_ns()
            os.rename(folder, going)
            remove(going)
            done["deleted"] += 1
    for folder, content in expected.items():
        assert read_folder(folder) == content, folder
    return {"done": done, "expected": expected, "pinned": pinned}


def _collect(base: Path, until: float) -> dict[str, object]:
    """Collect without any grace, over and over."""
    store = Store.open(base / "store")
    done: Counter[str] = Counter()
    while time.time() < until or done["collections"] < 3:
        plan = plan_gc(store, grace=0)
        time.sleep(random.random() * 0.01)  # somebody reads the plan before saying yes
        stats = plan.execute()
        done["collections"] += 1
        done["blocked"] += plan.blocked
        done["collections with problems"] += bool(plan.problems)
        for key in ("records", "trees", "blobs", "restored", "leftovers"):
            done[f"gc {key}"] += getattr(stats, key)
    return {"done": done}


def _crash(base: Path, number: int, until: float) -> dict[str, object]:
    """Submissions that die at a random step."""
    chance = random.Random(1000 + number)
    done: Counter[str] = Counter()
    project = Project(os.fsencode(base / f"project{number}"))
    while time.time() < until:
        project.write(b"crash.py", b"%d\n" % chance.randrange(4))
        outcome = in_child(
            lambda: project.take(Store.open(base / "store"), base / "out" / "crashing") and None,
            at=chance.randrange(120),
        )
        assert outcome.kind in ("killed", "done"), outcome.detail
        done[f"crashes: {outcome.kind}"] += 1
        time.sleep(0.02)
    return {"done": done}


def test_many_at_once(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    """Submissions of equal and different trees, deletions, crashes and collections, all at once.

    The store promises that they need no lock: after it all, each code folder that was not deleted
    holds exactly what was submitted, each pinned snapshot can be rebuilt from the store, and
    nothing but what live snapshots need is left.
    """
    (tmp_path / "out").mkdir()
    Store.open(tmp_path / "store")
    for number in range(SUBMITTERS + 1):
        Project(os.fsencode(tmp_path / f"project{number}")).fill()
    until = time.time() + SECONDS
    workers = [
        *(lambda number=number: _submit(tmp_path, number, until) for number in range(SUBMITTERS)),
        *(lambda: _collect(tmp_path, until) for _ in range(COLLECTORS)),
        lambda: _crash(tmp_path, SUBMITTERS, until),
    ]
    results = _run_all(workers)
    done: Counter[str] = Counter()
    expected: dict[bytes, Content] = {}
    pinned: dict[str, Content] = {}
    for result in results:
        done.update(result["done"])
        expected.update(result.get("expected", {}))
        pinned.update(result.get("pinned", {}))
    for name, count in sorted(done.items()):
        record_property(name, count)
    assert done["submitted"] > 5
    assert done["collections"] > 5
    store = Store.open(tmp_path / "store")
    for folder, content in expected.items():
        assert read_folder(folder) == content, folder
    check_store(store)
    collect(store)
    # A torn note (its writer was killed before it wrote) stays for a day.
    assert left_for_good(store) == []
    assert leftovers(os.fsencode(tmp_path / "out")) == []
    for tree, content in pinned.items():
        rebuilt, missing = rebuild(store, tree)
        assert not missing
        assert rebuilt == content
    live = {record.code_folder for record in read_records(store) if record.code_folder}
    assert live == set(code_folders(os.fsencode(tmp_path / "out")))
    for record in read_records(store):
        assert not rebuild(store, record.tree)[1], anchor_state(record)


def _run_all(workers):  # type: ignore[no-untyped-def]
    """Run all in processes of their own, at once; their results."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(workers)) as pool:
        outcomes = list(pool.map(_child, workers))
    for outcome in outcomes:
        assert outcome.kind == "done", outcome.detail
    return [outcome.detail for outcome in outcomes]


def _child(worker):  # type: ignore[no-untyped-def]
    return in_child(worker)


@pytest.mark.parametrize("round_", range(8 if DEEP else 2))
def test_two_collections_at_once(tmp_path: Path, round_: int) -> None:
    """Two users' cron jobs (or one user's on two login nodes) collect the same store.

    Each may find that the other has taken what it meant to take; neither may lose what is live,
    count a failure, or delete what the other has put back.
    """
    store = Store.open(tmp_path / "store")
    project = Project(os.fsencode(tmp_path / "project"))
    project.fill()
    for number in range(6):
        project.write(b"only%d.py" % number, b"%d\n" % number * 50)
        project.take(store, tmp_path / "out" / str(number))
    for number in range(0, 6, 2):
        remove(os.fsencode(tmp_path / "out" / str(number) / "code"))
    kept = {folder: read_folder(folder) for folder in code_folders(os.fsencode(tmp_path / "out"))}
    until = time.time() + 0.5
    results = _run_all([lambda: _collect(tmp_path, until)] * 3)
    assert all(result["done"]["collections"] for result in results)
    for folder, content in kept.items():
        assert read_folder(folder) == content
    collect(store)
    assert {record.code_folder for record in read_records(store)} == set(kept)
    for record in read_records(store):
        assert not rebuild(store, record.tree)[1]
    assert strange_names(store) == []


def test_one_winner_for_each_name(tmp_path: Path) -> None:
    """Twelve submissions into one output folder at once get code, code-2, … code-12."""
    Store.open(tmp_path / "store")
    project = Project(os.fsencode(tmp_path / "project"))
    project.fill()

    def submit() -> bytes | None:
        store = Store.open(tmp_path / "store")
        try:
            snapshot = take_snapshot(
                store, project.root, project.names(), output_folder=os.fsencode(tmp_path / "out")
            )
        except StoreError as error:
            raise AssertionError(str(error)) from error
        return snapshot.code_folder

    folders = _run_all([submit] * 12)
    names = {os.path.basename(folder) for folder in folders}
    assert names == {b"code", *(b"code-%d" % number for number in range(2, 13))}
    for folder in folders:
        assert read_folder(folder) == project.expected()

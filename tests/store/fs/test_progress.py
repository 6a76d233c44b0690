"""Progress is told to a listener, rarely, and costs nothing without one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from small_trees import pack, plant

from slurmic_store import Store, followed, plan_gc, reporting, verify_store
from slurmic_store.fs import progress


def test_without_a_listener_the_items_are_given_back() -> None:
    items = [1, 2, 3]
    assert followed("counting", items) is items
    with reporting(None):
        assert followed("counting", items) is items


def test_a_listener_is_told_seldom_and_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock) / 40)
    told: list[tuple[str, int, int]] = []
    with reporting(lambda *what: told.append(what)):
        assert list(followed("counting", range(20), 20)) == list(range(20))
    assert 2 < len(told) < 8
    assert told[-1] == ("", 0, 0)
    assert told[0][0] == "counting"
    assert [done for _, done, _ in told[:-1]] == sorted({done for _, done, _ in told[:-1]})
    assert list(followed("counting", iter([1]))) == [1]


def test_what_is_quick_is_not_told() -> None:
    told: list[tuple[str, int, int]] = []
    with reporting(lambda *what: told.append(what)):
        list(followed("counting", range(20), 20))
    assert told == []


def test_packing_collecting_and_verifying_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.0)
    root = tmp_path / "src"
    root.mkdir()
    plant(root)
    store = Store.open(tmp_path / "store")
    told: list[tuple[str, int, int]] = []
    with reporting(lambda *what: told.append(what)):
        pack(store, root, tmp_path / "first")
        pack(store, root, tmp_path / "second")
        plan_gc(store, grace=0).execute()
        verify_store(store, checksum=True)
    assert {what for what, _, _ in told} >= {
        "copying new files",
        "building the code folder",
        "listing blobs",
        "reading manifests",
        "verifying blobs",
    }

"""Repairs, submissions, collections and damage, all at once, in processes of their own."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from damaged_worlds import write_through

from slurmic_store import (
    SnapshotOptions,
    Store,
    plan_gc,
    repair_store,
    take_snapshot,
    verify_code_folder,
    verify_store,
)

SECONDS = float(os.environ.get("SLURMIC_STRESS_SECONDS", "4"))


def submit(base: Path, number: int, end: float) -> object:
    """Pack an ever changing tree as copies: what happens to blobs then happens to blobs alone."""
    random.seed(number)
    store, root = Store.open(base / "store"), base / f"src-{number}"
    kept: list[tuple[str, dict[str, str]]] = []
    taken = 0
    while time.monotonic() < end:
        files = {f"{n}.py": f"{n} {random.randrange(3)}" for n in range(5)}
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            (root / name).write_text(text)
        snapshot = take_snapshot(
            store,
            os.fsencode(root),
            [os.fsencode(name) for name in files],
            output_folder=os.fsencode(base / f"out-{number}"),
            options=SnapshotOptions(link_mode="copy"),
        )
        assert snapshot.code_folder is not None
        code = os.fsdecode(snapshot.code_folder)
        assert {name: (Path(code) / name).read_text() for name in files} == files
        kept.append((code, files))
        taken += 1
        if len(kept) > 3:
            shutil.rmtree(kept.pop(0)[0])
    return {"taken": taken, "kept": kept}


def damage(base: Path, end: float) -> object:
    """Write into blobs, a little at a time, as a job does that is not stopped by modes."""
    random.seed(5)
    done = 0
    while time.monotonic() < end:
        blobs = [p for p in (base / "store" / "blobs").glob("*/*") if not p.name.startswith(".")]
        if blobs:
            with contextlib.suppress(FileNotFoundError):
                write_through(os.fsencode(random.choice(blobs)), b"X")
                done += 1
        time.sleep(0.01)
    return {"damaged": done}


def repair(base: Path, end: float) -> object:
    store = Store.open(base / "store")
    repaired = 0
    while time.monotonic() < end:
        repaired += len(repair_store(store, checksum=True).repaired)
    return {"repaired": repaired}


def collect(base: Path, end: float) -> object:
    store = Store.open(base / "store")
    problems: list[str] = []
    while time.monotonic() < end:
        plan = plan_gc(store, grace=0)
        plan.execute()
        problems += plan.problems
    return {"problems": problems}


def report(work: Callable[[], object], path: Path) -> None:
    try:
        path.write_text(json.dumps(work()))
    except BaseException:
        path.write_text(json.dumps({"error": traceback.format_exc()}))


def test_repairs_beside_everything_else(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Code folders are right whatever happens to blobs; and one repair in peace mends the store."""
    store = Store.open(tmp_path / "store")
    end = time.monotonic() + SECONDS
    context = multiprocessing.get_context("fork")
    works = [
        partial(submit, tmp_path, 1, end),
        partial(submit, tmp_path, 2, end),
        partial(damage, tmp_path, end),
        partial(repair, tmp_path, end),
        partial(repair, tmp_path, end),
        partial(collect, tmp_path, end),
    ]
    reports = [tmp_path / f"report-{number}" for number in range(len(works))]
    processes = [
        context.Process(target=report, args=(work, path))
        for work, path in zip(works, reports, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(SECONDS + 60)
        assert process.exitcode == 0
    outcomes: dict[str, Any] = {}
    for path in reports:
        outcome = json.loads(path.read_text())
        assert "error" not in outcome, outcome["error"]
        for name, value in outcome.items():
            both = isinstance(value, list | int) and name in outcomes
            outcomes[name] = outcomes[name] + value if both else value
    for name in ("taken", "damaged", "repaired"):
        record_property(name, outcomes[name])
        assert outcomes[name] > 0
    print({name: value for name, value in outcomes.items() if name != "kept"})
    for code, files in outcomes["kept"]:
        assert {name: (Path(code) / name).read_text() for name in files} == files
        assert verify_code_folder(os.fsencode(code), checksum=True).findings == ()
    roots = [os.fsencode(tmp_path / f"src-{number}") for number in (1, 2)]
    left = repair_store(store, checksum=True, roots=roots).left
    # What no live snapshot needs may be gone for good: nothing has it any more.
    plan_gc(store, grace=0).execute()
    found = verify_store(store, checksum=True).findings
    assert found == (), (left, found)
    assert plan_gc(store, grace=0).problems == []

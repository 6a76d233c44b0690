"""Snapshots for tests of the commands: taken at a known time, with known ids."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from slurmic.snapshot import PackRequest, pack_code
from slurmic_store import SnapshotRecord

DAY = 24 * 3600.0


def take(
    root: Path, store: Path, output: Path | None, *, age: float = 0.0, jobs: tuple[str, ...] = ()
) -> SnapshotRecord:
    """Pack `root`, as a submission does; the record says that it was `age` seconds ago."""
    packed = pack_code(
        PackRequest(
            str(root),
            (".py", ".sh"),
            ("wandb",),
            None if output is None else str(output),
            store_path=str(store),
            about={"mode": "slurm", "host": "login1", "user": "ada"},
        )
    )
    if jobs:
        packed.attach_jobs(jobs)
    record = replace(packed.record, created=packed.record.created - age)
    rewrite(store, record.id, created=record.created)
    return record


def rewrite(store: Path, snapshot_id: str, **fields: Any) -> None:
    """Change fields of a record in a store."""
    path = store / "snapshots" / f"{snapshot_id}.json"
    data = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps({**data, **fields}))


def make_older(store: Path, seconds: float) -> None:
    """Make all blobs and manifests look as if they had been stored earlier; whole seconds."""
    for kind in ("blobs", "trees"):
        for path in (store / kind).glob("*/*"):
            status = path.stat()
            earlier = status.st_mtime_ns - int(seconds) * 10**9
            os.utime(path, ns=(earlier, earlier))

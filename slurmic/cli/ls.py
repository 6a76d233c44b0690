"""slurmic ls: the snapshots in a store."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from slurmic.snapshot import jobids
from slurmic_store import SnapshotRecord, anchor_state, pinned_ids, read_records

from .console import console, local_time, one_line, say, size
from .exits import DONE
from .stores import open_store


@dataclass
class Ls:
    """List the snapshots in the store, newest first."""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default the one that a submission from here would use"""

    json: bool = False
    """one JSON object a line"""

    def run(self) -> int:
        """Write the table."""
        store = open_store(self.store)
        pins = pinned_ids(store)
        records = sorted(read_records(store), key=lambda record: record.created, reverse=True)
        if self.json:
            for record in records:
                print(json.dumps(_as_json(record, pins)))
        else:
            _draw(records, pins)
        say(f"{len(records)} snapshots in store {store.name}")
        return DONE


def _as_json(record: SnapshotRecord, pins: dict[str, str]) -> dict[str, Any]:
    folder = record.code_folder
    return {
        "id": record.id,
        "created": record.created,
        "tree": record.tree,
        "files": record.files,
        "size": record.size,
        "jobs": list(record.jobs),
        "code_folder": None if folder is None else os.fsdecode(folder),
        "code_folder_state": anchor_state(record) if folder is not None else None,
        "pinned": record.id in pins,
        "pin_name": pins.get(record.id),
        "info": record.info,
    }


def _draw(records: Sequence[SnapshotRecord], pins: dict[str, str]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("snapshot", "time", "jobs"):
        table.add_column(heading, no_wrap=True)
    for heading in ("files", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("tree", no_wrap=True)
    table.add_column("code folder", overflow="fold")
    for record in records:
        table.add_row(
            record.id,
            local_time(record.created),
            jobids.in_short(record.jobs),
            f"{record.files:,}",
            size(record.size),
            record.tree[:8],
            _where(record, pins),
        )
    console().print(table)


def _where(record: SnapshotRecord, pins: dict[str, str]) -> str:
    from rich.markup import escape

    pinned = ""
    if record.id in pins:
        pinned = f"pinned '{pins[record.id]}'" if pins[record.id] else "pinned"
    if record.code_folder is None:
        return escape(one_line(pinned or "only stored"))
    state = anchor_state(record)
    note = {"present": "", "gone": "gone", "unknown": "cannot be looked for"}[state]
    notes = ", ".join(filter(None, (note, pinned)))
    path = one_line(record.code_folder)
    return escape(f"{path} ({notes})" if notes else path)

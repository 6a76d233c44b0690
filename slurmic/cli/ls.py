"""slurmic ls: the snapshots in a store."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from slurmic.cluster import jobids
from slurmic_store import (
    AnchorState,
    DamagedError,
    SnapshotRecord,
    Store,
    UnknownSnapshotError,
    pinned_ids,
    read_record,
    snapshot_ids,
)

from .console import console, local_time, number, one_line, say, size, warn
from .durations import duration
from .exits import DONE, INCOMPLETE, UsageError
from .options import AgeOption, StoreOption
from .stores import open_store
from .summary import folder_state, info_text, is_dirty, pin_text, record_as_json


@dataclass(frozen=True)
class Listed:
    """A snapshot in the list.

    Attributes:
        record: its record.
        state: of its code folder; None for a snapshot that never had one.
    """

    record: SnapshotRecord
    state: AnchorState | None


@dataclass
class Ls:
    """List the snapshots in the store, newest first; also those whose code folder is gone.

    On a terminal an id is shown by its last part, which is as good as all of it."""

    path: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """only those whose code folder is in DIR, or that were packed from DIR"""

    job: Annotated[str, tyro.conf.arg(metavar="JOB")] = ""
    """only those that this job runs from: 1234 or 1234_7"""

    since: AgeOption = ""
    """only those younger than this: 30m, 12h, 7d, 4w"""

    older_than: AgeOption = ""
    """only those older than this"""

    gone: bool = False
    """only those whose code folder is gone"""

    limit: Annotated[int, tyro.conf.arg(metavar="N", aliases=["-n"])] = 0
    """only the newest N of them"""

    store: StoreOption = ""
    """the store; by default the one that a submission from here would use"""

    json: bool = False
    """one JSON object a line"""

    def run(self) -> int:
        """Write the table; how many there are, and what could not be read, to standard error."""
        if self.limit < 0:
            raise UsageError(f"--limit {self.limit} is less than nothing", hint="give 1 or more")
        store = open_store(self.store)
        listed, damaged = self._collect(store)
        pins = pinned_ids(store)
        if self.json:
            for each in listed:
                print(json.dumps(record_as_json(each.record, each.state, pins)))
        elif listed:
            _draw(listed, pins)
        for error in damaged:
            warn(str(error))
        mark = any(is_dirty(each.record.info) for each in listed) and not self.json
        say(
            f"{number(len(listed), 'snapshot')} in store {store.name}"
            + ("; * the tree differed from the commit" if mark else "")
        )
        return INCOMPLETE if damaged else DONE

    def _collect(self, store: Store) -> tuple[list[Listed], list[DamagedError]]:
        """What is asked for, newest first, and what is wrong with records that do not read back."""
        now = time.time()
        after = now - duration(self.since) if self.since else None
        before = now - duration(self.older_than) if self.older_than else None
        folder = os.path.abspath(os.fsencode(self.path)) if self.path else b""
        listed: list[Listed] = []
        damaged: list[DamagedError] = []
        for snapshot_id in reversed(snapshot_ids(store)):
            # An id says the second; which is the newest of one second, only its record.
            full = self.limit and len(listed) >= self.limit
            if full and snapshot_id[:_SECOND] != listed[-1].record.id[:_SECOND]:
                break
            try:
                record = read_record(store, snapshot_id)
            except UnknownSnapshotError:
                continue  # gone since the folder was listed
            except DamagedError as error:
                damaged.append(error)
                continue
            if (
                (after is not None and record.created < after)
                or (before is not None and record.created > before)
                or (self.job and not any(jobids.covers(job, self.job) for job in record.jobs))
                or (folder and not _is_at(record, folder))
            ):
                continue
            state = folder_state(record)
            if not self.gone or state == "gone":
                listed.append(Listed(record, state))
        listed.sort(key=lambda each: each.record.created, reverse=True)
        return listed[: self.limit or None], damaged


def _is_at(record: SnapshotRecord, folder: bytes) -> bool:
    """Whether a snapshot's code folder, or the source tree that it was packed from, is in one."""
    own = (record.code_folder, os.fsencode(info_text(record.info, "code_root")))
    return any(path == folder or path.startswith(folder + b"/") for path in own if path)


_HEADINGS = ("time", "snapshot", "jobs", "tree", "files", "size", "commit")
_RIGHT = frozenset(("files", "size"))
_WIDE_ONLY = frozenset(("tree", "files"))
_GAP = "  "

_SECOND = 13
"""How much of an id is its time."""


def _draw(listed: Sequence[Listed], pins: dict[str, str]) -> None:
    """Draw the table: a snapshot a line; on a terminal that is too narrow for that, two."""
    from rich.cells import cell_len
    from rich.text import Text

    person = sys.stdout.isatty()
    out = console()
    rows = [_cells(each.record, person) for each in listed]
    places = [_place(each) for each in listed]
    remarks = [_remarks(each, pins) for each in listed]
    columns = list(_HEADINGS)
    widths = {name: max(cell_len(row[name]) for row in [*rows, _HEADING]) for name in columns}
    table = sum(widths.values()) + len(_GAP) * len(columns)
    whole = zip(places, remarks, strict=True)
    narrow = person and table + max(cell_len("".join(each)) for each in whole) > out.width
    if narrow:
        columns = [name for name in columns if name not in _WIDE_ONLY]

    def line(row: dict[str, str]) -> Text:
        text = Text()
        for name in columns:
            space = " " * (widths[name] - cell_len(row[name]))
            cell = space + row[name] if name in _RIGHT else row[name] + space
            text.append(cell, "cyan" if name == "snapshot" and row is not _HEADING else "")
            text.append(_GAP)
        return text

    def show(text: Text) -> None:
        text.rstrip()
        out.print(text, soft_wrap=True)

    head = line(_HEADING)
    head.append("" if narrow else "code folder")
    head.stylize("dim")
    show(head)
    for each, row, place, remark in zip(listed, rows, places, remarks, strict=True):
        text = line(row)
        if narrow:
            show(text)
            text = Text(_GAP)
        text.append(place, "dim" if each.state in ("gone", None) else "")
        text.append(remark, "dim" if each.state == "gone" else "green")
        show(text)


_HEADING = {name: name for name in _HEADINGS}


def _cells(record: SnapshotRecord, person: bool) -> dict[str, str]:
    commit = one_line(info_text(record.info, "git", "commit"))[:7]
    return {
        "time": local_time(record.created),
        "snapshot": one_line(record.id[14:] or record.id if person else record.id),
        "jobs": one_line(jobids.in_short(record.jobs, 3)) or "-",
        "tree": record.tree[:8],
        "files": f"{record.files:,}",
        "size": size(record.size),
        "commit": (commit + ("*" if is_dirty(record.info) else "")) or "-",
    }


def _place(each: Listed) -> str:
    folder = each.record.code_folder
    return "only stored" if folder is None else one_line(folder)


def _remarks(each: Listed, pins: dict[str, str]) -> str:
    state = {"gone": "gone", "unknown": "cannot be looked for"}.get(each.state or "", "")
    remarks = ", ".join(filter(None, (state, one_line(pin_text(pins, each.record.id)))))
    return f" ({remarks})" if remarks else ""

"""slurmic ls: the snapshots in a store."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from slurmic.cli.arguments.group import command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import json_option, store_option
from slurmic.cli.arguments.values import COUNT, DURATION, FOLDER
from slurmic.cli.exits import DONE, INCOMPLETE
from slurmic.cli.output.console import cells, painted, say, terminal_width, warn
from slurmic.cli.output.summary import folder_state, info_text, is_dirty, pin_text, record_as_json
from slurmic.text import counted, local_time, printable, size

if TYPE_CHECKING:
    from slurmic_store import AnchorState, DamagedError, SnapshotRecord, Store


class Asked(NamedTuple):
    """Which snapshots are asked for, and how they are written."""

    path: str
    job: str
    since: float | None
    older_than: float | None
    gone: bool
    limit: int
    store: str
    as_json: bool


class Listed(NamedTuple):
    """A snapshot in the list.

    Attributes:
        record: its record.
        state: of its code folder; None for a snapshot that never had one.
    """

    record: SnapshotRecord
    state: AnchorState | None


@command("ls")
@option(
    "--path",
    metavar="DIR",
    type=FOLDER,
    default="",
    help="only those whose code folder is in DIR, or that were packed from DIR",
)
@option(
    "--job", metavar="JOB", default="", help="only those that this job runs from: 1234 or 1234_7"
)
@option(
    "--since",
    metavar="TIME",
    type=DURATION,
    default="",
    help="only those younger than this: 30m, 12h, 7d, 4w",
)
@option(
    "--older-than", metavar="TIME", type=DURATION, default="", help="only those older than this"
)
@option("--gone", is_flag=True, help="only those whose code folder was deleted")
@option("-n", "--limit", metavar="N", type=COUNT, default=0, help="only the newest N; 0 for all")
@store_option
@json_option("one JSON object a line")
def ls(**options: Any) -> int:
    """List the snapshots in the store, newest first.

    Snapshots whose code folder was deleted are listed as well. On a terminal an id is shown by its
    last part, which every command takes for the whole id.
    """
    from slurmic_store import pinned_ids

    asked = Asked(**options)
    store = finder(asked.store).open_store()
    listed, damaged = _collect(asked, store)
    pins = pinned_ids(store)
    if asked.as_json:
        for each in listed:
            print(json.dumps(record_as_json(each.record, each.state, pins)))
    elif listed:
        _draw(listed, pins)
    for error in damaged:
        warn(str(error))
    mark = any(is_dirty(each.record.info) for each in listed) and not asked.as_json
    say(
        f"{counted(len(listed), 'snapshot')} in store {store.name}"
        + ("; * the tree differed from the commit" if mark else "")
    )
    return INCOMPLETE if damaged else DONE


def _collect(asked: Asked, store: Store) -> tuple[list[Listed], list[DamagedError]]:
    """What is asked for, newest first, and what is wrong with records that do not read back."""
    from slurmic.cluster import jobids
    from slurmic_store import DamagedError, UnknownSnapshotError, read_record, snapshot_ids

    now = time.time()
    after = None if asked.since is None else now - asked.since
    before = None if asked.older_than is None else now - asked.older_than
    folder = os.path.abspath(os.fsencode(asked.path)) if asked.path else b""
    listed: list[Listed] = []
    damaged: list[DamagedError] = []
    for snapshot_id in reversed(snapshot_ids(store)):
        # An id says the second; which is the newest of one second, only its record.
        full = asked.limit and len(listed) >= asked.limit
        if full and snapshot_id[:_SECOND] != listed[-1].record.id[:_SECOND]:
            break
        try:
            record = read_record(store, snapshot_id)
        except UnknownSnapshotError:
            continue  # deleted since the folder was listed
        except DamagedError as error:
            damaged.append(error)
            continue
        if (
            (after is not None and record.created < after)
            or (before is not None and record.created > before)
            or (asked.job and not any(jobids.covers(job, asked.job) for job in record.jobs))
            or (folder and not _is_at(record, folder))
        ):
            continue
        state = folder_state(record)
        if not asked.gone or state == "gone":
            listed.append(Listed(record, state))
    listed.sort(key=lambda each: each.record.created, reverse=True)
    return listed[: asked.limit or None], damaged


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
    """Write the table: a snapshot a line; on a terminal that is too narrow for that, two."""
    person = sys.stdout.isatty()
    rows = [_cells(each.record, person) for each in listed]
    places = [_place(each) for each in listed]
    remarks = [_remarks(each, pins) for each in listed]
    columns = list(_HEADINGS)
    widths = {name: max(cells(row[name]) for row in [*rows, _HEADING]) for name in columns}
    table = sum(widths.values()) + len(_GAP) * len(columns)
    longest = max(cells("".join(each)) for each in zip(places, remarks, strict=True))
    narrow = person and table + longest > terminal_width()
    if narrow:
        columns = [name for name in columns if name not in _WIDE_ONLY]

    def line(row: dict[str, str]) -> str:
        parts = []
        for name in columns:
            space = " " * (widths[name] - cells(row[name]))
            style = "cyan" if name == "snapshot" and row is not _HEADING else ""
            cell = painted(row[name], style)
            parts.append(space + cell if name in _RIGHT else cell + space)
        return _GAP.join(parts)

    heading = line(_HEADING)
    print(painted(heading.rstrip() if narrow else f"{heading}{_GAP}code folder", "dim"))
    for each, row, place, remark in zip(listed, rows, places, remarks, strict=True):
        folder = painted(place, "dim" if each.state in ("gone", None) else "")
        folder += painted(remark, "dim" if each.state == "gone" else "green")
        print(f"{line(row).rstrip()}\n{_GAP}{folder}" if narrow else f"{line(row)}{_GAP}{folder}")


_HEADING = {name: name for name in _HEADINGS}


def _cells(record: SnapshotRecord, person: bool) -> dict[str, str]:
    from slurmic.cluster import jobids

    commit = printable(info_text(record.info, "git", "commit"))[:7]
    return {
        "time": local_time(record.created),
        "snapshot": printable(record.id[14:] or record.id if person else record.id),
        "jobs": printable(jobids.in_short(record.jobs, 3)) or "-",
        "tree": record.tree[:8],
        "files": f"{record.files:,}",
        "size": size(record.size),
        "commit": (commit + ("*" if is_dirty(record.info) else "")) or "-",
    }


def _place(each: Listed) -> str:
    folder = each.record.code_folder
    return "only stored" if folder is None else printable(folder)


def _remarks(each: Listed, pins: dict[str, str]) -> str:
    state = {"gone": "gone", "unknown": "cannot be looked for"}.get(each.state or "", "")
    remarks = ", ".join(filter(None, (state, printable(pin_text(pins, each.record.id)))))
    return f" ({remarks})" if remarks else ""

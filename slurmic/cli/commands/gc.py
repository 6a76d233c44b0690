"""slurmic gc: delete what nothing uses."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from slurmic.cli.arguments.group import command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import json_option, store_option
from slurmic.cli.arguments.values import DURATION
from slurmic.cli.exits import DONE, INCOMPLETE
from slurmic.cli.output.console import say, warn
from slurmic.text import counted, printable, size

if TYPE_CHECKING:
    from slurmic_store import GcPlan, GcStats, SnapshotRecord, Store


@command("gc")
@store_option
@option("-n", "--dry-run", is_flag=True, help="only say what would be deleted")
@option("--explain", is_flag=True, help="say of each snapshot whether it stays, and why")
@option(
    "--grace",
    metavar="TIME",
    type=DURATION,
    default="1h",
    show_default=True,
    help="keep what is younger than this: 30m, 1h, 2d, or seconds",
)
@option(
    "--older-than",
    metavar="TIME",
    type=DURATION,
    default="",
    help="drop snapshots as well that are older than this, whose jobs have all ended (by the "
    "Slurm of this cluster), and that are not pinned: 'slurmic ls' no longer lists them. Their "
    "code folders stay as they are, and 'slurmic show FOLDER' still says what they are",
)
@json_option("one JSON object about it all")
def gc(
    store: str, dry_run: bool, explain: bool, grace: float, older_than: float | None, as_json: bool
) -> int:
    """Delete what no code folder and no pinned snapshot uses.

    This is safe at any time, even while jobs are submitted and run: jobs never depend on the store.
    Only the store is cleaned: code folders and results are yours, and are never touched. To free
    the space of a run, delete its output folder; gc then deletes what only that run has used.
    """
    from slurmic_store import plan_gc

    opened = finder(store).open_store()
    finished = _Finished()
    if older_than is not None:
        finished = _find_finished(opened, time.time() - older_than)
    plan = plan_gc(opened, grace=grace, finished=finished.ids)
    plan.problems += finished.problems
    _say_plan(plan, finished)
    if explain and not as_json:
        _explain(plan, finished)
    stats = None if dry_run else plan.execute()
    for problem in plan.problems:
        warn(problem)
    if as_json:
        print(json.dumps(_as_json(plan, stats, finished)))
    elif stats is None:
        print(
            f"would delete {counted(len(plan.blobs), 'blob')} ({size(plan.size)}), "
            f"{counted(len(plan.trees), 'tree')}, {counted(len(plan.dead), 'snapshot')}"
        )
    else:
        _print_stats(stats)
    return INCOMPLETE if plan.problems else DONE


@dataclass
class _Finished:
    """Which snapshots are finished, by --older-than.

    Attributes:
        ids: of those that are.
        kept: why others that are old enough are not, by their ids.
        problems: why that could not be found out.
    """

    ids: set[str] = field(default_factory=set)
    kept: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def _find_finished(store: Store, before: float) -> _Finished:
    """Snapshots that were taken before this time, and whose jobs have all ended.

    Args:
        store: the store.
        before: seconds since the epoch.
    """
    from slurmic.cluster.queue import QueueUnknownError, unfinished_jobs, why_unfinished
    from slurmic_store import anchor_state, pinned_ids, scan_records

    finished = _Finished()
    pins = pinned_ids(store)
    # A damaged record is a problem that gc reports; one without a folder goes in any case.
    old = [
        record
        for record in scan_records(store)[0]
        if record.created < before and record.id not in pins and anchor_state(record) == "present"
    ]
    # Asked after the records were read: a job that is in a record was known to Slurm before.
    unfinished: frozenset[str] = frozenset()
    asked = any(record.jobs and record.info.get("mode") != "local" for record in old)
    if asked:
        try:
            unfinished = unfinished_jobs()
        except QueueUnknownError as error:
            finished.problems.append(
                "no snapshot is dropped for its age: whether its jobs have ended is not known: "
                f"{error}"
            )
            return finished
    for record in old:
        reason = why_unfinished(record, unfinished)
        if reason:
            finished.kept[record.id] = reason
        else:
            finished.ids.add(record.id)
    return finished


def _say_plan(plan: GcPlan, finished: _Finished) -> None:
    kept = counted(len(plan.live), "live snapshot")
    say(f"store {plan.store.name}: {kept}, {counted(len(plan.dead), 'snapshot')} to delete")
    if finished.ids:
        say(f"{counted(len(finished.ids), 'finished snapshot')} among them: their folders stay")
    if plan.linked:
        say(
            f"{counted(plan.linked, 'blob')} of no snapshot stay: folders elsewhere still link to "
            "them, so deleting them would free nothing"
        )
    if plan.blocked:
        say("no blob is deleted: see the warnings for what could not be read")


def _explain(plan: GcPlan, finished: _Finished) -> None:
    """One line for each snapshot, then what becomes of the blobs."""
    from slurmic_store import scan_records

    known = {record.id: record for record in scan_records(plan.store)[0]}
    for snapshot_id, reason in sorted(plan.live.items()):
        if snapshot_id in finished.kept:
            reason = f"{reason}; {finished.kept[snapshot_id]}"
        print(f"stays  {_line(snapshot_id, reason, known.get(snapshot_id))}")
    for record in sorted(plan.dead, key=lambda record: record.id):
        print(f"goes   {_line(record.id, _why_dead(plan, record), record)}")
    print(
        f"blobs: {plan.named:,} needed by snapshots that stay; of no snapshot: "
        f"{plan.linked:,} stay because folders link to them, {plan.young:,} because they are "
        f"young, {len(plan.blobs):,} go"
    )


def _line(snapshot_id: str, reason: str, record: SnapshotRecord | None) -> str:
    from slurmic.cluster import jobids

    jobs = jobids.in_short(record.jobs) if record is not None else ""
    where = record.code_folder if record is not None else None
    return printable(
        snapshot_id
        + (f"  job {jobs}" if jobs else "")
        + f"  {reason}"
        + (f": {os.fsdecode(where)}" if where is not None else "")
    )


def _why_dead(plan: GcPlan, record: SnapshotRecord) -> str:
    from slurmic_store import anchor_state

    if record.id in plan.finished:
        return "its jobs have ended; its code folder stays"
    if record.code_folder is None:
        return "no longer pinned, and it has no code folder"
    if anchor_state(record) == "present":
        return "its code folder was deleted, and is another snapshot's by now"
    return "its code folder is gone"


def _as_json(plan: GcPlan, stats: GcStats | None, finished: _Finished) -> dict[str, Any]:
    return {
        "store": os.fsdecode(plan.store.path),
        "dry_run": stats is None,
        "grace": plan.grace,
        "snapshots": [
            {"id": snapshot_id, "stays": True, "reason": reason}
            | {"unfinished": finished.kept.get(snapshot_id)}
            for snapshot_id, reason in sorted(plan.live.items())
        ]
        + [
            {"id": record.id, "stays": False, "reason": _why_dead(plan, record)}
            | {"unfinished": None}
            for record in sorted(plan.dead, key=lambda record: record.id)
        ],
        "blobs": {
            "needed": plan.named,
            "linked": plan.linked,
            "young": plan.young,
            "to_delete": len(plan.blobs),
            "size_to_delete": plan.size,
        },
        "trees_to_delete": len(plan.trees),
        "blocked": plan.blocked,
        "problems": plan.problems,
        "done": None if stats is None else asdict(stats),
    }


def _print_stats(stats: GcStats) -> None:
    print(
        f"deleted {counted(stats.blobs, 'blob')} ({size(stats.size)}), "
        f"{counted(stats.trees, 'tree')}, {counted(stats.records, 'snapshot')}"
    )
    if stats.leftovers:
        say(f"removed {counted(stats.leftovers, 'leftover')} of submissions that were killed")
    if stats.restored:
        say(f"put back {counted(stats.restored, 'thing')} that had been claimed meanwhile")

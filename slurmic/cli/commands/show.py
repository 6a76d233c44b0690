"""slurmic show: all that is known of a snapshot."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from slurmic.cli.arguments.group import command
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import json_option, store_option, tree_argument
from slurmic.cli.exits import DONE
from slurmic.cli.output.labelled import Line, draw, labelled, origin_lines
from slurmic.cli.output.summary import folder_state, info_text, pin_text, record_as_json
from slurmic.text import ago, counted, local_time, printable, size

if TYPE_CHECKING:
    from slurmic.cluster.jobstates import JobState
    from slurmic.inspect.references import FoundSnapshot
    from slurmic_store import SnapshotRecord


@command("show")
@tree_argument
@json_option("one JSON object")
@store_option
def show(ref: str, as_json: bool, store: str) -> int:
    """Show all that is known of a snapshot and its jobs.

    What was packed, from where, by whom, with which warnings; which jobs run from it, and what
    Slurm says of them; whether its code folder still exists.
    """
    from slurmic.inspect.references import WORKING_TREE

    if ref == WORKING_TREE:
        _show_working_tree(store, as_json)
    else:
        _show_snapshot(finder(store).find_snapshot(ref), as_json)
    return DONE


def _show_snapshot(found: FoundSnapshot, as_json: bool) -> None:
    from slurmic_store import pinned_ids

    record = found.record
    pins = {} if found.store is None else pinned_ids(found.store)
    states, note = _job_states(record)
    state = folder_state(record)
    if as_json:
        values = record_as_json(record, state, pins) | {
            "placement": record.placement,
            "store": None if found.store is None else os.fsdecode(found.store.path),
            "found_at": None if found.folder is None else os.fsdecode(found.folder),
            "job_states": [asdict(each) for each in states],
            "slurm_note": note or None,
        }
        print(json.dumps(values))
        return
    where = printable(record.code_folder or b"only stored")
    if state is not None:
        where += f"  ({_STATES[state]})"
    draw(
        [
            ("snapshot", record.id),
            ("taken", _taken(record)),
            *_jobs(record, states, note),
            ("code", where),
            *([("", f"found at {printable(found.folder or b'')}")] if found.was_moved else []),
            *_content(record.tree, record.files, record.size),
            *origin_lines(record.info),
            ("pin", printable(pin_text(pins, record.id))),
            ("store", "" if found.store is None else found.store.name),
        ]
    )


def _show_working_tree(store_path: str, as_json: bool) -> None:
    from slurmic.inspect.finder import newest_first
    from slurmic.provenance import ask_git
    from slurmic_store import SnapshotRecord

    find = finder(store_path)
    tree = find.current_tree()
    name = tree.tree.name
    store = find.store_of(tree.root)
    same = [] if store is None else [r for r in newest_first(store) if r.tree == name]
    info = {
        "code_root": tree.root,
        "git": ask_git(tree.root, tree.selection.paths).to_dict(),
        "selection": {
            "mode": tree.selection.mode,
            "code_file_suffixes": list(tree.selection.rules.suffixes),
            "exclude_code_folders": list(tree.selection.rules.exclude_folders),
            "include": None,
            "exclude_directory": None,
        },
        "warnings": [str(warning) for warning in tree.selection.warnings],
    }
    record = SnapshotRecord("", 0.0, name, files=len(tree.entries), size=tree.tree.size)
    if as_json:
        print(
            json.dumps(
                record_as_json(record, None, {})
                | {"id": None, "created": None, "info": info, "placement": None}
                | {"store": None if store is None else os.fsdecode(store.path)}
                | {"found_at": None, "job_states": [], "slurm_note": None}
            )
        )
        return
    draw(
        [
            ("working tree", "as it would be packed now"),
            *_content(name, record.files, record.size),
            *labelled("same tree", [f"snapshot {r.id}" for r in same[:_NAMED]]),
            *([("", f"and {len(same) - _NAMED} more")] if len(same) > _NAMED else []),
            *origin_lines(info),
        ]
    )


_STATES = {
    "present": "present",
    "gone": "gone",
    "unknown": "unknown: its filesystem is not mounted here, or does not answer",
}
_NAMED = 5


def _taken(record: SnapshotRecord) -> str:
    user, host = info_text(record.info, "user"), info_text(record.info, "host")
    by = f", by {printable(user)}" if user else ""
    on = f" on {printable(host)}" if host else ""
    return f"{local_time(record.created)} ({ago(time.time() - record.created)}){by}{on}"


def _job_states(record: SnapshotRecord) -> tuple[list[JobState], str]:
    """What Slurm says of a snapshot's jobs, and why it does not say more."""
    if not record.jobs or not _went_to_slurm(record):
        return [], ""
    from slurmic.cluster.jobstates import job_states  # it takes long to import

    return job_states(record.jobs)


def _went_to_slurm(record: SnapshotRecord) -> bool:
    # The jobs of other modes are processes, and their ids are theirs.
    return info_text(record.info, "mode") in ("", "slurm")


def _jobs(record: SnapshotRecord, states: Sequence[JobState], note: str) -> list[Line]:
    if not record.jobs:
        return [("jobs", "none")]
    from slurmic.cluster import jobids
    from slurmic.cluster.jobstates import tasks_by_state

    local = "" if _went_to_slurm(record) else f"  (mode {info_text(record.info, 'mode')})"
    lines = [("jobs", printable(jobids.in_short(record.jobs, _NAMED)) + local)]
    single = {state.job: state for state in states if "_" not in state.job}
    for array, tasks in tasks_by_state(states).items():
        if array in single:
            lines.append(("", f"{array} {_described(single[array])}"))
            continue
        for state, jobs in tasks.items():
            count = sum(map(jobids.count, jobs))
            named = ", ".join(jobids.compact(jobs)) if state != "COMPLETED" else array
            lines.append(("", f"{state} {count:,}  {_shortened(printable(named))}"))
    if note:
        lines.append(("", printable(note)))
    return lines


def _described(state: JobState) -> str:
    words = [state.state]
    if state.exit_code not in ("", "0:0"):
        code, _, signal = state.exit_code.partition(":")
        words.append(f"by signal {signal}" if signal not in ("", "0") else f"with exit code {code}")
    if state.nodes:
        words.append(f"on {state.nodes}")
    if state.elapsed:
        words.append(f"after {state.elapsed}" if state.exit_code else f"for {state.elapsed}")
    if state.state == "PENDING" and state.reason:
        words.append(f"({state.reason})")
    return printable(" ".join(words))


def _shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _content(tree: str, files: int, total: int) -> list[Line]:
    return [("tree", f"{tree}  {counted(files, 'file')}, {size(total)}")]

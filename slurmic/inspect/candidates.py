"""Errors for a reference that means no snapshot, or several, with those that may be meant."""

from __future__ import annotations

import os
from collections.abc import Sequence

from slurmic.cluster import jobids
from slurmic.text import counted, local_time, printable, quoted
from slurmic_store import SnapshotRecord, Store, UnknownSnapshotError

RANDOM_PART = 14
"""Where the random part of an id begins."""

EXPECTED = (
    "a snapshot is named by its id, a job, its pin, its tree, its code folder or its output "
    "folder; 'slurmic ls' lists them"
)

_NAMED = 8


def ambiguous(reference: str, what: str, fitting: Sequence[SnapshotRecord]) -> UnknownSnapshotError:
    """The error for a reference that means several snapshots.

    Args:
        reference: the text that the user gave.
        what: what it was taken for, in the plural, as in "jobs".
        fitting: the records that it fits.
    """
    return UnknownSnapshotError(
        f"{quoted(reference)} fits {what} of {counted(len(fitting), 'snapshot')}",
        hint="\n  ".join(["which one?", *_listed(fitting)]),
    )


def unknown(
    reference: str,
    path: bytes,
    store: Store | None,
    records: Sequence[SnapshotRecord],
    notes: Sequence[str],
) -> UnknownSnapshotError:
    """The error for a reference that means no snapshot, with what may have been meant.

    Args:
        reference: the text that the user gave.
        path: the same as an absolute path.
        store: where it was looked up; None if only beside the path.
        records: all records of the store, oldest first.
        notes: further lines for the hint.
    """
    where = "beside it" if store is None else f"in store '{store.name}'"
    lines = []
    related = [record for record in records if _concerns(record, path)]
    if related:
        lines.append(f"{quoted(path)} is in none of their folders, but has to do with these:")
    elif close := _close(reference, records):
        lines.append("did you mean one of these?")
        related = close
    elif records:
        lines.append("the newest are:")
        related = list(records[-3:])
    lines += _listed(related)
    lines.append(EXPECTED)
    if store is not None:
        lines.append(
            "each filesystem may have a store of its own: name another one by --store; a path is "
            "looked up in the store of its filesystem"
        )
    return UnknownSnapshotError(
        f"no snapshot {quoted(reference)} {where}", hint="\n  ".join([*lines, *notes])
    )


def _concerns(record: SnapshotRecord, path: bytes) -> bool:
    """Whether a path is the source tree of a snapshot, or has its code folder below it."""
    root = record.info.get("code_root")
    if isinstance(root, str) and os.fsencode(root) == path:
        return True
    return record.code_folder is not None and record.code_folder.startswith(path + b"/")


def _close(reference: str, records: Sequence[SnapshotRecord]) -> list[SnapshotRecord]:
    names: dict[str, SnapshotRecord] = {}
    for record in records:
        numbers = {job.partition("_")[0] for job in record.jobs}
        for name in (record.id, record.id[RANDOM_PART:], record.tree[:8], *record.jobs, *numbers):
            names[name] = record
    import difflib  # for a reference that names nothing

    close = difflib.get_close_matches(reference, names, n=5, cutoff=0.6)
    return list({names[name].id: names[name] for name in close}.values())


def _listed(records: Sequence[SnapshotRecord]) -> list[str]:
    """One line for each of the newest records, and how many more there are."""
    lines = [
        "  ".join(
            (
                record.id,
                local_time(record.created),
                jobids.in_short(record.jobs) or "no jobs",
                printable(record.code_folder or b"only stored"),
            )
        )
        for record in sorted(records, key=lambda record: record.created, reverse=True)
    ]
    more = [f"and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    return lines[:_NAMED] + more

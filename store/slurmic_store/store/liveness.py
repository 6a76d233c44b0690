"""Liveness: which records are live, and which trees and blobs they name.

A record is live if one of its anchors exists, or if it is pinned, or if it is younger than the
grace period. Its anchors are the folders that a job runs from: the staging folder while it is
built, then the code folder. What live records name is live. What cannot be read might name
anything, so then nothing can be said about the rest: that is what the answer None means here.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from slurmic_store.errors import DamagedError, quoted
from slurmic_store.format.digests import keys_in
from slurmic_store.format.names import ASIDE_RECORD, ASIDE_TREE, RECORD_SUFFIX, split_aside_name
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.fs import files
from slurmic_store.fs.pace import paced_map

from .records import anchor_state, read_each, read_record_beside, snapshot_ids
from .store import Store, read_manifest_file


def why_live(
    record: SnapshotRecord,
    pins: dict[str, str],
    now: float,
    grace: float,
    problems: list[str],
    *,
    superseded: bool = False,
) -> str:
    """Why a record stays; "" if it does not.

    Args:
        record: the record.
        pins: ids of pinned snapshots, with the pins' names.
        now: seconds since the epoch.
        grace: grace period in seconds.
        problems: gets a sentence if the record stays only because its anchor cannot be looked for.
        superseded: whether a folder at its anchor does not count: it belongs to another snapshot
            (see :func:`is_superseded`), or the snapshot is finished.
    """
    if record.id in pins:
        return f"pinned '{pins[record.id]}'" if pins[record.id] else "pinned"
    state = anchor_state(record)
    if state == "present" and not superseded:
        return "its code folder exists"
    if state == "unknown":
        problems.append(
            f"cannot tell whether {quoted(record.code_folder or b'')} exists (its filesystem is "
            f"not mounted here, or does not answer): snapshot '{record.id}' is kept"
        )
        return "its code folder cannot be looked for"
    if now - record.created < grace:
        return "younger than the grace period"
    return ""


def sharing_a_folder(records: list[SnapshotRecord]) -> set[str]:
    """The ids of records that name the same code folder as another one does."""
    counts = Counter(record.code_folder for record in records)
    return {record.id for record in records if record.anchors and counts[record.code_folder] > 1}


def is_superseded(record: SnapshotRecord) -> bool:
    """Whether the folder at a record's anchor is another snapshot's by now.

    A user who deletes an output folder and submits to the same path again gets a new code folder at
    the path of the old one, which would keep every earlier snapshot alive. The record beside a code
    folder says whose it is. One that is missing or unreadable says nothing.
    """
    folder = record.code_folder
    if folder is None or any(os.path.lexists(anchor) for anchor in record.anchors[:-1]):
        return False
    try:
        return read_record_beside(folder).id != record.id
    except (OSError, DamagedError):
        return False


def all_records(store: Store, problems: list[str]) -> list[SnapshotRecord] | None:
    """Every record of a store, those that a collection has just moved aside included.

    None, and a sentence in `problems` for each, if some cannot be read.
    """
    found: dict[str, SnapshotRecord] = {}
    complete = True
    # A record may move between the two folders while they are listed: aside, or back.
    for listing in (_recorded, _aside, _recorded):
        places = [(name, path) for name, path in listing(store) if name not in found]
        for answer in read_each(store, places):
            if isinstance(answer, SnapshotRecord):
                found.setdefault(answer.id, answer)
                continue
            complete = False
            if str(answer) not in problems:
                problems.append(str(answer))
    return list(found.values()) if complete else None


def _recorded(store: Store) -> Iterator[tuple[str, bytes | None]]:
    for snapshot_id in snapshot_ids(store):
        yield snapshot_id, None


def _aside(store: Store) -> Iterator[tuple[str, bytes | None]]:
    for name in files.names_in(store.quarantine):
        kind, before = split_aside_name(name)
        if kind == ASIDE_RECORD:
            snapshot_id = os.fsdecode(before.removesuffix(RECORD_SUFFIX))
            yield snapshot_id, os.path.join(store.quarantine, name)


def named_columns(store: Store, trees: Iterable[str], problems: list[str]) -> Iterator[memoryview]:
    """The columns of keys of these trees, each with all blobs that a tree names.

    Columns, because there may be millions of keys in them, too many for an object each. If a
    manifest is missing or cannot be read, `problems` gets a sentence: then nothing can be said
    about blobs that no column names.
    """

    def read(tree: str) -> memoryview | DamagedError | None:
        try:
            encoded = _find_manifest(store, tree)
            if encoded is None:
                return None
            from slurmic_store.format.manifest import blob_column

            return blob_column(encoded)
        except DamagedError as error:
            return error

    for found in paced_map(read, sorted(trees)):
        if isinstance(found, DamagedError):
            problems.append(str(found))
        elif found is not None:
            yield found


def named_among(
    store: Store, trees: Iterable[str], keys: set[bytes], problems: list[str]
) -> set[bytes] | None:
    """Those of `keys` that these trees name.

    None, and a sentence in `problems` for each, if a manifest is missing or cannot be read.
    """
    unreadable: list[str] = []
    named: set[bytes] = set()
    for column in named_columns(store, trees, unreadable):
        named.update(keys.intersection(keys_in(column)))
    problems += unreadable
    return None if unreadable else named


def _find_manifest(store: Store, tree: str) -> bytes | None:
    """A tree's encoding; None if no record names the tree any more.

    One that is missing may have been moved aside by a collection, which will put it back (or was
    killed before it could), or its submission may be about to publish it again, or its record may
    have been deleted since it was read.

    Raises:
        DamagedError: it is missing nevertheless, or does not read back.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return store.read_manifest(tree)
        except DamagedError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            missing = error
        for name in files.names_in(store.quarantine):
            if split_aside_name(name) == (ASIDE_TREE, os.path.basename(store.tree_path(tree))):
                with contextlib.suppress(OSError, DamagedError):
                    return read_manifest_file(os.path.join(store.quarantine, name), tree)
        records = all_records(store, [])
        if records is not None and all(record.tree != tree for record in records):
            return None
        if attempt < _ATTEMPTS - 1:
            time.sleep(0.05 * 4**attempt)
    raise missing


_ATTEMPTS = 3

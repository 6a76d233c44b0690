"""The plan of a collection, which needs no lock beside submissions and other collections.

**What is live** is in :mod:`slurmic_store.store.liveness`. Link counts decide nothing (with copies
and reflinks they say nothing); they only save work: a blob that nothing references but that is
still linked from somewhere is left, since deleting it would free nothing.

**Why no lock is needed.** A submission publishes its record *before* it relies on any blob
(:mod:`slurmic_store.pack.snapshot`). A collection does the reverse: it moves what it means to
delete *aside*, into ``quarantine/``, and reads the records again *after* that. Take a blob B and a
snapshot S whose record R names it:

- If R was published before the second reading, gc sees R and puts B back. In between, S may have
  found B missing; then S stored it again from the source, and one of the two copies has the name.
- If R was published after the second reading, then S looks for B after that, and B was moved aside
  before it: S finds it missing, and stores it again.

The same holds for manifests (S looks for its manifest again after publishing R), and for what
another collection has moved aside: it was in quarantine before *this* collection's second reading,
so this one may put it back or delete it as if it were its own. So two collections at once are safe,
and so is one that follows a collection that was killed half way. Records that a collection has
moved aside are read as if they were in place, so that none is missed while it moves.

A blob that S has linked already is safe whatever happens to its name in the store: its inode lives
on.

The grace period (an hour by default) comes on top, for network filesystems whose clients list a
folder from a cache that is seconds to a minute old: what has been stored or recorded within it
is not touched.

**When in doubt, nothing is deleted.** A record or a manifest that cannot be read might name any
blob; then no blob and no manifest is deleted. An anchor that answers with anything but "no such
file", or whose filesystem is not mounted, keeps its record alive. Each is reported as a problem.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from itertools import chain

from slurmic_store.errors import os_failure
from slurmic_store.format.digests import KEY_SIZE, keys_in, numbers_in
from slurmic_store.format.names import column_of_names, tree_of_name
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.format.seals import age_of
from slurmic_store.fs import files
from slurmic_store.fs.pace import BUNDLE, in_bundles, paced_map
from slurmic_store.fs.progress import followed
from slurmic_store.pack.staging import ABANDONED_AFTER, abandoned_paths
from slurmic_store.store.liveness import (
    all_records,
    is_superseded,
    named_columns,
    sharing_a_folder,
    why_live,
)
from slurmic_store.store.pins import pin_path, pinned_ids
from slurmic_store.store.store import Store

from .sweep import GcPlan

GRACE = 3600.0
"""Default grace period in seconds."""

_FOLDERS = 256
"""Folders of blobs in a store: one for each first byte of a digest."""


def plan_gc(
    store: Store,
    *,
    grace: float = GRACE,
    now: float | None = None,
    finished: Iterable[str] = (),
) -> GcPlan:
    """Find out what nothing uses.

    Args:
        store: the store; nothing in it is changed.
        grace: seconds; what is younger stays.
        now: the time to count ages from, in seconds since the epoch; the clock's if None.
        finished: ids of snapshots whose code folders no longer need the store, as the caller says:
            such a folder does not keep its record alive. The folder itself, and what is beside it,
            stay as they are; pins and the grace period count as usual.

    Raises:
        StoreError: the store's folders cannot be listed.
    """
    now = time.time() if now is None else now
    plan = GcPlan(store, grace, frozenset(finished))
    try:
        # Before the records: each of them was there before its pin.
        pins = pinned_ids(store)
        plan.quarantined = [
            os.path.join(store.quarantine, name) for name in files.names_in(store.quarantine)
        ]
        plan.leftovers = abandoned_paths(store, grace, now)
        records = all_records(store, plan.problems)
        unnamed = None
        if records is not None:
            trees = _classify(plan, records, now)
            _find_pins(plan, pins, {record.id for record in records}, now)
            unnamed = _unnamed_blobs(plan, trees)
        if unnamed is None:
            plan.blocked = True
        else:
            _find_trees(plan, trees, now)
            _find_blobs(plan, unnamed, now)
    except OSError as error:
        raise os_failure("list", error.filename or store.path, error) from error
    return plan


def _classify(plan: GcPlan, records: list[SnapshotRecord], now: float) -> set[str]:
    """Sort records into live and dead; the trees of the live ones."""
    pins = pinned_ids(plan.store)
    sharing = sharing_a_folder(records)
    trees = set()

    def look(bundle: list[SnapshotRecord]) -> list[tuple[SnapshotRecord, str, list[str]]]:
        answers = []
        for record in bundle:
            problems: list[str] = []
            superseded = record.id in plan.finished or (
                record.id in sharing and is_superseded(record)
            )
            reason = why_live(record, pins, now, plan.grace, problems, superseded=superseded)
            answers.append((record, reason, problems))
        return answers

    for record, reason, problems in chain.from_iterable(paced_map(look, in_bundles(records, 8))):
        plan.problems += problems
        if reason:
            plan.live[record.id] = reason
            trees.add(record.tree)
        else:
            plan.dead.append(record)
    return trees


def _find_pins(plan: GcPlan, pins: dict[str, str], recorded: set[str], now: float) -> None:
    """Pins of snapshots that are gone: what a crash leaves between pinning and a last look."""
    for path in (pin_path(plan.store, snapshot_id) for snapshot_id in pins.keys() - recorded):
        with contextlib.suppress(FileNotFoundError):
            # They cost nothing, and a stale listing of records must not cost a snapshot.
            if now - os.lstat(path).st_ctime >= max(plan.grace, ABANDONED_AFTER):
                plan.leftovers.append(path)


def _find_trees(plan: GcPlan, live: set[str], now: float) -> None:
    for prefix in sorted(files.names_in(plan.store.trees)):
        folder = os.path.join(plan.store.trees, prefix)
        for name in files.names_in(folder):
            tree = tree_of_name(name)
            if tree is None or tree in live:
                continue
            with contextlib.suppress(FileNotFoundError):
                if age_of(os.lstat(os.path.join(folder, name)), now) >= plan.grace:
                    plan.trees.append(tree)


def _unnamed_blobs(plan: GcPlan, trees: set[str]) -> list[bytes] | None:
    """The keys of blobs that none of these trees names, folder by folder.

    None, and problems in the plan, if a manifest is missing or cannot be read.

    There are few blobs and many entries of trees, so the set of blobs is made, and what is named is
    taken out of it: most look-ups then end at an entry that is gone already. The set holds
    numbers: if a blob shares its number with one that is named, it stays in the store as well.
    """
    columns = list(followed("listing blobs", blob_columns(plan.store), _FOLDERS))
    unnamed = set(chain.from_iterable(map(numbers_in, columns)))
    unreadable: list[str] = []
    named = named_columns(plan.store, trees, unreadable)
    for column in followed("reading manifests", named, len(trees)):
        unnamed.difference_update(numbers_in(column))
    plan.problems += unreadable
    if unreadable:
        return None
    plan.named = sum(map(len, columns)) // KEY_SIZE - len(unnamed)
    return [
        key
        for column in columns
        for key, number in zip(keys_in(column), numbers_in(column), strict=True)
        if number in unnamed
    ]


def _find_blobs(plan: GcPlan, unnamed: list[bytes], now: float) -> None:
    def look(bundle: list[bytes]) -> list[tuple[bytes, os.stat_result]]:
        found = []
        for key in bundle:
            try:
                found.append((key, os.lstat(plan.store.key_path(key))))
            except OSError as error:
                if error.errno not in files.GONE:
                    raise
        return found

    looked = paced_map(look, in_bundles(unnamed))
    parts = followed("looking at blobs of no snapshot", looked, len(unnamed) // BUNDLE)
    for key, status in chain.from_iterable(parts):
        if age_of(status, now) < plan.grace:
            plan.young += 1
            continue
        if status.st_nlink > 1:
            plan.linked += 1
            continue
        plan.blobs.append(key)
        plan.size += status.st_size


def blob_columns(store: Store) -> Iterator[bytes]:
    """The keys of all blobs in a store, a column for each folder; other names are skipped."""

    def list_folder(prefix: bytes) -> bytes:
        return column_of_names(files.names_in(os.path.join(store.blobs, prefix)))

    return paced_map(list_folder, sorted(files.names_in(store.blobs)))


def blob_keys(store: Store) -> Iterator[bytes]:
    """The keys of all blobs in a store, folder by folder."""
    return chain.from_iterable(map(keys_in, blob_columns(store)))

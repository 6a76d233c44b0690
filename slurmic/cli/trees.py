"""The code tree that the user means by REF, the working tree included."""

from __future__ import annotations

import os
from collections.abc import Iterator

from slurmic.errors import SlurmicError
from slurmic.snapshot.codetree import CodeTree, WorkingTree, snapshot_tree, working_tree
from slurmic.snapshot.references import WORKING_TREE
from slurmic_store import (
    DamagedError,
    SnapshotRecord,
    Store,
    StoreError,
    UnknownSnapshotError,
    printable,
    read_record,
    snapshot_ids,
)

from .output.console import say
from .references import find_snapshot
from .stores import open_store


def find_tree(reference: str, store: str) -> CodeTree:
    """The tree of a snapshot, or with ``.`` the working tree in the current folder.

    Args:
        reference: as written.
        store: the option --store, or "".

    Raises:
        StoreError, SlurmicError: there is no such snapshot, or it cannot be read.
    """
    if reference == WORKING_TREE:
        return current_tree(store)
    return snapshot_tree(find_snapshot(reference, store))


def current_tree(store: str, like: SnapshotRecord | None = None) -> WorkingTree:
    """The working tree in the current folder.

    Args:
        store: the option --store, or "".
        like: the snapshot whose selection settings it is packed by; None for the newest one of
            this folder, and where there is none, for the default settings.

    Raises:
        SlurmicError, StoreError: it cannot be read.
    """
    root = os.getcwd()
    opened = store_of(root, store)
    if like is None and opened is not None:
        ours = (r for r in newest_first(opened) if r.info.get("code_root") == root)
        like = next(ours, None)
    return _working_tree(root, like, opened)


def tree_packed_from(record: SnapshotRecord, store: str) -> WorkingTree:
    """The source tree of a snapshot, as it would be packed now by the same settings.

    Args:
        record: of the snapshot.
        store: the option --store, or "".

    Raises:
        SlurmicError: it is not there.
        StoreError: it cannot be read.
    """
    root = record.info.get("code_root")
    if not isinstance(root, str) or not os.path.isdir(root):
        raise SlurmicError(
            f"the source tree of snapshot '{record.id}' is not on this host: "
            f"'{printable(root) if isinstance(root, str) else 'not recorded'}'",
            hint="say what to compare with: another snapshot, or '.' for the current folder",
        )
    return _working_tree(root, record, store_of(root, store))


def _working_tree(root: str, like: SnapshotRecord | None, store: Store | None) -> WorkingTree:
    tree = working_tree(root, like, store)
    if tree.note:
        say(f"slurmic: note: {tree.note}")
    return tree


def store_of(folder: str, store: str) -> Store | None:
    """The store of a source tree, or None: it can be read without."""
    try:
        return open_store(store, near=folder)
    except StoreError:
        if store:
            raise
        return None


def newest_first(store: Store) -> Iterator[SnapshotRecord]:
    """The records that can be read, newest first, one by one."""
    for snapshot_id in reversed(snapshot_ids(store)):
        try:
            yield read_record(store, snapshot_id)
        except (DamagedError, UnknownSnapshotError):
            continue

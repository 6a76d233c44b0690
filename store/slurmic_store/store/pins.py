"""Pins: each keeps a snapshot until it is taken away.

A pin is a file of its own, so that pinning never rewrites a record.
"""

from __future__ import annotations

import contextlib
import os

from slurmic_store.errors import StoreError, UnknownSnapshotError, os_failure
from slurmic_store.format.names import RECORD_SUFFIX
from slurmic_store.format.record import decode_pin, encode_pin
from slurmic_store.fs import files
from slurmic_store.fs.creating import publishing

from .records import read_record
from .store import Store


def pin_path(store: Store, snapshot_id: str) -> bytes:
    """Where the pin of a snapshot lies, or would lie."""
    return os.path.join(store.pins, os.fsencode(snapshot_id) + RECORD_SUFFIX)


def pinned_ids(store: Store) -> dict[str, str]:
    """The ids of pinned snapshots, with the names of their pins ("" for a pin without one).

    Raises:
        StoreError: the pins cannot be listed.
    """
    pins: dict[str, str] = {}
    try:
        names = files.names_in(store.pins)
    except OSError as error:
        raise os_failure("list", store.pins, error) from error
    for name in names:
        if not name.endswith(RECORD_SUFFIX):
            continue
        label = ""
        # The file's existence is the pin; its content is only a label.
        with contextlib.suppress(OSError):
            label = decode_pin(files.read_piece(os.path.join(store.pins, name)))
        pins[os.fsdecode(name.removesuffix(RECORD_SUFFIX))] = label
    return pins


def pin(store: Store, snapshot_id: str, name: str = "") -> None:
    """Keep a snapshot until it is unpinned.

    Args:
        store: where the snapshot is.
        snapshot_id: its id.
        name: a label for people; may be empty.

    Raises:
        UnknownSnapshotError: the store has no such snapshot (any more).
        StoreError: the pin cannot be written.
    """
    final = pin_path(store, snapshot_id)
    try:
        temporary = store.temporary_path(b".pin", owner=snapshot_id)
        with publishing(final, temporary=temporary) as file:
            file.write(encode_pin(name).encode())
    except OSError as error:
        raise os_failure("pin", final, error) from error
    # The pin comes first: a gc that deleted the record meanwhile has not seen the pin.
    try:
        read_record(store, snapshot_id)
    except UnknownSnapshotError:
        files.remove_quietly(final)
        raise


def unpin(store: Store, snapshot_id: str) -> None:
    """Take a snapshot's pin away.

    Args:
        store: where the snapshot is.
        snapshot_id: its id.

    Raises:
        StoreError: it has none.
    """
    path = pin_path(store, snapshot_id)
    try:
        was_pinned = files.remove_quietly(path)
    except OSError as error:
        raise os_failure("unpin", path, error) from error
    if not was_pinned:
        raise StoreError(f"snapshot '{snapshot_id}' is not pinned", path=path)

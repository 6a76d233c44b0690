"""The names of snapshots, for shells that complete them: quick, and without a word of failure."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from slurmic.errors import SlurmicError
from slurmic_store import Store, StoreError, pinned_ids, read_record, snapshot_ids

from .exits import DONE
from .stores import open_store

NEWEST = 300
"""How many snapshots are offered."""

_SAFE = re.compile(r"[\w.+-]+", re.ASCII)
"""Names that no shell makes anything of. (A pin may be called anything.)"""


def complete_names(kind: str) -> int:
    """Print what snapshots can be called, one a line, the newest first.

    Args:
        kind: "pinned" for the pinned ones only.
    """
    # Nobody has asked for a message.
    with contextlib.suppress(SlurmicError, StoreError, OSError):
        store = open_store("")
        names = _pinned(store) if kind == "pinned" else _snapshots(store)
        for name in dict.fromkeys(names):
            if _SAFE.fullmatch(name):
                print(name)
    return DONE


def _pinned(store: Store) -> Iterator[str]:
    for snapshot_id, name in sorted(pinned_ids(store).items(), reverse=True):
        yield snapshot_id
        yield name


def _snapshots(store: Store) -> Iterator[str]:
    yield from pinned_ids(store).values()
    for snapshot_id in snapshot_ids(store)[: -NEWEST - 1 : -1]:
        yield snapshot_id
        with contextlib.suppress(StoreError):
            for job in read_record(store, snapshot_id).jobs:
                yield job.partition("_")[0]

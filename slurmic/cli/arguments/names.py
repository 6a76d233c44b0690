"""The names of snapshots, for shells that complete them: quick, and without a word of failure."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

import slurmic_store
from slurmic.errors import SlurmicError
from slurmic_store import Store, StoreError

from .options import finder

NEWEST = 300
"""How many snapshots are offered."""

_SAFE = re.compile(r"[\w.+-]+", re.ASCII)
"""Names that no shell makes anything of. (A pin may have any name.)"""


def snapshot_names(beginning: str) -> list[str]:
    """What snapshots can be called that begins like this: pins, ids, jobs, the newest first."""
    return _from_store(_snapshots, beginning)


def pin_names(beginning: str) -> list[str]:
    """Ids and names of pinned snapshots that begin like this."""
    return _from_store(_pinned, beginning)


def _from_store(names: Callable[[Store], Iterator[str]], beginning: str) -> list[str]:
    # A message would land on the line that is being typed.
    with contextlib.suppress(SlurmicError, StoreError, OSError):
        found = dict.fromkeys(names(finder("").open_store()))
        return [name for name in found if name.startswith(beginning) and _SAFE.fullmatch(name)]
    return []


def _pinned(store: Store) -> Iterator[str]:
    for snapshot_id, name in sorted(slurmic_store.pinned_ids(store).items(), reverse=True):
        yield snapshot_id
        yield name


def _snapshots(store: Store) -> Iterator[str]:
    yield from slurmic_store.pinned_ids(store).values()
    for snapshot_id in slurmic_store.snapshot_ids(store)[: -NEWEST - 1 : -1]:
        yield snapshot_id
        with contextlib.suppress(StoreError):
            for job in slurmic_store.read_record(store, snapshot_id).jobs:
                yield job.partition("_")[0]

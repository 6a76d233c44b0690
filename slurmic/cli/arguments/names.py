"""Snapshots by their names: what finds the one that is meant, and the names that shells complete.

Completion is quick, and without a word of failure.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurmic.inspect.finder import Finder
    from slurmic_store import Store

NEWEST = 300
"""How many snapshots are offered."""

_SAFE = re.compile(r"[\w.+-]+", re.ASCII)
"""Names that no shell makes anything of. (A pin may have any name.)"""


def finder(store: str) -> Finder:
    """What finds the stores, snapshots and trees that are meant; it says how it understood them.

    Args:
        store: the value of --store.
    """
    from slurmic import environment
    from slurmic.cli.output.console import say
    from slurmic.inspect.finder import Finder

    return Finder(
        os.getcwd(),
        store,
        environment.store_setting(),
        environment.home_folder(),
        lambda note: say(f"slurmic: note: {note}"),
    )


def snapshot_names(beginning: str) -> list[str]:
    """What snapshots can be called that begins like this: pins, ids, jobs, the newest first."""
    return _from_store(_snapshots, beginning)


def pin_names(beginning: str) -> list[str]:
    """Ids and names of pinned snapshots that begin like this."""
    return _from_store(_pinned, beginning)


def _from_store(names: Callable[[Store], Iterator[str]], beginning: str) -> list[str]:
    from slurmic.errors import SlurmicError
    from slurmic_store import StoreError

    # A message would land on the line that is being typed.
    with contextlib.suppress(SlurmicError, StoreError, OSError):
        found = dict.fromkeys(names(finder("").open_store()))
        return [name for name in found if name.startswith(beginning) and _SAFE.fullmatch(name)]
    return []


def _pinned(store: Store) -> Iterator[str]:
    import slurmic_store

    for snapshot_id, name in sorted(slurmic_store.pinned_ids(store).items(), reverse=True):
        yield snapshot_id
        yield name


def _snapshots(store: Store) -> Iterator[str]:
    import slurmic_store

    yield from slurmic_store.pinned_ids(store).values()
    for snapshot_id in slurmic_store.snapshot_ids(store)[: -NEWEST - 1 : -1]:
        yield snapshot_id
        with contextlib.suppress(slurmic_store.StoreError):
            for job in slurmic_store.read_record(store, snapshot_id).jobs:
                yield job.partition("_")[0]

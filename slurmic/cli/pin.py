"""slurmic pin, slurmic unpin: what gc must keep, whatever becomes of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from slurmic_store import (
    Store,
    StoreError,
    UnknownSnapshotError,
    anchor_state,
    pin,
    pinned_ids,
    quoted,
    read_record,
    unpin,
)

from .console import say
from .exits import DONE
from .references import Reference, find_snapshot
from .stores import open_store


@dataclass
class Pin:
    """Keep a snapshot until it is unpinned, also when its code folder is gone."""

    snapshot: Reference
    """the snapshot: its id, a job, its tree, its code folder or its output folder"""

    name: str = ""
    """a label for it, that 'slurmic unpin' takes too"""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default the one that a submission from here would use"""

    def run(self) -> int:
        """Pin it; the id goes to standard output."""
        found = find_snapshot(self.snapshot, self.store)
        snapshot_id = found.record.id
        if found.store is None:
            raise StoreError(
                f"snapshot '{snapshot_id}' is not in a store any more, so it cannot be pinned",
                hint=f"its folder is all that there is of it: {quoted(found.folder or b'')}",
            )
        pins = pinned_ids(found.store)
        if snapshot_id in pins and self.name not in ("", pins[snapshot_id]):
            raise StoreError(
                f"snapshot '{snapshot_id}' is pinned already, {_as(pins[snapshot_id])}",
                hint=f"'slurmic unpin {snapshot_id}' first, to give it another name",
            )
        pin(found.store, snapshot_id, self.name)
        print(snapshot_id)
        say(f"pinned {_as(pins.get(snapshot_id, self.name))}: gc keeps all that it needs")
        return DONE


@dataclass
class Unpin:
    """Take a snapshot's pin away. Nothing is deleted: gc does that, if nothing else keeps it."""

    snapshot: Reference
    """the name of the pin, or the snapshot: its id, a job, its tree, its code folder or its output
    folder"""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default the one that a submission from here would use"""

    def run(self) -> int:
        """Unpin it; the id goes to standard output."""
        store, snapshot_id = self._find()
        unpin(store, snapshot_id)
        print(snapshot_id)
        try:
            kept = anchor_state(read_record(store, snapshot_id)) != "gone"
        except StoreError:
            kept = False
        say(
            "unpinned; its code folder keeps it alive all the same"
            if kept
            else "unpinned; nothing keeps it any more: the next 'slurmic gc' lets it go"
        )
        return DONE

    def _find(self) -> tuple[Store, str]:
        """The store and the id; a pin's name comes before all else that the text may mean."""
        try:
            store = open_store(self.store)
        except StoreError:
            store = None  # the reference may lead to another one
        if store is not None and self.snapshot:
            named = sorted(i for i, name in pinned_ids(store).items() if name == self.snapshot)
            if len(named) > 1:
                raise UnknownSnapshotError(
                    f"{len(named)} snapshots are pinned as {quoted(self.snapshot)}",
                    hint=f"which one? {', '.join(named)}",
                )
            if named:
                return store, named[0]
        found = find_snapshot(self.snapshot, self.store)
        if found.store is None:
            raise StoreError(f"snapshot '{found.record.id}' is in no store, and so is not pinned")
        return found.store, found.record.id


def _as(name: str) -> str:
    return f"as {quoted(name)}" if name else "without a name"

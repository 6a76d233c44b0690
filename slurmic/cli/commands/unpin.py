"""slurmic unpin: what gc need not keep any longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmic.cli.arguments.group import argument, command
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import store_option
from slurmic.cli.arguments.values import PINNED
from slurmic.cli.exits import DONE
from slurmic.cli.output.console import say

if TYPE_CHECKING:
    from slurmic_store import Store


@command("unpin")
@argument("ref", "REF", "the name of the pin, or a snapshot: see 'slurmic --help'", type=PINNED)
@store_option
def unpin(ref: str, store: str) -> int:
    """Remove the pin of a snapshot.

    Nothing is deleted: 'slurmic gc' does that, if nothing else keeps the snapshot. Its id goes to
    standard output.
    """
    import slurmic_store
    from slurmic_store import StoreError, anchor_state, read_record

    opened, snapshot_id = _find(ref, store)
    slurmic_store.unpin(opened, snapshot_id)
    print(snapshot_id)
    try:
        kept = anchor_state(read_record(opened, snapshot_id)) != "gone"
    except StoreError:
        kept = False
    say(
        "unpinned; its code folder still keeps it"
        if kept
        else "unpinned; nothing keeps it now: the next 'slurmic gc' deletes it"
    )
    return DONE


def _find(ref: str, path: str) -> tuple[Store, str]:
    """The store and the id; a pin's name comes before all else that the text may mean."""
    from slurmic_store import StoreError, UnknownSnapshotError, pinned_ids, quoted

    try:
        store = finder(path).open_store()
    except StoreError:
        store = None  # the reference may lead to another one
    if store is not None and ref:
        named = sorted(i for i, name in pinned_ids(store).items() if name == ref)
        if len(named) > 1:
            raise UnknownSnapshotError(
                f"{len(named)} snapshots are pinned as {quoted(ref)}",
                hint=f"which one? {', '.join(named)}",
            )
        if named:
            return store, named[0]
    found = finder(path).find_snapshot(ref)
    if found.store is None:
        raise StoreError(f"snapshot '{found.record.id}' is not in a store, so it is not pinned")
    return found.store, found.record.id

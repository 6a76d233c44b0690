"""slurmic pin: what gc must keep, whatever happens to its folder."""

from __future__ import annotations

from slurmic.cli.arguments.group import command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import reference_argument, store_option
from slurmic.cli.exits import DONE
from slurmic.cli.output.console import say


@command("pin")
@reference_argument
@option("--name", metavar="NAME", default="", help="a name for it, which is then a REF as well")
@store_option
def pin(ref: str, name: str, store: str) -> int:
    """Keep a snapshot, whatever happens to its code folder.

    It stays in the store until 'slurmic unpin'. Its id goes to standard output.
    """
    import slurmic_store
    from slurmic_store import StoreError, pinned_ids, quoted

    found = finder(store).find_snapshot(ref)
    snapshot_id = found.record.id
    if found.store is None:
        raise StoreError(
            f"snapshot '{snapshot_id}' is no longer in a store, so it cannot be pinned",
            hint=f"only its folder is left: {quoted(found.folder or b'')}",
        )
    pins = pinned_ids(found.store)
    if snapshot_id in pins and name not in ("", pins[snapshot_id]):
        raise StoreError(
            f"snapshot '{snapshot_id}' is already pinned, {_as(pins[snapshot_id])}",
            hint=f"to give it another name, run 'slurmic unpin {snapshot_id}' first",
        )
    slurmic_store.pin(found.store, snapshot_id, name)
    print(snapshot_id)
    say(f"pinned {_as(pins.get(snapshot_id, name))}: gc keeps all that it needs")
    return DONE


def _as(name: str) -> str:
    from slurmic_store import quoted

    return f"as {quoted(name)}" if name else "without a name"

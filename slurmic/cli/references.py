"""What the user means by REF: see :mod:`slurmic.snapshot.references`."""

from __future__ import annotations

import os

from slurmic.snapshot.references import FoundSnapshot, is_path, resolve_reference
from slurmic_store import Store, StoreError

from .output.console import say
from .stores import open_store


def find_snapshot(reference: str, store: str = "") -> FoundSnapshot:
    """The snapshot that the user means; says on standard error how it was understood.

    Args:
        reference: as written.
        store: the option --store, or "". Without it, it is the store that a submission from here
            would use, or for a path, one into that folder.

    Raises:
        StoreError: there is no such snapshot, or several are; or there is no store.
    """
    found = resolve_reference(reference, _store_for(reference, store), cwd=os.getcwd())
    for note in found.notes:
        say(f"slurmic: note: {note}")
    return found


def _store_for(reference: str, store: str) -> Store | None:
    if not is_path(reference) and not os.path.lexists(reference):
        return open_store(store)
    near = os.path.abspath(reference)
    while not os.path.isdir(near):
        near = os.path.dirname(near)
    try:
        return open_store(store, near=near)
    except StoreError:
        if store:
            raise
        return None  # a code folder can speak for itself, by the record beside it

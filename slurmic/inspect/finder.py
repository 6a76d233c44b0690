"""From a folder and a REF to what is meant: the store, then the snapshot or tree in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from slurmic.errors import SlurmicError
from slurmic.snapshot import locate_store
from slurmic_store import (
    DamagedError,
    SnapshotRecord,
    Store,
    StoreError,
    UnknownSnapshotError,
    quoted,
    read_record,
    snapshot_ids,
)

if TYPE_CHECKING:
    from .codetree import CodeTree, WorkingTree
    from .references import FoundSnapshot


class Finder(NamedTuple):
    """Finds what is asked for from one folder, with one store in mind.

    Attributes:
        cwd: the folder that it is asked from.
        store: the store that was named, or "" for the one that a submission from `cwd` would use.
        setting: the store that the environment names, or "".
        home: the user's home folder, or "".
        note: called with a line for the user on how something was understood.
    """

    cwd: str
    store: str
    setting: str
    home: str
    note: Callable[[str], None]

    def open_store(self, *, near: str = "") -> Store:
        """Open the store, which exists.

        Args:
            near: the store of a submission into this folder, which exists, instead of into `cwd`;
                if there is none, the one in the home folder.

        Raises:
            StoreError: there is none; the hint says why it was looked for there.
        """
        location = locate_store(
            near or self.cwd, store_path=self.store, setting=self.setting, home=self.home
        )
        try:
            return Store.open(location.path, create=False)
        except StoreError as error:
            usual = os.path.join(self.home, ".slurmic")
            was_named = self.store or self.setting
            if not was_named and not os.path.lexists(location.path) and os.path.isdir(usual):
                # From a folder that cannot be written to, or on another filesystem.
                if not near:
                    self.note(
                        f"no store at {quoted(location.path)}; using the one in your home folder"
                    )
                return Store.open(usual, create=False)
            if not self.store:
                looked = f"looked there because it is {location.reason}; --store names another one"
                error.hint = "\n  ".join(filter(None, (error.hint, looked)))
            raise

    def store_of(self, folder: str) -> Store | None:
        """The store of a source tree; None if there is none and none was named.

        Raises:
            StoreError: the one that was named cannot be opened.
        """
        try:
            return self.open_store(near=folder)
        except StoreError:
            if self.store:
                raise
            return None

    def find_snapshot(self, reference: str) -> FoundSnapshot:
        """The snapshot that a REF means; `note` is told how that was understood.

        Raises:
            StoreError: no snapshot fits, or several do; or there is no store.
        """
        from .references import resolve_reference

        found = resolve_reference(reference, self._store_for(reference), cwd=self.cwd)
        for note in found.notes:
            self.note(note)
        return found

    def _store_for(self, reference: str) -> Store | None:
        from .references import is_path

        path = os.path.join(self.cwd, reference)
        if not is_path(reference) and not os.path.lexists(path):
            return self.open_store()
        near = os.path.abspath(path)
        while not os.path.isdir(near):
            near = os.path.dirname(near)
        return self.store_of(near)  # a code folder can speak for itself, by the record beside it

    def find_tree(self, reference: str) -> CodeTree:
        """The tree of a snapshot, or with ``.`` the working tree in `cwd`.

        Raises:
            StoreError, SlurmicError: there is no such snapshot, or it cannot be read.
        """
        from .codetree import snapshot_tree
        from .references import WORKING_TREE

        if reference == WORKING_TREE:
            return self.current_tree()
        return snapshot_tree(self.find_snapshot(reference))

    def current_tree(self, like: SnapshotRecord | None = None) -> WorkingTree:
        """The working tree in `cwd`.

        Args:
            like: the snapshot whose selection settings it is packed by; None for the newest one of
                this folder, and where there is none, for the default settings.

        Raises:
            SlurmicError, StoreError: it cannot be read.
        """
        store = self.store_of(self.cwd)
        if like is None and store is not None:
            ours = (r for r in newest_first(store) if r.info.get("code_root") == self.cwd)
            like = next(ours, None)
        return self._working_tree(self.cwd, like, store)

    def tree_packed_from(self, record: SnapshotRecord) -> WorkingTree:
        """The source tree of a snapshot, as it would be packed now by the same settings.

        Raises:
            SlurmicError: it does not exist here.
            StoreError: it cannot be read.
        """
        root = record.info.get("code_root")
        if not isinstance(root, str) or not os.path.isdir(root):
            where = quoted(root) if isinstance(root, str) else "its record does not name it"
            raise SlurmicError(
                f"the source tree of snapshot '{record.id}' is not on this host: {where}",
                hint="say what to compare with: another snapshot, or '.' for the current folder",
            )
        return self._working_tree(root, record, self.store_of(root))

    def _working_tree(
        self, root: str, like: SnapshotRecord | None, store: Store | None
    ) -> WorkingTree:
        from .codetree import working_tree

        tree = working_tree(root, like, store)
        if tree.note:
            self.note(tree.note)
        return tree


def newest_first(store: Store) -> Iterator[SnapshotRecord]:
    """The records that can be read, newest first, one by one."""
    for snapshot_id in reversed(snapshot_ids(store)):
        try:
            yield read_record(store, snapshot_id)
        except (DamagedError, UnknownSnapshotError):
            continue

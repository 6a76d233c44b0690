"""slurmic checkout: the files of a snapshot, in a folder of one's own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import tyro

from slurmic.errors import ConfigError, SlurmicError

from .cat import missing_file, path_in
from .console import number, one_line, say, size, write_paths
from .exits import DONE
from .options import StoreOption
from .references import Reference

if TYPE_CHECKING:
    from slurmic.snapshot.codetree import CodeTree
    from slurmic.snapshot.references import FoundSnapshot
    from slurmic_store import TreeEntry


@dataclass
class Checkout:
    """Copy the files of a snapshot into a new folder, to look at, to change, to run again.

    The folder is an independent copy: you may change anything in it, and it outlives the store."""

    ref: Reference
    """the snapshot: see 'slurmic --help'; . is the working tree"""

    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR")]
    """where to; must not exist, or be empty"""

    paths: Annotated[tyro.conf.Positional[list[str]], tyro.conf.arg(metavar="[PATH ...]")] = field(
        default_factory=list
    )
    """only these files or folders of the tree; by default all"""

    link: bool = False
    """make a read-only folder of links into the store, which takes next to no space"""

    store: StoreOption = ""
    """the store; by default the one that a submission from here would use"""

    def run(self) -> int:
        """Write it; the folder's path goes to standard output."""
        from slurmic.snapshot.changes import below
        from slurmic.snapshot.codetree import snapshot_tree
        from slurmic.snapshot.references import WORKING_TREE

        from .references import find_snapshot
        from .trees import current_tree

        found = None if self.ref == WORKING_TREE else find_snapshot(self.ref, self.store)
        tree = current_tree(self.store) if found is None else snapshot_tree(found)
        if self.link and (found is None or found.store is None):
            raise ConfigError(
                f"{tree.label} is in no store that a folder could be linked from",
                hint="leave out --link: the files are copied then",
            )
        wanted = below([self._path(tree, path) for path in self.paths])
        entries = [entry for entry in tree.tree.entries if wanted(entry.path)]
        folder = os.path.abspath(os.fsencode(self.folder))
        with _destination(folder) as free:
            how = self._write(tree, found, entries, free)
        write_paths([folder], nul=False)
        total = sum(entry.size for entry in entries if entry.target is None)
        say(f"{number(len(entries), 'file')}, {size(total)}, of {tree.label}; {how}")
        return DONE

    def _path(self, tree: CodeTree, path: str) -> bytes:
        """A path of the tree, if there is anything at it.

        Raises:
            SlurmicError: there is not.
        """
        from slurmic.snapshot.changes import below

        found = path_in(tree, path)
        if any(map(below([found]), tree.entries)):
            return found
        raise missing_file(tree, found)

    def _write(
        self, tree: CodeTree, found: FoundSnapshot | None, entries: list[TreeEntry], folder: bytes
    ) -> str:
        """Write the folder; how that was done."""
        from slurmic.snapshot.codetree import write_folder
        from slurmic_store import DamagedError, build_folder

        if found is None or found.store is None:
            write_folder(tree, entries, folder)
            return "copied, writable"
        paths = {entry.path for entry in entries}
        try:
            built = build_folder(
                found.store,
                found.record.tree,
                folder,
                writable=not self.link,
                only=lambda entry: entry.path in paths,
            )
        except DamagedError:
            if self.link:
                raise
            # The store has lost something; the code folder may have it.
            write_folder(tree, entries, folder)
            return "copied, writable (the store lacks some of it; the code folder had it)"
        for notice in built.notices:
            say(f"slurmic: note: {notice}")
        if not self.link:
            return "writable"
        linked = "linked" if built.method == "hardlink" else "copied"
        return f"{linked}, read-only"


@contextlib.contextmanager
def _destination(folder: bytes) -> Iterator[bytes]:
    """Where to write a folder: a path at which nothing is.

    An empty folder is filled and not replaced: it may be the current one, or a mount point.

    Raises:
        SlurmicError: something is there already.
    """
    if not os.path.lexists(folder):
        yield folder
        return
    try:
        is_free = not os.listdir(folder)
    except OSError:
        is_free = False
    if not is_free:
        raise SlurmicError(
            f"'{one_line(folder)}' exists already, and is no empty folder",
            hint="what is there is left alone: give another path",
        )
    inside = os.path.join(folder, b".slurmic-checkout-" + os.urandom(8).hex().encode())
    yield inside
    for name in os.listdir(inside):
        os.rename(os.path.join(inside, name), os.path.join(folder, name))
    os.rmdir(inside)

"""slurmic checkout: the files of a snapshot, in a folder of one's own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmic.cli.arguments.group import argument, command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import store_option, tree_argument
from slurmic.cli.arguments.values import FILE, FOLDER
from slurmic.cli.exits import DONE
from slurmic.cli.output.console import say, write_paths
from slurmic.errors import ConfigError, SlurmicError
from slurmic.text import counted, quoted, size

if TYPE_CHECKING:
    from slurmic.inspect.codetree import CodeTree
    from slurmic.inspect.references import FoundSnapshot
    from slurmic_store import TreeEntry


@command("checkout")
@tree_argument
@argument("folder", "DIR", "where to; must not exist, or be empty", type=FOLDER)
@argument(
    "paths",
    "[PATH...]",
    "only these files or folders of the tree; by default all",
    nargs=-1,
    type=FILE,
)
@option(
    "--link",
    is_flag=True,
    help="make a read-only folder of links into the store, which takes next to no space",
)
@store_option
def checkout(ref: str, folder: str, paths: tuple[str, ...], link: bool, store: str) -> int:
    """Copy the files of a snapshot into a new folder.

    The folder is an independent copy: you may change anything in it, and it outlives the store. Its
    path goes to standard output.
    """
    from slurmic.inspect.changes import below
    from slurmic.inspect.codetree import snapshot_tree
    from slurmic.inspect.references import WORKING_TREE

    find = finder(store)
    found = None if ref == WORKING_TREE else find.find_snapshot(ref)
    tree = find.current_tree() if found is None else snapshot_tree(found)
    if link and (found is None or found.store is None):
        raise ConfigError(
            f"{tree.label} is not in a store that a folder could be linked from",
            hint="leave out --link: the files are copied then",
        )
    wanted = below([_existing_path(tree, path) for path in paths])
    entries = [entry for entry in tree.tree.entries if wanted(entry.path)]
    destination = os.path.abspath(os.fsencode(folder))
    with _destination(destination) as free:
        how = _write(tree, found, entries, free, link=link)
    write_paths([destination], nul=False)
    total = sum(entry.size for entry in entries if entry.target is None)
    say(f"{counted(len(entries), 'file')}, {size(total)}, of {tree.label}; {how}")
    return DONE


def _existing_path(tree: CodeTree, path: str) -> bytes:
    """A path of the tree, if there is anything at it.

    Raises:
        SlurmicError: there is not.
    """
    from slurmic.inspect.changes import below
    from slurmic.inspect.treepaths import missing_file, path_in

    found = path_in(tree, path)
    if any(map(below([found]), tree.entries)):
        return found
    raise missing_file(tree, found)


def _write(
    tree: CodeTree,
    found: FoundSnapshot | None,
    entries: list[TreeEntry],
    folder: bytes,
    *,
    link: bool,
) -> str:
    """Write the folder; how that was done."""
    from slurmic_store import DamagedError, FolderOptions, build_folder, write_folder

    paths = {entry.path for entry in entries}
    options = FolderOptions(writable=not link, only=lambda entry: entry.path in paths)
    if found is None or found.store is None:
        write_folder(tree.tree, tree.open, folder, options)
        return "copied, writable"
    try:
        built = build_folder(found.store, found.record.tree, folder, options)
    except DamagedError:
        if link:
            raise
        # The store has lost something; the code folder may have it.
        write_folder(tree.tree, tree.open, folder, options)
        return "copied, writable (the store lacks some of it; the code folder had it)"
    for notice in built.notices:
        say(f"slurmic: note: {notice}")
    if not link:
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
            f"{quoted(folder)} already exists, and is not an empty folder",
            hint="what is there is left alone: give another path",
        )
    inside = os.path.join(folder, b".slurmic-checkout-" + os.urandom(8).hex().encode())
    yield inside
    for name in os.listdir(inside):
        os.rename(os.path.join(inside, name), os.path.join(folder, name))
    os.rmdir(inside)

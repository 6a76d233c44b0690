"""Code trees to read from: what a snapshot holds, and what the working tree would.

The two are one type, so that whatever compares, prints or copies files takes either.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

from slurmic.defaults import DEFAULT_EXCLUDED, DEFAULT_SUFFIXES
from slurmic.selection import Selection, SelectionRules, select
from slurmic.selection.walk.boundaries import is_submissions_folder
from slurmic_store import (
    SnapshotRecord,
    SourceError,
    Store,
    Tree,
    TreeContent,
    TreeEntry,
    printable,
    quoted,
    read_source_tree,
    read_tree,
)

from .references import FoundSnapshot


@dataclass(frozen=True)
class CodeTree:
    """A list of files, and the way to their content.

    Attributes:
        label: what to call it in a message.
        tree: its files.
        open: opens one of them; a symbolic link's content is its target. Raises StoreError if
            the content cannot be read.
        folders: absolute paths of the folders that hold this tree; a user may name its files by
            paths in them.
    """

    label: str
    tree: Tree
    open: Callable[[TreeEntry], BinaryIO]
    folders: tuple[bytes, ...]

    @cached_property
    def entries(self) -> dict[bytes, TreeEntry]:
        """The files by their paths."""
        return {entry.path: entry for entry in self.tree.entries}

    def read(self, entry: TreeEntry) -> bytes:
        """The content of a file; raises as `open`."""
        with self.open(entry) as stream:
            return stream.read()


@dataclass(frozen=True)
class WorkingTree(CodeTree):
    """A source tree as it would be packed now.

    Attributes:
        selection: what is selected in it.
        like: the snapshot whose settings selected it; None for the default ones.
        note: how the selection differs from that snapshot's, or "".
    """

    selection: Selection
    like: SnapshotRecord | None
    note: str

    @property
    def root(self) -> str:
        """The source tree, absolute."""
        return os.fsdecode(self.selection.root)


def snapshot_tree(found: FoundSnapshot) -> CodeTree:
    """What a snapshot holds: from its store, else from its code folder.

    Raises:
        DamagedError: the list of its files is lost.
    """
    folders = tuple(
        dict.fromkeys(
            folder for folder in (found.folder, found.record.code_folder) if folder is not None
        )
    )
    tree = read_tree(found.record.tree, found.store, folders)
    root = found.record.info.get("code_root")
    roots = (os.fsencode(root),) if isinstance(root, str) else ()
    content = TreeContent(tree, found.store, folders, roots)
    return CodeTree(f"snapshot {found.record.id}", tree, content.open, folders + roots)


def working_tree(root: str, like: SnapshotRecord | None, store: Store | None) -> WorkingTree:
    """A source tree as it would be packed now; nothing is written.

    Args:
        root: the source tree, absolute.
        like: the snapshot whose selection settings are used; None for the default ones.
        store: files that it knows are not read again; None for no store.

    Raises:
        SelectionError: `root` is not a folder that can be read.
        SourceError: a file cannot be read.
    """
    selection = select(root, _rules_like(like, root))
    tree = read_source_tree(selection.root, selection.paths, store)

    def open_file(entry: TreeEntry) -> BinaryIO:
        if entry.target is not None:
            return io.BytesIO(entry.target)
        path = os.path.join(selection.root, entry.path)
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            return os.fdopen(os.open(path, flags), "rb")
        except OSError as error:
            raise SourceError(
                f"cannot read {quoted(path)}: {(error.strerror or str(error)).lower()}",
                path=path,
            ) from error

    label = f"the working tree {printable(selection.root)}"
    note = "" if like is None else _functions_note(like)
    return WorkingTree(label, tree, open_file, (selection.root,), selection, like, note)


def _rules_like(record: SnapshotRecord | None, root: str) -> SelectionRules:
    """The rules that a snapshot was selected by, those for its output folder included."""
    if record is None:
        return SelectionRules.from_settings(DEFAULT_SUFFIXES, DEFAULT_EXCLUDED)
    settings = record.info.get("selection")
    never: tuple[bytes, ...] = ()
    folder = record.code_folder
    if folder is not None:
        own = os.path.dirname(folder) if is_submissions_folder(os.path.basename(folder)) else folder
        below = os.path.relpath(os.path.realpath(own), os.path.realpath(os.fsencode(root)))
        if below != b".." and not below.startswith(b"../"):
            never = (below,)
    suffixes: Sequence[str] = DEFAULT_SUFFIXES
    excluded: Sequence[str] = DEFAULT_EXCLUDED
    # Programs other than slurmic may put anything into a record's info.
    if isinstance(settings, dict):
        suffixes = _strings(settings.get("code_file_suffixes"), suffixes)
        excluded = _strings(settings.get("exclude_code_folders"), excluded)
    return SelectionRules.from_settings(suffixes, excluded, never=never)


def _functions_note(record: SnapshotRecord) -> str:
    settings = record.info.get("selection")
    keys = ("include", "exclude_directory")
    names = [settings.get(key) for key in keys] if isinstance(settings, dict) else []
    called = " and ".join(f"'{name}'" for name in names if name)
    if not called:
        return ""
    return (
        f"snapshot {record.id} was selected by the function {called} of its program, and the "
        "working tree by the settings alone: files may seem added or removed that are not"
    )


def _strings(value: Any, default: Sequence[str]) -> Sequence[str]:
    is_list = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return value if is_list else default

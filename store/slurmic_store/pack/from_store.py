"""Folders from a stored tree, without the source tree: from its blobs, or from any other content.

The folder is staged beside its destination and renamed there when it is complete. Nothing is
published in the store but, where a blob has used up its links or is old, a fresh inode of it. No
record is written: what keeps the blobs of a tree in the store is the record of its snapshot. Once
built, the folder depends on neither.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from slurmic_store.errors import (
    DamagedError,
    DestinationError,
    LinkModeError,
    StoreError,
    failed_path,
    os_failure,
    quoted,
)
from slurmic_store.format.manifest import decode_columns
from slurmic_store.format.names import new_snapshot_id, random_name
from slurmic_store.format.seals import sealed_now
from slurmic_store.format.tree import Tree, TreeColumns, TreeEntry
from slurmic_store.fs import files, syncing
from slurmic_store.source.reading import write_copy
from slurmic_store.store.method import FillMethod, LinkMode, Method, choose_method
from slurmic_store.store.store import Store

from .filler import Filling, FolderFiller, FolderWriter, Problems
from .publisher import BlobPublisher, WrittenFile
from .staging import StagingFolder, announce

_NAMED = 5
"""So many files are named in a message; the others are counted."""

_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
"""What a store that cannot be written to answers."""


@dataclass(frozen=True)
class FolderOptions:
    """How a folder is built.

    Attributes:
        link_mode: how files are made from blobs; as for a code folder.
        writable: make independent files that their owner may write to, by reflink where that
            works, else as copies; with `link_mode` "auto", "reflink" or "copy".
        refresh_after: age in seconds from which a blob is stored as a new inode before it is
            linked, so that no purge by age takes the folder's file; None for never.
        only: which entries of the tree are wanted; None for all.
    """

    link_mode: LinkMode = "auto"
    writable: bool = False
    refresh_after: float | None = None
    only: Callable[[TreeEntry], bool] | None = None


@dataclass(frozen=True)
class BuiltFolder:
    """A folder that has been built.

    Attributes:
        folder: its absolute path.
        tree: the name of the tree.
        files: how many files and symbolic links it holds.
        size: bytes of content of its files.
        method: how files were made from blobs: hardlink, reflink or copy.
        copied: how many files are not links of blobs (empty files and symbolic links aside).
        notices: sentences for the user: a fallback that was taken, and why.
    """

    folder: bytes
    tree: str
    files: int
    size: int
    method: Method
    copied: int
    notices: tuple[str, ...]


def build_folder(
    store: Store, tree: str, folder: str | bytes, options: FolderOptions | None = None
) -> BuiltFolder:
    """Build a folder from a stored tree.

    Each blob's size, mode and seal are checked; nothing is hashed. Nothing is synced: after a
    crash of the machine, what was copied may be incomplete.

    Args:
        store: where manifest and blobs are. It need not be writable.
        tree: the name of the tree.
        folder: where to; must not exist. Folders above it are created if need be.
        options: how; None for the defaults.

    Raises:
        DestinationError: `folder` exists, or appears meanwhile.
        LinkModeError: the link mode that was asked for is impossible here.
        DamagedError: the manifest or blobs are missing or damaged; names the files.
        StoreError: anything else: a full disk, a quota, no permission; names the path.

    After any of these errors nothing is left of the folder.
    """
    options = options or FolderOptions()
    destination = os.path.abspath(os.fsencode(folder))
    if options.writable and options.link_mode == "hardlink":
        raise LinkModeError(
            f"files of {quoted(destination)} cannot be both hard links and writable",
            path=destination,
            hint="set link_mode to 'auto', 'reflink' or 'copy', or leave the files read-only",
        )
    columns = decode_columns(store.read_manifest(tree))
    if options.only is not None:
        only = options.only
        columns = columns.picked(i for i in range(len(columns)) if only(columns.entry(i)))
    with _new_folder(store, destination) as stage:
        method = _choose(store, stage, options)
        build = _Build(store, stage, columns, method, options)
        with build.filler:
            build.fill()
    return BuiltFolder(
        folder=destination,
        tree=tree,
        files=len(columns),
        size=columns.size,
        method=method.method,
        copied=len(build.filler.copied),
        notices=tuple(notice for notice in (method.notice, *build.filler.notices) if notice),
    )


def write_folder(
    tree: Tree,
    open_file: Callable[[TreeEntry], BinaryIO],
    folder: str | bytes,
    options: FolderOptions | None = None,
) -> None:
    """Write a tree's files into a new folder, from wherever their content comes.

    Args:
        tree: the tree.
        open_file: opens a file of it.
        folder: where to; must not exist. Folders above it are created if need be.
        options: `writable` and `only` count; None for the defaults.

    Raises:
        DestinationError: `folder` exists, or appears meanwhile.
        SourceChangedError: the content of a file is not what the tree says.
        StoreError: the content of a file is lost, or the folder cannot be written; names the path.

    After any of these errors nothing is left of the folder.
    """
    options = options or FolderOptions()
    only = options.only
    entries = [entry for entry in tree.entries if only is None or only(entry)]
    with (
        _new_folder(None, os.path.abspath(os.fsencode(folder))) as stage,
        FolderWriter(stage, writable=options.writable) as writer,
    ):
        writer.make_folders([entry.path for entry in entries])
        for entry in entries:
            if entry.target is not None:
                writer.make_link(entry.path, entry.target)
            elif not entry.size:
                writer.make_empty(entry.path, entry.mode)
            else:
                with open_file(entry) as content:
                    writer.write(entry, content)


@contextlib.contextmanager
def _new_folder(store: Store | None, destination: bytes) -> Iterator[bytes]:
    """A staging folder, which becomes `destination` when it has been filled.

    Args:
        store: announces the staging folder; None for none.
        destination: absolute path; must not exist.

    Raises:
        DestinationError: it exists.
        StoreError: it cannot be made; nothing is left, not even a folder above it.
    """
    _require_free(destination)
    made = _make_parents(destination)
    try:
        with _staging_folder(store, os.path.dirname(destination)) as stage:
            yield stage
            _put_in_place(stage, destination)
    except BaseException as error:
        for parent in made:
            with contextlib.suppress(OSError):
                os.rmdir(parent)
        if isinstance(error, OSError):
            raise os_failure("build", failed_path(error, destination), error) from error
        raise


def _require_free(destination: bytes) -> None:
    if os.path.lexists(destination):
        raise DestinationError(
            f"{quoted(destination)} already exists",
            path=destination,
            hint="what is there is never changed: give another name, or move it away",
        )


def _make_parents(destination: bytes) -> list[bytes]:
    """Make the folders above the destination; those that did not exist, deepest first."""
    missing = []
    parent = os.path.dirname(destination)
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    files.make_folder(os.path.dirname(destination))
    return missing


def _choose(store: Store, stage: bytes, options: FolderOptions) -> FillMethod:
    if not options.writable or options.link_mode != "auto":
        return choose_method(store, stage, options.link_mode)
    # Not worth a notice: files that are to be writable have to be files of their own.
    try:
        return choose_method(store, stage, "reflink")
    except LinkModeError:
        return FillMethod("copy")


@contextlib.contextmanager
def _staging_folder(store: Store | None, parent: bytes) -> Iterator[bytes]:
    """A staging folder, which is gone in the end, or has got its name."""
    stage = None if store is None else _announce(store, parent)
    path = stage.path if stage else os.path.join(parent, random_name())
    try:
        os.mkdir(path)
        yield path
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove_tree(path)
        raise
    finally:
        if stage is not None and not os.path.lexists(path):
            with contextlib.suppress(OSError):
                stage.close()


def _announce(store: Store, parent: bytes) -> StagingFolder | None:
    """Announce a staging folder in the store, so that gc removes it if this process dies.

    None where the store cannot be written to: it may be mounted read-only where jobs run.
    """
    while True:
        try:
            return announce(store, new_snapshot_id(time.time()), parent)
        except FileExistsError:
            continue
        except StoreError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _READ_ONLY:
                return None
            raise


class _Build:
    """One building of a folder."""

    def __init__(
        self,
        store: Store,
        stage: bytes,
        tree: TreeColumns,
        method: FillMethod,
        options: FolderOptions,
    ) -> None:
        self._store = store
        self._stage = stage
        self._tree = tree
        refresh_after = math.inf
        # A file of its own is young, however old its blob is.
        if options.refresh_after is not None and method.method == "hardlink":
            refresh_after = options.refresh_after
        self._filling = Filling(method, time.time(), refresh_after, options.writable)
        self.filler = FolderFiller(store, stage, self._filling)

    def fill(self) -> None:
        """Make all files.

        Raises:
            DamagedError: blobs are missing or damaged.
        """
        self.filler.make_folders(self._tree.paths)
        self.filler.make_special(self._tree)
        problems = self.filler.link(self._tree, self._tree.blobs())
        spent = [index for index, problem in problems if problem in ("full", "old")]
        bad = [(index, problem) for index, problem in problems if problem not in ("full", "old")]
        if spent and not bad:
            bad = self._renew(spent)
        if bad:
            raise self._damaged(bad)

    def _renew(self, spent: Sequence[int]) -> Problems:
        """Store blobs that cannot be linked any more, or should not be, as fresh inodes.

        Each is copied into the folder, checked by its digest, and takes the blob's name in the
        store; those that turn out to be missing or damaged are returned.
        """
        problems: Problems = []
        fresh: list[WrittenFile] = []
        for index in spent:
            entry = self._tree.entry(index)
            path = self.filler.path(entry.path)
            try:
                blob = self._store.blob_path(entry.digest, entry.mode)
                digest, status = write_copy(path, blob, sealed_now)
            except FileNotFoundError:
                problems.append((index, "missing"))
                continue
            if digest != entry.digest or status.st_size != entry.size:
                problems.append((index, "damaged"))
                continue
            fresh.append(WrittenFile(path, digest, entry.mode, entry.size))
        syncing.sync_files([file.path for file in fresh], self._stage)
        publisher = BlobPublisher(
            self._store,
            self._stage,
            self._filling.now,
            self._filling.refresh_after,
            lambda: os.path.join(self._store.tmp, random_name()),
            self.filler.note_refusal,
        )
        for file in fresh:
            publisher.publish(file)
        return problems

    def _damaged(self, bad: Problems) -> DamagedError:
        store = self._store
        named = [f"{quoted(self._tree.paths[i])} ({problem})" for i, problem in bad[:_NAMED]]
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        entry = self._tree.entry(bad[0][0])
        return DamagedError(
            f"store '{store.name}' lacks what {len(bad)} of the files need: "
            f"{', '.join(named)}{more}",
            path=store.blob_path(entry.digest, entry.mode),
            digest=entry.digest.hex(),
            hint="'slurmic verify --repair' brings blobs back from source trees and code folders "
            "that still have the content",
        )


def _put_in_place(stage: bytes, destination: bytes) -> None:
    """Rename the finished folder, unless something has its name.

    An empty folder that appears between the check and the rename is replaced: rename(2) does not
    tell.
    """
    _require_free(destination)
    try:
        os.rename(stage, destination)
    except OSError:
        _require_free(destination)
        raise

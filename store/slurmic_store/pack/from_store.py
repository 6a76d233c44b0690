"""Building a folder from a stored tree: from manifest and blobs alone, without the source tree.

The folder is staged beside its destination and renamed there when it is complete. Nothing is
published in the store but, where a blob has used up its links or is old, a fresh inode of it. Nor
is a record: what keeps the blobs of a tree in the store is the record of its snapshot. Once built,
the folder depends on neither.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
from slurmic_store.format.tree import TreeColumns, TreeEntry
from slurmic_store.fs import files, syncing
from slurmic_store.source.reading import write_copy
from slurmic_store.store.method import FillMethod, LinkMode, Method, choose_method
from slurmic_store.store.store import Store

from .filler import FolderFiller, Problems
from .publisher import BlobPublisher, WrittenFile
from .staging import StagingFolder, announce

_NAMED = 5
"""So many files are named in a message; the others are counted."""

_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
"""What a store that cannot be written to answers."""


@dataclass(frozen=True)
class BuiltFolder:
    """A folder that has been built.

    Attributes:
        folder: its absolute path.
        tree: the name of the tree.
        files: how many files and symbolic links it holds.
        size: bytes of content of its files.
        method: how files were made from blobs: hardlink, reflink or copy.
        copied: how many files are no links of blobs (empty files and symbolic links aside).
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
    store: Store,
    tree: str,
    folder: str | bytes,
    *,
    link_mode: LinkMode = "auto",
    writable: bool = False,
    refresh_after: float | None = None,
    only: Callable[[TreeEntry], bool] | None = None,
) -> BuiltFolder:
    """Build a folder from a stored tree.

    Each blob's size, mode and seal are looked at; nothing is hashed. Nothing is synced: after a
    crash of the machine, what was copied may be incomplete.

    Args:
        store: where manifest and blobs are. It need not be writable.
        tree: the name of the tree.
        folder: where to; must not exist. Folders above it are created if need be.
        link_mode: how files are made from blobs; as for a code folder.
        writable: make independent files that their owner may write to, by reflink where that
            works, else as copies; with `link_mode` "auto", "reflink" or "copy".
        refresh_after: age in seconds from which a blob is stored as a new inode before it is
            linked, so that no purge by age takes the folder's file; None for never.
        only: which entries of the tree are wanted; None for all.

    Raises:
        DestinationError: something is there already, or comes there meanwhile.
        LinkModeError: the link mode that was asked for is impossible here.
        DamagedError: the manifest or blobs are missing or damaged; names the files.
        StoreError: anything else: a full disk, a quota, no permission; names the path.

    After any of these errors nothing is left of the folder.
    """
    destination = os.path.abspath(os.fsencode(folder))
    if writable and link_mode == "hardlink":
        raise LinkModeError(
            f"files of {quoted(destination)} cannot be both hard links and writable",
            path=destination,
            hint="set link_mode to 'auto', 'reflink' or 'copy', or leave the files read-only",
        )
    columns = decode_columns(store.read_manifest(tree))
    if only is not None:
        columns = columns.picked(i for i in range(len(columns)) if only(columns.entry(i)))
    _require_free(destination)
    made = _make_parents(destination)
    try:
        with _staging_folder(store, os.path.dirname(destination)) as stage:
            method = _choose(store, stage, link_mode, writable)
            build = _Build(store, stage, columns, method, writable, refresh_after)
            with build.filler:
                build.fill()
            _put_in_place(stage, destination)
    except BaseException as error:
        for parent in made:
            with contextlib.suppress(OSError):
                os.rmdir(parent)
        if isinstance(error, OSError):
            raise os_failure("build", failed_path(error, destination), error) from error
        raise
    return BuiltFolder(
        folder=destination,
        tree=tree,
        files=len(columns),
        size=columns.size,
        method=method.method,
        copied=len(build.filler.copied),
        notices=tuple(notice for notice in (method.notice, *build.filler.notices) if notice),
    )


def _require_free(destination: bytes) -> None:
    if os.path.lexists(destination):
        raise DestinationError(
            f"{quoted(destination)} exists already",
            path=destination,
            hint="what is there is never changed: give another name, or move it away",
        )


def _make_parents(destination: bytes) -> list[bytes]:
    """Make the folders above the destination; those that were not there, deepest first."""
    missing = []
    parent = os.path.dirname(destination)
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    files.make_folder(os.path.dirname(destination))
    return missing


def _choose(store: Store, stage: bytes, link_mode: LinkMode, writable: bool) -> FillMethod:
    if not writable or link_mode != "auto":
        return choose_method(store, stage, link_mode)
    # Nothing that a user should hear of: who asks for writable files asks for files of their own.
    try:
        return choose_method(store, stage, "reflink")
    except LinkModeError:
        return FillMethod("copy")


@contextlib.contextmanager
def _staging_folder(store: Store, parent: bytes) -> Iterator[bytes]:
    """A staging folder, which is gone in the end, or has got its name."""
    stage = _note(store, parent)
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


def _note(store: Store, parent: bytes) -> StagingFolder | None:
    """Note a staging folder in the store, so that gc removes it should this process die.

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
        writable: bool,
        refresh_after: float | None,
    ) -> None:
        self._store = store
        self._stage = stage
        self._tree = tree
        self._refresh_after = math.inf
        # A file of its own is young, however old its blob is.
        if refresh_after is not None and method.method == "hardlink":
            self._refresh_after = refresh_after
        self._now = time.time()
        self.filler = FolderFiller(
            store,
            stage,
            method=method,
            now=self._now,
            refresh_after=self._refresh_after,
            writable=writable,
        )

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
        """Place blobs that cannot be linked any more, or should not be: as fresh inodes.

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
            self._now,
            self._refresh_after,
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
    """Rename the finished folder; what stands at its name is refused.

    An empty folder that comes there between the look and the rename is replaced; rename(2) does
    not tell.
    """
    _require_free(destination)
    try:
        os.rename(stage, destination)
    except OSError:
        _require_free(destination)
        raise

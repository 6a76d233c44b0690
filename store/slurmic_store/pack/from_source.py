"""Building a code folder from source files and blobs, in its staging folder.

With hard links, a file that is new to the store is written once, into the staging folder, and the
store gets a link to it. With reflinks or copies it is written into the store, and the code folder
gets its own. The steps are called in the order that :mod:`slurmic_store.snapshot` explains.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence

from slurmic_store.format.digests import PERMISSIONS, digest_of
from slurmic_store.format.names import random_name
from slurmic_store.format.seals import sealed_now
from slurmic_store.format.tree import TreeColumns
from slurmic_store.fs import files, syncing
from slurmic_store.fs.pace import in_bundles, paced_map
from slurmic_store.fs.progress import followed
from slurmic_store.source.reading import digest_still, read_whole, write_copy, write_data
from slurmic_store.source.selected import SelectedFiles
from slurmic_store.source.statcache import Stamp, StatCache
from slurmic_store.store.store import Store

from .filler import Filling, FolderFiller
from .publisher import BlobPublisher, WrittenFile

_FEW = 8
"""So many files are read, or published, in one go: more calls for each, and some may be large."""


class CodeFolderBuilder(contextlib.AbstractContextManager["CodeFolderBuilder"]):
    """Fills a staging folder; a context manager.

    A file is new (it is to be read), written (its copy is yet to be published as a blob), known
    (the store should have its blob, which is yet to be linked), or done.

    Args:
        store: where blobs are, and go.
        root: absolute path of the source tree.
        folder: the staging folder, empty.
        filling: how files get into it from blobs.
        fill: False to only store new files; the staging folder then holds nothing but new files
            on their way into the store.
        owner: id of the snapshot, for the names of temporary files.

    Attributes:
        read: how many files were read.
        stored: how many files were new to the store.
        stored_size: their bytes.
    """

    def __init__(
        self,
        store: Store,
        root: bytes,
        folder: bytes,
        filling: Filling,
        *,
        fill: bool,
        owner: str = "",
    ) -> None:
        self._store = store
        self._root = root
        self._folder = folder
        self._fill = fill
        self._in_place = fill and filling.method.method == "hardlink"
        self._owner = owner
        self._filler = FolderFiller(store, folder, filling)
        self._publisher = BlobPublisher(
            store,
            folder if self._in_place else None,
            filling.now,
            filling.refresh_after,
            self._spare_path,
            self._filler.note_refusal,
        )
        self._spare: bytes | None = None
        self._linked = False
        self._store_is_empty = not files.names_in(store.blobs)
        self._source = SelectedFiles(root, [], StatCache(b""))
        self._new: list[int] = []
        self._known: list[int] = []
        self._written: dict[int, bytes] = {}
        self._synced: set[bytes] = set()
        self._lock = threading.Lock()
        self.read = 0
        self.stored = 0
        self.stored_size = 0

    @property
    def notices(self) -> list[str]:
        """Sentences for the user."""
        return self._filler.notices

    def examine(self, paths: Sequence[bytes], cache: StatCache) -> None:
        """Look at the selected files, and take their digests from the cache where it has them."""
        self._source = SelectedFiles(self._root, paths, cache)
        self._new = list(self._source.unknown)
        self._known = sorted(set(self.tree.blobs()).difference(self._new))

    @property
    def tree(self) -> TreeColumns:
        """The tree as it is known now."""
        return self._source.tree

    def read_new(self) -> None:
        """Read and hash the files whose digest is not known (any more).

        What the store does not have is copied; but where the digest turns out to be one that it
        should have, the file is known from now on. (It was touched, or linked to, or is in another
        copy of the source tree.) Whether the blob really exists is checked later.
        """
        new, self._new = self._new, []
        if self._in_place:
            self._filler.make_folders([self.tree.paths[index] for index in new])
        gone: set[int] = set()
        parts = paced_map(self._read, in_bundles(new, _FEW))
        for part in followed("copying new files", parts, len(new) // _FEW):
            gone.update(part)
        self.read += len(new) - len(gone)
        self._known.sort()
        renumbered = self._source.drop(gone)
        if renumbered is not None:
            self._known = [renumbered[index] for index in self._known]
            self._written = {renumbered[i]: path for i, path in self._written.items()}

    def _read(self, indices: Sequence[int]) -> list[int]:
        """Read source files; those that are gone."""
        gone = []
        for index in indices:
            try:
                self._read_one(index)
            except FileNotFoundError:
                gone.append(index)
        return gone

    def _read_one(self, index: int) -> None:
        source = self._source.path(index)
        whole = read_whole(source)
        if whole is not None:
            data, status = whole
            digest = digest_of(data)
            if data and not self._may_be_stored(index, digest, status):
                path = self._path_for_new(index)
                write_data(path, data, status.st_mode, sealed_now(digest))
                self._written[index] = path
        else:
            still = digest_still(source) if index in self._source.former else None
            if still is not None and self._may_be_stored(index, *still):
                digest, status = still
            else:
                path = self._path_for_new(index)
                digest, status = write_copy(path, source, sealed_now)
                if status.st_size:
                    self._written[index] = path
                else:
                    files.remove_quietly(path)
        self._source.set(index, digest, status)
        if not status.st_size and self._linked and self._fill:
            # Emptied meanwhile, after the other empty files were made.
            self._filler.make_empty(self.tree.paths[index], self.tree.modes[index])
        elif status.st_size and index not in self._written:
            self._known.append(index)

    def _may_be_stored(self, index: int, digest: bytes, status: os.stat_result) -> bool:
        """Whether the store seems to have this blob; False if an earlier check failed."""
        if self._linked or self._store_is_empty:
            return False
        mode = status.st_mode & PERMISSIONS
        return self._source.former.get(index) == digest or os.path.lexists(
            self._store.blob_path(digest, mode)
        )

    def _path_for_new(self, index: int) -> bytes:
        return self._filler.path(self.tree.paths[index]) if self._in_place else self._spare_path()

    def sync(self) -> None:
        """Return when what was copied is on the disk."""
        folder = self._folder if self._in_place else self._store.tmp
        syncing.sync_files(
            [path for path in self._written.values() if path not in self._synced], folder
        )
        self._synced.update(self._written.values())

    def sync_copies(self) -> None:
        """Return when the files of the code folder that are not links are on the disk, too.

        A job must not find files of no bytes because the submitting host crashed.
        """
        syncing.sync_files(self._filler.copied, self._folder)

    def known_files(self) -> tuple[list[bytes], list[Stamp], list[bytes]]:
        """Path, stamp and digest of every file with content, for the stat cache."""
        return self._source.columns()

    def link_known(self) -> bool:
        """Link the blobs that are known; whether some must be stored again.

        Those count as new again; they are missing, damaged, full, or old.
        """
        if not self._in_place:
            self._publish_written()
            self._known = sorted([*self._known, *self._written])
            self._written = {}
        if self._fill and not self._linked:
            self._filler.make_folders(self.tree.paths)
            self._filler.make_special(self.tree)
        self._linked = True
        check = self._filler.link if self._fill else self._filler.check
        self._new = [index for index, _ in check(self.tree, self._known)]
        self._known = []
        return bool(self._new)

    def publish_blobs(self) -> None:
        """Give the files that were written their names in the store."""
        if self._in_place:
            self._publish_written()
        self._remove_spare()

    def _publish_written(self) -> None:
        parts = paced_map(self._publish, in_bundles(list(self._written), _FEW))
        for count, size in followed("storing new files", parts, len(self._written) // _FEW):
            self.stored += count
            self.stored_size += size

    def _publish(self, indices: Sequence[int]) -> tuple[int, int]:
        """Give written files their names in the store; how many were new to it, and their bytes."""
        tree = self.tree
        stored = []
        for index in indices:
            path = self._written[index]
            new = WrittenFile(path, tree.digests[index], tree.modes[index], tree.sizes[index])
            if self._publisher.publish(new):
                stored.append(new.size)
            if not self._in_place:
                files.remove_quietly(path)
        return len(stored), sum(stored)

    def _spare_path(self) -> bytes:
        """A new path inside the store, for a file on its way to its name."""
        if not self._fill:
            return os.path.join(self._folder, random_name())
        with self._lock:
            if self._spare is None:
                name = random_name(b".d", owner=self._owner)
                spare = os.path.join(self._store.tmp, name)
                os.mkdir(spare, 0o700)
                self._spare = spare
        return os.path.join(self._spare, random_name())

    def __exit__(self, *_: object) -> None:
        self._filler.__exit__()
        with contextlib.suppress(OSError):
            self._remove_spare()

    def _remove_spare(self) -> None:
        """Remove what lies outside the staging folder."""
        if self._spare is not None:
            files.remove_tree(self._spare)
            self._spare = None

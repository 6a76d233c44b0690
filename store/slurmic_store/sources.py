"""Where healthy content can be found for a file that is damaged or gone.

A source is only ever read, never moved or linked, and what is taken from it is hashed while it is
copied: whatever it claims to be, only the right bytes get through. Tried in this order:

1. blobs of the same digest in the store, whatever their permission bits (the damaged one itself
   too: only its time or its bits may be wrong);
2. files of code folders that exist, of any snapshot that had this content;
3. files of the source trees that the snapshots were packed from, if they have not changed since.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator

from . import files
from .digests import blob_name, parse_blob_name, sealed_now, split_key
from .errors import DamagedError, SourceError, UnknownSnapshotError
from .manifest import decode_tree
from .records import read_record, snapshot_ids
from .source import write_copy
from .statcache import known_roots
from .store import Store


class Sources:
    """Candidates for content, by digest.

    Args:
        store: whose blobs and records are looked through; None for none.
        wanted: the digests that content is needed for; others are not looked up.
        roots: absolute paths of source trees that may still have it, besides those that the
            store has a stat cache of.
    """

    def __init__(
        self, store: Store | None, wanted: Iterable[bytes], roots: Iterable[bytes] = ()
    ) -> None:
        self._store = store
        self._wanted = frozenset(wanted)
        self._roots = list(dict.fromkeys(roots))
        self._in_folders: dict[bytes, set[bytes]] = defaultdict(set)
        self._in_roots: dict[bytes, set[bytes]] = defaultdict(set)
        if store is not None:
            self._roots += [root for root in known_roots(store) if root not in self._roots]
            self._look_through(store)

    def _look_through(self, store: Store) -> None:
        folders_of: dict[str, list[bytes]] = defaultdict(list)
        for snapshot_id in snapshot_ids(store):
            with contextlib.suppress(DamagedError, UnknownSnapshotError):
                record = read_record(store, snapshot_id)
                folders_of[record.tree] += record.anchors
        for tree, folders in folders_of.items():
            with contextlib.suppress(DamagedError):
                for entry in decode_tree(store.read_manifest(tree)).entries:
                    if entry.is_blob and entry.digest in self._wanted:
                        self.add_path(entry.digest, entry.path, folders)

    def add_path(self, digest: bytes, path: bytes, folders: Iterable[bytes] = ()) -> None:
        """Name a path, relative to the tree, at which files with this digest have been packed.

        Args:
            digest: 16 bytes.
            path: looked up in the source trees.
            folders: code folders to look it up in as well.
        """
        self._in_folders[digest].update(os.path.join(folder, path) for folder in folders)
        self._in_roots[digest].add(path)

    def copy_to(self, path: bytes, digest: bytes, mode: int, size: int | None) -> bytes | None:
        """Write a healthy file: right content, right bits, sealed and on the disk.

        Args:
            path: where; must not exist.
            digest: of the content wanted, 16 bytes.
            mode: the permission bits to give it.
            size: bytes, if known: candidates of another size are not read.

        Returns:
            Where the content was found; None if nowhere, and then nothing is at `path`.

        Raises:
            OSError: `path` cannot be written.
        """
        tried = set()
        for candidate in self.candidates(digest):
            try:
                status = os.lstat(candidate)
            except OSError:
                continue
            inode = (status.st_dev, status.st_ino)
            if inode in tried or not files.is_regular(status):
                continue
            tried.add(inode)
            if size is not None and status.st_size != size:
                continue
            if _copy(candidate, path, digest, mode):
                return candidate
        return None

    def candidates(self, digest: bytes) -> Iterator[bytes]:
        """Absolute paths of files that may hold this content, most likely first."""
        store = self._store
        if store is not None:
            folder = os.path.join(store.blobs, os.path.dirname(blob_name(digest, 0)))
            for name in sorted(files.names_in(folder)):
                key = parse_blob_name(name)
                if key is not None and split_key(key)[0] == digest:
                    yield os.path.join(folder, name)
        yield from sorted(self._in_folders[digest])
        for root in self._roots:
            for path in sorted(self._in_roots[digest]):
                yield os.path.join(root, path)


def _copy(candidate: bytes, path: bytes, digest: bytes, mode: int) -> bool:
    """Copy a candidate if it holds the right content; whether it did."""
    try:
        found, _ = write_copy(path, candidate, sealed_now)
    except (FileNotFoundError, SourceError):
        return False  # gone, or unreadable, or being written to: not healthy
    try:
        if found == digest:
            os.chmod(path, mode)
            files.sync_files([path], os.path.dirname(path))
            return True
    except BaseException:
        files.remove_quietly(path)
        raise
    files.remove_quietly(path)
    return False

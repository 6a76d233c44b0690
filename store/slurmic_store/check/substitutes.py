"""Substitutes: where healthy content can be found for a file that is damaged or gone.

A substitute is only ever read, never moved or linked, and it is hashed while it is copied, so that
only the right bytes get through, whatever it claims to be. Tried in this order:

1. blobs of the same digest in the store, whatever their permission bits (even the damaged one:
   only its time or its bits may be wrong);
2. files of code folders that exist, of any snapshot that had this content;
3. files of the source trees that the snapshots were packed from, if they have not changed since.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from slurmic_store.errors import DamagedError, SourceError
from slurmic_store.format.digests import digest_of, split_key
from slurmic_store.format.manifest import decode_tree
from slurmic_store.format.names import blob_name, is_bytecode, parse_blob_name
from slurmic_store.format.seals import sealed_now
from slurmic_store.format.tree import TreeEntry, encode_tree, tree_digest
from slurmic_store.fs import files, syncing
from slurmic_store.fs.files import digest_file
from slurmic_store.source.reading import write_copy
from slurmic_store.source.statcache import known_roots
from slurmic_store.store.records import scan_records
from slurmic_store.store.store import Store


class Substitutes:
    """Files that may hold wanted content, by its digest.

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
        for record in scan_records(store)[0]:
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
            syncing.sync_files([path], os.path.dirname(path))
            return True
    except BaseException:
        files.remove_quietly(path)
        raise
    files.remove_quietly(path)
    return False


def tree_from_folder(folder: bytes, tree: str) -> bytes | None:
    """The canonical encoding of a tree, from a code folder that still holds exactly that.

    Jobs may have added files. Packed files have no write permission, and added ones nearly always
    do; so do caches of bytecode. Each reasonable guess at what was packed is tried: a wrong one
    cannot come out under the tree's name.

    Args:
        folder: a code folder.
        tree: the name that must come out.

    Returns:
        None if it does not come out, or the folder cannot be read.
    """
    try:
        found = sorted(_entries(folder, b""), key=lambda item: item[0].path)
    except OSError:
        return None
    guesses: tuple[Callable[[TreeEntry, int], bool], ...] = (
        lambda entry, mode: not mode & 0o222 and not is_bytecode(entry.path),
        lambda _, mode: not mode & 0o222,
        lambda *_: True,
    )
    for is_packed in guesses:
        encoded = encode_tree([entry for entry, mode in found if is_packed(entry, mode)])
        if tree_digest(encoded) == tree:
            return encoded
    return None


def _entries(folder: bytes, relative: bytes) -> Iterator[tuple[TreeEntry, int]]:
    """All files and links below a folder, each with its permission bits as they are (links: 0)."""
    for item in os.scandir(os.path.join(folder, relative)):
        path = os.path.join(relative, item.name)
        status = item.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield from _entries(folder, path)
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(item.path)
            yield TreeEntry(path, 0, len(target), digest_of(target), target), 0
        elif stat.S_ISREG(status.st_mode):
            mode = stat.S_IMODE(status.st_mode)
            digest = digest_file(item.path)
            yield TreeEntry(path, mode & 0o555, status.st_size, digest), mode

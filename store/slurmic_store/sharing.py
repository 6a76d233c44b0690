"""Who uses what of a store: what would become free if an output folder were deleted.

A **user** of a blob is an output folder in which a live snapshot has its code folder, or a pin. A
blob with one user goes when that user does (and gc has run); one with several stays as long as any
of them. So what a folder *shares* costs nothing more for being used there, too, and what is its
*own* is what deleting it brings back.

Sizes are what the filesystem has allocated, not what files contain: a file of one byte takes a
block. Two things are not looked at, because that would take a stat for every file of every folder:
a blob that has been stored anew since a folder was built counts once; and what jobs have written
into their folders does not count at all.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from . import files
from .claim import MANIFEST_SUFFIX
from .digests import blob_key, key_name
from .errors import DamagedError, os_failure
from .gc import blob_keys
from .liveness import is_superseded, sharing_a_folder
from .manifest import Tree, decode_tree
from .pace import paced_map
from .records import SnapshotRecord, anchor_state, pinned_ids, record_path, scan_records
from .store import Store

_BLOCK = 512
"""Unit of st_blocks in bytes."""


@dataclass
class UserUsage:
    """What one user of a store takes.

    Attributes:
        output_folder: the folder in which the code folders are; None for a pinned snapshot.
        snapshots: ids of its snapshots.
        jobs: the jobs that ran from them, as in the records.
        files: files and links in its code folders; 0 for a pin.
        apparent_size: bytes of their content.
        shared_size: allocated bytes of blobs that it shares with other users.
        own_size: allocated bytes that become free if it is deleted and gc has run.
        own_inodes: inodes that become free then.
    """

    output_folder: bytes | None
    snapshots: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    files: int = 0
    apparent_size: int = 0
    shared_size: int = 0
    own_size: int = 0
    own_inodes: int = 0


@dataclass
class StoreSharing:
    """What a store holds, and for whom.

    Attributes:
        users: all users, the one with the most of its own first.
        blobs: number of blobs.
        size: their allocated bytes.
        unused: number of blobs that no live snapshot needs and no folder links to: gc's.
        unused_size: their allocated bytes.
        problems: what could not be read; then what is needed may seem unused, or a user's own.
    """

    users: list[UserUsage] = field(default_factory=list)
    blobs: int = 0
    size: int = 0
    unused: int = 0
    unused_size: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        """Files in all code folders."""
        return sum(user.files for user in self.users)

    @property
    def apparent_size(self) -> int:
        """Bytes in all code folders, as if each were a copy of its own."""
        return sum(user.apparent_size for user in self.users)


def measure_sharing(store: Store) -> StoreSharing:
    """Find out who uses what of a store.

    Raises:
        StoreError: the store's folders cannot be listed.
    """
    try:
        return _Measuring(store).run()
    except OSError as error:
        raise os_failure("list", error.filename or store.path, error) from error


class _Measuring:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.result = StoreSharing()
        self.users: dict[bytes, UserUsage] = {}
        self.users_of: dict[str, list[UserUsage]] = defaultdict(list)  # by tree

    def run(self) -> StoreSharing:
        records = self._find_users()
        owner: dict[bytes, UserUsage | None] = {}  # by key; None for several
        for tree, content in self._trees():
            users = self.users_of[tree]
            only = users[0] if len(users) == 1 else None
            for key in _keys(content):
                if owner.setdefault(key, only) is not only:
                    owner[key] = None
        allocated = self._measure_blobs(owner)
        seen: dict[int, set[bytes]] = defaultdict(set)
        for tree, content in self._trees():
            for user in self.users_of[tree]:
                counted = seen[id(user)]
                for key in _keys(content):
                    if key not in counted:
                        counted.add(key)
                        if owner[key] is None:
                            user.shared_size += allocated.get(key, 0)
            if len(self.users_of[tree]) == 1:
                self._add_own(self.users_of[tree][0], [self.store.tree_path(tree)])
            for record in records[tree]:
                self._add_folder(record, content, allocated)
        for key, alone in owner.items():
            if alone is not None and key in allocated:
                alone.own_size += allocated[key]
                alone.own_inodes += 1
        self.result.users = sorted(
            self.users.values(),
            key=lambda user: (-user.own_size, -user.shared_size, user.output_folder or b""),
        )
        return self.result

    def _find_users(self) -> dict[str, list[SnapshotRecord]]:
        """Sort snapshots by their users; those with a code folder, by their tree."""
        records, damaged = scan_records(self.store)
        self.result.problems += map(str, damaged)
        pins = pinned_ids(self.store)
        sharing = sharing_a_folder(records)
        in_folders: dict[str, list[SnapshotRecord]] = defaultdict(list)
        for record in records:
            folder = record.code_folder
            present = anchor_state(record) != "gone" and not (
                record.id in sharing and is_superseded(record)
            )
            if folder is not None and present:
                self._add_user(os.path.dirname(folder), record)
                in_folders[record.tree].append(record)
            if record.id in pins:
                self._add_user(b"pin " + os.fsencode(record.id), record)
        return in_folders

    def _add_user(self, name: bytes, record: SnapshotRecord) -> None:
        output = None if name.startswith(b"pin ") else name
        user = self.users.setdefault(name, UserUsage(output))
        user.snapshots.append(record.id)
        user.jobs += record.jobs
        if user not in self.users_of[record.tree]:
            self.users_of[record.tree].append(user)

    def _trees(self) -> Iterator[tuple[str, Tree]]:
        for tree in sorted(self.users_of):
            try:
                yield tree, decode_tree(self.store.read_manifest(tree))
            except DamagedError as error:
                if error.message not in self.result.problems:
                    self.result.problems.append(error.message)

    def _measure_blobs(self, owner: Iterable[bytes]) -> dict[bytes, int]:
        """Allocated bytes of every blob that somebody needs; the sums go into the result."""

        def look(key: bytes) -> os.stat_result | None:
            return _status(os.path.join(self.store.blobs, key_name(key)))

        needed = frozenset(owner)
        allocated = {}
        keys = list(blob_keys(self.store))
        for key, status in zip(keys, paced_map(look, keys), strict=True):
            if status is None:
                continue
            self.result.blobs += 1
            self.result.size += status.st_blocks * _BLOCK
            if key in needed:
                allocated[key] = status.st_blocks * _BLOCK
            elif status.st_nlink == 1:
                self.result.unused += 1
                self.result.unused_size += status.st_blocks * _BLOCK
        return allocated

    def _add_folder(self, record: SnapshotRecord, tree: Tree, allocated: dict[bytes, int]) -> None:
        """What a code folder has besides its blobs: directories, links, empty files, copies."""
        folder = record.code_folder
        assert folder is not None
        user = self.users[os.path.dirname(folder)]
        user.files += len(tree.entries)
        user.apparent_size += tree.size
        folders = {b""}
        for entry in tree.entries:
            parent = os.path.dirname(entry.path)
            while parent not in folders:
                folders.add(parent)
                parent = os.path.dirname(parent)
            if not entry.is_blob:
                user.own_inodes += 1
            elif record.placement != "hardlink":
                # An inode of its own; the content of a reflink is shared with the blob.
                user.own_inodes += 1
                if record.placement == "copy":
                    key = blob_key(entry.digest, entry.mode)
                    user.own_size += allocated.get(key, entry.size)
        paths = [os.path.join(folder, path) if path else folder for path in folders]
        paths += [folder + b".json", record_path(self.store, record.id)]
        if record.placement != "hardlink":
            paths.append(folder + MANIFEST_SUFFIX)
        self._add_own(user, paths)

    def _add_own(self, user: UserUsage, paths: Iterable[bytes]) -> None:
        for status in paced_map(_status, paths):
            if status is not None:
                user.own_inodes += 1
                user.own_size += status.st_blocks * _BLOCK


def _keys(tree: Tree) -> Iterator[bytes]:
    return (blob_key(entry.digest, entry.mode) for entry in tree.entries if entry.is_blob)


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError as error:
        if error.errno in files.GONE:
            return None
        raise

"""What each output folder takes of a store: what would become free if it were deleted.

A blob is used by the output folders in which a live snapshot that names it has its code folder, and
by pins. A blob that one folder uses goes with that folder (once gc has run); one that several use
stays as long as any of them. So what a folder *shares* costs nothing extra for being used there,
and what is its *own* is what deleting it brings back.

Sizes are what the filesystem has allocated, not what files contain: a file of one byte takes a
block. Two things are left out, because they would take a stat for every file of every folder:
a blob that has been stored again since a folder was built counts once; and what jobs have written
into their folders does not count at all.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from slurmic_store.errors import DamagedError, os_failure
from slurmic_store.format.digests import blob_key
from slurmic_store.format.manifest import decode_tree
from slurmic_store.format.names import MANIFEST_BESIDE, RECORD_SUFFIX
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.format.tree import Tree, folders_of
from slurmic_store.fs import files
from slurmic_store.fs.pace import in_bundles, paced_map
from slurmic_store.store.liveness import is_superseded, sharing_a_folder
from slurmic_store.store.pins import pinned_ids
from slurmic_store.store.records import anchor_state, read_records, record_path, scan_records
from slurmic_store.store.store import Store

from .plan import blob_keys

_BLOCK = 512
"""Unit of st_blocks in bytes."""


@dataclass
class FolderUsage:
    """What one output folder, or one pin, takes of a store.

    Attributes:
        output_folder: the folder in which the code folders are; None for a pinned snapshot.
        snapshots: ids of its snapshots.
        jobs: the jobs that ran from them, as in the records.
        files: files and links in its code folders; 0 for a pin.
        apparent_size: bytes of their content.
        shared_size: allocated bytes of blobs that it shares with others.
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
    """What a store holds, and for which folders.

    Attributes:
        folders: output folders and pins, the one with the most of its own first.
        blobs: number of blobs.
        size: their allocated bytes.
        unused: number of blobs that no live snapshot needs and no folder links to: gc's.
        unused_size: their allocated bytes.
        problems: what could not be read; then what is needed may seem unused, or one
            folder's own.
    """

    folders: list[FolderUsage] = field(default_factory=list)
    blobs: int = 0
    size: int = 0
    unused: int = 0
    unused_size: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        """Files in all code folders."""
        return sum(usage.files for usage in self.folders)

    @property
    def apparent_size(self) -> int:
        """Bytes in all code folders, as if each were a copy of its own."""
        return sum(usage.apparent_size for usage in self.folders)


def measure_sharing(store: Store) -> StoreSharing:
    """Find out what each output folder takes of a store.

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
        self.usages: dict[bytes, FolderUsage] = {}
        self.usages_of: dict[str, list[FolderUsage]] = defaultdict(list)  # by tree

    def run(self) -> StoreSharing:
        records = self._find_usages()
        owner: dict[bytes, FolderUsage | None] = {}  # by key; None for several
        for tree, content in self._trees():
            usages = self.usages_of[tree]
            only = usages[0] if len(usages) == 1 else None
            for key in _keys(content):
                if owner.setdefault(key, only) is not only:
                    owner[key] = None
        allocated = self._measure_blobs(owner)
        seen: dict[int, set[bytes]] = defaultdict(set)
        for tree, content in self._trees():
            for usage in self.usages_of[tree]:
                counted = seen[id(usage)]
                for key in _keys(content):
                    if key not in counted:
                        counted.add(key)
                        if owner[key] is None:
                            usage.shared_size += allocated.get(key, 0)
            if len(self.usages_of[tree]) == 1:
                self._add_own(self.usages_of[tree][0], [self.store.tree_path(tree)])
            for record in records[tree]:
                self._add_folder(record, content, allocated)
        for key, alone in owner.items():
            if alone is not None and key in allocated:
                alone.own_size += allocated[key]
                alone.own_inodes += 1
        self.result.folders = sorted(
            self.usages.values(),
            key=lambda usage: (-usage.own_size, -usage.shared_size, usage.output_folder or b""),
        )
        return self.result

    def _find_usages(self) -> dict[str, list[SnapshotRecord]]:
        """Sort snapshots by their output folders; those with a code folder, by their tree."""
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
                self._add_usage(os.path.dirname(folder), record)
                in_folders[record.tree].append(record)
            if record.id in pins:
                self._add_usage(b"pin " + os.fsencode(record.id), record)
        return in_folders

    def _add_usage(self, name: bytes, record: SnapshotRecord) -> None:
        output = None if name.startswith(b"pin ") else name
        usage = self.usages.setdefault(name, FolderUsage(output))
        usage.snapshots.append(record.id)
        usage.jobs += record.jobs
        if usage not in self.usages_of[record.tree]:
            self.usages_of[record.tree].append(usage)

    def _trees(self) -> Iterator[tuple[str, Tree]]:
        for tree in sorted(self.usages_of):
            try:
                yield tree, decode_tree(self.store.read_manifest(tree))
            except DamagedError as error:
                if error.message not in self.result.problems:
                    self.result.problems.append(error.message)

    def _measure_blobs(self, owner: Iterable[bytes]) -> dict[bytes, int]:
        """Allocated bytes of every needed blob; the sums go into the result."""

        def look(key: bytes) -> os.stat_result | None:
            return _status(self.store.key_path(key))

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
        usage = self.usages[os.path.dirname(folder)]
        usage.files += len(tree.entries)
        usage.apparent_size += tree.size
        for entry in tree.entries:
            if not entry.is_blob:
                usage.own_inodes += 1
            elif record.placement != "hardlink":
                # An inode of its own; the content of a reflink is shared with the blob.
                usage.own_inodes += 1
                if record.placement == "copy":
                    key = blob_key(entry.digest, entry.mode)
                    usage.own_size += allocated.get(key, entry.size)
        below = folders_of(entry.path for entry in tree.entries)
        paths = [folder, *(os.path.join(folder, path) for path in below)]
        paths += [folder + RECORD_SUFFIX, record_path(self.store, record.id)]
        if record.placement != "hardlink":
            paths.append(folder + MANIFEST_BESIDE)
        self._add_own(usage, paths)

    def _add_own(self, usage: FolderUsage, paths: Iterable[bytes]) -> None:
        for status in paced_map(_status, paths):
            if status is not None:
                usage.own_inodes += 1
                usage.own_size += status.st_blocks * _BLOCK


def _keys(tree: Tree) -> Iterator[bytes]:
    return (blob_key(entry.digest, entry.mode) for entry in tree.entries if entry.is_blob)


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError as error:
        if error.errno in files.GONE:
            return None
        raise


@dataclass(frozen=True)
class StoreUsage:
    """What a store holds.

    Attributes:
        blobs: number of blobs.
        size: their bytes, each counted once.
        snapshots: number of records.
        trees: number of different trees among them.
        folders: number of code folders that exist.
        apparent_files: files in those code folders.
        apparent_size: bytes in those code folders, as if each were a copy of its own.
    """

    blobs: int
    size: int
    snapshots: int
    trees: int
    folders: int
    apparent_files: int
    apparent_size: int


def measure_usage(store: Store) -> StoreUsage:
    """Count what a store holds: one stat per blob.

    Raises:
        DamagedError: a record cannot be read.
        OSError: the store's folders cannot be listed.
    """

    def look(keys: list[bytes]) -> list[int]:
        found = []
        for key in keys:
            try:
                found.append(os.lstat(store.key_path(key)).st_size)
            except OSError as error:
                if error.errno not in files.GONE:
                    raise
        return found

    blobs = size = 0
    for sizes in paced_map(look, in_bundles(blob_keys(store))):
        blobs += len(sizes)
        size += sum(sizes)
    records = list(read_records(store))
    present = [record for record in records if anchor_state(record) == "present"]
    return StoreUsage(
        blobs=blobs,
        size=size,
        snapshots=len(records),
        trees=len({record.tree for record in records}),
        folders=len(present),
        apparent_files=sum(record.files for record in present),
        apparent_size=sum(record.size for record in present),
    )

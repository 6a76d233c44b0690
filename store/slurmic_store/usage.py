"""What a store holds, and what it saves."""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import files
from .digests import key_name
from .gc import blob_keys
from .pace import in_bundles, paced_map
from .records import anchor_state, read_records
from .store import Store


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
                found.append(os.lstat(os.path.join(store.blobs, key_name(key))).st_size)
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

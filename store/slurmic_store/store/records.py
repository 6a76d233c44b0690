"""Reading and writing records: those in a store, and those beside code folders.

A record is written by the submission that made it, under a name that no other one takes; each new
version replaces the old one whole, by rename. Others only ever add jobs: a submission that runs
from the same code folder does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Literal

from slurmic_store.errors import DamagedError, UnknownSnapshotError, quoted, reason_of
from slurmic_store.format.names import RECORD_SUFFIX
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.fs import files
from slurmic_store.fs.creating import replacing
from slurmic_store.fs.pace import in_bundles, paced_map

from .store import Store

AnchorState = Literal["present", "gone", "unknown"]
"""Whether a folder that keeps a record alive is there; "unknown" if that cannot be told now."""


def record_path(store: Store, snapshot_id: str) -> bytes:
    """Where the record of a snapshot lies, or would lie."""
    return os.path.join(store.snapshots, os.fsencode(snapshot_id) + RECORD_SUFFIX)


def write_record(store: Store, record: SnapshotRecord) -> None:
    """Publish a record, or replace the version that this process wrote before.

    Raises:
        OSError: it cannot be written; an older version stays.
    """
    temporary = store.temporary_path(b".record", owner=record.id)
    with replacing(record_path(store, record.id), temporary=temporary) as file:
        file.write(record.to_json().encode())


def read_record_file(path: bytes) -> SnapshotRecord:
    """The record in a file.

    Raises:
        OSError: it does not exist, or cannot be read.
        DamagedError: it is not a record, or one of a newer version.
    """
    return SnapshotRecord.from_json(files.read_piece(path))


def read_record_beside(folder: str | bytes) -> SnapshotRecord:
    """The record beside a code folder; raises as :func:`read_record_file` does."""
    return read_record_file(os.fsencode(folder) + RECORD_SUFFIX)


def read_record(store: Store, snapshot_id: str, path: bytes | None = None) -> SnapshotRecord:
    """The record of a snapshot.

    Args:
        store: the store.
        snapshot_id: the snapshot's id.
        path: where the record lies, if not in its place.

    Raises:
        UnknownSnapshotError: the store has none of this id.
        DamagedError: it cannot be read or parsed; names the file.
    """
    path = path or record_path(store, snapshot_id)
    try:
        record = read_record_file(path)
        if record.id != snapshot_id:
            # A copy under another name: to act on it would be to act on the original.
            raise DamagedError(f"it belongs to snapshot '{record.id}'", hint="remove the copy")
        return record
    except FileNotFoundError:
        raise UnknownSnapshotError(
            f"no snapshot '{snapshot_id}' in store '{store.name}'", path=path
        ) from None
    except OSError as error:
        raise DamagedError(
            f"cannot read record {quoted(path)}: {reason_of(error)}", path=path
        ) from error
    except DamagedError as error:
        raise DamagedError(
            f"record {quoted(path)} is damaged: {error.message}", path=path, hint=error.hint
        ) from error


def snapshot_ids(store: Store) -> list[str]:
    """The ids of all snapshots in a store, oldest first."""
    names = files.names_in(store.snapshots)
    return sorted(
        os.fsdecode(name.removesuffix(RECORD_SUFFIX))
        for name in names
        if name.endswith(RECORD_SUFFIX)
    )


def read_records(store: Store) -> Iterator[SnapshotRecord]:
    """All records, oldest first; one that vanishes meanwhile is skipped.

    Raises:
        DamagedError: one does not read back.
    """
    for found in read_each(store, [(snapshot_id, None) for snapshot_id in snapshot_ids(store)]):
        if isinstance(found, DamagedError):
            raise found
        yield found


def read_each(
    store: Store, places: Iterable[tuple[str, bytes | None]]
) -> Iterator[SnapshotRecord | DamagedError]:
    """The records of snapshots, in order; for one that does not read back, what is wrong with it.

    Args:
        store: the store.
        places: ids, each with the path of its record if that is not in its place. Those that
            vanish meanwhile are skipped.
    """

    def read(
        bundle: list[tuple[str, bytes | None]],
    ) -> list[SnapshotRecord | DamagedError]:
        answers: list[SnapshotRecord | DamagedError] = []
        for snapshot_id, path in bundle:
            try:
                answers.append(read_record(store, snapshot_id, path))
            except UnknownSnapshotError:
                continue
            except DamagedError as error:
                answers.append(error)
        return answers

    return chain.from_iterable(paced_map(read, in_bundles(places, 8)))


def scan_records(store: Store) -> tuple[list[SnapshotRecord], list[DamagedError]]:
    """All records that read back, oldest first, and what is wrong with the others.

    For showing them: a deletion must stop at a damaged one.
    """
    records, damaged = [], []
    for found in read_each(store, [(snapshot_id, None) for snapshot_id in snapshot_ids(store)]):
        if isinstance(found, SnapshotRecord):
            records.append(found)
        else:
            damaged.append(found)
    return records, damaged


def attach_jobs(store: Store, record: SnapshotRecord, jobs: tuple[str, ...]) -> SnapshotRecord:
    """The record with job ids added, published.

    Args:
        store: where the record is.
        record: the newest version of it.
        jobs: the ids, as Slurm writes them; an array is one range (``1234_[0-99]``).

    Raises:
        OSError: it cannot be written; the older version stays.
    """
    added = replace(record, jobs=record.jobs + jobs)
    write_record(store, added)
    return added


def anchor_state(record: SnapshotRecord) -> AnchorState:
    """Whether one of a record's anchors exists.

    "unknown" where an anchor answers with anything but "no such file", and where its filesystem is
    not mounted: neither proves that the folder is gone.
    """
    state: AnchorState = "gone"
    for anchor in record.anchors:
        try:
            os.lstat(anchor)
            return "present"
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            state = "unknown"
    if record.anchors and state == "gone" and not os.path.ismount(record.mount):
        return "unknown"
    return state

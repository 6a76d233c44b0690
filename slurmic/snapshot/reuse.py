"""``code_scope="tree"``: running from the code folder of an earlier submission.

The tree is packed as for any submission, which costs little (known blobs are linked), and is then
compared with the newest code folder of the same output path: if that holds exactly this tree, and
nothing else but bytecode, the new folder is deleted again.

Only a folder whose record names jobs is reused: until then, the submission that made it may fail
and delete it.
"""

from __future__ import annotations

import os
import random
import time

from slurmic.cluster.jobids import compact
from slurmic_store import (
    CodeFolderName,
    SnapshotRecord,
    Store,
    StoreError,
    attach_jobs,
    is_bytecode,
    read_record,
    read_record_beside,
    verify_code_folder,
)

_ATTEMPTS = 10


def find_reusable(store: Store, made: SnapshotRecord) -> SnapshotRecord | None:
    """The record of the newest code folder beside a new one, if it can be used instead.

    Args:
        store: the store that both must be in.
        made: the record of the code folder that was just made.
    """
    folder = made.code_folder
    if folder is None:
        return None
    older = _newest_beside(folder, made.id)
    if older is None or older.tree != made.tree or not older.jobs or not older.code_folder:
        return None
    try:
        read_record(store, older.id)
        report = verify_code_folder(older.code_folder, checksum=False)
    except StoreError:
        return None
    if not report.intact or not all(is_bytecode(found.path) for found in report.added):
        return None
    return older


def add_jobs(store: Store, record: SnapshotRecord, jobs: tuple[str, ...]) -> None:
    """Add ids to the record of a reused folder, in the store and beside the folder.

    Of two submissions that do so at once, the later one overwrites the ids of the other. So this
    reads the record again after a moment, and writes again if its ids are missing. The gap is not
    quite closed; only the ids that the record shows can be lost.

    Raises:
        StoreError, OSError: the record cannot be read or written.
    """
    added = compact(jobs)
    for attempt in range(_ATTEMPTS):
        record = read_record(store, record.id)
        missing = tuple(job for job in added if job not in record.jobs)
        if attempt and not missing:
            return
        try:
            record = attach_jobs(store, record, missing)
            assert record.code_folder is not None
            CodeFolderName(record.code_folder).update_record(record)
        except OSError:
            # The other submission used the one temporary name of the file beside the folder.
            if attempt == _ATTEMPTS - 1:
                raise
        time.sleep(random.uniform(0.02, 0.06) * (attempt + 1))


def _newest_beside(folder: bytes, but: str) -> SnapshotRecord | None:
    """The newest record of a code folder beside another; None if there is none, or in doubt."""
    parent = os.path.dirname(folder)
    newest: SnapshotRecord | None = None
    for name in os.listdir(parent):
        beside = os.path.join(parent, name.removesuffix(b".json"))
        if not name.endswith(b".json") or not os.path.isdir(beside):
            continue
        try:
            record = read_record_beside(beside)
        except (OSError, StoreError):
            continue
        if record.id != but and record.code_folder == beside:
            newest = (
                record
                if newest is None
                else max(newest, record, key=lambda each: (each.created, each.id))
            )
    return newest

"""References: what a person may write for a snapshot, the same in every command.

- its id, the beginning of its id, or (the beginning of) the id's random part:
  ``261122-174000-3f9a1c``, ``261122-1740``, ``3f9a``;
- the id of a Slurm job that runs from it: ``1234``, ``1234_7``;
- the name of its pin;
- the name of its tree, or its beginning, at least six digits;
- its code folder or its output folder, any path in one, or a folder with only one output folder
  in it; even if it was moved or copied elsewhere together with the record beside it, or does not
  exist any more.

A text that could be several of these is taken for the first that fits, in this order; one with a
slash in it is a path and nothing else. An id, a job, a pin or a tree must mean one snapshot (of
several with the same tree the newest is taken); an output folder means its newest snapshot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from slurmic.cluster import jobids
from slurmic.selection.ignore.lines import read_head
from slurmic.selection.walk.boundaries import RECORD_HEAD, is_code_folder, is_submissions_folder
from slurmic_store import (
    DamagedError,
    SnapshotRecord,
    Store,
    UnknownSnapshotError,
    pinned_ids,
    quoted,
    read_record,
    read_record_beside,
    scan_records,
    snapshot_ids,
)

from .candidates import EXPECTED, RANDOM_PART, ambiguous, unknown

WORKING_TREE = "."
"""What stands for the working tree, where a command takes that as well."""

TASK_FOLDERS = b"-tasks"
"""What is appended to the name of a code folder for the folder of its tasks' own ones."""

SHORTEST_RANDOM_PART = 4
SHORTEST_TREE = 6

ReferenceKind = Literal["id", "job", "pin", "tree", "folder"]

_NAMED = 8

_JOB = re.compile(r"\d+(_(\d+|\[[\d,-]+\]))?")
_HEXADECIMAL = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True)
class FoundSnapshot:
    """The snapshot that a reference means.

    Attributes:
        reference: the text that the user gave.
        record: its record.
        kind: what the reference was taken for.
        store: where the record is; None for one that was only found beside its code folder.
        folder: the code folder: where the reference found it, else where the record says; it need
            not exist. None for a snapshot without one.
        notes: lines for the user on how the reference was understood.
    """

    reference: str
    record: SnapshotRecord
    kind: ReferenceKind
    store: Store | None
    folder: bytes | None
    notes: tuple[str, ...] = ()

    @property
    def was_moved(self) -> bool:
        """Whether the code folder was found elsewhere than the record says."""
        return self.folder is not None and self.folder not in self.record.anchors


def is_path(reference: str) -> bool:
    """Whether a reference is a path and cannot be anything else."""
    return "/" in reference or reference == ".."


def resolve_reference(reference: str, store: Store | None, *, cwd: str) -> FoundSnapshot:
    """The snapshot that a reference means.

    Args:
        reference: the text that the user gave.
        store: where snapshots are looked up; None to look beside code folders only.
        cwd: the folder that relative paths are relative to, absolute.

    Raises:
        UnknownSnapshotError: it means none, or several: the hint names the closest.
        DamagedError: the record that it means does not read back.
    """
    if not reference:
        raise UnknownSnapshotError("an empty REF names no snapshot", hint=EXPECTED)
    if reference == WORKING_TREE:
        raise UnknownSnapshotError(
            "'.' is the working tree, not a snapshot",
            hint="'slurmic snapshot' takes a snapshot of it; name an output folder by its path",
        )
    catalogue = _Catalogue(store)
    if not is_path(reference):
        found = _by_name(reference, catalogue)
        if found is not None:
            return found
    path = os.path.abspath(os.path.join(os.fsencode(cwd), os.fsencode(reference)))
    found = _by_path(reference, path, catalogue)
    if found is not None:
        return found
    raise unknown(reference, path, store, catalogue.records, catalogue.notes())


@dataclass
class _Catalogue:
    """The records of a store, read when they are first needed."""

    store: Store | None

    @cached_property
    def _scanned(self) -> tuple[list[SnapshotRecord], list[DamagedError]]:
        return ([], []) if self.store is None else scan_records(self.store)

    @property
    def records(self) -> list[SnapshotRecord]:
        """Oldest first."""
        return self._scanned[0]

    def notes(self) -> list[str]:
        """What is wrong with records that cannot be read."""
        return [str(error) for error in self._scanned[1]]


def _by_name(reference: str, catalogue: _Catalogue) -> FoundSnapshot | None:
    store = catalogue.store
    if store is None:
        return None
    if reference in (ids := snapshot_ids(store)):
        return _found(reference, read_record(store, reference), "id", catalogue)
    is_job = _JOB.fullmatch(reference) is not None
    if is_job:
        fitting = [
            record
            for record in catalogue.records
            if any(jobids.covers(job, reference) for job in record.jobs)
        ]
        if fitting:
            return _only(reference, fitting, "job", catalogue)
    pinned = [snapshot_id for snapshot_id, name in pinned_ids(store).items() if name == reference]
    fitting = [record for record in catalogue.records if record.id in pinned] if pinned else []
    if fitting:
        return _only(reference, fitting, "pin", catalogue)
    fitting_ids = [
        snapshot_id
        for snapshot_id in ids
        if snapshot_id.startswith(reference)
        or (
            len(reference) >= SHORTEST_RANDOM_PART
            and snapshot_id[RANDOM_PART:].startswith(reference)
        )
    ]
    if len(fitting_ids) == 1:
        record = read_record(store, fitting_ids[0])
        note = f"no snapshot has a job '{reference}': taken for snapshot '{record.id}'"
        return _found(reference, record, "id", catalogue, *([note] if is_job else []))
    if fitting_ids:
        fitting = [record for record in catalogue.records if record.id in set(fitting_ids)]
        return _only(reference, fitting, "id", catalogue)
    if len(reference) >= SHORTEST_TREE and _HEXADECIMAL.fullmatch(reference):
        fitting = [record for record in catalogue.records if record.tree.startswith(reference)]
        if fitting and len({record.tree for record in fitting}) == 1:
            newest = _newest(fitting)
            notes = []
            if len(fitting) > 1:
                notes.append(
                    f"{len(fitting)} snapshots are of tree '{newest.tree}': "
                    f"'{newest.id}' is the newest"
                )
            return _found(reference, newest, "tree", catalogue, *notes)
        if fitting:
            return _only(reference, fitting, "tree", catalogue)
    return None


def _by_path(reference: str, path: bytes, catalogue: _Catalogue) -> FoundSnapshot | None:
    """The snapshot of the nearest code folder or output folder that a path is, or is in."""
    for suffix in (b".json", b".tree.zst"):
        # The record itself, or the manifest beside it.
        if path.endswith(suffix) and is_code_folder(path[: -len(suffix)]):
            path = path[: -len(suffix)]
    folders = {record.id: record.code_folder for record in catalogue.records if record.code_folder}
    found = _upwards(reference, path, folders, catalogue)
    if found is None and folders:
        # By another way (a symbolic link, a mount) the same folder has another path.
        folders = {snapshot_id: os.path.realpath(path) for snapshot_id, path in folders.items()}
        found = _upwards(reference, os.path.realpath(path), folders, catalogue)
    return found


def _upwards(
    reference: str, path: bytes, folders: dict[str, bytes], catalogue: _Catalogue
) -> FoundSnapshot | None:
    of_folder: dict[bytes, list[SnapshotRecord]] = {}
    of_output: dict[bytes, list[SnapshotRecord]] = {}
    for record in catalogue.records:
        if record.id in folders:
            folder = folders[record.id]
            of_folder.setdefault(folder, []).append(record)
            of_output.setdefault(os.path.dirname(folder), []).append(record)
    for folder in _and_above(path):
        if folder.endswith(TASK_FOLDERS):
            # With code_scope="task" each task has its own copy of the code folder in there.
            folder = folder.removesuffix(TASK_FOLDERS)
        beside = _record_beside(folder, catalogue.records)
        if beside is not None:
            return _of_folder(reference, folder, beside, of_folder.get(folder, []), catalogue)
        if folder in of_folder:
            newest = _newest(of_folder[folder])
            return _of_folder(reference, folder, newest, of_folder[folder], catalogue)
        within = {
            record.id: (record, folders[record.id]) for record in of_output.get(folder, [])
        } | _records_in(folder, catalogue.records)
        if folder != path:
            # A folder above the path may hold anything; only names of submissions count there.
            within = {
                snapshot_id: (record, code)
                for snapshot_id, (record, code) in within.items()
                if is_submissions_folder(os.path.basename(code))
            }
        if within:
            record = _newest([record for record, _ in within.values()])
            code = within[record.id][1]
            notes = []
            if len(within) > 1:
                notes.append(
                    f"{quoted(folder)} has {len(within)} snapshots: "
                    f"'{record.id}' ({quoted(os.path.basename(code))}) is the newest"
                )
            return _found(reference, record, "folder", catalogue, *notes, folder=code)
    return _only_one_below(reference, path, folders, catalogue)


def _only_one_below(
    reference: str, path: bytes, folders: dict[str, bytes], catalogue: _Catalogue
) -> FoundSnapshot | None:
    """The newest of the only output folder below a path: output_path is not what is configured,
    but a folder in that (``runs/a/slurm``). None for a source tree: it may mean the working tree.
    """
    below = [
        record
        for record in catalogue.records
        if folders.get(record.id, b"").startswith(path + b"/")
    ]
    outputs = {os.path.dirname(folders[record.id]) for record in below}
    if len(outputs) != 1 or any(
        os.fsencode(str(record.info.get("code_root", ""))) == path for record in below
    ):
        return None
    note = f"{quoted(path)} is taken for the only output folder in it, {quoted(outputs.pop())}"
    newest = _newest(below)
    return _found(reference, newest, "folder", catalogue, note, folder=folders[newest.id])


def _and_above(path: bytes) -> Iterator[bytes]:
    yield path
    while path != (path := os.path.dirname(path)):
        yield path


def _record_beside(folder: bytes, records: Sequence[SnapshotRecord]) -> SnapshotRecord | None:
    """The record beside a code folder; that of the store, if it has the same one."""
    path = folder + b".json"
    if read_head(path, len(RECORD_HEAD)) != RECORD_HEAD:
        return None
    try:
        beside = read_record_beside(folder)
    except (OSError, DamagedError):
        return None
    return next((record for record in records if record.id == beside.id), beside)


def _records_in(
    folder: bytes, records: Sequence[SnapshotRecord]
) -> dict[str, tuple[SnapshotRecord, bytes]]:
    """The records in an output folder, with the code folders that they lie beside."""
    found = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    for name in names:
        if name.endswith(b".json") and name[:-5] in names:
            code = os.path.join(folder, name[:-5])
            record = _record_beside(code, records)
            if record is not None:
                found[record.id] = (record, code)
    return found


def _of_folder(
    reference: str,
    folder: bytes,
    record: SnapshotRecord,
    same: Sequence[SnapshotRecord],
    catalogue: _Catalogue,
) -> FoundSnapshot:
    notes = []
    earlier = [other for other in same if other.id != record.id]
    if earlier:
        named = ", ".join(other.id for other in earlier[:_NAMED])
        notes.append(f"{quoted(folder)} was also the code folder of other snapshots: {named}")
    return _found(reference, record, "folder", catalogue, *notes, folder=folder)


def _found(
    reference: str,
    record: SnapshotRecord,
    kind: ReferenceKind,
    catalogue: _Catalogue,
    *notes: str,
    folder: bytes | None = None,
) -> FoundSnapshot:
    in_store = kind != "folder" or any(record.id == other.id for other in catalogue.records)
    return FoundSnapshot(
        reference,
        record,
        kind,
        catalogue.store if in_store else None,
        folder or record.code_folder,
        notes,
    )


def _only(
    reference: str, fitting: Sequence[SnapshotRecord], kind: ReferenceKind, catalogue: _Catalogue
) -> FoundSnapshot:
    if len(fitting) == 1:
        return _found(reference, fitting[0], kind, catalogue)
    what = {"id": "ids", "job": "jobs", "pin": "pins", "tree": "trees", "folder": "folders"}[kind]
    raise ambiguous(reference, what, fitting)


def _age(record: SnapshotRecord) -> tuple[float, str]:
    return record.created, record.id


def _newest(records: Sequence[SnapshotRecord]) -> SnapshotRecord:
    return max(records, key=_age)

"""Snapshot records and pins: what keeps blobs alive.

A **record** says which tree a snapshot is, where its code folder is, and which jobs run from it. It
is written by the submission that made it, under a name that no other one takes; each new version
replaces the old one whole, by rename. Only jobs are ever added by others: by a submission that runs
from the same code folder.

A record is **live** if one of its anchors exists, or if it is pinned, or if it is younger than the
grace period. Its anchors are the folders that a job runs from: the staging folder while it is
built, then the code folder. A **pin** is a file of its own, so that pinning never rewrites a
record.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Literal

from . import files
from .digests import DIGEST_SIZE
from .errors import DamagedError, StoreError, UnknownSnapshotError, os_failure, quoted
from .pace import in_bundles, paced_map
from .store import Store

RECORD_VERSION = 1

ID_SIZE = 20
"""Characters of a snapshot's id."""

AnchorState = Literal["present", "gone", "unknown"]


@dataclass(frozen=True)
class SnapshotRecord:
    """What is kept of a snapshot.

    Attributes:
        id: unique; sorts by time of creation: ``YYMMDD-HHMMSS-xxxxxx`` (UTC, then 6 hex digits).
        created: seconds since the epoch.
        tree: the name of the tree, 32 hexadecimal digits.
        anchors: absolute paths of the folders that keep it alive; none for a snapshot that was
            only stored.
        mount: the mount point of the anchors' filesystem when they were made: while nothing is
            mounted there, an anchor that is not found proves nothing.
        files: number of files in the tree.
        size: bytes of content of the tree.
        placement: how the code folder's files were made: "hardlink", "reflink", "copy" or "none".
        jobs: ids of the Slurm jobs (or local ones) that run from it.
        info: what the program above the store wants to remember; JSON values only.
    """

    id: str
    created: float
    tree: str
    anchors: tuple[bytes, ...] = ()
    mount: bytes = b"/"
    files: int = 0
    size: int = 0
    placement: str = "none"
    jobs: tuple[str, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def code_folder(self) -> bytes | None:
        """The code folder, or the staging folder that will become it; None if there is none."""
        return self.anchors[-1] if self.anchors else None

    def to_json(self) -> str:
        """The record as one JSON object; ``slurmic_record`` comes first, as a mark."""
        text = json.dumps(
            {
                "slurmic_record": RECORD_VERSION,
                "id": self.id,
                "created": self.created,
                "tree": self.tree,
                # File names need not be UTF-8: what is not travels as lone surrogates.
                "anchors": [os.fsdecode(anchor) for anchor in self.anchors],
                "mount": os.fsdecode(self.mount),
                "files": self.files,
                "size": self.size,
                "placement": self.placement,
                "jobs": list(self.jobs),
                "info": self.info,
            },
            indent=1,
        )
        # The mark stands right behind the brace, so that a look at a few bytes tells a record.
        return "{" + text[1:].lstrip()

    @classmethod
    def from_json(cls, text: str | bytes) -> SnapshotRecord:
        """The record in a JSON text; fields that nobody knows are skipped.

        Raises:
            DamagedError: it is no record, or of a newer version.
        """
        try:
            data = json.loads(text)
            if data["slurmic_record"] > RECORD_VERSION:
                raise DamagedError(
                    f"record has version {data['slurmic_record']}, newer than {RECORD_VERSION}",
                    hint="upgrade slurmic",
                )
            tree = str(data["tree"])
            anchors = tuple(os.fsencode(anchor) for anchor in list(data["anchors"]))
            if len(bytes.fromhex(tree)) != DIGEST_SIZE or len(tree) != 2 * DIGEST_SIZE:
                raise ValueError(f"not a tree's name: {tree!r}")
            if any(b"\0" in anchor or not anchor.startswith(b"/") for anchor in anchors):
                raise ValueError(f"not absolute paths: {anchors!r}")
            return cls(
                id=str(data["id"]),
                created=float(data["created"]),
                tree=tree,
                anchors=anchors,
                mount=os.fsencode(data["mount"]),
                files=int(data["files"]),
                size=int(data["size"]),
                placement=str(data["placement"]),
                jobs=tuple(str(job) for job in data["jobs"]),
                info=dict(data["info"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DamagedError(f"not a snapshot record: {error!r}") from error


def new_snapshot_id(now: float) -> str:
    """An id for a snapshot made at `now` (seconds since the epoch)."""
    return time.strftime("%y%m%d-%H%M%S", time.gmtime(now)) + "-" + os.urandom(3).hex()


def record_path(store: Store, snapshot_id: str) -> bytes:
    """Where the record of a snapshot lies, or would lie."""
    return os.path.join(store.snapshots, os.fsencode(snapshot_id) + b".json")


def pin_path(store: Store, snapshot_id: str) -> bytes:
    """Where the pin of a snapshot lies, or would lie."""
    return os.path.join(store.pins, os.fsencode(snapshot_id) + b".json")


def write_record(store: Store, record: SnapshotRecord) -> None:
    """Publish a record, or replace the version that this process wrote before.

    Raises:
        OSError: it cannot be written; an older version stays.
    """
    temporary = os.path.join(store.tmp, files.random_name(b".record", owner=record.id))
    files.write_new(temporary, record.to_json().encode())
    try:
        os.rename(temporary, record_path(store, record.id))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read_record(store: Store, snapshot_id: str, path: bytes | None = None) -> SnapshotRecord:
    """The record of a snapshot.

    Args:
        store: the store.
        snapshot_id: the snapshot's id.
        path: where the record lies, if not in its place.

    Raises:
        UnknownSnapshotError: there is none of this id.
        DamagedError: it cannot be read or parsed; names the file.
    """
    path = path or record_path(store, snapshot_id)
    try:
        with open(path, "rb") as stream:
            record = SnapshotRecord.from_json(stream.read())
        if record.id != snapshot_id:
            # A copy under another name: to act on it would be to act on the original.
            raise DamagedError(f"it is of snapshot '{record.id}'", hint="remove the copy")
        return record
    except FileNotFoundError:
        raise UnknownSnapshotError(
            f"no snapshot '{snapshot_id}' in store '{store.name}'", path=path
        ) from None
    except OSError as error:
        raise DamagedError(
            f"cannot read record {quoted(path)}: {error.strerror}", path=path
        ) from error
    except DamagedError as error:
        raise DamagedError(
            f"record {quoted(path)} is damaged: {error.message}", path=path, hint=error.hint
        ) from error


def snapshot_ids(store: Store) -> list[str]:
    """The ids of all snapshots in a store, oldest first."""
    return sorted(
        os.fsdecode(name[:-5]) for name in files.names_in(store.snapshots) if name[-5:] == b".json"
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
            vanish meanwhile are passed over.
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

    For showing them: what deletes has to stop at a damaged one.
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

    "unknown" where an anchor answers with anything but "no such file", and where its filesystem
    is not mounted now: neither proves that the folder is gone.
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


def pinned_ids(store: Store) -> dict[str, str]:
    """The ids of pinned snapshots, with the names of their pins ("" for a pin without one).

    Raises:
        StoreError: the pins cannot be listed.
    """
    pins: dict[str, str] = {}
    try:
        names = files.names_in(store.pins)
    except OSError as error:
        raise os_failure("list", store.pins, error) from error
    for name in names:
        if not name.endswith(b".json"):
            continue
        label = ""
        # The file's existence is the pin; its content is only a label.
        with (
            contextlib.suppress(OSError, ValueError, AttributeError),
            open(os.path.join(store.pins, name), "rb") as stream,
        ):
            label = str(json.load(stream).get("name", ""))
        pins[os.fsdecode(name[:-5])] = label
    return pins


def pin(store: Store, snapshot_id: str, name: str = "") -> None:
    """Keep a snapshot until it is unpinned.

    Args:
        store: where the snapshot is.
        snapshot_id: its id.
        name: a label for people; may be empty.

    Raises:
        UnknownSnapshotError: there is no such snapshot (any more).
        StoreError: the pin cannot be written.
    """
    final = pin_path(store, snapshot_id)
    temporary = os.path.join(store.tmp, files.random_name(b".pin", owner=snapshot_id))
    text = json.dumps({"name": name, "created": time.time()})
    try:
        files.write_new(temporary, text.encode())
        try:
            files.give_name(temporary, final)
        finally:
            files.remove_quietly(temporary)
    except OSError as error:
        raise os_failure("pin", final, error) from error
    # Pin first, look after: a gc that let the record go meanwhile did not see the pin.
    try:
        read_record(store, snapshot_id)
    except UnknownSnapshotError:
        files.remove_quietly(final)
        raise


def unpin(store: Store, snapshot_id: str) -> None:
    """Take a snapshot's pin away.

    Args:
        store: where the snapshot is.
        snapshot_id: its id.

    Raises:
        StoreError: it has none.
    """
    path = pin_path(store, snapshot_id)
    try:
        was_there = files.remove_quietly(path)
    except OSError as error:
        raise os_failure("unpin", path, error) from error
    if not was_there:
        raise StoreError(f"snapshot '{snapshot_id}' is not pinned", path=path)

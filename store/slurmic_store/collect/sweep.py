"""The sweep: a plan is carried out. Move aside, look again, put back or delete.

Why this needs no lock is explained in :mod:`slurmic_store.collect.plan`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from dataclasses import dataclass, field

from slurmic_store.errors import DamagedError, UnknownSnapshotError, os_failure, quoted
from slurmic_store.format.digests import DIGEST_SIZE
from slurmic_store.format.names import (
    ASIDE_BLOB,
    ASIDE_DAMAGED,
    ASIDE_RECORD,
    ASIDE_TREE,
    NOTE_SUFFIX,
    aside_name,
    is_temporary,
    parse_blob_name,
    random_token,
    split_aside_name,
    tree_of_name,
)
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.fs import files
from slurmic_store.fs.creating import give_name
from slurmic_store.fs.files import digest_file
from slurmic_store.fs.progress import followed
from slurmic_store.fs.syncing import is_local
from slurmic_store.pack.naming import CodeFolderName
from slurmic_store.pack.staging import read_note
from slurmic_store.store.liveness import all_records, is_superseded, named_among, why_live
from slurmic_store.store.pins import pinned_ids
from slurmic_store.store.records import read_record, read_record_beside, record_path
from slurmic_store.store.store import Store


@dataclass(frozen=True)
class GcStats:
    """What a collection did.

    Attributes:
        records: records of snapshots that were deleted.
        trees: manifests deleted.
        blobs: blobs deleted.
        size: bytes of those blobs.
        restored: things moved aside that were claimed meanwhile, or left by a run that was
            killed, and put back.
        leftovers: abandoned staging folders and temporary files removed.
    """

    records: int = 0
    trees: int = 0
    blobs: int = 0
    size: int = 0
    restored: int = 0
    leftovers: int = 0


@dataclass
class GcPlan:
    """What a collection would do; a dry run is a plan that is not executed.

    Attributes:
        store: the store.
        grace: grace period in seconds.
        finished: ids of snapshots that their code folders do not keep alive.
        live: ids of snapshots that stay, each with the reason.
        dead: records of snapshots that will be deleted.
        trees: manifests (names of trees) that nothing references.
        blobs: keys of blobs that nothing references and that no folder links to.
        size: their bytes.
        named: number of blobs that live snapshots need.
        linked: number of blobs that nothing references but that some folder still links to.
        young: number of blobs that nothing references but that are younger than the grace period.
        leftovers: abandoned staging folders and temporary files.
        quarantined: paths that an earlier collection, or a repair, has set aside.
        problems: why something could not be accounted for.
        blocked: whether a problem stops the deletion of all blobs and manifests.
    """

    store: Store
    grace: float
    finished: frozenset[str] = frozenset()
    live: dict[str, str] = field(default_factory=dict)
    dead: list[SnapshotRecord] = field(default_factory=list)
    trees: list[str] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    size: int = 0
    named: int = 0
    linked: int = 0
    young: int = 0
    leftovers: list[bytes] = field(default_factory=list)
    quarantined: list[bytes] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    blocked: bool = False

    def execute(self) -> GcStats:
        """Carry the plan out.

        Problems that are found on the way are added to :attr:`problems`.

        Raises:
            StoreOwnerError: the store is another user's.
            StoreError: the store cannot be written to. What had been moved aside by then is
                dealt with by the next collection.
        """
        self.store.require_owner()
        try:
            return _Run(self).run()
        except OSError as error:
            raise os_failure("collect in", error.filename or self.store.path, error) from error


class _Run:
    """One execution of a plan: aside, look again, put back or delete."""

    def __init__(self, plan: GcPlan) -> None:
        self.plan = plan
        self.store = plan.store
        self.token = random_token()
        # Blobs and manifests in quarantine that this run answers for: name → path.
        self.blobs_aside: dict[bytes, bytes] = {}
        self.trees_aside: dict[bytes, bytes] = {}
        self.damaged: list[bytes] = []
        self.counts = dict.fromkeys(GcStats.__dataclass_fields__, 0)

    def run(self) -> GcStats:
        for path in self.plan.leftovers:
            self._clear(path)
        self._let_names_settle()
        for record in self.plan.dead:
            self._delete_record(record)
        if not self.plan.blocked:
            self._move_aside()
        self._adopt()
        self._settle()
        return GcStats(**self.counts)

    def _let_names_settle(self) -> None:
        """Wait a moment before a young record on a network filesystem is checked again.

        Another host's rename of a code folder is not atomic there: seen on GlusterFS, where for a
        moment the folder had neither name, and with no grace period its record was deleted.
        """
        if is_local(self.store.path):
            return
        for record in self.plan.dead:
            if _age_written(record_path(self.store, record.id)) < _YOUNG_SECONDS:
                time.sleep(_SETTLING_SECONDS)
                return

    def _clear(self, path: bytes) -> None:
        """Remove something abandoned; a failure must not stop the rest."""
        try:
            if not os.path.lexists(path):
                return
            note = read_note(path) if path.endswith(NOTE_SUFFIX) else None
            # A note is removed last: without it, nothing would tell of its folder.
            if note is None or not os.path.lexists(note[0]):
                files.remove_tree(path)
                self.counts["leftovers"] += 1
        except OSError as error:
            self.plan.problems.append(str(os_failure("remove the abandoned", path, error)))

    def _aside(self, kind: bytes, name: bytes) -> bytes:
        return os.path.join(self.store.quarantine, aside_name(kind, self.token, name))

    def _delete_record(self, record: SnapshotRecord) -> None:
        """Move a dead record aside, look again whether it is dead, delete it or put it back.

        A pin may have come meanwhile. Records go before blobs: after a crash in between, blobs
        are unreferenced, which the next collection finds; the other way round a record would
        name blobs that are gone.
        """
        path = record_path(self.store, record.id)
        aside = self._aside(ASIDE_RECORD, os.path.basename(path))
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return
        current = self._if_dead(record.id, aside)
        if current is None:
            self._put_back(aside, path)
            return
        # Its submission may still be running, and have renamed its folder between two of our
        # looks at it; but then it had published a new version of its record before.
        try:
            if not os.path.lexists(path):
                _remove_claim(current, self.plan.grace)
        except OSError as error:
            if error.errno not in _NEVER_OURS:
                failure = os_failure("remove", error.filename or current.code_folder or b"", error)
                self.plan.problems.append(str(failure))
                self._put_back(aside, path)
                return
        if files.remove_quietly(aside):
            self.counts["records"] += 1

    def _if_dead(self, snapshot_id: str, aside: bytes) -> SnapshotRecord | None:
        """The record that was moved aside, if it is dead: it may be newer than the plan's."""
        try:
            record = read_record(self.store, snapshot_id, aside)
        except UnknownSnapshotError:
            return None  # another collection has put it back
        except DamagedError as error:
            self.plan.problems.append(str(error))
            return None
        pins = pinned_ids(self.store)
        superseded = is_superseded(record) or record.id in self.plan.finished
        now = time.time()
        alive = why_live(record, pins, now, self.plan.grace, [], superseded=superseded)
        return None if alive else record

    def _move_aside(self) -> None:
        for tree in self.plan.trees:
            self._take(self.trees_aside, ASIDE_TREE, self.store.tree_path(tree))
        for key in followed("setting blobs aside", self.plan.blobs, len(self.plan.blobs)):
            path = self.store.key_path(key)
            self._take(self.blobs_aside, ASIDE_BLOB, path)

    def _adopt(self) -> None:
        # What an earlier run has left, or another one is about to decide on. It was there
        # before the records are read below, so this run may decide as well.
        for path in self.plan.quarantined:
            kind, name = split_aside_name(os.path.basename(path))
            if kind == ASIDE_BLOB:
                self.blobs_aside[name] = path
            elif kind == ASIDE_TREE:
                self.trees_aside[name] = path
            elif kind == ASIDE_RECORD:
                self._put_back(path, os.path.join(self.store.snapshots, name))
            elif kind == ASIDE_DAMAGED and _age(path) >= self.plan.grace:
                self.damaged.append(path)

    def _take(self, aside_of: dict[bytes, bytes], kind: bytes, path: bytes) -> None:
        name = os.path.basename(path)
        aside = self._aside(kind, name)
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return  # another collection was faster
        aside_of[name] = aside

    def _settle(self) -> None:
        """Read the records again, put back what is claimed now, delete the rest."""
        # A plan that is blocked deletes nothing; but what is claimed must not stay aside.
        records = None if self.plan.blocked else all_records(self.store, self.plan.problems)
        trees = None if records is None else {record.tree for record in records}
        for name, path in self.trees_aside.items():
            tree = tree_of_name(name)
            if tree is None:
                continue
            if trees is None or tree in trees:
                self._put_back(path, self.store.tree_path(tree))
            elif files.remove_quietly(path):
                self.counts["trees"] += 1
        # After the manifests that are claimed are back: they are read here.
        blobs = {name: parse_blob_name(name) for name in self.blobs_aside}
        damaged = {
            path: parse_blob_name(split_aside_name(os.path.basename(path))[1])
            for path in self.damaged
        }
        keys = {key for key in (*blobs.values(), *damaged.values()) if key is not None}
        named = None if trees is None else named_among(self.store, trees, keys, self.plan.problems)
        aside = self.blobs_aside.items()
        for name, path in followed("deleting blobs", aside, len(aside)):
            self._settle_blob(blobs[name], path, named)
        if named is not None:
            for path, key in damaged.items():
                self._settle_damaged(path, key, named)

    def _settle_damaged(self, path: bytes, key: bytes | None, named: set[bytes]) -> None:
        """Delete what was set aside as damaged, unless it is all that a live snapshot has.

        The process that set it aside may have died before it had stored it again. And what looks
        damaged may only have been touched: then it is what was stored, and goes back.
        """
        if key is None or key not in named or _is_sound(self.store.key_path(key), key):
            # Whatever stood under a blob's name: it may be a folder.
            files.remove_tree(path)
        else:
            self._put_sound_back(path, key)

    def _put_sound_back(self, aside: bytes, key: bytes) -> None:
        """Give a blob that a live snapshot needs its name again, if it is sound.

        What has the name meanwhile may be damaged, and this the only sound copy: then the two
        change places. Where neither is sound, both are kept, and a person is told.
        """
        final = self.store.key_path(key)
        if not os.path.lexists(aside):
            return  # another run was faster
        if os.path.lexists(final) and _is_sound(final, key):
            files.remove_quietly(aside)
        elif _is_sound(aside, key):
            if os.path.lexists(final):
                self.store.set_aside(final)
            self._put_back(aside, final)
        else:
            self.plan.problems.append(
                f"blob {quoted(os.path.basename(final))} was damaged and nothing has replaced it; "
                f"a live snapshot needs it: {quoted(aside)} is kept"
            )

    def _settle_blob(self, key: bytes | None, path: bytes, named: set[bytes] | None) -> None:
        if key is None:
            return
        try:
            status = os.lstat(path)
        except OSError as error:
            if error.errno in files.GONE:
                return
            raise
        final = self.store.key_path(key)
        needed = named is None or key in named
        if needed and os.path.lexists(final):
            self._put_sound_back(path, key)
        elif needed or status.st_nlink > 1:
            self._put_back(path, final)
        elif files.remove_quietly(path):
            self.counts["blobs"] += 1
            self.counts["size"] += status.st_size

    def _put_back(self, aside: bytes, path: bytes) -> None:
        """Give something its name again, unless a new one has it, or another run was faster."""
        try:
            give_name(aside, path)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            # Full, and then GlusterFS cannot rename it either. It stays; a submission that needs it
            # meanwhile stores it again.
            return
        files.remove_quietly(aside)
        self.counts["restored"] += 1


def _is_sound(path: bytes, key: bytes) -> bool:
    """Whether a regular file has the bytes that a blob's key says."""
    try:
        return files.is_regular(os.lstat(path)) and digest_file(path) == key[:DIGEST_SIZE]
    except OSError:
        return False


_YOUNG_SECONDS = 60.0
_SETTLING_SECONDS = 1.5
"""Longer than the second for which a GlusterFS client answers from its caches."""

_NEVER_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""Answers to a removal that another attempt would not change: the record is deleted anyway."""


def _remove_claim(record: SnapshotRecord, grace: float) -> None:
    """Remove what a snapshot left beside a folder that is gone, or never came."""
    folder = record.code_folder
    if folder is None or is_temporary(folder):
        return
    name = CodeFolderName(folder)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, DamagedError):
        files.remove_all(name.temporaries(record.id))
        if os.path.lexists(name.guard) and _age(name.guard) >= grace:
            os.rmdir(name.guard)
        # A snapshot in another store may have this name by now. And beside a folder that is
        # finished but still there, its record says what it is.
        if read_record_beside(folder).id == record.id and not os.path.lexists(folder):
            name.release()


def _age(path: bytes) -> float:
    """Seconds since a file last changed in any way; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return time.time() - os.lstat(path).st_ctime
    return 0.0


def _age_written(path: bytes) -> float:
    """Seconds since a file's content last changed; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return time.time() - os.lstat(path).st_mtime
    return 0.0

"""Repairing what verify has found, from any healthy source.

Nothing is ever deleted that has no substitute yet.

**What makes it safe.** A substitute is a new file: it is written under a temporary name, hashed
while it is copied, given its permission bits and its seal, and synced. Only when it stands complete
on the disk is the damaged file moved aside, into ``quarantine/``, and the substitute given the name
by link(2). If that fails, the damaged file gets its name back. For an instant the name is free; a
submission that looks for the blob just then stores it again from its source, and the first to come
has the name: both are healthy. A file that is good (another process was faster) is left. Nothing is
ever written, chmodded or touched through a name that may be a link: the damaged inode stays as it
is in the folders that have it, until each of them is repaired.

**Beside a collection** it is safe for the same reason as a submission is: what it relies on is in
files of its own. A collection may delete a repaired blob that nothing references: then nothing
needed it. **Two repairs at once** of one store do each other's work twice. Two at once of one code
folder rename onto the same names, which is harmless locally but has been seen to hang GlusterFS
clients: run one.

**A code folder** is repaired file by file: a fresh link to a healthy blob is made
under a temporary name in the same folder, compared once more, and renamed over the damaged file, so
that a running job sees one or the other. What jobs have added is left alone.

**What cannot be repaired** is left as it is, and listed. Names that do not belong are only ever
listed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from slurmic_store.errors import DamagedError, StoreError, UnknownSnapshotError, quoted
from slurmic_store.format.digests import split_key
from slurmic_store.format.manifest import compress, decode_blobs
from slurmic_store.format.names import (
    MANIFEST_BESIDE,
    MANIFEST_SUFFIX,
    RECORD_SUFFIX,
    parse_blob_name,
)
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.format.seals import sealed_now
from slurmic_store.fs import files
from slurmic_store.fs.creating import creating, give_name, temporarily
from slurmic_store.store.records import read_record, read_record_file, scan_records
from slurmic_store.store.store import Store, read_manifest_file

from .findings import Finding, check_file, expected_blob
from .substitutes import Substitutes, tree_from_folder
from .verifystore import verify_store


@dataclass(frozen=True)
class Repaired:
    """Something that has been repaired.

    Attributes:
        finding: what was wrong.
        source: where the healthy content was found; None where none was needed (a link, an empty
            file).
    """

    finding: Finding
    source: bytes | None


@dataclass(frozen=True)
class RepairReport:
    """What a repair did.

    Attributes:
        repaired: what is as it should be again.
        left: what is not, each with the reason.
        notes: sentences on what could not be told, from the verification.
    """

    repaired: tuple[Repaired, ...]
    left: tuple[Finding, ...]
    notes: tuple[str, ...]


def repair_store(store: Store, *, checksum: bool, roots: Iterable[bytes] = ()) -> RepairReport:
    """Verify a store, and repair what is wrong as far as healthy content can be found.

    Args:
        store: must belong to this user; may be in use.
        checksum: find damage by reading and hashing every blob; else by one stat each. What is
            taken for a repair is hashed either way.
        roots: source trees in which to look for originals, besides those the store knows of.

    Raises:
        StoreOwnerError: the store is another user's.
        StoreError: the store's folders cannot be listed.
    """
    store.require_owner()
    run = StoreRepair(store, list(roots))
    # Records and manifests first: they say which blobs are needed.
    early = [f for f in verify_store(store, checksum=False).findings if run.is_early(f)]
    for finding in early:
        run.attempt(finding, run.repair_record_or_manifest)
    report = verify_store(store, checksum=checksum)
    later = [finding for finding in report.findings if not run.is_early(finding)]
    run.look_for(later)
    for finding in later:
        run.attempt(finding, run.repair_blob)
    return RepairReport(tuple(run.repaired), tuple(run.left), report.notes)


@dataclass
class StoreRepair:
    """One repair of a store.

    Attributes:
        store: the store.
        roots: source trees to look in.
        repaired, left: what has come out so far.
    """

    store: Store
    roots: list[bytes]
    repaired: list[Repaired] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)
    _substitutes: Substitutes | None = None
    _sizes: dict[bytes, int] = field(default_factory=dict)

    def is_early(self, finding: Finding) -> bool:
        """Whether a finding is of a record or a manifest."""
        folder = os.path.dirname(finding.path)
        of_tree = os.path.dirname(folder) == self.store.trees
        return finding.kind != "foreign" and (folder == self.store.snapshots or of_tree)

    def attempt(self, finding: Finding, repair: Callable[[Finding], bytes | None]) -> None:
        """Try to repair one finding; a failure concerns only that one."""
        try:
            source = repair(finding)
        except (OSError, StoreError) as error:
            reason = error.message if isinstance(error, StoreError) else str(error.strerror)
            self.left.append(replace(finding, detail=f"{finding.detail}; not repaired: {reason}"))
            return
        if source is None:
            reason = "no healthy copy was found"
            if finding.kind == "foreign":
                reason = "not a file of the store; remove it if nothing needs it"
            self.left.append(replace(finding, detail=f"{finding.detail}; {reason}"))
        else:
            self.repaired.append(Repaired(finding, source))

    # Records and manifests.

    def repair_record_or_manifest(self, finding: Finding) -> bytes | None:
        """Where the substitute came from, or None."""
        name = os.path.basename(finding.path)
        if os.path.dirname(finding.path) == self.store.snapshots:
            return self._repair_record(finding.path, os.fsdecode(name.removesuffix(RECORD_SUFFIX)))
        return self._repair_manifest(
            finding.path, name.removesuffix(MANIFEST_SUFFIX).decode("latin-1")
        )

    def _records(self) -> list[SnapshotRecord]:
        return scan_records(self.store)[0]

    def _repair_record(self, path: bytes, snapshot_id: str) -> bytes | None:
        """From the record beside its code folder, where one lies beside another's code folder."""
        parents = {os.path.dirname(a) for record in self._records() for a in record.anchors}
        for parent in sorted(parents):
            for name in sorted(files.names_in(parent)):
                if not name.endswith(RECORD_SUFFIX):
                    continue
                candidate = os.path.join(parent, name)
                with contextlib.suppress(OSError, DamagedError):
                    record = read_record_file(candidate)
                    if record.id == snapshot_id:
                        data = record.to_json().encode()
                        self._publish_bytes(data, path, lambda: self._record_reads(snapshot_id))
                        return candidate
        return None

    def _record_reads(self, snapshot_id: str) -> bool:
        try:
            return read_record(self.store, snapshot_id).id == snapshot_id
        except (DamagedError, UnknownSnapshotError):
            return False

    def _repair_manifest(self, path: bytes, tree: str) -> bytes | None:
        """From the manifest beside a code folder, or from a code folder that comes out right."""
        folders = [
            anchor for record in self._records() if record.tree == tree for anchor in record.anchors
        ]
        for folder in folders:
            source = folder + MANIFEST_BESIDE
            with contextlib.suppress(OSError, DamagedError):
                self.publish_manifest(path, tree, read_manifest_file(source, tree))
                return source
        for folder in folders:
            rebuilt = tree_from_folder(folder, tree)
            if rebuilt is not None:
                self.publish_manifest(path, tree, rebuilt)
                return folder
        return None

    def publish_manifest(self, path: bytes, tree: str, encoded: bytes) -> None:
        """Publish a manifest in place of one that does not read back."""

        def reads() -> bool:
            try:
                self.store.read_manifest(tree)
            except DamagedError:
                return False
            return True

        times = sealed_now(bytes.fromhex(tree))
        self._publish_bytes(compress(encoded), path, reads, times=times)

    def _publish_bytes(
        self,
        data: bytes,
        path: bytes,
        is_good: Callable[[], bool],
        times: tuple[int, int] | None = None,
    ) -> None:
        with temporarily(self.store.temporary_path(b".repair")) as temporary:
            with creating(temporary, sync=True, times=times) as file:
                file.write(data)
            publish_over(self.store, temporary, path, is_good)

    # Blobs.

    def look_for(self, findings: Iterable[Finding]) -> None:
        """Find out where content for these findings of blobs might be, and their sizes."""
        keys = [key for f in findings if (key := self._key_of(f.path)) is not None]
        self._substitutes = Substitutes(self.store, [split_key(key)[0] for key in keys], self.roots)
        wanted = set(keys)
        for tree in {record.tree for record in self._records()} if keys else ():
            with contextlib.suppress(DamagedError):
                blobs = decode_blobs(self.store.read_manifest(tree))
                self._sizes.update((key, size) for key, size in blobs if key in wanted)

    def _key_of(self, path: bytes) -> bytes | None:
        key = parse_blob_name(os.path.basename(path))
        if key is None or path != self.store.key_path(key):
            return None
        return key

    def repair_blob(self, finding: Finding) -> bytes | None:
        """Where the substitute came from, or None."""
        key = self._key_of(finding.path)
        if key is None or self._substitutes is None:
            return None
        return healthy_blob(self.store, self._substitutes, key, self._sizes.get(key))


def healthy_blob(
    store: Store, substitutes: Substitutes, key: bytes, size: int | None
) -> bytes | None:
    """See to it that a store has a healthy blob of this key.

    Args:
        store: the store.
        substitutes: where to look for content.
        key: digest and permission bits.
        size: bytes of content, if known.

    Returns:
        Where its content was found (the blob itself, if it was healthy); None if nowhere.

    Raises:
        OSError: it cannot be written.
        StoreError: others keep taking its name.
    """
    path = store.key_path(key)
    digest, mode = split_key(key)
    expected = expected_blob(store, key, size)

    def is_good() -> bool:
        try:
            return check_file(path, expected, checksum=True) is None
        except OSError:
            return False

    if is_good():
        return path
    with temporarily(store.temporary_path(b".repair")) as temporary:
        source = substitutes.copy_to(temporary, digest, mode, size)
        if source is not None:
            publish_over(store, temporary, path, is_good)
        return source


def publish_over(store: Store, temporary: bytes, final: bytes, is_good: Callable[[], bool]) -> None:
    """Give a complete file a name in the store that something damaged may have.

    Args:
        store: the store.
        temporary: the file, synced, on the store's filesystem; left, or gone.
        final: the name.
        is_good: whether what has the name now is healthy; then it is left.

    Raises:
        OSError: the name could not be given; what had it has it again.
        StoreError: others keep taking it.
    """
    aside = None
    try:
        for _ in range(8):
            try:
                if give_name(temporary, final):
                    return
            except FileNotFoundError:
                os.makedirs(os.path.dirname(final), 0o700, exist_ok=True)
                continue
            if is_good():
                return
            aside = store.set_aside(final)
        raise StoreError(f"{quoted(final)} is replaced again and again by others", path=final)
    except BaseException:
        if aside is not None:
            with contextlib.suppress(OSError):
                if give_name(aside, final):
                    files.remove_quietly(aside)
        raise

"""Verifying a store: what is not as it was stored.

**Quick** verification costs a stat per file: it compares kind, size, permission bits and the seal
(the nanosecond part of the modification time, derived from the digest: any write breaks it). What
it cannot see is a rewrite that restores the modification time; with **checksum** every file is read
and hashed. Nothing is changed either way; :mod:`slurmic_store.repair` does that. One code folder
is verified by :mod:`slurmic_store.verifyfolder`.

**A store** is verified beside submissions and collections without a lock, so what is not there
is looked for again before it is called missing. Three things are normal and no finding:

- a submission publishes its record before its blobs, so a record whose staging folder exists says
  nothing yet about blobs;
- a collection moves a blob aside before it decides, and may put it back: one that is in quarantine
  under its name is not missing;
- a record may be let go, or withdrawn, while the store is walked: what only such a record needed
  is not missing.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from . import files
from .digests import SECOND, column_of_names, key_name, keys_in, split_key
from .errors import DamagedError, UnknownSnapshotError, os_failure
from .findings import Expected, Finding, VerifyReport, check_file
from .liveness import ASIDE_TREE, why_live
from .manifest import decode_blobs
from .pace import BUNDLE, in_bundles, paced_map
from .progress import followed
from .records import SnapshotRecord, pinned_ids, read_record, record_path, snapshot_ids
from .store import STORE_FOLDERS, Store


def verify_store(store: Store, *, checksum: bool) -> VerifyReport:
    """Verify every blob, manifest and record of a store.

    Args:
        store: nothing in it is changed; it may be in use.
        checksum: read and hash every blob, too.

    Returns:
        Findings of blobs that fail, manifests and records that do not read back, what live
        records need and is not there, and names that do not belong.

    Raises:
        StoreError: the store's folders cannot be listed.
    """
    try:
        return _StoreWalk(store, checksum).run()
    except OSError as error:
        raise os_failure("list", error.filename or store.path, error) from error


_Answer: TypeAlias = "Finding | Literal['right', 'gone']"


@dataclass
class _StoreWalk:
    store: Store
    checksum: bool
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pins: dict[str, str] = field(default_factory=dict)
    checked: int = 0
    hashed: int = 0

    def run(self) -> VerifyReport:
        records = self._records()
        self.pins = pinned_ids(self.store)
        live = [record for record in records if self._is_settled(record)]
        needed = self._trees({record.tree: record for record in reversed(live)})
        self._blobs(needed)
        for key in sorted(needed):
            self._missing_blob(key, live)
        self._foreign()
        return VerifyReport(
            checked=self.checked,
            hashed=self.hashed,
            findings=tuple(sorted(self.findings, key=lambda finding: finding.path)),
            notes=tuple(self.notes),
        )

    def _records(self) -> list[SnapshotRecord]:
        records = []
        for snapshot_id in snapshot_ids(self.store):
            path = record_path(self.store, snapshot_id)
            self.checked += 1
            try:
                record = read_record(self.store, snapshot_id)
            except UnknownSnapshotError:
                continue
            except DamagedError as error:
                self.findings.append(Finding(path, "record", error.message))
                continue
            records.append(record)
        return records

    def _is_settled(self, record: SnapshotRecord) -> bool:
        """Whether a record is live and its snapshot finished."""
        if not why_live(record, self.pins, math.inf, 0, self.notes):
            return False
        return not any(
            os.path.basename(anchor).startswith(files.STAGE_PREFIX) and os.path.lexists(anchor)
            for anchor in record.anchors
        )

    def _trees(self, live: dict[str, SnapshotRecord]) -> dict[bytes, int]:
        """Check all manifests; the blobs that live trees need, with their sizes."""
        needed: dict[bytes, int] = {}
        present = set()
        for prefix in sorted(files.names_in(self.store.trees)):
            folder = os.path.join(self.store.trees, prefix)
            for name in sorted(files.names_in(folder)):
                path = os.path.join(folder, name)
                tree = name[:-4].decode("latin-1")
                if not name.endswith(b".zst") or path != self.store.tree_path(tree):
                    if not name.startswith(files.STAGE_PREFIX):
                        self.findings.append(Finding(path, "foreign", "not a manifest's name"))
                    continue
                present.add(tree)
                self.checked += 1
                try:
                    blobs = dict(decode_blobs(self.store.read_manifest(tree)))
                except DamagedError as error:
                    if os.path.lexists(path):
                        self.findings.append(Finding(path, "manifest", error.message))
                    continue
                if tree in live:
                    needed.update(blobs)
        for tree, record in live.items():
            path = self.store.tree_path(tree)
            if tree in present or self._is_somewhere(path, ASIDE_TREE):
                continue
            if self._still_there(record):
                detail = f"the manifest of snapshot '{record.id}'"
                self.findings.append(Finding(path, "missing", detail))
        return needed

    def _blobs(self, needed: dict[bytes, int]) -> None:
        """Check all blobs, and take those that are there out of `needed`."""

        def check(keys: list[bytes]) -> list[tuple[bytes, _Answer]]:
            return [(key, self._check(key, needed.get(key))) for key in keys]

        # Files to be read may be large.
        size = 2 if self.checksum else BUNDLE
        checked = paced_map(check, in_bundles(self._blob_keys(), size))
        for answers in followed("verifying blobs", checked, len(needed) // size):
            for key, answer in answers:
                self.checked += 1
                if answer == "gone":
                    continue  # looked for again if somebody needs it
                needed.pop(key, None)
                self.hashed += self.checksum
                if answer != "right":
                    self.findings.append(answer)

    def _blob_keys(self) -> Iterator[bytes]:
        """The keys of what is in the folders of blobs; names of other things are findings."""

        def list_folder(prefix: bytes) -> list[bytes]:
            return files.names_in(os.path.join(self.store.blobs, prefix))

        prefixes = sorted(files.names_in(self.store.blobs))
        for prefix, names in zip(prefixes, paced_map(list_folder, prefixes), strict=True):
            digits = prefix.decode("latin-1")
            keys = [key for key in keys_in(column_of_names(names)) if key[:1].hex() == digits]
            if len(keys) < len(names):
                known = {os.path.basename(key_name(key)) for key in keys}
                for name in set(names) - known:
                    path = os.path.join(self.store.blobs, prefix, name)
                    self.findings.append(Finding(path, "foreign", "not a blob's name"))
            yield from keys

    def _path(self, key: bytes) -> bytes:
        return os.path.join(self.store.blobs, key_name(key))

    def _check(self, key: bytes, size: int | None) -> _Answer:
        path = self._path(key)
        digest, mode = split_key(key)
        if not self.checksum:
            # The rule, tried first: nothing is wrong. What is, a closer look says.
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                if size in (None, status.st_size) and self.store.is_pristine(status, digest, mode):
                    return "right"
        expected = Expected(
            digest,
            mode,
            size,
            compare_mode="exactly" if self.store.keeps_modes else "never",
            compare_seal=self.store.granularity < SECOND,
        )
        try:
            return check_file(path, expected, checksum=self.checksum) or "right"
        except OSError:
            return "gone"

    def _missing_blob(self, key: bytes, live: Iterable[SnapshotRecord]) -> None:
        path = self._path(key)
        if self._is_somewhere(path, b"blob-"):
            return
        for record in live:
            if self._still_there(record) and self._names(record.tree, key):
                detail = f"snapshot '{record.id}' needs it"
                self.findings.append(Finding(path, "missing", detail))
                return

    def _is_somewhere(self, path: bytes, prefix: bytes) -> bool:
        """Whether a blob or manifest is in its place, or where a collection may have put it."""
        aside = b"-" + os.path.basename(path)
        for _ in range(3):
            # A collection moves it from one place to the other, and maybe back; a submission
            # takes the name from one that is old or full, and gives it to a new one.
            if os.path.lexists(path) or any(
                name.startswith(prefix) and name.endswith(aside)
                for name in files.names_in(self.store.quarantine)
            ):
                return True
            time.sleep(0.02)
        return False

    def _names(self, tree: str, key: bytes) -> bool:
        try:
            return key in dict(decode_blobs(self.store.read_manifest(tree)))
        except DamagedError:
            return False

    def _still_there(self, record: SnapshotRecord) -> bool:
        return os.path.lexists(record_path(self.store, record.id))

    def _foreign(self) -> None:
        for folder, known in (
            (self.store.path, {b"FORMAT", *STORE_FOLDERS}),
            (self.store.snapshots, set()),
            (self.store.pins, set()),
        ):
            for name in files.names_in(folder):
                if name in known or name.startswith(files.STAGE_PREFIX):
                    continue
                if known or not name.endswith(b".json"):
                    path = os.path.join(folder, name)
                    self.findings.append(Finding(path, "foreign", "does not belong in a store"))

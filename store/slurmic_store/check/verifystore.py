"""Verifying a store: what is not as it was stored.

**Quick** verification costs a stat per file: it compares kind, size, permission bits and the seal
(the nanosecond part of the modification time, derived from the digest: any write breaks it). What
it cannot see is a rewrite that restores the modification time; with **checksum** every file is read
and hashed. Nothing is changed either way; :mod:`slurmic_store.check.repairstore` does that. One
code folder is verified by :mod:`slurmic_store.check.verifyfolder`.

**A store** is verified beside submissions and collections without a lock, so what is not there
is looked for again before it is called missing. Three things are normal and no finding:

- a submission publishes its record before its blobs, so a record whose staging folder exists says
  nothing yet about blobs;
- a collection moves a blob aside before it decides, and may put it back: one that is in quarantine
  under its name is not missing;
- a record may be deleted, or withdrawn, while the store is walked: what only such a record needed
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

from slurmic_store.errors import DamagedError, os_failure
from slurmic_store.format.digests import keys_in, split_key
from slurmic_store.format.manifest import decode_blobs
from slurmic_store.format.names import (
    ASIDE_BLOB,
    ASIDE_TREE,
    FORMAT_FILE,
    RECORD_SUFFIX,
    STORE_FOLDERS,
    column_of_names,
    is_temporary,
    key_name,
    split_aside_name,
    tree_of_name,
)
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.fs import files
from slurmic_store.fs.pace import BUNDLE, in_bundles, paced_map
from slurmic_store.fs.progress import followed
from slurmic_store.store.liveness import why_live
from slurmic_store.store.pins import pinned_ids
from slurmic_store.store.records import record_path, scan_records
from slurmic_store.store.store import Store

from .findings import Finding, VerifyReport, check_file, expected_blob


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
        records, damaged = scan_records(self.store)
        self.checked += len(records) + len(damaged)
        for error in damaged:
            assert isinstance(error.path, bytes)
            self.findings.append(Finding(error.path, "record", error.message))
        return records

    def _is_settled(self, record: SnapshotRecord) -> bool:
        """Whether a record is live and its snapshot finished."""
        if not why_live(record, self.pins, math.inf, 0, self.notes):
            return False
        return not any(
            is_temporary(anchor) and os.path.lexists(anchor) for anchor in record.anchors
        )

    def _trees(self, live: dict[str, SnapshotRecord]) -> dict[bytes, int]:
        """Check all manifests; the blobs that live trees need, with their sizes."""
        needed: dict[bytes, int] = {}
        present = set()
        for prefix in sorted(files.names_in(self.store.trees)):
            folder = os.path.join(self.store.trees, prefix)
            for name in sorted(files.names_in(folder)):
                path = os.path.join(folder, name)
                tree = tree_of_name(name)
                if tree is None or path != self.store.tree_path(tree):
                    if not is_temporary(name):
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
                    continue  # looked for again if a record needs it
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

    def _check(self, key: bytes, size: int | None) -> _Answer:
        path = self.store.key_path(key)
        digest, mode = split_key(key)
        if not self.checksum:
            # The rule, tried first: nothing is wrong. What is, a closer look says.
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                if size in (None, status.st_size) and self.store.is_pristine(status, digest, mode):
                    return "right"
        try:
            return (
                check_file(path, expected_blob(self.store, key, size), checksum=self.checksum)
                or "right"
            )
        except OSError:
            return "gone"

    def _missing_blob(self, key: bytes, live: Iterable[SnapshotRecord]) -> None:
        path = self.store.key_path(key)
        if self._is_somewhere(path, ASIDE_BLOB):
            return
        for record in live:
            if self._still_there(record) and self._names(record.tree, key):
                detail = f"snapshot '{record.id}' needs it"
                self.findings.append(Finding(path, "missing", detail))
                return

    def _is_somewhere(self, path: bytes, kind: bytes) -> bool:
        """Whether a blob or manifest is in its place, or where a collection may have put it."""
        aside = (kind, os.path.basename(path))
        for _ in range(3):
            # A collection moves it from one place to the other, and maybe back; a submission
            # takes the name from one that is old or full, and gives it to a new one.
            if os.path.lexists(path) or any(
                split_aside_name(name) == aside for name in files.names_in(self.store.quarantine)
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
            (self.store.path, {FORMAT_FILE, *STORE_FOLDERS}),
            (self.store.snapshots, set()),
            (self.store.pins, set()),
        ):
            for name in files.names_in(folder):
                if name in known or is_temporary(name):
                    continue
                if known or not name.endswith(RECORD_SUFFIX):
                    path = os.path.join(folder, name)
                    self.findings.append(Finding(path, "foreign", "does not belong in a store"))

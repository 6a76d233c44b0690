"""Repairing one code folder: damaged files are replaced by fresh links, never written through.

How and why it is safe is told in :mod:`slurmic_store.check.repairstore`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import replace

from slurmic_store.errors import StoreError, quoted
from slurmic_store.format.digests import blob_key
from slurmic_store.format.names import random_name
from slurmic_store.format.tree import TreeEntry
from slurmic_store.fs import files
from slurmic_store.fs.creating import temporarily, write_new
from slurmic_store.pack.naming import CodeFolderName
from slurmic_store.store.method import copy_blob
from slurmic_store.store.store import Store

from .findings import Expected, Finding, check_file
from .repairstore import Repaired, RepairReport, healthy_blob
from .substitutes import Substitutes
from .verifyfolder import FolderEvidence, compare, gather_evidence


def repair_code_folder(
    folder: bytes,
    *,
    checksum: bool,
    store: Store | None = None,
    record: bytes | None = None,
    manifest: bytes | None = None,
    roots: Iterable[bytes] = (),
) -> RepairReport:
    """Verify one code folder, and repair what is wrong as far as healthy content can be found.

    Args:
        folder: the code folder, wherever it is now.
        checksum: find damage by reading and hashing every file; else by one stat each.
        store: where to take content from, and where a blob that the folder shares is repaired
            first. Without it, content comes from `roots` and from the folder itself.
        record: as for :func:`verify_code_folder`.
        manifest: as for :func:`verify_code_folder`.
        roots: source trees in which to look for originals.

    Raises:
        StoreOwnerError: the store is another user's.
        StoreError: there is no such folder, or nothing says what it should hold.
    """
    if store is not None:
        store.require_owner()
    evidence = gather_evidence(folder, store=store, record=record, manifest=manifest)
    report = compare(evidence, store, checksum=checksum)
    entries = {os.path.join(evidence.folder, e.path): e for e in evidence.tree.entries}
    wanted = {entries[f.path].digest for f in report.findings if f.path in entries}
    substitutes = Substitutes(store, wanted, roots)
    for entry in evidence.tree.entries:
        if entry.digest in wanted:
            substitutes.add_path(
                entry.digest, entry.path, [evidence.folder, *evidence.record.anchors]
            )
    run = _FolderRepair(evidence, store, substitutes)
    for finding in report.findings:
        run.attempt(finding, entries.get(finding.path))
    return RepairReport(tuple(run.repaired), tuple(run.left), report.notes)


class _FolderRepair:
    """One repair of a code folder."""

    def __init__(
        self, evidence: FolderEvidence, store: Store | None, substitutes: Substitutes
    ) -> None:
        self._evidence = evidence
        self._store = store
        self._substitutes = substitutes
        self.repaired: list[Repaired] = []
        self.left: list[Finding] = []

    def attempt(self, finding: Finding, entry: TreeEntry | None) -> None:
        """Try to repair one finding; a failure concerns only that one."""
        try:
            if entry is None:
                source = self._restore_evidence(finding)
            else:
                source = self._restore(finding.path, entry)
        except (OSError, StoreError) as error:
            reason = error.message if isinstance(error, StoreError) else str(error.strerror)
            self.left.append(replace(finding, detail=f"{finding.detail}; not repaired: {reason}"))
        else:
            self.repaired.append(Repaired(finding, source))

    def _restore(self, path: bytes, entry: TreeEntry) -> bytes | None:
        """Put a fresh file or link in place; where its content came from."""
        self._make_parents(os.path.dirname(entry.path))
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                raise StoreError("a folder stands in its place; move it away", path=path)
        with temporarily(os.path.join(os.path.dirname(path), random_name())) as temporary:
            source = None
            if entry.target is not None:
                os.symlink(entry.target, temporary)
            elif not entry.size:
                write_new(temporary, b"", mode=entry.mode, sync=False)
            else:
                source = self._place(temporary, entry)
            try:
                os.rename(temporary, path)
            except OSError as error:
                if error.errno != errno.EMLINK:
                    raise
                # GlusterFS needs one more link to rename, and this was the last: a copy, then.
                files.remove_quietly(temporary)
                _copy(self._blob(entry), temporary)
                self._check(temporary, entry)
                os.rename(temporary, path)
            return source

    def _make_parents(self, relative: bytes) -> None:
        """Make the folders above a file. Through a link it would land elsewhere: refused."""
        path = self._evidence.folder
        for part in relative.split(b"/") if relative else ():
            path = os.path.join(path, part)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise StoreError(f"{quoted(path)} is not a folder; move it away", path=path)

    def _blob(self, entry: TreeEntry) -> bytes:
        assert self._store is not None
        return self._store.blob_path(entry.digest, entry.mode)

    def _place(self, temporary: bytes, entry: TreeEntry) -> bytes:
        store = self._store
        key = blob_key(entry.digest, entry.mode)
        if store is None:
            source = self._substitutes.copy_to(temporary, entry.digest, entry.mode, entry.size)
        else:
            source = healthy_blob(store, self._substitutes, key, entry.size)
            if source is not None:
                _link_or_copy(self._blob(entry), temporary)
        if source is None:
            raise StoreError("no healthy copy was found", path=temporary)
        self._check(temporary, entry)
        return source

    def _check(self, temporary: bytes, entry: TreeEntry) -> None:
        """Look once more: a job may write through its own link of the same blob at any time."""
        expected = Expected(
            entry.digest, entry.mode, entry.size, compare_mode="never", compare_seal=False
        )
        problem = check_file(temporary, expected, checksum=True)
        if problem is not None:
            raise StoreError(f"the blob was damaged meanwhile: {problem.detail}", path=temporary)

    def _restore_evidence(self, finding: Finding) -> bytes | None:
        """Write the record or the manifest beside the folder again."""
        name = CodeFolderName(self._evidence.folder)
        record = self._evidence.record
        if finding.path == name.record:
            # Found in the store: without it there would be no evidence.
            name.update_record(replace(record, anchors=(self._evidence.folder,)))
        elif finding.path == name.manifest and self._store is not None:
            name.update_manifest(record, self._store.read_manifest(record.tree))
        else:
            raise StoreError("move it away, and repair again", path=finding.path)
        return None if self._store is None else self._store.path


def _link_or_copy(blob: bytes, path: bytes) -> None:
    """A fresh link to a blob; a file of its own where no link is possible."""
    try:
        os.link(blob, path, follow_symlinks=False)
        return
    except OSError as error:
        if error.errno not in files.CANNOT_LINK | {errno.EMLINK}:
            raise
    _copy(blob, path)


def _copy(blob: bytes, path: bytes) -> None:
    descriptor = os.open(blob, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        copy_blob(descriptor, path, os.fstat(descriptor), clone="if possible")
    finally:
        os.close(descriptor)

"""Verifying one code folder, where it was built or elsewhere.

**A code folder** carries its own evidence: the record beside it (``code.json``) and its manifest
(``code.tree.zst``). So one that was moved or copied elsewhere, together with them, is verified
without a store. ``mv`` and ``cp -a`` keep the seals; in a copy that has lost them all (``cp -r``,
an archive of whole seconds) a stat can compare no more than sizes and the owner's permission bits:
the report then says so, and ``checksum`` is what helps.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from slurmic_store.errors import DamagedError, StoreError, os_failure, quoted, reason_of
from slurmic_store.format.manifest import decode_tree
from slurmic_store.format.names import is_bytecode, is_temporary
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.format.seals import SECOND, bears_seal
from slurmic_store.format.tree import Tree, TreeEntry, folders_of
from slurmic_store.fs.pace import BUNDLE, in_bundles, paced_map
from slurmic_store.fs.progress import followed
from slurmic_store.pack.naming import CodeFolderName
from slurmic_store.store.records import read_record_file, scan_records
from slurmic_store.store.store import Store, read_manifest_file

from .findings import Expected, Finding, VerifyReport, check_file, check_link, kind_of


@dataclass(frozen=True)
class FolderEvidence:
    """What says how a code folder should be.

    Attributes:
        folder: the code folder, absolute.
        record: the snapshot it was made by.
        tree: what it should hold.
        moved: whether it is somewhere else than its record says.
        findings: what is wrong with the record and the manifest beside it.
        notes: sentences on what is not there and could be.
    """

    folder: bytes
    record: SnapshotRecord
    tree: Tree
    moved: bool
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def verify_code_folder(
    folder: bytes,
    *,
    checksum: bool,
    store: Store | None = None,
    record: bytes | None = None,
    manifest: bytes | None = None,
) -> VerifyReport:
    """Verify one code folder, by the record and the manifest beside it.

    Args:
        folder: the code folder, wherever it is now.
        checksum: read and hash every file, too.
        store: where to look for a record or a manifest that is not beside it.
        record: where the folder's record is, if not at ``<folder>.json``.
        manifest: where its manifest is, if not at ``<folder>.tree.zst``.

    Raises:
        StoreError: there is no such folder, or nothing says what it should hold.
    """
    evidence = gather_evidence(folder, store=store, record=record, manifest=manifest)
    return compare(evidence, store, checksum=checksum)


def compare(evidence: FolderEvidence, store: Store | None, *, checksum: bool) -> VerifyReport:
    """Compare a code folder with what it should hold; arguments as `verify_code_folder`.

    Raises:
        StoreError: the folder cannot be listed.
    """
    try:
        return _FolderWalk(evidence, store, checksum).run()
    except OSError as error:
        raise os_failure("read", error.filename or evidence.folder, error) from error


def gather_evidence(
    folder: bytes,
    *,
    store: Store | None = None,
    record: bytes | None = None,
    manifest: bytes | None = None,
) -> FolderEvidence:
    """Find out what a code folder should hold; arguments and errors as `verify_code_folder`."""
    folder = os.path.abspath(folder)
    if not os.path.isdir(folder):
        raise StoreError(f"no code folder at {quoted(folder)}", path=folder)
    findings: list[Finding] = []
    notes: list[str] = []
    name = CodeFolderName(folder)
    found = _find_record(folder, record or name.record, store, findings)
    tree = _find_tree(found.tree, manifest or name.manifest, store, findings, notes)
    moved = folder not in found.anchors
    return FolderEvidence(folder, found, tree, moved, tuple(findings), tuple(notes))


def _find_record(
    folder: bytes, path: bytes, store: Store | None, findings: list[Finding]
) -> SnapshotRecord:
    try:
        return read_record_file(path)
    except FileNotFoundError:
        problem = Finding(path, "missing", "the record beside the code folder")
    except OSError as error:
        problem = Finding(path, "unreadable", reason_of(error))
    except DamagedError as error:
        problem = Finding(path, "record", error.message)
    findings.append(problem)
    if store is not None:
        for record in reversed(scan_records(store)[0]):
            if folder in record.anchors:
                return record
    raise StoreError(
        f"nothing says what {quoted(folder)} should hold: {quoted(path)}: {problem.detail}"
        if problem.kind != "missing"
        else f"nothing says what {quoted(folder)} should hold: no record {quoted(path)}",
        path=path,
        hint="a code folder's record lies beside it: 'code.json' beside 'code'; if the folder was "
        "moved without it, say where the record is",
    )


def _find_tree(
    tree: str, path: bytes, store: Store | None, findings: list[Finding], notes: list[str]
) -> Tree:
    try:
        return decode_tree(read_manifest_file(path, tree))
    except FileNotFoundError:
        problem = "does not exist"
        notes.append(
            f"{quoted(path)} does not exist: without it only a store can say what is right"
        )
    except OSError as error:
        problem = reason_of(error)
        findings.append(Finding(path, "unreadable", problem))
    except DamagedError as error:
        problem = error.message
        findings.append(Finding(path, "manifest", problem))
    try:
        if store is not None:
            return decode_tree(store.read_manifest(tree))
    except DamagedError as error:
        problem = f"{problem}; {error.message}"
    raise StoreError(
        f"cannot tell which files belong: manifest {quoted(path)}: {problem}",
        path=path,
        digest=tree,
        hint="the store that it was packed into has the manifest too",
    )


@dataclass
class _FolderWalk:
    evidence: FolderEvidence
    store: Store | None
    checksum: bool
    findings: list[Finding] = field(default_factory=list)
    added: list[Finding] = field(default_factory=list)

    def run(self) -> VerifyReport:
        evidence = self.evidence
        self.findings += evidence.findings
        entries = {entry.path: entry for entry in evidence.tree.entries}
        folders = folders_of(entries)
        present = self._walk(b"", entries.keys(), folders)
        notes = list(evidence.notes)
        sealed = self._is_sealed(entries[path] for path in present)
        if not sealed:
            notes.append(
                f"no file in {quoted(evidence.folder)} bears its seal: it was copied without "
                "modification times, or its filesystem keeps whole seconds"
                + ("" if self.checksum else "; only a checksum can tell whether contents are right")
            )

        def check(bundle: list[TreeEntry]) -> list[Finding | None]:
            return [self._check(entry, entry.path in present, sealed) for entry in bundle]

        # Files to be read may be large.
        size = 2 if self.checksum else BUNDLE
        checked = paced_map(check, in_bundles(entries.values(), size))
        for found in followed("verifying files", checked, len(entries) // size):
            self.findings += filter(None, found)
        return VerifyReport(
            checked=len(present),
            hashed=len(present) if self.checksum else 0,
            findings=tuple(sorted(self.findings, key=lambda finding: finding.path)),
            added=tuple(sorted(self.added, key=lambda finding: finding.path)),
            notes=tuple(notes),
        )

    def _walk(self, parent: bytes, expected: Iterable[bytes], folders: set[bytes]) -> set[bytes]:
        """What of the tree is there, by real folders; the rest that is there is "added"."""
        expected = set(expected)
        present = set()

        def list_folder(relative: bytes) -> tuple[bytes, list[os.DirEntry[bytes]]]:
            return relative, list(os.scandir(os.path.join(self.evidence.folder, relative)))

        level = [parent]
        while level:
            below = []
            for relative, entries in paced_map(list_folder, level):
                for entry in entries:
                    path = os.path.join(relative, entry.name)
                    if path in expected:
                        present.add(path)
                    elif path not in folders:
                        self.added.append(Finding(entry.path, "added", _origin(entry)))
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(path)
                    else:
                        kind = kind_of(entry.stat(follow_symlinks=False))
                        detail = f"{kind} instead of a folder"
                        self.findings.append(Finding(entry.path, "type", detail))
            level = below
        return present

    def _is_sealed(self, entries: Iterable[TreeEntry]) -> bool:
        """Whether seals can be relied on: yes where one holds, or nothing explains that none does.

        Where it was built, a folder whose files have all lost their seals is damaged, unless all
        their times are of whole seconds: then its filesystem keeps no more, or a backup did not.
        """
        if (
            self.store is not None
            and not self.evidence.moved
            and (self.store.granularity >= SECOND)
        ):
            return False
        times = []
        for entry in entries:
            if not entry.is_blob:
                continue
            try:
                status = os.lstat(os.path.join(self.evidence.folder, entry.path))
            except OSError:
                continue
            if bears_seal(status.st_mtime_ns, entry.digest):
                return True
            times.append(status.st_mtime_ns)
        whole_seconds = all(time % SECOND == 0 for time in times)
        return not times or not (self.evidence.moved or whole_seconds)

    def _check(self, entry: TreeEntry, present: bool, sealed: bool) -> Finding | None:
        absolute = os.path.join(self.evidence.folder, entry.path)
        if present:
            try:
                if entry.target is not None:
                    return check_link(absolute, entry.target)
                return check_file(absolute, self._expected(entry, sealed), checksum=self.checksum)
            except OSError:
                pass  # gone since the folder was listed
        return Finding(absolute, "missing", "was packed, but does not exist")

    def _expected(self, entry: TreeEntry, sealed: bool) -> Expected:
        expected = Expected(entry.digest, entry.mode, entry.size)
        if not sealed:
            expected = replace(expected, compare_seal=False)
            if self.evidence.moved:  # by something that applied an umask, too
                expected = replace(expected, compare_mode="owner")
        if self.store is not None and not self.store.keeps_modes and not self.evidence.moved:
            expected = replace(expected, compare_mode="never")
        # Empty files have no blob: they are made afresh in each folder, without a seal.
        return expected if entry.size else replace(expected, compare_seal=False)


def _origin(entry: os.DirEntry[bytes]) -> str:
    if is_bytecode(entry.name):
        return "bytecode"
    if is_temporary(entry.name):
        return "left by a repair that was interrupted"
    kind = kind_of(entry.stat(follow_symlinks=False))
    return f"{kind} created after packing"

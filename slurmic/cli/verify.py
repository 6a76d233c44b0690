"""slurmic verify: whether the store, or one code folder, still is what was stored."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from slurmic_store import (
    DamagedError,
    Finding,
    Store,
    StoreError,
    read_records,
    repair_code_folder,
    repair_store,
    verify_code_folder,
    verify_store,
)

from .console import number, one_line, say
from .exits import DAMAGED, DONE
from .stores import open_store


@dataclass
class Verify:
    """Compare the store, or one code folder, with what was stored; repair it if asked to.

    Reports, and never deletes what it cannot replace. Safe beside submissions and gc."""

    folder: tyro.conf.Positional[str] = ""
    """a code folder, also one that was moved or copied elsewhere with the record beside it; by
    default the store is verified"""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default the one that a submission from here would use"""

    checksum: bool = False
    """read and hash every file; else one stat a file, which finds all but a write that has
    restored the modification time"""

    repair: bool = False
    """replace what is damaged from a healthy source: another link or folder, the source tree"""

    json: bool = False
    """one JSON object a line for each finding"""

    def run(self) -> int:
        """Write the findings; what they mean together goes to standard error."""
        return self._repair() if self.repair else self._verify()

    def _verify(self) -> int:
        if self.folder:
            report = verify_code_folder(
                self._path(), checksum=self.checksum, store=self._store_if_any()
            )
        else:
            report = verify_store(open_store(self.store), checksum=self.checksum)
        self._write(report.findings)
        for note in report.notes:
            say(note)
        if report.added:
            say(f"{number(len(report.added), 'file')} came into the folder after packing")
        damage = number(len(report.findings), "finding")
        say(f"{number(report.checked, 'file')} checked, {report.hashed:,} hashed: {damage}")
        return DONE if report.intact else DAMAGED

    def _repair(self) -> int:
        if self.folder:
            store = self._store_if_any()
            report = repair_code_folder(
                self._path(), checksum=self.checksum, store=store, roots=_roots(store)
            )
        else:
            store = open_store(self.store)
            report = repair_store(store, checksum=self.checksum, roots=_roots(store))
        self._write(report.left)
        for note in report.notes:
            say(note)
        left = number(len(report.left), "finding")
        say(f"{number(len(report.repaired), 'file')} repaired, {left} left")
        return DAMAGED if report.left else DONE

    def _write(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            path = os.fsdecode(finding.path)
            if self.json:
                values = {"path": path, "kind": finding.kind, "detail": finding.detail}
                print(json.dumps(values))
            else:
                print(f"{finding.kind}: {one_line(path)}: {one_line(finding.detail)}")

    def _path(self) -> bytes:
        return os.path.abspath(os.fsencode(self.folder))

    def _store_if_any(self) -> Store | None:
        """A folder can be verified alone, by the record and the manifest beside it."""
        try:
            return open_store(self.store)
        except StoreError:
            if self.store:
                raise
            return None


def _roots(store: Store | None) -> list[bytes]:
    """The source trees that records name: originals may still be there."""
    if store is None:
        return []
    try:
        infos = [record.info for record in read_records(store)]
    except DamagedError:
        return []  # one of the findings
    roots = {info["code_root"] for info in infos if isinstance(info.get("code_root"), str)}
    return [os.fsencode(root) for root in sorted(roots)]

"""slurmic verify: whether the store, or one code folder, still is what was stored."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slurmic.cli.arguments.group import argument, command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import json_option, store_option
from slurmic.cli.arguments.values import FOLDER
from slurmic.cli.exits import DAMAGED, DONE
from slurmic.cli.output.console import say
from slurmic.text import counted, printable

if TYPE_CHECKING:
    from slurmic_store import Finding, Store


@command("verify")
@argument(
    "folder",
    "[DIR]",
    "a code folder, even one that was moved or copied elsewhere with the "
    "record beside it; by default the store is verified",
    type=FOLDER,
    default="",
)
@store_option
@option(
    "--checksum",
    is_flag=True,
    help="read and hash every file. Otherwise each file is only looked at (one stat), which "
    "finds all changes but a write that has restored the modification time",
)
@option(
    "--repair",
    is_flag=True,
    help="replace what is damaged from a healthy source: another link or folder, the source tree",
)
@json_option("one JSON object a line for each finding")
def verify(folder: str, store: str, checksum: bool, repair: bool, as_json: bool) -> int:
    """Compare what is stored with its digests, and repair it.

    The store or one code folder is compared; it is repaired only if --repair is given. Nothing is
    deleted that cannot be replaced. This is safe beside submissions and gc.
    """
    path = os.path.abspath(os.fsencode(folder)) if folder else b""
    opened = _open(store, needed=not folder)
    if repair:
        return _repair(path, opened, checksum=checksum, as_json=as_json)
    return _verify(path, opened, checksum=checksum, as_json=as_json)


def _open(path: str, *, needed: bool) -> Store | None:
    """The store. A folder can be verified alone, by the record and the manifest beside it."""
    from slurmic_store import StoreError

    try:
        return finder(path).open_store()
    except StoreError:
        if path or needed:
            raise
        return None


def _verify(folder: bytes, store: Store | None, *, checksum: bool, as_json: bool) -> int:
    from slurmic_store import verify_code_folder, verify_store

    if folder:
        report = verify_code_folder(folder, checksum=checksum, store=store)
    else:
        assert store is not None
        report = verify_store(store, checksum=checksum)
    _write(report.findings, as_json)
    for note in report.notes:
        say(note)
    if report.added:
        say(f"{counted(len(report.added), 'file')} came into the folder after packing")
    damage = counted(len(report.findings), "finding")
    say(f"{counted(report.checked, 'file')} checked, {report.hashed:,} hashed: {damage}")
    return DONE if report.intact else DAMAGED


def _repair(folder: bytes, store: Store | None, *, checksum: bool, as_json: bool) -> int:
    from slurmic_store import repair_code_folder, repair_store

    roots = _roots(store)
    if folder:
        report = repair_code_folder(folder, checksum=checksum, store=store, roots=roots)
    else:
        assert store is not None
        report = repair_store(store, checksum=checksum, roots=roots)
    _write(report.left, as_json)
    for note in report.notes:
        say(note)
    left = counted(len(report.left), "finding")
    say(f"{counted(len(report.repaired), 'file')} repaired, {left} left")
    return DAMAGED if report.left else DONE


def _write(findings: Sequence[Finding], as_json: bool) -> None:
    for finding in findings:
        path = os.fsdecode(finding.path)
        if as_json:
            print(json.dumps({"path": path, "kind": finding.kind, "detail": finding.detail}))
        else:
            print(f"{finding.kind}: {printable(path)}: {printable(finding.detail)}")


def _roots(store: Store | None) -> list[bytes]:
    """The source trees that records name: originals may still be there."""
    from slurmic_store import DamagedError, read_records

    if store is None:
        return []
    try:
        infos = [record.info for record in read_records(store)]
    except DamagedError:
        return []  # one of the findings
    roots = {info["code_root"] for info in infos if isinstance(info.get("code_root"), str)}
    return [os.fsencode(root) for root in sorted(roots)]

"""Pieces of a store that are not what they should be: reading them neither hangs nor grows."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from storechecks import Project

from slurmic_store import (
    DamagedError,
    SnapshotRecord,
    Store,
    decode_tree,
    pinned_ids,
    plan_gc,
    scan_records,
)
from slurmic_store.format.manifest import decompress
from slurmic_store.format.record import decode_pin
from slurmic_store.fs.files import LARGEST_PIECE, read_piece

DEEP_JSON = b"[" * 100_000


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    with open(path, "wb") as stream:
        stream.truncate(LARGEST_PIECE + 1)


def _folder(path: Path) -> None:
    path.mkdir()


def _nested(path: Path) -> None:
    path.write_bytes(DEEP_JSON)


STRANGE = [_fifo, _link_to_zeros, _sparse, _folder, _nested]


@pytest.mark.parametrize("strange", STRANGE[:4])
def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path, strange: Any) -> None:
    strange(tmp_path / "piece")
    with pytest.raises(OSError):
        read_piece(os.fsencode(tmp_path / "piece"))
    (tmp_path / "good").write_bytes(b"12345")
    assert read_piece(os.fsencode(tmp_path / "good"), 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_piece(os.fsencode(tmp_path / "good"), 4)


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_pin_is_a_pin_without_a_name(store: Store, strange: Any) -> None:
    """The file's existence is the pin, whatever it is."""
    strange(Path(os.fsdecode(store.pins)) / "261101-000000-abcdef.json")
    assert pinned_ids(store) == {"261101-000000-abcdef": ""}


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_record_is_a_problem_and_stops_deletion(
    store: Store, project: Project, tmp_path: Path, strange: Any
) -> None:
    project.take(store, tmp_path / "out")
    strange(Path(os.fsdecode(store.snapshots)) / "261101-000000-abcdef.json")
    records, problems = scan_records(store)
    assert len(records) == 1 and len(problems) == 1
    plan = plan_gc(store, grace=0)
    assert plan.problems and not plan.blobs


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_note_is_passed_over(store: Store, strange: Any) -> None:
    strange(Path(os.fsdecode(store.tmp)) / "261101-000000-abcdef.stage")
    plan_gc(store, grace=0)


def record(**changed: Any) -> str:
    values = {
        "slurmic_record": 1,
        "id": "261101-000000-abcdef",
        "created": 1.5,
        "tree": "0" * 32,
        "anchors": ["/x"],
        "mount": "/",
        "files": 1,
        "size": 1,
        "placement": "copy",
        "jobs": ["1"],
        "info": {},
    }
    return json.dumps({**values, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"created": 1e30},
        {"created": float("inf")},
        {"created": float("nan")},
        {"created": -1.0},
        {"created": True},
        {"created": "1.5"},
        {"id": 5},
        {"tree": "A" * 32},
        {"anchors": "/x"},
        {"anchors": {"/x": 1}},
        {"anchors": [None]},
        {"jobs": [1]},
        {"jobs": None},
        {"files": 0.5},
        {"files": False},
        {"size": "1"},
        {"placement": None},
        {"info": [["a", 1]]},
        {"slurmic_record": "1"},
    ],
    ids=str,
)
def test_nothing_in_a_record_is_converted(changed: dict[str, Any]) -> None:
    SnapshotRecord.from_json(record())
    with pytest.raises(DamagedError):
        SnapshotRecord.from_json(record(**changed))


def test_a_record_is_utf_8() -> None:
    with pytest.raises(DamagedError):
        SnapshotRecord.from_json(record().encode("utf-16"))
    with pytest.raises(DamagedError):
        SnapshotRecord.from_json(DEEP_JSON)
    assert decode_pin(DEEP_JSON) == ""


def test_a_manifest_is_not_believed_about_its_size() -> None:
    """Fourteen bytes that say that they unpack to 4 GiB."""
    frame = bytes.fromhex("28b52ffda0ffffffff010000")
    with pytest.raises(DamagedError):
        decompress(frame, "0" * 32)


def test_private_content_makes_a_tree_private(store: Store, project: Project) -> None:
    snapshot = project.take(store, None)
    tree = decode_tree(store.read_manifest(snapshot.record.tree))
    assert tree.is_private  # it has a secret.txt, which only its owner may read
    assert stat.S_IMODE(os.stat(project.path(b"secret.txt")).st_mode) == 0o600
    os.unlink(project.path(b"secret.txt"))
    snapshot = project.take(store, None)
    assert not decode_tree(store.read_manifest(snapshot.record.tree)).is_private

"""Pieces of a store that are not what they should be: reading them neither hangs nor grows."""

from __future__ import annotations

import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
from storechecks import Project, blob_files

from slurmic_store import (
    DamagedError,
    SnapshotRecord,
    Store,
    StoreError,
    StoreFormatError,
    TreeContent,
    decode_tree,
    digest_of,
    pinned_ids,
    plan_gc,
    read_tree,
    scan_records,
)
from slurmic_store.format.manifest import decode_blobs, decompress
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


@pytest.mark.parametrize(
    "mode", [0x4000 | 0o755, 0x6000, 0x2000, 0x1000, 0xC000, 0, 0x8000 | 0o4555, 0x8000 | 0o222]
)
def test_unknown_kinds_and_bits_in_a_manifest_are_refused(mode: int) -> None:
    with pytest.raises(DamagedError, match="unknown kind or mode"):
        decode_tree(encoded_file(mode))
    with pytest.raises(DamagedError, match="unknown kind or mode"):
        list(decode_blobs(encoded_file(mode)))


def test_targets_without_links_are_refused() -> None:
    decode_tree(encoded_file(0x8000 | 0o444))
    with pytest.raises(DamagedError, match="more or fewer link targets"):
        decode_tree(encoded_file(0x8000 | 0o444, b"x\0"))


def encoded_file(mode: int, targets: bytes = b"") -> bytes:
    """The encoding of a tree with one file of one byte, by FORMAT.md."""
    columns = {
        b"path": b"a\0",
        b"mode": struct.pack("<H", mode),
        b"size": struct.pack("<Q", 1),
        b"blob": digest_of(b"x") + struct.pack("<H", 0o444),
        b"target": targets,
    }
    head = b"slurmic tree 1\n" + struct.pack("<IQ", len(columns), 1)
    sizes = [struct.pack("<8sQ", name, len(data)) for name, data in columns.items()]
    return head + b"".join(sizes) + b"".join(columns.values())


def format_of(folder: Path) -> bytes:
    return (folder / "store" / "FORMAT").read_bytes()


def write_format(folder: Path, content: bytes) -> None:
    (folder / "store" / "FORMAT").chmod(0o644)
    (folder / "store" / "FORMAT").write_bytes(content)


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\r", "\x1c", "\u2028", "\u0085"])
def test_lines_of_format_end_with_a_newline_only(store: Store, tmp_path: Path, end: str) -> None:
    write_format(tmp_path, format_of(tmp_path) + f"comment a{end}format 2\n".encode())
    assert Store.open(tmp_path / "store") == store


def test_unknown_lines_of_format_are_skipped_whatever_they_are(
    store: Store, tmp_path: Path
) -> None:
    write_format(tmp_path, format_of(tmp_path) + b"owner caf\xe9\n")
    assert Store.open(tmp_path / "store") == store


def test_a_newer_format_is_called_newer_whatever_else_it_has(store: Store, tmp_path: Path) -> None:
    write_format(tmp_path, b"slurmic store\nformat 2\ndigest blake3-256\ntime-step 1\n")
    with pytest.raises(StoreFormatError, match="format 2, newer than 1"):
        Store.open(tmp_path / "store")


def test_a_damaged_format_is_not_repeated_in_full(store: Store, tmp_path: Path) -> None:
    write_format(tmp_path, b"slurmic store\nformat x\n" + b"y" * 60_000)
    with pytest.raises(StoreFormatError) as caught:
        Store.open(tmp_path / "store")
    assert len(str(caught.value)) < 500
    (tmp_path / "store" / "FORMAT").unlink()
    (tmp_path / "store" / "FORMAT").symlink_to("nowhere")
    with pytest.raises(StoreError, match="cannot read"):
        Store.open(tmp_path / "store")


def test_a_folder_under_a_blobs_name_is_no_content(
    store: Store, project: Project, tmp_path: Path
) -> None:
    snapshot = project.take(store, tmp_path / "out")
    for path in blob_files(store).values():
        os.unlink(path)
        os.mkdir(path)
    assert snapshot.code_folder is not None
    tree = read_tree(snapshot.record.tree, store)
    content = TreeContent(tree, store, [snapshot.code_folder])
    assert all(content.read(entry) for entry in tree.entries if entry.is_blob)


def test_private_content_makes_a_tree_private(store: Store, project: Project) -> None:
    snapshot = project.take(store, None)
    tree = decode_tree(store.read_manifest(snapshot.record.tree))
    assert tree.is_private  # it has a secret.txt, which only its owner may read
    assert stat.S_IMODE(os.stat(project.path(b"secret.txt")).st_mode) == 0o600
    os.unlink(project.path(b"secret.txt"))
    snapshot = project.take(store, None)
    assert not decode_tree(store.read_manifest(snapshot.record.tree)).is_private

"""FORMAT.md against the code: its examples, and a reader that was written from it alone.

Documents of formats drift. Here every tagged block of the page is taken out of the page itself and
compared with what the code writes; and stores that the code has made are read back by `MiniReader`,
which imports nothing of the engine.
"""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import struct
import time
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from minireader import mini_columns

from slurmic_store import (
    SnapshotRecord,
    Store,
    TreeEntry,
    decode_tree,
    digest_of,
    take_snapshot,
)
from slurmic_store.errors import DamagedError, StoreFormatError
from slurmic_store.format import manifest as manifest_module
from slurmic_store.format import tree as tree_module
from slurmic_store.format.names import blob_name, new_snapshot_id, parse_blob_name
from slurmic_store.format.seals import seal_of
from slurmic_store.pack import staging
from slurmic_store.source import statcache
from slurmic_store.store.pins import pin

PAGE = Path(__file__).parents[3] / "store" / "FORMAT.md"


def example_block(name: str) -> str:
    """The content of the fenced block of FORMAT.md that is tagged ``example=<name>``."""
    pattern = rf"^```\w+ example={re.escape(name)}\n(.*?)^```$"
    found = re.findall(pattern, PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{len(found)} blocks are tagged example={name}"
    return str(found[0])


def undump(block: str) -> bytes:
    """The bytes of a hexdump, checked against its offsets and its column of characters."""
    data = b""
    for line in block.splitlines():
        offset, rest = line.split("  ", 1)
        digits, characters = rest.split("|", 1)
        row = bytes.fromhex(digits)
        assert int(offset, 16) == len(data)
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        assert characters == shown + "|"
        data += row
    return data


def content_of(literal: str) -> bytes:
    value = ast.literal_eval(literal)
    assert isinstance(value, bytes)
    return value


def example_tree() -> list[TreeEntry]:
    entries = []
    for line in example_block("tree").splitlines()[1:]:
        path, kind, mode, literal = re.split(r"\s+", line, maxsplit=3)
        data = content_of(literal)
        target = data if kind == "link" else None
        entry = TreeEntry(path.encode(), int(mode, 8), len(data), digest_of(data), target)
        entries.append(entry)
    return entries


# The examples.


def test_every_tagged_block_is_checked_here() -> None:
    tags = set(re.findall(r"^```\w+ example=(\S+)$", PAGE.read_text("utf-8"), re.MULTILINE))
    used = set(re.findall(r'example_block\("([\w-]+)"\)', Path(__file__).read_text("utf-8")))
    assert tags == used


def test_the_folder_is_as_drawn(tmp_path: Path) -> None:
    names = re.findall(r"^  (\w+)", example_block("folder"), re.MULTILINE)
    store = Store.open(tmp_path / "store")
    assert sorted(os.listdir(tmp_path / "store")) == sorted(names)
    for folder in [store.path, *(os.path.join(store.path, os.fsencode(n)) for n in names)]:
        if os.path.isdir(folder):
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_the_format_file_is_as_shown(tmp_path: Path) -> None:
    Store.open(tmp_path / "store")
    written = (tmp_path / "store" / "FORMAT").read_text("ascii")
    shown = example_block("format")
    # The granularity is the filesystem's; the page shows the usual one.
    assert re.sub(r"ns \d+", "ns 1", written) == shown


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("format 1", "format 2"),
        ("digest xxh3-128", "digest blake3"),
        ("slurmic store", "slurmic shop"),
        ("format 1\n", ""),
    ],
)
def test_a_format_file_that_must_be_refused(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "FORMAT").write_text(example_block("format").replace(old, new))
    with pytest.raises(StoreFormatError):
        Store.open(tmp_path, create=False)


def test_unknown_lines_of_a_format_file_are_skipped(tmp_path: Path) -> None:
    text = example_block("format").replace("permissions kept\n", "colour blue\nlonely\n")
    (tmp_path / "FORMAT").write_text(text)
    store = Store.open(tmp_path, create=False)
    assert (store.granularity, store.keeps_modes) == (1, True)


def test_blob_names_and_seals_are_as_tabled() -> None:
    rows = example_block("blobs").splitlines()[1:]
    assert len(rows) == 3
    for row in rows:
        literal, mode, path, seal = re.fullmatch(r"(b\".*\")\s+(\d+)\s+(\S+)\s+(\d+)", row).groups()  # type: ignore[union-attr]
        digest = digest_of(content_of(literal))
        assert blob_name(digest, int(mode, 8)) == path.encode()
        assert seal_of(digest) == int(seal)
        assert parse_blob_name(os.path.basename(path.encode())) == digest + struct.pack(
            "<H", int(mode, 8)
        )


def test_the_encoding_of_the_example_is_as_dumped() -> None:
    encoded = tree_module.encode_tree(example_tree())
    assert encoded == undump(example_block("tree-encoding"))
    page = PAGE.read_text("utf-8")
    assert f"Its encoding, {len(encoded)} bytes" in page
    assert f"the tree is called `{tree_module.tree_digest(encoded)}`" in page
    for offset, name, length in re.findall(r"(0x\w+) \(`(\w+)`, (\d+)", page):
        assert encoded[int(offset, 16) :].startswith(column(encoded, name))
        assert len(column(encoded, name)) == int(length)
    assert list(decode_tree(encoded).entries) == example_tree()


def test_the_record_is_as_shown() -> None:
    text = example_block("record")
    record = SnapshotRecord.from_json(text)
    assert record.to_json() + "\n" == text
    assert record.anchors[0] == (
        "/scratch/ada/runs/café-".encode() + b"\xff/.slurmic-260314-092653-5897ab"
    )
    assert time.strftime("%y%m%d-%H%M%S", time.gmtime(record.created)) == record.id[:13]
    encoded = undump(example_block("tree-encoding"))
    tree = decode_tree(encoded)
    assert (record.tree, record.files, record.size) == (
        tree_module.tree_digest(encoded),
        len(tree.entries),
        tree.size,
    )
    assert json.loads(text).keys() == {"slurmic_record"} | set(
        re.findall(r"\w+", " ".join(SnapshotRecord.__dataclass_fields__))
    )


def test_records_that_must_be_refused_and_fields_that_must_be_skipped() -> None:
    data = json.loads(example_block("record"))
    assert SnapshotRecord.from_json(json.dumps({**data, "later": [1]})).id == data["id"]
    with pytest.raises(DamagedError, match="newer"):
        SnapshotRecord.from_json(json.dumps({**data, "slurmic_record": 2}))
    for field in data:
        with pytest.raises(DamagedError):
            SnapshotRecord.from_json(json.dumps({k: v for k, v in data.items() if k != field}))


def test_the_pin_is_as_shown(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    shown = json.loads(example_block("pin"))
    (tmp_path / "a").write_text("a")
    snapshot_id = take_snapshot(store, os.fsencode(tmp_path), [b"a"]).record.id
    os.unlink(os.path.join(store.pins, snapshot_id.encode() + b".json"))
    pin(store, snapshot_id, shown["name"])
    with open(os.path.join(store.pins, snapshot_id.encode() + b".json")) as stream:
        written = json.load(stream)
    assert written.keys() == shown.keys()
    assert written["name"] == shown["name"]


def test_the_note_is_as_shown(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    shown = json.loads(example_block("note"))
    snapshot_id = new_snapshot_id(time.time())
    stage = staging.open_staging_folder(store, snapshot_id, os.fsencode(tmp_path))
    assert stage.note == os.path.join(store.tmp, snapshot_id.encode() + b".stage")
    written = json.loads(Path(os.fsdecode(stage.note)).read_text())
    assert list(written) == list(shown)
    for name, value in shown.items():
        assert type(written[name]) is type(value)
    pattern = r"[0-9a-f-]{36} pid:\[\d+\]"
    assert re.fullmatch(pattern, shown["boot"])
    assert re.fullmatch(pattern, written["boot"])


def test_the_index_is_as_dumped(tmp_path: Path) -> None:
    data = undump(example_block("index"))
    columns = statcache._decode(data, b"/src")
    entries = statcache.StatCache(b"", *columns).entries
    assert list(entries) == [b"README.md", b"run.sh"]
    digests = {entry.path: entry.digest for entry in example_tree()}
    assert {path: digest for path, (_, digest) in entries.items()} == {
        path: digests[path] for path in entries
    }
    assert statcache._encode(b"/src", list(zip(*columns, strict=True))) == data
    page = PAGE.read_text("utf-8")
    assert f"below `index/{digest_of(b'/src').hex()}/`" in page
    store = Store.open(tmp_path / "store")
    folder = os.path.join(store.index, digest_of(b"/src").hex().encode())
    os.mkdir(folder)
    with open(os.path.join(folder, b"%020d-%s" % (1, b"ab" * 8)), "wb") as stream:
        stream.write(data)
    assert statcache.StatCache.load(store, b"/src").entries == entries
    assert statcache.known_roots(store) == [b"/src"]


def test_columns_that_nobody_knows_are_skipped_and_the_five_are_needed() -> None:
    encoded = undump(example_block("tree-encoding"))
    names = ("path", "mode", "size", "blob", "target")
    columns = {name: column(encoded, name) for name in names}
    assert assemble(columns, 4) == encoded
    more = assemble({**columns, "colour": b"\0" * 4}, 4)
    assert list(decode_tree(more).entries) == example_tree()
    for name in names:
        fewer = {key: value for key, value in columns.items() if key != name}
        with pytest.raises(DamagedError):
            decode_tree(assemble(fewer, 4))
        with pytest.raises(DamagedError):
            decode_tree(assemble({**columns, name: columns[name][:-1]}, 4))
    with pytest.raises(DamagedError):
        decode_tree(encoded + b"\0")


@pytest.mark.parametrize(
    "paths",
    [
        [b"/etc/passwd"],
        [b"../up"],
        [b"a/../../up"],
        [b"a//b"],
        [b"./a"],
        [b""],
        [b"b", b"a"],
        [b"a", b"a"],
        [b"a", b"a-b", b"a/b"],
    ],
)
def test_paths_that_would_lead_out_of_a_code_folder_are_refused(paths: list[bytes]) -> None:
    entries = [TreeEntry(path, 0o444, 1, digest_of(b"x")) for path in paths]
    with pytest.raises(DamagedError):
        decode_tree(tree_module.encode_tree(entries))


def column(encoded: bytes, name: str) -> bytes:
    (found,) = (data for key, data in mini_columns(encoded)[1].items() if key == name.encode())
    return found


def assemble(columns: dict[str, bytes], count: int) -> bytes:
    head = b"slurmic tree 1\n" + struct.pack("<IQ", len(columns), count)
    table = b"".join(
        struct.pack("<8sQ", name.encode(), len(data)) for name, data in columns.items()
    )
    return head + table + b"".join(columns.values())


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_encoding_is_an_error_of_ours_and_nothing_else(data: st.DataObject) -> None:
    encoded = bytearray(undump(example_block("tree-encoding")))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(encoded) - 1))
        encoded[position] = data.draw(st.integers(0, 255))
    encoded = encoded[: data.draw(st.integers(0, len(encoded)))]
    for decode in (decode_tree, manifest_module.decode_blobs, manifest_module.blob_column):
        try:
            list(getattr(decode(bytes(encoded)), "entries", ()))
        except DamagedError:
            continue


def test_a_manifest_must_hold_the_tree_that_it_is_called() -> None:
    encoded = undump(example_block("tree-encoding"))
    name = tree_module.tree_digest(encoded)
    packed = manifest_module.compress(encoded)
    assert manifest_module.decompress(packed, name) == encoded
    # The level of compression is not part of the format.
    other = zstandard.ZstdCompressor(level=19).compress(encoded)
    assert manifest_module.decompress(other, name) == encoded
    for wrong in (packed[:-3], b"", b"nonsense", manifest_module.compress(encoded + b"x")):
        with pytest.raises(DamagedError):
            manifest_module.decompress(wrong, name)

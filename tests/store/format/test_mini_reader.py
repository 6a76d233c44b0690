"""Any tree that is packed can be read back by a reader from FORMAT.md alone."""

from __future__ import annotations

import json
import os
import stat
import struct
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from minireader import MiniReader, read

from slurmic_store import SnapshotOptions, Store, TreeEntry, decode_tree, digest_of, take_snapshot
from slurmic_store.format import manifest as manifest_module
from slurmic_store.format import tree as tree_module

NAMES = st.one_of(
    st.sampled_from([b"a", b"b", b"\xff\xfe", b"new\nline", b"-rf", b" ", b"caf\xc3\xa9", b"*"]),
    st.binary(min_size=1, max_size=12).filter(
        lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
    ),
)
FILES = st.tuples(st.just("file"), st.binary(max_size=40), st.sampled_from([0o644, 0o755, 0o600]))
LINKS = st.tuples(
    st.just("link"),
    st.binary(min_size=1, max_size=20).filter(lambda target: b"\0" not in target),
    st.just(0),
)
TREES = st.recursive(
    st.one_of(FILES, LINKS), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
).filter(lambda tree: isinstance(tree, dict))


def plant(folder: bytes, tree: dict[bytes, Any]) -> list[bytes]:
    """Make a source tree; the relative paths of its files and links."""
    paths = []
    for name, item in tree.items():
        path = os.path.join(folder, name)
        if isinstance(item, dict):
            os.mkdir(path)
            paths += [os.path.join(name, below) for below in plant(path, item)]
            continue
        kind, content, mode = item
        if kind == "link":
            os.symlink(content, path)
        else:
            with open(path, "wb") as stream:
                stream.write(content)
            os.chmod(path, mode)
        paths.append(name)
    return paths


def planted(folder: bytes, paths: list[bytes]) -> list[tuple[bytes, str, int, bytes]]:
    entries = []
    for path in sorted(paths):
        absolute = os.path.join(folder, path)
        status = os.lstat(absolute)
        if stat.S_ISLNK(status.st_mode):
            entries.append((path, "link", 0, os.readlink(absolute)))
        else:
            content = read(absolute)
            entries.append((path, "file", status.st_mode & 0o555, content))
    return entries


@given(tree=TREES)
@example(tree={})
@example(tree={b"\xff": ("file", b"x", 0o755), b"l": ("link", b"\xff", 0)})
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_reader_from_the_page_alone_restores_what_was_packed(tree: dict[bytes, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(os.fsencode(folder), b"src")
        os.mkdir(root)
        paths = plant(root, tree)
        store = Store.open(Path(folder, "store"))
        output = os.path.join(os.fsencode(folder), b"out-\xff")
        snapshot = take_snapshot(
            store, root, paths, output_folder=output, options=SnapshotOptions(info=lambda: {"a": 1})
        )
        expected = planted(root, paths)

        reader = MiniReader(Path(folder, "store"))
        (record,) = reader.records().values()
        assert record["id"] == snapshot.record.id
        assert record["files"] == len(paths)
        assert record["size"] == sum(len(item[3]) for item in expected if item[1] == "file")
        assert record["info"] == {"a": 1}
        assert reader.tree(record["tree"]) == expected

        # The code folder, the record and the manifest beside it.
        code = output + b"/code"
        assert [os.fsencode(anchor) for anchor in record["anchors"]][-1] == code
        found = []
        for parent, folders, names in os.walk(code):
            links = [n for n in folders if os.path.islink(os.path.join(parent, n))]
            found += [os.path.relpath(os.path.join(parent, n), code) for n in names + links]
        assert sorted(found) == sorted(paths)
        assert planted(code, paths) == expected
        beside = json.loads(read(code + b".json"))
        assert (beside["id"], beside["tree"]) == (record["id"], record["tree"])
        assert [os.fsencode(anchor) for anchor in beside["anchors"]] == [code]
        MiniReader.manifest(read(code + b".tree.zst"), record["tree"])


@given(tree=TREES)
@settings(max_examples=60, deadline=None)
def test_encoding_and_decoding_are_inverse(tree: dict[bytes, Any]) -> None:
    entries: list[TreeEntry] = []

    def collect(prefix: bytes, items: dict[bytes, Any]) -> None:
        for name, item in items.items():
            if isinstance(item, dict):
                collect(prefix + name + b"/", item)
                continue
            kind, content, mode = item
            target = content if kind == "link" else None
            bits = mode & 0o555
            entries.append(TreeEntry(prefix + name, bits, len(content), digest_of(content), target))

    collect(b"", tree)
    entries.sort(key=lambda entry: entry.path)
    encoded = tree_module.encode_tree(entries)
    assert list(decode_tree(encoded).entries) == entries
    blobs = [(e.digest + struct.pack("<H", e.mode), e.size) for e in entries if e.is_blob]
    assert list(manifest_module.decode_blobs(encoded)) == blobs
    assert len(manifest_module.blob_column(encoded)) == 18 * len(entries)

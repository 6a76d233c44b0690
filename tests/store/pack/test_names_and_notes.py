"""Staging notes, the names of blobs, and how a staging folder is removed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storefaults import in_child

from slurmic_store import Store
from slurmic_store.format.digests import blob_key, keys_in, numbers_in, split_key
from slurmic_store.format.names import (
    blob_name,
    column_of_names,
    key_name,
    new_snapshot_id,
    parse_blob_name,
)
from slurmic_store.format.seals import seal_holds, seal_of
from slurmic_store.fs import files as engine_files
from slurmic_store.pack.staging import abandoned_paths, open_staging_folder, read_note

# Staging notes.


def test_notes(tmp_path: Path, store: Store) -> None:
    """A staging folder is abandoned once its process is dead, even if nobody waited for it."""
    out = os.fsencode(tmp_path)
    mine = open_staging_folder(store, new_snapshot_id(time.time()), out)
    assert read_note(mine.note) == (mine.path, "alive")
    theirs = in_child(lambda: open_staging_folder(store, new_snapshot_id(time.time()), out)).detail
    assert read_note(theirs.note) == (theirs.path, "dead")
    abandoned = abandoned_paths(store, 0, time.time())
    assert theirs.path in abandoned
    assert abandoned.index(theirs.path) < abandoned.index(theirs.note)
    assert mine.path not in abandoned
    assert abandoned_paths(store, 3600, time.time()) == []
    child = os.fork()
    if child == 0:
        open_staging_folder(store, "261122-000000-00dead", out)
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # a zombie: dead, but still listed
    found = read_note(os.path.join(store.tmp, b"261122-000000-00dead.stage"))
    os.waitpid(child, 0)
    assert found is not None
    assert found[1] == "dead"


@pytest.mark.parametrize(
    ("change", "owner"),
    [
        ({"host": "elsewhere"}, "unknown"),
        ({"boot": "another"}, "unknown"),
        ({"boot": ""}, "unknown"),
        ({"start": ""}, "unknown"),
        ({"start": "1"}, "dead"),
        ({"pid": 2**22 + 1}, "dead"),
    ],
    ids=str,
)
def test_what_a_note_says_of_its_process(
    tmp_path: Path, store: Store, change: dict[str, object], owner: str
) -> None:
    """Only where it is certain is a process called dead; elsewhere a day must pass."""
    stage = open_staging_folder(store, new_snapshot_id(time.time()), os.fsencode(tmp_path))
    data = json.loads(Path(os.fsdecode(stage.note)).read_bytes())
    os.unlink(stage.note)
    Path(os.fsdecode(stage.note)).write_text(json.dumps({**data, **change}))
    assert read_note(stage.note) == (stage.path, owner)
    days = 2 * 86400
    assert (stage.path in abandoned_paths(store, 0, time.time())) == (owner == "dead")
    assert stage.path in abandoned_paths(store, 0, time.time() + days)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"path": "/etc"}', '{"path": 5}'])
def test_a_torn_or_foreign_note(store: Store, text: str) -> None:
    """A note that says nothing goes after a day; what it may name is not touched."""
    note = Path(os.fsdecode(store.tmp), "261122-000000-aaaaaa.stage")
    note.write_text(text)
    assert read_note(os.fsencode(note)) is None
    assert abandoned_paths(store, 0, time.time()) == []
    assert abandoned_paths(store, 0, time.time() + 2 * 86400) == [os.fsencode(note)]


def test_a_note_never_names_what_is_no_staging_folder(store: Store, tmp_path: Path) -> None:
    """Somebody edits a note: gc must not remove whatever path it says."""
    stage = open_staging_folder(store, new_snapshot_id(time.time()), os.fsencode(tmp_path))
    data = json.loads(Path(os.fsdecode(stage.note)).read_bytes())
    os.unlink(stage.note)
    Path(os.fsdecode(stage.note)).write_text(json.dumps({**data, "path": "/home", "start": "1"}))
    assert read_note(stage.note) is None


# Names and removal.


@given(st.binary(min_size=16, max_size=16), st.integers(0, 0o777))
def test_blob_names(digest: bytes, mode: int) -> None:
    """Key and name say the same; the seal is never what a tool without nanoseconds leaves."""
    mode &= 0o555
    key = blob_key(digest, mode)
    assert split_key(key) == (digest, mode)
    assert key_name(key) == blob_name(digest, mode)
    assert parse_blob_name(os.path.basename(key_name(key))) == key
    seal = seal_of(digest)
    assert 0 < seal < 10**9
    for step in (1, 100, 1000):
        assert seal_holds((5 * 10**9 + seal) // step * step, digest, step)
    assert not seal_holds(5 * 10**9, digest, 1)


@given(st.binary(max_size=40))
def test_other_names_are_no_blobs(name: bytes) -> None:
    """Capitals, spaces, a missing mode: only the canonical spelling names a blob."""
    key = parse_blob_name(name)
    assert key is None or os.path.basename(key_name(key)) == name


@pytest.mark.parametrize("wrong", [b"A" * 32 + b"-444", b"a" * 31 + b" -444", b"a" * 32 + b"-644"])
def test_almost_blob_names(wrong: bytes) -> None:
    """What bytes.fromhex would take is not enough; nor are write permissions a blob's."""
    assert parse_blob_name(wrong) is None


_blob_names = st.builds(
    lambda digest, mode: os.path.basename(blob_name(digest, mode & 0o555)),
    st.binary(min_size=16, max_size=16),
    st.one_of(st.sampled_from([0o444, 0o555]), st.integers(0, 0o777)),
)
_look_alikes = st.one_of(
    _blob_names.map(bytes.upper),
    _blob_names.map(lambda name: name[:31] + b" " + name[32:]),
    _blob_names.map(lambda name: name[:10] + name[32:] + name[14:]),
    _blob_names.map(lambda name: name[:-1]),
    _blob_names.map(lambda name: b"0" + name),
    st.binary(min_size=36, max_size=36),
    st.just(b".slurmic-0123456789abcdef0123456789ab"),
)


@given(st.lists(_blob_names), st.lists(st.one_of(_blob_names, _look_alikes), max_size=4))
def test_names_in_bulk_are_read_as_one_by_one(good: list[bytes], mixed: list[bytes]) -> None:
    """Also where two names together, one too short and one too long, would look like two."""
    for names in (good, mixed, good + mixed):
        expected = [key for key in map(parse_blob_name, names) if key is not None]
        assert list(keys_in(column_of_names(names))) == expected


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 3000])
def test_columns_of_keys_are_taken_apart_whole(count: int) -> None:
    keys = [blob_key(os.urandom(16), 0o444) for _ in range(count)]
    column = b"".join(keys)
    assert list(keys_in(column)) == list(keys_in(memoryview(column))) == keys
    assert list(numbers_in(column)) == [int.from_bytes(key[-8:], "little") for key in keys]


def test_removing_a_tree_never_follows_links(tmp_path: Path) -> None:
    """Where a link stands in for a staging folder, its target was once emptied."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data").write_text("results")
    (tmp_path / "stage").symlink_to("precious")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "precious")
    for name in ("stage", "inside"):
        engine_files.remove_tree(os.fsencode(tmp_path / name))
        assert not os.path.lexists(tmp_path / name)
    assert (tmp_path / "precious" / "data").read_text() == "results"

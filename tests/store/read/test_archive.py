"""Archives: the same bytes for the same tree, unpacked by tar, and safe to import."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmic_store import (
    ArchiveLimits,
    DamagedError,
    Snapshot,
    SourceChangedError,
    Store,
    StoreError,
    Tree,
    TreeContent,
    decode_tree,
    import_archive,
    take_snapshot,
    unpack_archive,
    write_archive,
)

FILES = {
    b"README": (b"hello\n", 0o644),
    b"empty": (b"", 0o644),
    b"run.sh": (b"#!/bin/sh\n" * 2000, 0o755),
    b"private": (b"p", 0o600),
    b"caf\xe9/new\nline/\x1b[31m\xff": (b"x", 0o644),
    b"long/" + b"/".join([b"d" * 60] * 5) + b"/" + b"f" * 200: (b"y" * 513, 0o644),
}
LINKS = {b"link": b"README", b"out": b"../../etc/\xff" + b"t" * 200}


def _write_source(root: Path) -> list[bytes]:
    top = os.fsencode(root)
    for path, (content, mode) in FILES.items():
        os.makedirs(os.path.join(top, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(top, path), "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
    for path, target in LINKS.items():
        os.symlink(target, os.path.join(top, path))
    return sorted([*FILES, *LINKS])


def _exported(store: Store, snapshot: Snapshot, *, compress: bool = True) -> bytes:
    tree = decode_tree(store.read_manifest(snapshot.record.tree))
    out = io.BytesIO()
    write_archive(
        tree, TreeContent(tree, store).open, out, compression="strong" if compress else "none"
    )
    return out.getvalue()


def _import(store: Store, data: bytes, limits: ArchiveLimits | None = None) -> Snapshot:
    return import_archive(store, io.BytesIO(data), name="it.tar.zst", limits=limits)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def snapshot(tmp_path: Path, store: Store) -> Snapshot:
    paths = _write_source(tmp_path / "source")
    return take_snapshot(store, os.fsencode(tmp_path / "source"), paths)


@pytest.mark.parametrize("compress", [True, False])
def test_an_archive_becomes_the_same_snapshot_elsewhere(
    tmp_path: Path, store: Store, snapshot: Snapshot, compress: bool
) -> None:
    data = _exported(store, snapshot, compress=compress)
    other = Store.open(tmp_path / "other")
    imported = _import(other, data)
    assert imported.record.tree == snapshot.record.tree
    assert imported.tree == snapshot.tree
    assert _exported(other, imported, compress=compress) == data, "byte for byte"
    assert os.listdir(other.tmp) == []
    assert os.listdir(other.index) == []


def test_what_nodes_unpack_is_what_import_takes(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    """The archive beside a code folder and the one that is exported are of one format."""
    tree, out = snapshot.tree, io.BytesIO()
    write_archive(tree, TreeContent(tree, store).open, out, compression="fast")
    assert _import(Store.open(tmp_path / "other"), out.getvalue()).tree == tree
    folder = tmp_path / "node"
    folder.mkdir()
    exported = io.BytesIO(_exported(store, snapshot))
    assert unpack_archive(exported, os.fsencode(folder), name="it") == tree
    for entry in tree.entries:
        status = os.lstat(os.path.join(os.fsencode(folder), entry.path))
        assert entry.target is not None or stat.S_IMODE(status.st_mode) == entry.mode


def test_time_owner_and_place_of_the_source_do_not_matter(
    tmp_path: Path, store: Store, snapshot: Snapshot
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "source", copy, symlinks=True)
    os.utime(copy / "README", (1, 1))
    (copy / "README").chmod(0o666)
    other = Store.open(tmp_path / "other")
    again = take_snapshot(other, os.fsencode(copy), sorted([*FILES, *LINKS]))
    assert _exported(other, again) == _exported(store, snapshot)


def test_tar_unpacks_it(tmp_path: Path, store: Store, snapshot: Snapshot) -> None:
    (tmp_path / "it.tar").write_bytes(_exported(store, snapshot, compress=False))
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        ["tar", "-C", str(tmp_path / "out"), "--no-same-owner", "-xf", str(tmp_path / "it.tar")],
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    top = os.fsencode(tmp_path / "out" / "code")
    for path, (content, mode) in FILES.items():
        with open(os.path.join(top, path), "rb") as stream:
            assert stream.read() == content
            assert os.fstat(stream.fileno()).st_mode & 0o755 == (mode | 0o200) & 0o755
    assert {path: os.readlink(os.path.join(top, path)) for path in LINKS} == LINKS


def test_a_tree_that_changes_while_it_is_written_is_no_archive(
    store: Store, snapshot: Snapshot
) -> None:
    for content in (b"", b"hellO\n", b"hello\n\n"):
        with pytest.raises(SourceChangedError, match="README"):
            write_archive(
                Tree(tuple(e for e in snapshot.tree.entries if e.path == b"README")),
                lambda entry, content=content: io.BytesIO(content),  # type: ignore[misc]
                io.BytesIO(),
            )


def _changed(data: bytes, change: Callable[[tarfile.TarInfo], None]) -> bytes:
    """The same plain tar, with one member's head changed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        out.write(tarfile.TarInfo.create_pax_global_header(dict(tar.pax_headers)))
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as new:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if member.name == "code/README":
                    change(member)
                    if member.size != 6:
                        content = io.BytesIO(b"h" * member.size)
                new.addfile(member, content)
    return out.getvalue()


def _named(name: str) -> Callable[[tarfile.TarInfo], None]:
    def change(member: tarfile.TarInfo) -> None:
        member.name = name

    return change


def _typed(kind: bytes, target: str = "") -> Callable[[tarfile.TarInfo], None]:
    def change(member: tarfile.TarInfo) -> None:
        member.type, member.size, member.linkname = kind, 0, target

    return change


def _with_mode(mode: int) -> Callable[[tarfile.TarInfo], None]:
    def change(member: tarfile.TarInfo) -> None:
        member.mode = mode

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_named("/etc/passwd"), "not below"),
        (_named("code/../../x"), "not below"),
        (_named("code/a/../../x"), "not below"),
        (_named("../x"), "not below"),
        (_named("code"), "not below"),
        (_named("other/README"), "not below"),
        (_named("code//README"), "not below"),
        (_named("code/./README"), "not below"),
        (_named("code/empty"), "twice"),
        (_named("code/long"), "twice|both"),
        (_named("code/empty/x"), "twice|both"),
        (_named("code/link/x"), "twice|both"),
        (_named("code/" + "d/" * 300 + "x"), "deep"),
        (_named("code/RENAMED"), "has been changed"),
        (_with_mode(0o755), "has been changed"),
        (_with_mode(0o044), "its owner may not read"),
        (_typed(tarfile.LNKTYPE, "/etc/passwd"), "is not a file"),
        (_typed(tarfile.CHRTYPE), "is not a file"),
        (_typed(tarfile.BLKTYPE), "is not a file"),
        (_typed(tarfile.FIFOTYPE), "is not a file"),
        (_typed(tarfile.SYMTYPE, "/etc/passwd"), "has been changed"),
        (_typed(tarfile.DIRTYPE), "has been changed"),
    ],
)
def test_an_archive_that_was_made_to_do_harm_is_refused(
    tmp_path: Path,
    store: Store,
    snapshot: Snapshot,
    change: Callable[[tarfile.TarInfo], None],
    message: str,
) -> None:
    other = Store.open(tmp_path / "other")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DamagedError, match=message):
        _import(other, _changed(_exported(store, snapshot, compress=False), change))
    assert sorted(tmp_path.rglob("*")) == before, "something was left"


def test_what_is_no_archive_of_ours_is_refused(tmp_path: Path, store: Store) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("code/x"))
    comment = tarfile.TarInfo.create_pax_global_header({"comment": "slurmic tree " + "0" * 32})
    huge = tarfile.TarInfo("././@LongLink")
    huge.type, huge.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    compress = zstandard.compress
    for data in (
        b"",
        b"\0" * 10240,
        b"hello",
        os.urandom(4096),
        plain.getvalue(),
        compress(b""),
        compress(plain.getvalue()),
        zstandard.FRAME_HEADER + b"torn",
        comment,
        comment + plain.getvalue(),
        comment + huge.tobuf() + b"x" * 4096,
    ):
        with pytest.raises(DamagedError, match=r"it\.tar\.zst"):
            _import(store, data)
    assert os.listdir(store.tmp) == []


def test_a_torn_archive_is_refused(store: Store, snapshot: Snapshot) -> None:
    for compress in (True, False):
        data = _exported(store, snapshot, compress=compress)
        for length in (1, len(data) // 3, len(data) // 2):
            with pytest.raises(DamagedError):
                _import(store, data[:length])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), bit=st.integers(0, 7), compress=st.booleans())
def test_a_flipped_bit_is_found_or_does_not_matter(
    store: Store, snapshot: Snapshot, place: float, bit: int, compress: bool
) -> None:
    data = bytearray(_exported(store, snapshot, compress=compress))
    data[int(place * (len(data) - 1))] ^= 1 << bit
    try:
        imported = _import(store, bytes(data))
    except StoreError:
        return
    assert imported.record.tree == snapshot.record.tree


def test_limits(store: Store, snapshot: Snapshot) -> None:
    """A small archive can hold terabytes of zeros."""
    data = _exported(store, snapshot)
    count, size = len(snapshot.tree.entries), snapshot.tree.size
    _import(store, data, ArchiveLimits(count, size))
    with pytest.raises(StoreError, match=f"more than {count - 1} files"):
        _import(store, data, ArchiveLimits(files=count - 1))
    with pytest.raises(StoreError, match="bytes"):
        _import(store, data, ArchiveLimits(size=size - 1))

    def grow(member: tarfile.TarInfo) -> None:
        member.size = 50_000_000

    bomb = zstandard.compress(_changed(_exported(store, snapshot, compress=False), grow))
    with pytest.raises(StoreError, match="more than 1,000,000 bytes"):
        _import(store, bomb, ArchiveLimits(size=1_000_000))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (tarfile.GNUTYPE_LONGNAME, bytes(512)),
        (tarfile.XHDTYPE, b"12 a=bcdefg\n"),
        (tarfile.XGLTYPE, b"49 comment=slurmic tree " + b"0" * 24 + b"\n"),
    ],
    ids=["long name", "extended", "global"],
)
def test_heads_that_announce_heads_without_end(store: Store, kind: bytes, body: bytes) -> None:
    """tarfile calls itself for each of them."""
    head = tarfile.TarInfo("p")
    head.type, head.size = kind, len(body)
    one = head.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)
    last = tarfile.TarInfo("p").tobuf(tarfile.USTAR_FORMAT)
    archive = io.BytesIO(one * 2000 + last + bytes(1024))
    with pytest.raises(DamagedError):
        import_archive(store, archive, name="x.tar")

"""Archives: a tree as one file, to be kept or sent, that ``tar`` unpacks.

An archive is a tar of one folder, ``code/``, compressed with zstandard (or not). Its bytes depend
on the tree alone: members stand in the tree's order, and owner, times and names of users are fixed.
(The compressed form depends on the version of the zstandard library besides.) A comment in the head
names the tree, so that it can be told whether what was unpacked is what was packed.

What is read comes from elsewhere and is trusted in nothing. A member may only be a file, a symbolic
link or a folder below ``code/``; no name comes twice, none lies below a file or a link, so nothing
is ever written through a link; and what is unpacked is counted while it comes. Where a link points
to is content like any other: it is not followed here.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO

import zstandard

from slurmic_store.errors import DamagedError, SourceChangedError, StoreError, os_failure, quoted
from slurmic_store.format.digests import EMPTY, PERMISSIONS, digest_of, hasher
from slurmic_store.format.names import random_name
from slurmic_store.format.tree import Tree, TreeEntry
from slurmic_store.fs import files
from slurmic_store.fs.creating import write_all
from slurmic_store.pack.snapshot import Snapshot, take_snapshot
from slurmic_store.store.store import Store

TOP = b"code/"
"""The folder that everything in an archive lies in."""

_COMMENT = "slurmic tree "

_TIME = 315532800
"""1980-01-01: the time of all members. There are tools that cannot write an earlier one."""

_LEVEL = 10
_MAX_WINDOW = 1 << 27
"""What ``zstd -d`` takes by default, too (bytes)."""

_CHUNK = 1 << 20
_MAX_HEADER = 1 << 16
"""Longer names and comments than this are nobody's (bytes)."""

_MAX_DEPTH = 256
"""So many components of a path are nobody's either."""


def write_archive(
    tree: Tree,
    open_file: Callable[[TreeEntry], BinaryIO],
    out: IO[bytes],
    *,
    compress: bool = True,
) -> None:
    """Write the archive of a tree, a piece at a time.

    Args:
        tree: the tree.
        open_file: opens a file of it.
        out: where to; stays open.
        compress: as zstandard; else plain tar.

    Raises:
        StoreError: a content cannot be had, or is not what the tree says; what has been written
            by then is no archive.
        OSError: `out` cannot be written.
    """
    if not compress:
        _write_tar(tree, open_file, out)
        return
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with compressor.stream_writer(out, closefd=False) as compressed:
        _write_tar(tree, open_file, compressed)


def _write_tar(tree: Tree, open_file: Callable[[TreeEntry], BinaryIO], out: IO[bytes]) -> None:
    head = tarfile.TarInfo.create_pax_global_header({"comment": _COMMENT + tree.name})
    out.write(head)
    written = len(head)
    for entry in tree.entries:
        header = _header(entry)
        out.write(header)
        written += len(header)
        if entry.is_blob:
            with open_file(entry) as content:
                _copy(entry, content, out)
            padding = -entry.size % tarfile.BLOCKSIZE
            out.write(b"\0" * padding)
            written += entry.size + padding
    end = 2 * tarfile.BLOCKSIZE
    out.write(b"\0" * (end + -(written + end) % tarfile.RECORDSIZE))


def _header(entry: TreeEntry) -> bytes:
    member = tarfile.TarInfo((TOP + entry.path).decode("utf-8", "surrogateescape"))
    member.mtime = _TIME
    if entry.target is not None:
        member.type = tarfile.SYMTYPE
        member.mode = 0o777
        member.linkname = entry.target.decode("utf-8", "surrogateescape")
    else:
        # Writable by its owner: whoever unpacks it wants to work with it. The write bits are no
        # part of a tree, so it comes out the same when it is read again.
        member.mode = entry.mode | 0o200
        member.size = entry.size
    # GNU's format takes names of any bytes and any length; pax would have to declare them.
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _copy(entry: TreeEntry, content: BinaryIO, out: IO[bytes]) -> None:
    digest, left = hasher(), entry.size
    while left and (data := content.read(min(left, _CHUNK))):
        digest.update(data)
        out.write(data)
        left -= len(data)
    if left or content.read(1) or digest.digest() != entry.digest:
        raise SourceChangedError(
            f"{quoted(entry.path)} changed while it was read",
            path=entry.path,
            hint="nothing was written; try again when nobody writes to it",
        )


@dataclass(frozen=True)
class ArchiveLimits:
    """How much may come out of an archive.

    Attributes:
        files: number of members; 0 for any.
        size: bytes when unpacked; 0 for any.
    """

    files: int = 0
    size: int = 0


def import_archive(
    store: Store,
    archive: IO[bytes],
    *,
    name: str,
    pin_name: str = "",
    info: Callable[[], dict[str, Any]] = dict,
    limits: ArchiveLimits | None = None,
) -> Snapshot:
    """Store the tree in an archive, as a snapshot that is pinned.

    Args:
        store: must belong to this user.
        archive: what :func:`write_archive` has written.
        name: what to call it in messages.
        pin_name: label of the pin.
        info: what the record shall remember besides.
        limits: how much may come out of it; None for no limits.

    Raises:
        DamagedError: it is no such archive, or damaged, or made to do harm.
        StoreError: it is too large, or the store cannot be written to.

    After any of these errors nothing is left in the store.
    """
    store.require_owner()
    stage = os.path.join(store.tmp, random_name(b".d"))
    try:
        files.make_folder(stage, 0o700)
        unpacking = _Unpacking(name, stage, limits or ArchiveLimits())
        unpacking.run(archive)
        paths = sorted(unpacking.entries)
        return take_snapshot(store, stage, paths, pin_name=pin_name, info=info)
    except OSError as error:
        raise os_failure("unpack into", error.filename or stage, error) from error
    finally:
        with contextlib.suppress(OSError):
            files.remove_tree(stage)


class _Member(tarfile.TarInfo):
    """A member whose head cannot be made to fill the memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        # The hook that tarfile has for subclasses. Heads of this kind are read in one piece.
        if self.type in _READ_WHOLE and self.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a name or comment of {self.size} bytes")
        member: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return member


_READ_WHOLE = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE),
    tarfile.SOLARIS_XHDTYPE,
)


@dataclass
class _Unpacking:
    """One archive that is unpacked into an empty folder of ours."""

    name: str
    folder: bytes
    limits: ArchiveLimits
    entries: dict[bytes, TreeEntry] = field(default_factory=dict)
    folders: set[bytes] = field(default_factory=set)
    members: int = 0
    size: int = 0

    def run(self, archive: IO[bytes]) -> None:
        tree = ""
        try:
            with (
                _decompressed(archive) as stream,
                tarfile.open(
                    fileobj=stream,
                    mode="r|",
                    tarinfo=_Member,
                    encoding="utf-8",
                    errors="surrogateescape",
                ) as tar,
            ):
                for member in tar:
                    tree = tree or tar.pax_headers.get("comment", "")
                    self._check_head(tree)
                    self._unpack(tar, member)
        except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError) as error:
            raise self._bad(f"does not read back: {error}") from error
        self._check_head(tree)
        found = Tree(tuple(self.entries[path] for path in sorted(self.entries)))
        if found.name != tree[len(_COMMENT) :]:
            raise self._bad("does not hold what it held when it was made: it has been changed")

    def _check_head(self, comment: str) -> None:
        if not comment.startswith(_COMMENT):
            raise self._bad("was not made by 'slurmic export'")

    def _unpack(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._path_of(member)
        self.members += 1
        if self.limits.files and self.members > self.limits.files:
            raise self._too_large(f"{self.limits.files:,} files")
        if member.isdir():
            self._add_folder(path)
            return
        if not path or path in self.entries or path in self.folders:
            raise self._bad(f"has {quoted(path)} twice")
        self._add_folder(os.path.dirname(path))
        absolute = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(absolute), 0o700, exist_ok=True)
        if member.issym():
            target = member.linkname.encode("utf-8", "surrogateescape")
            os.symlink(target, absolute)
            self.entries[path] = TreeEntry(path, 0, len(target), digest_of(target), target)
        elif member.isreg() and not member.issparse() and member.size >= 0:
            # Asked of the head first: a file that will not fit is not begun.
            self.size += member.size
            if self.limits.size and self.size > self.limits.size:
                raise self._too_large(f"{self.limits.size:,} bytes")
            content = tar.extractfile(member)
            assert content is not None
            self.entries[path] = self._write(path, absolute, member, content)
        else:
            raise self._bad(f"has {quoted(path)}, which is no file, no symbolic link, no folder")

    def _path_of(self, member: tarfile.TarInfo) -> bytes:
        name = member.name.encode("utf-8", "surrogateescape")
        if name == TOP.rstrip(b"/") and member.isdir():
            return b""
        parts = name.split(b"/")
        if not name.startswith(TOP) or {b"", b".", b".."} & set(parts) or b"\0" in name:
            raise self._bad(f"names {quoted(name)}, which is not below {quoted(TOP)}")
        if len(parts) > _MAX_DEPTH:
            raise self._bad(f"has folders in folders, more than {_MAX_DEPTH} deep")
        return name[len(TOP) :]

    def _add_folder(self, path: bytes) -> None:
        while path:
            if path in self.entries:
                raise self._bad(f"has {quoted(path)} both as a file and as a folder")
            self.folders.add(path)
            path = os.path.dirname(path)

    def _write(
        self, path: bytes, absolute: bytes, member: tarfile.TarInfo, content: IO[bytes]
    ) -> TreeEntry:
        mode = member.mode & PERMISSIONS
        if not mode & 0o400:
            raise self._bad(f"has {quoted(path)}, which nobody may read")
        digest = hasher()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(absolute, flags, 0o600)
        try:
            left = member.size
            while left and (data := content.read(min(left, _CHUNK))):
                digest.update(data)
                write_all(descriptor, data)
                left -= len(data)
            if left:
                raise self._bad("ends too early")
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        return TreeEntry(path, mode, member.size, digest.digest() if member.size else EMPTY)

    def _bad(self, what: str) -> DamagedError:
        return DamagedError(f"archive {quoted(self.name)} {what}", hint="nothing of it was stored")

    def _too_large(self, limit: str) -> StoreError:
        return StoreError(
            f"archive {quoted(self.name)} holds more than {limit}",
            hint="nothing of it was stored; if you trust it, raise the limit",
        )


@contextlib.contextmanager
def _decompressed(archive: IO[bytes]) -> Iterator[IO[bytes]]:
    """The tar in an archive, by what its first bytes say it is."""
    reader = io.BufferedReader(_Raw(archive), _CHUNK)
    if reader.peek(4)[:4] != zstandard.FRAME_HEADER:
        yield reader
        return
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    with decompressor.stream_reader(reader, read_across_frames=True, closefd=False) as stream:
        yield stream


class _Raw(io.RawIOBase):
    """What a BufferedReader reads from: also of a pipe, which cannot be read twice."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

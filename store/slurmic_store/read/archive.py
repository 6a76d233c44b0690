"""Archives: a tree as one file, to be kept or sent, that ``tar`` unpacks.

An archive is a tar of one folder, ``code/``, compressed with zstandard (or not). Its bytes depend
on the tree alone: members stand in the tree's order, and owner, times and names of users are fixed.
(The compressed form also depends on the level and on the version of the zstandard library.) A
comment in the head names the tree, so that it can be told whether what was unpacked is what was
packed. There is one format for all purposes: what ``slurmic export`` writes, what ``slurmic
import`` reads, and what nodes unpack (``code.tar.zst`` beside a code folder).

A reader trusts nothing in it: an archive may come from elsewhere. A member may only be a file, a
symbolic link or a folder below ``code/``; no name comes twice, none lies below a file or a link, so
nothing is ever written through a link; and what is unpacked is counted while it comes. Where a link
points to is content like any other: it is not followed here.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, Literal, cast

import zstandard

from slurmic_store.errors import DamagedError, StoreError, failed_path, os_failure, quoted
from slurmic_store.format.digests import EMPTY, PERMISSIONS, digest_of, hasher
from slurmic_store.format.tree import Tree, TreeEntry
from slurmic_store.fs import files
from slurmic_store.fs.creating import creating
from slurmic_store.pack.filler import FolderWriter, Output, copy_content
from slurmic_store.pack.snapshot import Snapshot, SnapshotOptions, take_snapshot
from slurmic_store.store.store import Store

TOP = b"code/"
"""The folder that everything in an archive lies in."""

_COMMENT = "slurmic tree "

_TIME = 315532800
"""1980-01-01: the time of all members. There are tools that cannot write an earlier one."""

Compression = Literal["strong", "fast", "none"]
"""How an archive is compressed: to be kept, to be read soon, or not at all."""

_LEVELS = {"strong": 10, "fast": 3}
"""Levels of zstandard."""

_MAX_WINDOW = 1 << 27
"""What ``zstd -d`` takes by default, too (bytes)."""

_CHUNK = 1 << 20
_MAX_HEADER = 1 << 16
"""Longer names and comments are refused (bytes)."""

_MAX_DEPTH = 256
"""Paths of more components are refused."""


def write_archive(
    tree: Tree,
    open_file: Callable[[TreeEntry], BinaryIO],
    out: Output,
    *,
    compression: Compression = "strong",
) -> None:
    """Write the archive of a tree, a piece at a time.

    Args:
        tree: the tree.
        open_file: opens a file of it.
        out: where to; stays open.
        compression: how it is compressed.

    Raises:
        StoreError: the content of a file is lost, or is not what the tree says; what has been
            written by then is not an archive.
        OSError: `out` cannot be written.
    """
    if compression == "none":
        _write_tar(tree, open_file, out)
        return
    compressor = zstandard.ZstdCompressor(level=_LEVELS[compression], write_checksum=True)
    with compressor.stream_writer(cast(IO[bytes], out), closefd=False) as compressed:
        _write_tar(tree, open_file, compressed)


def _write_tar(tree: Tree, open_file: Callable[[TreeEntry], BinaryIO], out: Output) -> None:
    head = tarfile.TarInfo.create_pax_global_header({"comment": _COMMENT + tree.name})
    out.write(head)
    written = len(head)
    for entry in tree.entries:
        header = _header(entry)
        out.write(header)
        written += len(header)
        if entry.is_blob:
            with open_file(entry) as content:
                copy_content(entry, content, out)
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
        # Writable by its owner, who unpacks it to work with it. The write bits are not part of a
        # tree, so it comes out the same when it is read again.
        member.mode = entry.mode | 0o200
        member.size = entry.size
    # GNU's format takes names of any bytes and any length; pax would have to declare them.
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


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
        info: what else the record is to hold.
        limits: how much may come out of it; None for no limits.

    Raises:
        DamagedError: it is not an archive of this kind, or damaged, or made to do harm.
        StoreError: it is too large, or the store cannot be written to.

    After any of these errors nothing is left in the store.
    """
    store.require_owner()
    stage = store.temporary_path(b".d")
    try:
        files.make_folder(stage, 0o700)
        tree = unpack_archive(archive, stage, name=name, limits=limits)
        paths = [entry.path for entry in tree.entries]
        return take_snapshot(
            store, stage, paths, options=SnapshotOptions(pin_name=pin_name, info=info)
        )
    except OSError as error:
        raise os_failure("unpack into", failed_path(error, stage), error) from error
    finally:
        with contextlib.suppress(OSError):
            files.remove_tree(stage)


def unpack_archive(
    archive: IO[bytes], folder: bytes, *, name: str, limits: ArchiveLimits | None = None
) -> Tree:
    """Unpack an archive into a folder, as read-only files.

    Args:
        archive: what :func:`write_archive` has written.
        folder: absolute path of an empty folder that no other process writes to.
        name: what to call the archive in messages.
        limits: how much may come out of it; None for no limits.

    Returns:
        The tree, which is the one that was packed.

    Raises:
        DamagedError: it is not an archive of this kind, or damaged, or made to do harm.
        StoreError: it is too large.
        OSError: the folder cannot be written to.

    After any of these errors the folder holds some of the files.
    """
    with FolderWriter(folder) as writer:
        return _Unpacking(name, writer, limits or ArchiveLimits()).run(archive)


class _Member(tarfile.TarInfo):
    """A member whose head cannot fill the memory."""

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
    """One archive that is being unpacked."""

    name: str
    writer: FolderWriter
    limits: ArchiveLimits
    entries: dict[bytes, TreeEntry] = field(default_factory=dict)
    folders: set[bytes] = field(default_factory=set)
    members: int = 0
    size: int = 0

    def run(self, archive: IO[bytes]) -> Tree:
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
        except RecursionError as error:
            # tarfile calls itself for each head that announces another one.
            raise self._bad("has hundreds of heads behind each other") from error
        except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError) as error:
            raise self._bad(f"does not read back: {error}") from error
        self._check_head(tree)
        found = Tree(tuple(self.entries[path] for path in sorted(self.entries)))
        if found.name != tree[len(_COMMENT) :]:
            raise self._bad("does not hold what it held when it was made: it has been changed")
        return found

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
        self.writer.make_folders([path])
        if member.issym():
            target = member.linkname.encode("utf-8", "surrogateescape")
            self.writer.make_link(path, target)
            self.entries[path] = TreeEntry(path, 0, len(target), digest_of(target), target)
        elif member.isreg() and not member.issparse() and member.size >= 0:
            # Asked of the head first: a file that will not fit is not begun.
            self.size += member.size
            if self.limits.size and self.size > self.limits.size:
                raise self._too_large(f"{self.limits.size:,} bytes")
            content = tar.extractfile(member)
            assert content is not None
            self.entries[path] = self._write(path, member, content)
        else:
            raise self._bad(f"has {quoted(path)}, which is not a file, a symbolic link or a folder")

    def _path_of(self, member: tarfile.TarInfo) -> bytes:
        name = member.name.encode("utf-8", "surrogateescape")
        if name == TOP.rstrip(b"/") and member.isdir():
            return b""
        parts = name.split(b"/")
        if not name.startswith(TOP) or {b"", b".", b".."} & set(parts) or b"\0" in name:
            raise self._bad(f"names {quoted(name)}, which is not below {quoted(TOP)}")
        if len(parts) > _MAX_DEPTH:
            raise self._bad(f"has folders nested more than {_MAX_DEPTH} deep")
        return name[len(TOP) :]

    def _add_folder(self, path: bytes) -> None:
        while path:
            if path in self.entries:
                raise self._bad(f"has {quoted(path)} both as a file and as a folder")
            self.folders.add(path)
            path = os.path.dirname(path)

    def _write(self, path: bytes, member: tarfile.TarInfo, content: IO[bytes]) -> TreeEntry:
        mode = member.mode & PERMISSIONS
        if not mode & 0o400:
            raise self._bad(f"has {quoted(path)}, which its owner may not read")
        digest = hasher()
        with creating(self.writer.path(path), mode=mode) as file:
            left = member.size
            while left and (data := content.read(min(left, _CHUNK))):
                digest.update(data)
                file.write(data)
                left -= len(data)
            if left:
                raise self._bad("ends too early")
        return TreeEntry(path, mode, member.size, digest.digest() if member.size else EMPTY)

    def _bad(self, what: str) -> DamagedError:
        return DamagedError(f"archive {quoted(self.name)} {what}", hint="nothing of it was kept")

    def _too_large(self, limit: str) -> StoreError:
        return StoreError(
            f"archive {quoted(self.name)} holds more than {limit}",
            hint="nothing of it was kept; if you trust it, raise the limit",
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
    """What a BufferedReader reads from; it may be a pipe, which cannot be read twice."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

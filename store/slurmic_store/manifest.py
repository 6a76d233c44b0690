"""Trees, and the manifest: a tree's stored form.

A **tree** is the list of all files of one packed source tree, named by the digest of its canonical
encoding: equal trees have equal names. The encoding keeps columns rather than rows, so that the
blob keys of a million entries can be read without building a million objects. ``FORMAT.md`` has it
to the byte.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import zstandard

from .digests import KEY_SIZE, blob_key, digest_of, keys_in
from .errors import DamagedError

MAGIC = b"slurmic tree 1\n"

_HEADER = struct.Struct("<IQ")  # number of columns, number of entries
_COLUMN = struct.Struct("<8sQ")  # name, length in bytes

_COMPRESSION_LEVEL = 3
_MAX_BYTES = 1 << 32
"""A manifest that says it is larger than this when unpacked is not read (bytes)."""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a tree.

    Attributes:
        path: relative to the root of the tree, ``/`` between components, raw bytes.
        mode: the permission bits (read and execute only) for a file; 0 for a symbolic link.
        size: bytes of content, or of the link's target.
        digest: of the content, or of the link's target: 16 bytes.
        target: where a symbolic link points to, raw bytes; None for a file.
    """

    path: bytes
    mode: int
    size: int
    digest: bytes
    target: bytes | None = None

    @property
    def is_blob(self) -> bool:
        """Whether the content lies in the store: links and empty files have no blob."""
        return self.target is None and self.size > 0


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one packed source tree, sorted by the bytes of their paths."""

    entries: tuple[TreeEntry, ...]

    @property
    def name(self) -> str:
        """The digest of its canonical encoding: 32 hexadecimal digits. Encodes the tree."""
        return tree_digest(encode_tree(self.entries))

    @property
    def size(self) -> int:
        """Bytes of content of all files."""
        return sum(entry.size for entry in self.entries if entry.target is None)


def encode_tree(entries: Sequence[TreeEntry]) -> bytes:
    """The canonical encoding of a tree; its digest is the tree's name.

    Args:
        entries: sorted by path, no path twice, no path that lies below another.
    """
    columns = (
        (b"path", b"".join(entry.path + b"\0" for entry in entries)),
        (
            b"mode",
            struct.pack(
                f"<{len(entries)}H",
                *(
                    (stat.S_IFLNK if entry.target is not None else stat.S_IFREG) | entry.mode
                    for entry in entries
                ),
            ),
        ),
        (b"size", struct.pack(f"<{len(entries)}Q", *(entry.size for entry in entries))),
        (b"blob", b"".join(blob_key(entry.digest, entry.mode) for entry in entries)),
        (b"target", b"".join(e.target + b"\0" for e in entries if e.target is not None)),
    )
    head = _HEADER.pack(len(columns), len(entries))
    directory = b"".join(_COLUMN.pack(name, len(data)) for name, data in columns)
    return b"".join((MAGIC, head, directory, *(data for _, data in columns)))


def tree_digest(encoded: bytes) -> str:
    """The name of the tree with this canonical encoding: 32 hexadecimal digits."""
    return digest_of(encoded).hex()


def compress(encoded: bytes) -> bytes:
    """The manifest: the encoding as one zstandard frame that states its size."""
    return zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL, write_content_size=True).compress(
        encoded
    )


def decompress(manifest: bytes, digest: str) -> bytes:
    """The canonical encoding in a manifest.

    Args:
        manifest: the content of a file in ``trees/``, or of a ``code.tree.zst``.
        digest: the tree's name, which the encoding must have.

    Raises:
        DamagedError: it does not unpack, or is another tree.
    """
    try:
        if zstandard.frame_content_size(manifest) > _MAX_BYTES:
            raise DamagedError(f"manifest of tree '{digest}' states an absurd size", digest=digest)
        encoded = zstandard.ZstdDecompressor().decompress(manifest)
    except zstandard.ZstdError as error:
        raise DamagedError(
            f"manifest of tree '{digest}' does not unpack: {error}", digest=digest
        ) from error
    if tree_digest(encoded) != digest:
        raise DamagedError(f"manifest of tree '{digest}' holds other content", digest=digest)
    return encoded


def _columns(encoded: bytes) -> tuple[int, dict[bytes, memoryview]]:
    """The number of entries and the columns by name; columns that nobody knows included."""
    offset = len(MAGIC)
    if encoded[:offset] != MAGIC:
        raise DamagedError("manifest has no or a newer head line")
    try:
        count_columns, count = _HEADER.unpack_from(encoded, offset)
        offset += _HEADER.size
        sizes = []
        for _ in range(count_columns):
            name, length = _COLUMN.unpack_from(encoded, offset)
            sizes.append((name.rstrip(b"\0"), length))
            offset += _COLUMN.size
    except struct.error as error:
        raise DamagedError("manifest ends within its head") from error
    starts = accumulate((length for _, length in sizes), initial=offset)
    view = memoryview(encoded)
    columns = {
        name: view[start : start + length]
        for (name, length), start in zip(sizes, starts, strict=False)
    }
    if offset + sum(length for _, length in sizes) != len(encoded):
        raise DamagedError("manifest is longer or shorter than its head says")
    return count, columns


def blob_column(encoded: bytes) -> memoryview:
    """The keys of all entries, one behind the other; :func:`keys_in` takes them apart.

    Symbolic links and empty files are among them, with keys that no blob in a store has.

    Raises:
        DamagedError: the column is missing or torn.
    """
    count, columns = _columns(encoded)
    column = columns.get(b"blob")
    if column is None or len(column) != count * KEY_SIZE:
        raise DamagedError("manifest has a missing or torn blob column")
    return column


def decode_blobs(encoded: bytes) -> Iterator[tuple[bytes, int]]:
    """Key and size in bytes of every entry that has a blob: no links, no empty files.

    Raises:
        DamagedError: a column is missing or torn.
    """
    count, columns = _columns(encoded)
    try:
        modes = struct.unpack(f"<{count}H", columns[b"mode"])
        sizes = struct.unpack(f"<{count}Q", columns[b"size"])
        keys = list(keys_in(columns[b"blob"]))
    except (KeyError, struct.error) as error:
        raise DamagedError(f"manifest has a missing or torn column: {error}") from error
    if len(keys) != count:
        raise DamagedError("manifest has columns of different lengths")
    return (
        (key, size)
        for key, size, mode in zip(keys, sizes, modes, strict=True)
        if size and not stat.S_ISLNK(mode)
    )


def decode_tree(encoded: bytes) -> Tree:
    """The tree in a canonical encoding.

    Raises:
        DamagedError: the columns do not fit together.
    """
    count, columns = _columns(encoded)
    try:
        paths = bytes(columns[b"path"]).split(b"\0")[:-1]
        modes = struct.unpack(f"<{count}H", columns[b"mode"])
        sizes = struct.unpack(f"<{count}Q", columns[b"size"])
        keys = list(keys_in(columns[b"blob"]))
        targets = iter(bytes(columns[b"target"]).split(b"\0")[:-1])
    except (KeyError, struct.error) as error:
        raise DamagedError(f"manifest has a missing or torn column: {error}") from error
    if not len(paths) == len(keys) == count:
        raise DamagedError("manifest has columns of different lengths")
    try:
        entries = tuple(
            TreeEntry(
                path,
                mode & 0o777,
                size,
                key[:16],
                next(targets) if stat.S_ISLNK(mode) else None,
            )
            for path, mode, size, key in zip(paths, modes, sizes, keys, strict=True)
        )
    except (StopIteration, RuntimeError) as error:
        raise DamagedError("manifest has fewer link targets than links") from error
    _check_paths(paths)
    return Tree(entries)


def _check_paths(paths: Sequence[bytes]) -> None:
    """Refuse paths that would lead out of a code folder: manifests may come from elsewhere."""
    folders = set()
    before = b""
    for path in paths:
        parts = path.split(b"/")
        if b"" in parts or b"." in parts or b".." in parts:
            raise DamagedError(f"manifest names an impossible path {path!r}")
        if path <= before:
            raise DamagedError(f"manifest names {path!r} out of order, or twice")
        before = path
        folders.add(path.rpartition(b"/")[0])
    for folder in list(folders):
        while folder := folder.rpartition(b"/")[0]:
            folders.add(folder)
    # Below a symbolic link it would lie elsewhere.
    if wrong := folders.intersection(paths):
        raise DamagedError(f"manifest names {min(wrong)!r} both as a file and as a folder")

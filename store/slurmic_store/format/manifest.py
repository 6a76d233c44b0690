"""The manifest: an encoded tree, compressed, as it is stored; reading and checking it.

A manifest may come from elsewhere (it lies beside each code folder), so what it says is checked:
that it is the tree that was asked for, that its columns fit, that no path leads out of a folder.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate

from slurmic_store.errors import DamagedError

from .digests import DIGEST_SIZE, KEY_SIZE, PERMISSIONS, keys_in
from .tree import (
    COLUMN,
    HEADER,
    MAGIC,
    Tree,
    TreeColumns,
    folders_of,
    is_ordered,
    strange_path,
    tree_digest,
)

_COMPRESSION_LEVEL = 3
_MAX_BYTES = 1 << 32
"""A manifest that says it is larger than this when unpacked is not read (bytes)."""


def compress(encoded: bytes) -> bytes:
    """The manifest: the encoding as one zstandard frame that states its size."""
    import zstandard  # only here: most programs that import this module never compress anything

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
    import zstandard

    try:
        if zstandard.frame_content_size(manifest) > _MAX_BYTES:
            raise DamagedError(f"manifest of tree '{digest}' states an absurd size", digest=digest)
        # Not decompress(), which sets aside at once whatever size the frame claims to have.
        encoded = zstandard.ZstdDecompressor().decompressobj().decompress(manifest)
    except MemoryError as error:
        raise DamagedError(
            f"manifest of tree '{digest}' unpacks to more than there is memory", digest=digest
        ) from error
    except zstandard.ZstdError as error:
        raise DamagedError(
            f"manifest of tree '{digest}' does not unpack: {error}", digest=digest
        ) from error
    if tree_digest(encoded) != digest:
        raise DamagedError(f"manifest of tree '{digest}' holds other content", digest=digest)
    return encoded


def _columns(encoded: bytes) -> tuple[int, dict[bytes, memoryview]]:
    """The number of entries and the columns by name; unknown columns included."""
    offset = len(MAGIC)
    if encoded[:offset] != MAGIC:
        raise DamagedError("manifest has no head line, or one of a newer version")
    try:
        count_columns, count = HEADER.unpack_from(encoded, offset)
        offset += HEADER.size
        sizes = []
        for _ in range(count_columns):
            name, length = COLUMN.unpack_from(encoded, offset)
            sizes.append((name.rstrip(b"\0"), length))
            offset += COLUMN.size
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
    _check_kinds(modes)
    # Where all entries have blobs, none has to be checked.
    if 0 not in sizes and not any(map(stat.S_ISLNK, set(modes))):
        return zip(keys, sizes, strict=True)
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
    return decode_columns(encoded).to_tree()


def decode_columns(encoded: bytes) -> TreeColumns:
    """As :func:`decode_tree`."""
    count, columns = _columns(encoded)
    try:
        paths = bytes(columns[b"path"]).split(b"\0")[:-1]
        modes = struct.unpack(f"<{count}H", columns[b"mode"])
        sizes = list(struct.unpack(f"<{count}Q", columns[b"size"]))
        keys = [key for (key,) in struct.iter_unpack(f"{KEY_SIZE}s", columns[b"blob"])]
        targets = bytes(columns[b"target"]).split(b"\0")[:-1]
    except (KeyError, struct.error) as error:
        raise DamagedError(f"manifest has a missing or torn column: {error}") from error
    if not len(paths) == len(keys) == count:
        raise DamagedError("manifest has columns of different lengths")
    _check_kinds(modes)
    links = [index for index, mode in enumerate(modes) if stat.S_ISLNK(mode)]
    if len(targets) != len(links):
        raise DamagedError("manifest has more or fewer link targets than links")
    _check_paths(paths)
    return TreeColumns(
        paths,
        [mode & 0o777 for mode in modes],
        sizes,
        [key[:DIGEST_SIZE] for key in keys],
        dict(zip(links, targets, strict=False)),
    )


def _check_kinds(modes: Sequence[int]) -> None:
    """Refuse kinds and bits that this format does not have: nothing is converted."""
    for mode in set(modes):
        if mode != stat.S_IFLNK and mode & ~PERMISSIONS != stat.S_IFREG:
            raise DamagedError(f"manifest has an entry of the unknown kind or mode {mode:o}")


def _check_paths(paths: Sequence[bytes]) -> None:
    """Refuse paths that would lead out of a code folder: manifests may come from elsewhere."""
    strange = strange_path(paths)
    if strange is not None:
        raise DamagedError(f"manifest names an impossible path {strange!r}")
    if not is_ordered(paths):
        raise DamagedError("manifest names a path out of order, or twice")
    # Below a symbolic link it would lie elsewhere.
    if wrong := folders_of(paths).intersection(paths):
        raise DamagedError(f"manifest names {min(wrong)!r} both as a file and as a folder")

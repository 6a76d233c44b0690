"""Trees, and the manifest: a tree's stored form.

A **tree** is the list of all files of one packed source tree, named by the digest of its canonical
encoding: equal trees have equal names. The encoding keeps columns rather than rows, so that the
blob keys of a million entries can be read without building a million objects. ``FORMAT.md`` has it
to the byte.
"""

from __future__ import annotations

import operator
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from .digests import DIGEST_SIZE, KEY_SIZE, PERMISSIONS, digest_of, keys_in
from .errors import DamagedError

MAGIC = b"slurmic tree 1\n"

_HEADER = struct.Struct("<IQ")  # number of columns, number of entries
_COLUMN = struct.Struct("<8sQ")  # name, length in bytes
_MODE = struct.Struct("<H")  # the end of a key

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


@dataclass(frozen=True, slots=True)
class TreeColumns:
    """A tree as columns, for who handles many files at once: entry *i* is at index *i* of each.

    Attributes:
        paths: as in :class:`TreeEntry`; in the same order.
        modes: permission bits; 0 for a symbolic link.
        sizes: bytes.
        digests: 16 bytes each.
        targets: where symbolic links point to, by index.
    """

    paths: list[bytes]
    modes: list[int]
    sizes: list[int]
    digests: list[bytes]
    targets: dict[int, bytes]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def size(self) -> int:
        """Bytes of content of all files."""
        return sum(self.sizes) - sum(self.sizes[index] for index in self.targets)

    def entry(self, index: int) -> TreeEntry:
        """One entry."""
        return TreeEntry(
            self.paths[index],
            self.modes[index],
            self.sizes[index],
            self.digests[index],
            self.targets.get(index),
        )

    def to_tree(self) -> Tree:
        """The tree, an object for each entry."""
        return Tree(tuple(map(self.entry, range(len(self)))))

    def blobs(self) -> list[int]:
        """The indices of entries whose content lies in the store."""
        targets = self.targets
        return [index for index, size in enumerate(self.sizes) if size and index not in targets]

    def picked(self, indices: Iterable[int]) -> TreeColumns:
        """Some entries only; the indices must be in ascending order."""
        chosen = list(indices)
        return TreeColumns(
            [self.paths[index] for index in chosen],
            [self.modes[index] for index in chosen],
            [self.sizes[index] for index in chosen],
            [self.digests[index] for index in chosen],
            {new: self.targets[old] for new, old in enumerate(chosen) if old in self.targets},
        )


def encode_tree(entries: Sequence[TreeEntry]) -> bytes:
    """The canonical encoding of a tree; its digest is the tree's name.

    Args:
        entries: sorted by path, no path twice, no path that lies below another.
    """
    return encode_columns(
        TreeColumns(
            [entry.path for entry in entries],
            [entry.mode for entry in entries],
            [entry.size for entry in entries],
            [entry.digest for entry in entries],
            {i: entry.target for i, entry in enumerate(entries) if entry.target is not None},
        )
    )


def encode_columns(tree: TreeColumns) -> bytes:
    """As :func:`encode_tree`."""
    modes = [stat.S_IFREG | mode for mode in tree.modes]
    for index in tree.targets:
        modes[index] = stat.S_IFLNK | tree.modes[index]
    endings = {mode: _MODE.pack(mode & PERMISSIONS) for mode in set(tree.modes)}
    columns = (
        (b"path", b"\0".join([*tree.paths, b""])),
        (b"mode", struct.pack(f"<{len(tree)}H", *modes)),
        (b"size", struct.pack(f"<{len(tree)}Q", *tree.sizes)),
        (
            b"blob",
            b"".join([d + endings[m] for d, m in zip(tree.digests, tree.modes, strict=True)]),
        ),
        (b"target", b"".join([target + b"\0" for _, target in sorted(tree.targets.items())])),
    )
    head = _HEADER.pack(len(columns), len(tree))
    directory = b"".join(_COLUMN.pack(name, len(data)) for name, data in columns)
    return b"".join((MAGIC, head, directory, *(data for _, data in columns)))


def tree_digest(encoded: bytes) -> str:
    """The name of the tree with this canonical encoding: 32 hexadecimal digits."""
    return digest_of(encoded).hex()


def compress(encoded: bytes) -> bytes:
    """The manifest: the encoding as one zstandard frame that states its size."""
    import zstandard  # here, as many who import this module never compress anything

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
    # Where all entries have blobs, none needs to be looked at.
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
    links = [index for index, mode in enumerate(modes) if stat.S_ISLNK(mode)]
    if len(targets) < len(links):
        raise DamagedError("manifest has fewer link targets than links")
    _check_paths(paths)
    return TreeColumns(
        paths,
        [mode & 0o777 for mode in modes],
        sizes,
        [key[:DIGEST_SIZE] for key in keys],
        dict(zip(links, targets, strict=False)),
    )


def strange_path(paths: Sequence[bytes]) -> bytes | None:
    """The first path that is absolute or has an empty, ``.`` or ``..`` component, if one has."""
    joined = b"/%s/" % b"/".join(paths)
    if paths and not any(strange in joined for strange in (b"//", b"/./", b"/../", b"\0")):
        return None
    wrong = (b"", b".", b"..")
    return next((p for p in paths if b"\0" in p or any(w in p.split(b"/") for w in wrong)), None)


def is_ordered(paths: Sequence[bytes]) -> bool:
    """Whether paths are in the order of their bytes, none of them twice."""
    return all(map(operator.lt, paths, islice(paths, 1, None)))


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


def folders_of(paths: Iterable[bytes]) -> set[bytes]:
    """All folders that paths imply, without the root."""
    folders = {path.rpartition(b"/")[0] for path in paths}
    for folder in list(folders):
        while (folder := folder.rpartition(b"/")[0]) and folder not in folders:
            folders.add(folder)
    folders.discard(b"")
    return folders

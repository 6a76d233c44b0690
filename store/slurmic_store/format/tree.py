"""Trees, and their encoding to bytes, of which the digest names the tree.

A **tree** is the list of all files of one packed source tree, named by the digest of its canonical
encoding: equal trees have equal names. The encoding keeps columns rather than rows, so that the
blob keys of a million entries can be read without building a million objects. ``FORMAT.md``
describes it to the byte; :mod:`slurmic_store.format.manifest` reads it back.
"""

from __future__ import annotations

import operator
import stat
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from .digests import PERMISSIONS, digest_of

MAGIC = b"slurmic tree 1\n"

HEADER = struct.Struct("<IQ")
"""Number of columns, number of entries."""

COLUMN = struct.Struct("<8sQ")
"""Name of a column, its length in bytes."""

_MODE = struct.Struct("<H")  # the end of a key


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

    @property
    def is_private(self) -> bool:
        """Whether any of its files may not be read by everybody."""
        return any(entry.target is None and entry.mode & 0o044 != 0o044 for entry in self.entries)


@dataclass(frozen=True, slots=True)
class TreeColumns:
    """A tree as columns, for code that handles many files at once; entry *i* is at index *i*.

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
    head = HEADER.pack(len(columns), len(tree))
    directory = b"".join(COLUMN.pack(name, len(data)) for name, data in columns)
    return b"".join((MAGIC, head, directory, *(data for _, data in columns)))


def tree_digest(encoded: bytes) -> str:
    """The name of the tree with this canonical encoding: 32 hexadecimal digits."""
    return digest_of(encoded).hex()


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


def folders_of(paths: Iterable[bytes]) -> set[bytes]:
    """All folders that paths imply, without the root."""
    folders = {path.rpartition(b"/")[0] for path in paths}
    for folder in list(folders):
        while (folder := folder.rpartition(b"/")[0]) and folder not in folders:
            folders.add(folder)
    folders.discard(b"")
    return folders

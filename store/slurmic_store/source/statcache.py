"""The stat cache: digests of source files that have not changed since they were last read.

One cache per source tree, below ``index/``. An entry is believed when size, modification time,
change time, inode and mode are all what they were. Git's racy rule closes the gap that remains: a
file that was touched at about the time it was read could be written again within the same timestamp
step, with nothing to show for it; so an entry is kept only if the file's times lie clearly before
the moment at which it was read. A file that is too young is simply read again next time.

Each save is a new file under a name of its own, published whole; the newest one is read and older
ones are removed. So any number of processes may use a cache at once: the worst that happens is that
one process's additions are lost. A cache that is torn, foreign or unreadable counts as empty.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from slurmic_store.format.digests import DIGEST_SIZE, digest_of
from slurmic_store.format.names import random_token
from slurmic_store.format.seals import SECOND
from slurmic_store.fs import files
from slurmic_store.fs.creating import replacing
from slurmic_store.store.store import Store

_MAGIC = b"slurmic index 1\n"
_ROW = struct.Struct("<QqqQI")  # size, mtime_ns, ctime_ns, inode, mode
_COUNT = struct.Struct("<Q")

RACY_MARGIN_NS = 2 * SECOND
"""How much older than the moment of reading a file's times must be: the coarsest timestamp step
in use (2 s, FAT), which also covers a source clock that runs a little behind."""

_EARLIEST_NS = -(1 << 63)
"""A time before the year 1677 does not fit a row; one after 2262 is not in the past."""

Stamp = tuple[int, int, int, int, int]
"""What of a file's stat an entry is compared by: size, modification and change time in nanoseconds,
inode, mode."""


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of a file with this stat."""
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_mode,
    )


@dataclass
class StatCache:
    """Digests of the files of one source tree, as columns.

    Attributes:
        folder: where the cache's files lie.
        paths: relative to the root.
        stamps: what each file's stat was when it was read.
        digests: 16 bytes each.
    """

    folder: bytes
    paths: list[bytes] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    @classmethod
    def load(cls, store: Store, root: bytes) -> StatCache:
        """The cache of the source tree at the absolute path `root`; empty if there is none."""
        folder = os.path.join(store.index, digest_of(root).hex().encode())
        for name in sorted(files.names_in(folder), reverse=True):
            try:
                data = files.read_piece(os.path.join(folder, name), files.LARGEST_TABLE)
                return cls(folder, *_decode(data, root))
            except (OSError, ValueError, struct.error):
                continue
        return cls(folder)

    @cached_property
    def entries(self) -> dict[bytes, tuple[Stamp, bytes]]:
        """Stamp and digest by path."""
        return dict(zip(self.paths, zip(self.stamps, self.digests, strict=True), strict=True))

    def lookup(self, paths: Sequence[bytes], stamps: Sequence[Stamp]) -> list[bytes | None]:
        """The digests of files that have not changed since they were read; None for the others."""
        if paths == self.paths:
            if stamps == self.stamps:
                return list(self.digests)
            rows = zip(stamps, self.stamps, self.digests, strict=True)
            return [digest if stamp == known else None for stamp, known, digest in rows]
        entries = self.entries
        found = zip(stamps, map(entries.get, paths), strict=True)
        return [entry[1] if entry and entry[0] == stamp else None for stamp, entry in found]

    def save(
        self,
        root: bytes,
        paths: Sequence[bytes],
        stamps: Sequence[Stamp],
        digests: Sequence[bytes],
        read_at_ns: int,
    ) -> None:
        """Publish the cache with what a snapshot has just found.

        Args:
            root: the source tree.
            paths, stamps, digests: of the files of the tree that have content.
            read_at_ns: when reading began, in nanoseconds since the epoch; files touched about
                then or later are left out, unless this cache already had them.

        An error of the filesystem is ignored: the next snapshot reads the files again.
        """
        if (paths, stamps, digests) == (self.paths, self.stamps, self.digests):
            return
        horizon = read_at_ns - RACY_MARGIN_NS
        known = self.entries
        rows = [
            row
            for row in zip(paths, stamps, digests, strict=True)
            if (max(row[1][1:3]) < horizon and min(row[1][1:3]) >= _EARLIEST_NS)
            or known.get(row[0]) == row[1:]
        ]
        if len(rows) == len(known) and all(known.get(row[0]) == row[1:] for row in rows):
            return
        with contextlib.suppress(OSError):
            os.makedirs(self.folder, 0o700, exist_ok=True)
            old = files.names_in(self.folder)
            # No other process writes this name; newest last when sorted.
            name = b"%020d-%s" % (time.time_ns(), random_token())
            with replacing(os.path.join(self.folder, name), sync=False) as file:
                file.write(_encode(root, rows))
            files.remove_all(os.path.join(self.folder, name) for name in old)


def known_roots(store: Store) -> list[bytes]:
    """The source trees that this store has a cache of: absolute paths, sorted."""
    roots = set()
    for folder in files.names_in(store.index):
        for name in files.names_in(os.path.join(store.index, folder)):
            with (
                contextlib.suppress(OSError, struct.error),
                open(os.path.join(store.index, folder, name), "rb") as stream,
            ):
                head = stream.read(len(_MAGIC) + _COUNT.size)
                (length,) = _COUNT.unpack_from(head, len(_MAGIC))
                root = stream.read(min(length, 1 << 16))
                # The folder is named by the digest of the root: a torn file does not fit it.
                if digest_of(root).hex().encode() == folder:
                    roots.add(root)
    return sorted(roots)


def _encode(root: bytes, rows: Sequence[tuple[bytes, Stamp, bytes]]) -> bytes:
    body = b"".join(
        (
            _MAGIC,
            _COUNT.pack(len(root)),
            root,
            _COUNT.pack(len(rows)),
            b"".join([_ROW.pack(*stamp) for _, stamp, _ in rows]),
            b"".join([digest for _, _, digest in rows]),
            b"\0".join([path for path, _, _ in rows]),
        )
    )
    return body + digest_of(body)


def _decode(data: bytes, root: bytes) -> tuple[list[bytes], list[Stamp], list[bytes]]:
    """The columns in a cache file: paths, stamps, digests.

    Raises:
        ValueError: torn, or of another tree.
        struct.error: torn.
    """
    body, check = memoryview(data)[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
    if body[: len(_MAGIC)] != _MAGIC or digest_of(body) != check:
        raise ValueError("torn")
    offset = len(_MAGIC)
    (length,) = _COUNT.unpack_from(body, offset)
    offset += _COUNT.size
    if body[offset : offset + length] != root:
        raise ValueError("of another tree")
    offset += length
    (count,) = _COUNT.unpack_from(body, offset)
    offset += _COUNT.size
    stamps = list(_ROW.iter_unpack(body[offset : offset + count * _ROW.size]))
    offset += count * _ROW.size
    column = body[offset : offset + count * DIGEST_SIZE]
    digests = [digest for (digest,) in struct.iter_unpack(f"{DIGEST_SIZE}s", column)]
    offset += count * DIGEST_SIZE
    paths = bytes(body[offset:]).split(b"\0") if count else []
    if not len(paths) == len(stamps) == len(digests) == count:
        raise ValueError("torn")
    return paths, stamps, digests

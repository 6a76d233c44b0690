"""The stat cache: digests of source files that have not changed since they were last read.

One cache per source tree, below ``index/``. An entry is believed when size, modification time,
change time, inode and mode are all what they were. Git's racy rule closes the gap that remains: a
file that was touched at about the time it was read could be written again within the same timestamp
step, with nothing to show for it; so an entry is kept only if the file's times lie clearly before
the moment at which it was read. A file that is too young is simply read again next time.

Each save is a new file under a name of its own, published whole; the newest one is read and older
ones are removed. So any number of processes may use a cache at once: the worst that happens is
that one's additions are lost. A cache that is torn, foreign or unreadable is no cache.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import files
from .digests import DIGEST_SIZE, SECOND, digest_of
from .store import Store

_MAGIC = b"slurmic index 1\n"
_ROW = struct.Struct("<QqqQI")  # size, mtime_ns, ctime_ns, inode, mode
_COUNT = struct.Struct("<Q")

RACY_MARGIN_NS = 2 * SECOND
"""How much older than the moment of reading a file's times must be: the coarsest timestamp step
in use (2 s, FAT), which also covers a source clock that runs a little behind."""

Stamp = tuple[int, int, int, int, int]


def stamp_of(status: os.stat_result) -> Stamp:
    """What of a file's stat an entry is compared by."""
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_mode,
    )


@dataclass
class StatCache:
    """Digests by path, for one source tree.

    Attributes:
        folder: where the cache's files lie.
        entries: path → (stamp, digest), as loaded.
    """

    folder: bytes
    entries: Mapping[bytes, tuple[Stamp, bytes]] = field(default_factory=dict)

    @classmethod
    def load(cls, store: Store, root: bytes) -> StatCache:
        """The cache of the source tree at the absolute path `root`; empty if there is none."""
        folder = os.path.join(store.index, digest_of(root).hex().encode())
        for name in sorted(files.names_in(folder), reverse=True):
            try:
                with open(os.path.join(folder, name), "rb") as stream:
                    return cls(folder, _decode(stream.read(), root))
            except (OSError, ValueError, struct.error):
                continue
        return cls(folder)

    def lookup(self, path: bytes, status: os.stat_result) -> bytes | None:
        """The digest of a file that has not changed since it was read, or None."""
        entry = self.entries.get(path)
        if entry is not None and entry[0] == stamp_of(status):
            return entry[1]
        return None

    def save(
        self, root: bytes, read: Iterable[tuple[bytes, os.stat_result, bytes]], read_at_ns: int
    ) -> None:
        """Publish the cache with what a snapshot has just found.

        Args:
            root: the source tree.
            read: path, stat and digest of each file of the tree.
            read_at_ns: when reading began, in nanoseconds since the epoch; files touched about
                then or later are left out, unless this cache already vouched for them.

        An error of the filesystem is no error here: the next snapshot reads the files again.
        """
        horizon = read_at_ns - RACY_MARGIN_NS
        entries = {}
        for path, status, digest in read:
            stamp = stamp_of(status)
            if max(stamp[1], stamp[2]) < horizon or self.entries.get(path) == (stamp, digest):
                entries[path] = (stamp, digest)
        if entries == self.entries:
            return
        # A time beyond the year 2262 (or before 1677) does not fit a row.
        with contextlib.suppress(OSError, struct.error):
            os.makedirs(self.folder, 0o700, exist_ok=True)
            old = files.names_in(self.folder)
            temporary = os.path.join(self.folder, files.random_name())
            files.write_new(temporary, _encode(root, entries), sync=False)
            # Nobody else writes this name; newest last when sorted.
            name = b"%020d-%s" % (time.time_ns(), files.random_name()[len(files.STAGE_PREFIX) :])
            os.rename(temporary, os.path.join(self.folder, name))
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


def _encode(root: bytes, entries: Mapping[bytes, tuple[Stamp, bytes]]) -> bytes:
    body = b"".join(
        (
            _MAGIC,
            _COUNT.pack(len(root)),
            root,
            _COUNT.pack(len(entries)),
            b"".join(_ROW.pack(*stamp) for stamp, _ in entries.values()),
            b"".join(digest for _, digest in entries.values()),
            b"\0".join(entries),
        )
    )
    return body + digest_of(body)


def _decode(data: bytes, root: bytes) -> dict[bytes, tuple[Stamp, bytes]]:
    """The entries in a cache file.

    Raises:
        ValueError: torn, or of another tree.
        struct.error: torn.
    """
    body, check = data[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
    if not body.startswith(_MAGIC) or digest_of(body) != check:
        raise ValueError("torn")
    offset = len(_MAGIC)
    (length,) = _COUNT.unpack_from(body, offset)
    offset += _COUNT.size
    if body[offset : offset + length] != root:
        raise ValueError("of another tree")
    offset += length
    (count,) = _COUNT.unpack_from(body, offset)
    offset += _COUNT.size
    rows = _ROW.iter_unpack(body[offset : offset + count * _ROW.size])
    offset += count * _ROW.size
    digests = struct.iter_unpack(f"{DIGEST_SIZE}s", body[offset : offset + count * DIGEST_SIZE])
    offset += count * DIGEST_SIZE
    paths = body[offset:].split(b"\0") if count else []
    if len(paths) != count:
        raise ValueError("torn")
    return {path: (row, digest) for path, row, (digest,) in zip(paths, rows, digests, strict=True)}

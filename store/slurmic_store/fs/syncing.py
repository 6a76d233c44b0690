"""Making files durable.

syncfs(2) is the cheap way to make many files durable (73 against 434 µs a file on ext4), but only
where the filesystem honours it: on a GlusterFS mount it returns 0 and does nothing. So it is used
where it is known to work, and fdatasync(2) for each file elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from .pace import THREADS, threaded_map

if TYPE_CHECKING:
    import ctypes

_HONOURS_SYNCFS = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # XFS
        0x9123683E,  # btrfs
        0xF2F52010,  # F2FS
        0x794C7630,  # overlayfs: syncs its upper layer
        0x01021994,  # tmpfs: nothing to sync
    }
)

_FEW = 8
"""Up to this many files are synced one by one even where syncfs works: it waits for everything
that any process has written to the filesystem."""


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    import ctypes  # seldom needed, and importing it takes milliseconds

    return ctypes.CDLL(None, use_errno=True)


def filesystem_magic(path: bytes) -> int:
    """The type of the filesystem at `path` as statfs(2) names it (f_type), or 0 if unknown."""
    import ctypes

    buffer = (ctypes.c_long * 32)()
    try:
        if _libc().statfs(path, ctypes.byref(buffer)) != 0:
            return 0
    except (AttributeError, OSError):
        return 0
    return int(buffer[0]) & 0xFFFFFFFF


def is_local(path: bytes) -> bool:
    """Whether the filesystem at `path` is known to belong to this host alone."""
    return filesystem_magic(path) in _HONOURS_SYNCFS


def sync_files(paths: Sequence[bytes], folder: bytes) -> None:
    """Return when the contents of `paths`, all on the filesystem of `folder`, are on the disk.

    Raises:
        OSError: the disk did not take them (a full disk may show only here).
    """
    if not paths:
        return
    if len(paths) > _FEW and filesystem_magic(folder) in _HONOURS_SYNCFS:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _libc().syncfs(descriptor) == 0:
                return
        finally:
            os.close(descriptor)
    if len(paths) <= _FEW:
        for path in paths:
            _sync_file(path)
        return
    for _ in threaded_map(_sync_file, paths, threads=THREADS):
        pass


def _sync_file(path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)

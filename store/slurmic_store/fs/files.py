"""Filesystem primitives that the rest shares: removing, listing, hashing, reading bounded.

They call the functions of ``os`` through the module at run time, which lets tests interrupt or
refuse any of them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterable

from slurmic_store.errors import os_failure
from slurmic_store.format.digests import hasher

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
"""What a name that another host or process has just removed answers (ESTALE: network only)."""

CANNOT_LINK = frozenset(
    {
        errno.EXDEV,
        errno.EPERM,
        errno.EACCES,
        errno.EIO,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
        errno.ENOTSUP,
        errno.EINVAL,
    }
)
"""Answers of link(2) that mean "not here", as seen in the field: EXDEV between filesystems, bind
mounts and project quotas; EPERM for others' files and on BeeGFS and FAT; EIO from a NAS."""


def remove_quietly(path: bytes, *, dir_fd: int | None = None) -> bool:
    """Remove a file; whether it was there. One that is already gone is not an error."""
    try:
        os.unlink(path, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in GONE:
            return False
        raise
    return True


def make_folder(path: bytes, mode: int = 0o777) -> None:
    """Create a folder and those above it, unless they exist.

    Raises:
        StoreError: it cannot be created; names the path and why.
    """
    try:
        os.makedirs(path, mode, exist_ok=True)
    except OSError as error:
        raise os_failure("create folder", path, error) from error


def remove_tree(path: bytes) -> None:
    """Remove a folder and everything in it.

    Files may be read-only and folders may have been made so: a folder whose entries cannot be
    removed is made writable first. What vanishes meanwhile is not an error. Names of deleted
    files that a network filesystem keeps for open readers (``.nfsXXXX``) are tried again a few
    times.

    What a symbolic link points to is left alone, even if `path` itself is one.

    Raises:
        OSError: an entry could not be removed, although it was tried again.
    """
    if os.path.islink(path):
        remove_quietly(path)
        return
    for attempt in range(4):
        try:
            _remove_tree_once(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EBUSY, errno.EEXIST) or attempt == 3:
                raise
        threading.Event().wait(0.05 * 4**attempt)


def _remove_tree_once(path: bytes) -> None:
    try:
        # scandir follows a symbolic link: what it points to must not be emptied.
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            remove_quietly(path)
            return
        entries = list(os.scandir(path))
    except PermissionError:
        os.chmod(path, 0o700)
        entries = list(os.scandir(path))
    except OSError as error:
        if error.errno in GONE:
            return
        raise
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        remove = _remove_tree_once if is_folder else remove_quietly
        try:
            remove(entry.path)
        except PermissionError:
            os.chmod(path, 0o700)
            remove(entry.path)
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in GONE:
            raise


_FICLONE = 0x40049409
"""ioctl that makes a file share all extents of another (linux/fs.h)."""


def clone_file(source: int, destination: int) -> None:
    """Make the open file `destination` share the content of the open file `source` (reflink).

    Raises:
        OSError: the filesystem does not do it, or not between these two.
    """
    fcntl.ioctl(destination, _FICLONE, source)


def mount_point(path: bytes) -> bytes:
    """The folder at which the filesystem of `path` is mounted; `path` need not exist."""
    current = os.path.abspath(path)
    while not os.path.ismount(current):
        current = os.path.dirname(current)
    return current


def is_regular(status: os.stat_result) -> bool:
    """Whether a stat result is of a regular file."""
    return stat.S_ISREG(status.st_mode)


def names_in(folder: bytes) -> list[bytes]:
    """The names in a folder; none if it does not exist."""
    try:
        return os.listdir(folder)
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def remove_all(paths: Iterable[bytes]) -> None:
    """Remove those files that exist."""
    for path in paths:
        remove_quietly(path)


_CHUNK = 1 << 20


def digest_file(path: bytes, *, dir_fd: int | None = None) -> bytes:
    """The digest of a file's content as it is now.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return digest_descriptor(descriptor)
    finally:
        os.close(descriptor)


def digest_descriptor(descriptor: int) -> bytes:
    """The digest of an open file, from where it stands to its end.

    Raises:
        OSError: it cannot be read.
    """
    digest = hasher()
    while data := os.read(descriptor, _CHUNK):
        digest.update(data)
    return digest.digest()


LARGEST_PIECE = 1 << 26
"""Bytes that a record, a pin or a note may have: far more than any has (64 MiB)."""

LARGEST_TABLE = 1 << 31
"""Bytes that a manifest or a stat cache may have: those of some ten million files (2 GiB)."""


def read_piece(path: bytes, at_most: int = LARGEST_PIECE) -> bytes:
    """The content of a piece of a store, which is a regular file of a bounded size.

    Links are not followed, and a FIFO or a device is not waited for: whatever lies under a piece's
    name, reading it neither hangs nor fills the memory.

    Args:
        path: the file.
        at_most: how many bytes it may have.

    Raises:
        OSError: it does not exist, cannot be read, is not a regular file, or is larger.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fsdecode(path))
        if status.st_size > at_most:
            raise OSError(errno.EFBIG, f"larger than {at_most:,} bytes", os.fsdecode(path))
        return stream.read(at_most)

"""Filesystem primitives: exclusive creation, giving names, syncing, removing.

Everything the engine publishes goes through here, so that the order of the steps (write, make
read-only, sync, give the name) is the same everywhere. The functions are called through the ``os``
module at run time, which lets tests interrupt or refuse any of them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from .errors import os_failure
from .pace import THREADS, threaded_map

if TYPE_CHECKING:
    import ctypes

STAGE_PREFIX = b".slurmic-"
"""How the names of all temporary files and folders of the engine begin."""

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


def random_name(suffix: bytes = b"", *, owner: str = "") -> bytes:
    """An unpredictable temporary name, ``.slurmic-<16 hexadecimal digits><suffix>``.

    With `owner`, a snapshot's id, it begins with ``.slurmic-<id>-``: gc removes it together with
    that snapshot's staging folder.
    """
    prefix = STAGE_PREFIX + os.fsencode(owner) + b"-" if owner else STAGE_PREFIX
    return prefix + os.urandom(8).hex().encode() + suffix


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`; os.write may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_new(
    path: bytes,
    data: bytes,
    *,
    mode: int = 0o444,
    sync: bool = True,
    dir_fd: int | None = None,
) -> None:
    """Create `path` (it must not exist) with `data`, then make it read-only and durable.

    Args:
        path: a name that no reader knows yet: the final name is given by :func:`give_name` or
            by a rename afterwards.
        data: the whole content.
        mode: the permission bits in the end.
        sync: whether to wait until the data is on the disk. Without it, a crash of the machine
            leaves a file of no bytes under the final name.
        dir_fd: the folder that `path` is relative to.

    Raises:
        OSError: nothing is left at `path`.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600, dir_fd=dir_fd)
    try:
        try:
            write_all(descriptor, data)
            os.fchmod(descriptor, mode)
            if sync:
                os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path, dir_fd=dir_fd)
        raise


def give_name(temporary: bytes, final: bytes, *, or_rename: bool = True) -> bool:
    """Give the finished file at `temporary` the shared name `final`, unless it is taken.

    By link(2), which has exactly one winner on every filesystem measured; two writers renaming
    onto one name deadlocked GlusterFS clients. Where there are no hard links, by a rename onto
    a name that is free, which then is the best there is. `temporary` is left, or gone.

    Args:
        temporary: a complete file.
        final: its name from now on.
        or_rename: whether `temporary` may be renamed where it cannot be linked.

    Returns:
        True if this call gave the name, False if it was already taken.

    Raises:
        OSError: neither was possible.
    """
    try:
        os.link(temporary, final, follow_symlinks=False)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if not or_rename or error.errno not in CANNOT_LINK | {errno.EMLINK}:
            raise
    if os.path.lexists(final):
        return False
    os.rename(temporary, final)
    return True


def remove_quietly(path: bytes, *, dir_fd: int | None = None) -> bool:
    """Remove a file; whether it was there. A file already gone is as good as removed."""
    try:
        os.unlink(path, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in GONE:
            return False
        raise
    return True


def make_folder(path: bytes, mode: int = 0o777) -> None:
    """Create a folder and those above it; one that exists is fine.

    Raises:
        StoreError: it cannot be created; names the path and why.
    """
    try:
        os.makedirs(path, mode, exist_ok=True)
    except OSError as error:
        raise os_failure("create folder", path, error) from error


def remove_tree(path: bytes) -> None:
    """Remove a folder and everything in it.

    Files may be read-only and folders may have been made so: a folder that does not let its
    entries go is made writable first. Something that vanishes meanwhile is as good as removed.
    Names of deleted files that a network filesystem keeps for open readers (``.nfsXXXX``) are
    tried again a few times.

    What a symbolic link points to is left alone, also when `path` itself is one.

    Raises:
        OSError: an entry stays although it was tried again.
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
        # scandir follows a symbolic link: what that points to is not ours to empty.
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


# Durability. syncfs is the cheap way to make many files durable (73 against 434 µs a file on
# ext4), but only where the filesystem honours it: on a GlusterFS mount it returns 0 and does
# nothing. So it is used where it is known to work, and fdatasync per file elsewhere.

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
that anybody has written to the filesystem."""


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    import ctypes  # few need it, and it takes milliseconds

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
    """Whether the filesystem at `path` is known to be this host's alone."""
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
    """The names in a folder; none if the folder is not there."""
    try:
        return os.listdir(folder)
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def remove_all(paths: Iterable[bytes]) -> None:
    """Remove files, those that are there."""
    for path in paths:
        remove_quietly(path)

"""Reading source files: the digest is of the bytes that were stored, never of the live file.

Somebody may be editing. A file is copied while it is hashed, and its stat is compared before and
after; one that changed meanwhile is read again, and one that will not hold still is an error that
names it. (Two files edited one after the other can still be caught between: a snapshot of a tree
that is being written is of no single instant. Each file in it is whole.)
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator

from . import files
from .digests import PERMISSIONS, hasher
from .errors import SourceChangedError, SourceError, os_failure, quoted
from .files import write_all

_CHUNK = 1 << 20
_ATTEMPTS = 6

LARGE = 1 << 20
"""Files of more bytes are streamed, never held in memory."""

StoreTimes = Callable[[bytes], tuple[int, int]]


def same_content(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether nothing about a file changed that a write, a chmod or a replacement would change."""
    return (
        before.st_mtime_ns == after.st_mtime_ns
        and before.st_ctime_ns == after.st_ctime_ns
        and before.st_size == after.st_size
        and before.st_ino == after.st_ino
        and before.st_mode == after.st_mode
    )


def copy_source(source: bytes, destination: int) -> tuple[bytes, os.stat_result]:
    """Copy a source file into an open, empty file, hashing what is written.

    Args:
        source: absolute path of a regular file; a symbolic link is refused.
        destination: a file descriptor, open for writing, at the start of an empty file.

    Returns:
        The digest of the bytes written, and the source's stat that goes with them.

    Raises:
        FileNotFoundError: the source is gone.
        SourceError: it cannot be read, or is no regular file (any more).
        SourceChangedError: it changed each time that it was read.
        OSError: the destination could not be written.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(0.01 * 3**attempt)
            os.lseek(destination, 0, os.SEEK_SET)
            os.ftruncate(destination, 0)
        reader = _open_source(source)
        try:
            before = os.fstat(reader)
            if before.st_mode & 0o170000 != 0o100000:
                raise SourceError(
                    f"{quoted(source)} is no longer a regular file",
                    path=source,
                    hint="something replaced it while the tree was being packed; submit again",
                )
            digest, copied = _copy(reader, destination, source, before.st_size)
            after = os.fstat(reader)
        finally:
            os.close(reader)
        if copied == after.st_size and same_content(before, after):
            return digest, after
    raise SourceChangedError(
        f"{quoted(source)} changed each of the {_ATTEMPTS} times that it was read",
        path=source,
        hint="something is writing to it: stop that, or leave it out (exclude_code_folders, "
        ".gitignore)",
    )


def _open_source(source: bytes) -> int:
    try:
        # Not blocking: a named pipe that took the file's place must not hang the submission.
        return os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, source) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SourceError(
                f"{quoted(source)} is no longer a regular file", path=source
            ) from error
        raise unreadable(source, error) from error


def unreadable(source: bytes, error: OSError) -> SourceError:
    """The error for a selected file that cannot be read."""
    return SourceError(
        f"cannot read {quoted(source)}: {(error.strerror or str(error)).lower()}",
        path=source,
        hint="a selected file must be readable; make it so, or leave it out "
        "(exclude_code_folders, .gitignore)",
    )


def _copy(reader: int, writer: int, source: bytes, size: int) -> tuple[bytes, int]:
    """Copy up to the end, or to beyond `size`: a file that grows as fast as it is read has none."""
    digest = hasher()
    copied = 0
    while copied <= size:
        try:
            data = os.read(reader, _CHUNK)
        except OSError as error:
            raise unreadable(source, error) from error
        if not data:
            break
        digest.update(data)
        write_all(writer, data)
        copied += len(data)
    return digest.digest(), copied


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


def read_whole(source: bytes) -> tuple[bytes, os.stat_result] | None:
    """The content of a source file that is not large, and the stat that goes with it.

    None if it is large, or will not hold still: then :func:`write_copy` is the way.

    Raises:
        FileNotFoundError: the source is gone.
        SourceError: it cannot be read.
    """
    reader = _open_source(source)
    try:
        before = os.fstat(reader)
        if not files.is_regular(before) or before.st_size > LARGE:
            return None
        data = os.read(reader, before.st_size + 1)
        after = os.fstat(reader)
    except OSError as error:
        raise unreadable(source, error) from error
    finally:
        os.close(reader)
    whole = len(data) == after.st_size and same_content(before, after)
    return (data, after) if whole else None


def digest_still(source: bytes) -> tuple[bytes, os.stat_result] | None:
    """The digest of a source file without copying it, and the stat that goes with it.

    None if it will not hold still. Raises what :func:`read_whole` does.
    """
    reader = _open_source(source)
    try:
        before = os.fstat(reader)
        digest = digest_descriptor(reader)
        after = os.fstat(reader)
    except OSError as error:
        raise unreadable(source, error) from error
    finally:
        os.close(reader)
    return (digest, after) if same_content(before, after) else None


@contextlib.contextmanager
def _new_file(path: bytes) -> Iterator[int]:
    """A new file, open for writing; gone if what is done with it fails."""
    try:
        writer = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as error:
        # Somebody removed the folder. It must not be taken for the source's being gone: the
        # file would be left out of the tree without a word.
        raise os_failure("write", path, error) from error
    try:
        try:
            yield writer
        finally:
            os.close(writer)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def write_data(path: bytes, data: bytes, mode: int, times: tuple[int, int]) -> None:
    """Write a new, read-only, sealed file.

    Args:
        path: where; must not exist.
        data: its content.
        mode: the mode of the source, of which it gets the permissions that a blob keeps.
        times: its access and modification time in nanoseconds.
    """
    with _new_file(path) as writer:
        write_all(writer, data)
        os.fchmod(writer, mode & PERMISSIONS)
        os.utime(writer, ns=times)


def write_copy(path: bytes, source: bytes, store_times: StoreTimes) -> tuple[bytes, os.stat_result]:
    """Copy a source file to a new, read-only, sealed file.

    Args:
        path: where; must not exist.
        source: absolute path of the source file.
        store_times: gives access and modification time (nanoseconds) for a digest.

    Returns:
        As :func:`copy_source`.

    Raises:
        As :func:`copy_source`; nothing is left at `path` then.
    """
    with _new_file(path) as writer:
        digest, status = copy_source(source, writer)
        os.fchmod(writer, status.st_mode & PERMISSIONS)
        os.utime(writer, ns=store_times(digest))
    return digest, status

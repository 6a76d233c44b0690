"""Reading source files: the digest is of the bytes that were stored, not of the live file.

Somebody may be editing. A file is copied while it is hashed, and its stat is compared before and
after; one that changed meanwhile is read again, and one that changes every time is an error that
names it. (Of two files that are edited one after the other, a snapshot may have one as it was
before and one as it was after: it is not taken at a single instant. Each file in it is whole.)
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from slurmic_store.errors import SourceChangedError, SourceError, os_failure, quoted, reason_of
from slurmic_store.format.digests import PERMISSIONS, hasher
from slurmic_store.fs import files
from slurmic_store.fs.creating import NewFile, creating, write_all
from slurmic_store.fs.files import digest_descriptor

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
        SourceError: it cannot be read, or is not a regular file (any more).
        SourceChangedError: it changed each time that it was read.
        OSError: the destination cannot be written.
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
        f"cannot read {quoted(source)}: {reason_of(error)}",
        path=source,
        hint="a selected file must be readable; make it so, or leave it out "
        "(exclude_code_folders, .gitignore)",
    )


def _copy(reader: int, writer: int, source: bytes, size: int) -> tuple[bytes, int]:
    """Copy to the end, or just beyond `size`: a file may grow as fast as it is read."""
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


def read_whole(source: bytes) -> tuple[bytes, os.stat_result] | None:
    """The content of a source file that is not large, and the stat that goes with it.

    None if it is large, or has changed meanwhile: then :func:`write_copy` is the way.

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

    None if it has changed meanwhile. Raises what :func:`read_whole` does.
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


def _new_file(path: bytes) -> NewFile:
    """As :func:`creating`; its folder must exist."""
    try:
        return creating(path)
    except FileNotFoundError as error:
        # The folder has been removed. That must not be taken for a source that is gone: the file
        # would be left out of the tree without a word.
        raise os_failure("write", path, error) from error


def write_data(path: bytes, data: bytes, mode: int, times: tuple[int, int]) -> None:
    """Write a new, read-only, sealed file.

    Args:
        path: where; must not exist.
        data: its content.
        mode: the mode of the source, of which it gets the permissions that a blob keeps.
        times: its access and modification time in nanoseconds.
    """
    with _new_file(path) as file:
        file.write(data)
        file.mode, file.times = mode & PERMISSIONS, times


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
    with _new_file(path) as file:
        digest, status = copy_source(source, file.descriptor)
        file.mode, file.times = status.st_mode & PERMISSIONS, store_times(digest)
    return digest, status

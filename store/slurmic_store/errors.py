"""What the engine raises, and when.

    StoreError
    ├── StoreFormatError       the folder is not a store, or its format is newer than this version
    ├── StoreOwnerError        the store belongs to another user
    ├── SourceError            a selected file cannot be read, or is not what was selected
    │   └── SourceChangedError a selected file changed every time that it was read
    ├── DestinationError       the output folder cannot hold a code folder
    ├── LinkModeError          the link mode that was asked for is impossible here
    ├── DamagedError           a manifest or a record in the store does not read back, or blobs
    │                          that are needed are missing or damaged
    └── UnknownSnapshotError   no such snapshot, or the reference fits several

An OSError of the filesystem under the store (a full disk, a quota, an I/O error) arrives as the
`__cause__` of a StoreError that names the path.
"""

from __future__ import annotations

import errno


class StoreError(Exception):
    """Base class of the engine's errors.

    Args:
        message: what failed, on what; lower case, the subject quoted.
        path: the file or folder concerned, if there is one.
        digest: the hexadecimal digest concerned, if there is one.
        hint: what the reader can do about it, or "".
    """

    def __init__(
        self,
        message: str,
        *,
        path: bytes | str | None = None,
        digest: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.digest = digest
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class StoreFormatError(StoreError):
    """The folder is not a store, or its format is newer than this version reads."""


class StoreOwnerError(StoreError):
    """The store belongs to another user."""


class SourceError(StoreError):
    """A selected file cannot be read, or is no longer what was selected."""


class SourceChangedError(SourceError):
    """A selected file changed every time that it was read."""


class DestinationError(StoreError):
    """The output folder cannot hold a code folder."""


class LinkModeError(StoreError):
    """The link mode that was asked for is impossible between this store and this folder."""


class DamagedError(StoreError):
    """A manifest or a record does not read back, or needed blobs are missing or damaged."""


class UnknownSnapshotError(StoreError):
    """No snapshot has this id, or several do."""


def printable(path: bytes | str) -> str:
    """A path for a terminal: what cannot be printed becomes an escape sequence.

    Names are taken for UTF-8, whatever the locale: login nodes often have none.
    """
    text = path if isinstance(path, str) else path.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def quoted(path: bytes | str) -> str:
    """A path in quotes, for a message; printable as :func:`printable` makes it."""
    return f"'{printable(path)}'"


_HINTS = {
    errno.ENOSPC: "the disk or its inode table is full: free some space, or put the store and the "
    "outputs elsewhere",
    errno.EDQUOT: "a quota (bytes or inodes) is used up: free some files, or put the store and "
    "the outputs elsewhere",
    errno.EIO: "the filesystem answered with an input/output error: nothing was submitted; try "
    "again, and tell its administrator if it happens again",
    errno.EROFS: "the filesystem is mounted read-only here",
    errno.EACCES: "check the permissions of the folder and of those above it",
    errno.EPERM: "check the owner of the folder and of those above it",
}


def failed_path(error: OSError, otherwise: bytes) -> bytes | str:
    """The path that an OSError names; a call on an open file names none, or a number."""
    return error.filename if isinstance(error.filename, bytes | str) else otherwise


def reason_of(error: OSError) -> str:
    """Why a call failed, for a message: lower case, as in "no space left on device"."""
    return (error.strerror or str(error)).lower()


def os_failure(what: str, path: bytes | str, error: OSError) -> StoreError:
    """A StoreError for an OSError: what failed, on which path, why, and what to do.

    Args:
        what: the action, as in "write" or "create folder".
        path: the path it failed on.
        error: the OSError; raise the result `from` it.
    """
    return StoreError(
        f"cannot {what} {quoted(path)}: {reason_of(error)}",
        path=path,
        hint=_HINTS.get(error.errno or 0, ""),
    )

"""Reading ignore files (and other small ones): bytes to lines, as git's dir.c does it.

A UTF-8 byte order mark at the start is skipped; lines end at LF alone; one CR before it belongs to
the ending; trailing spaces (not tabs) are dropped unless escaped; a line is over at a NUL byte.
Nothing is decoded, so any encoding does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Final

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_ignore_file(path: bytes, *, follow_symlink: bool) -> bytes | None:
    """The content of the ignore file at `path`, or None if there is none to honour.

    Args:
        path: where it is.
        follow_symlink: git follows a link for info/exclude and core.excludesFile, and ignores a
            .gitignore that is one.

    Raises:
        PermissionError: it is there and may not be read. git goes on as if it were empty; so may
            the caller, but the user should know.
    """
    try:
        return _read(path, -1, follow_symlink)
    except PermissionError:
        raise
    except OSError:
        return None


def read_head(path: bytes, size: int) -> bytes:
    """The first `size` bytes of the regular file at `path`; b"" if there is none to be read."""
    try:
        return _read(path, size, follow_symlink=False) or b""
    except OSError:
        return b""


def _read(path: bytes, size: int, follow_symlink: bool) -> bytes | None:
    # O_NONBLOCK: a FIFO of that name must not make us wait for a writer.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags if follow_symlink else flags | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb", closefd=True) as file:
        return file.read(size) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def pattern_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines of an ignore file that carry a pattern, with their numbers from 1."""
    if content.startswith(BYTE_ORDER_MARK):
        content = content[len(BYTE_ORDER_MARK) :]
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line or line.startswith(b"#"):
            continue
        if line.endswith((b"\r", b" ")) or b"\0" in line:
            line = _without_trailing_spaces(line.removesuffix(b"\r").partition(b"\0")[0])
        if line:
            yield number, line


def _without_trailing_spaces(line: bytes) -> bytes:
    if not line.endswith(b" "):
        return line
    stripped = line.rstrip(b" ")
    backslashes = len(stripped) - len(stripped.rstrip(b"\\"))
    # An odd backslash escapes the first of the spaces, which stays.
    return stripped + b" " if backslashes % 2 else stripped

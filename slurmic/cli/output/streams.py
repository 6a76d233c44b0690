"""The standard streams, such that nothing that becomes of them ends in a traceback.

Standard output may be full, closed, or in an encoding that lacks a file name's letters. Only the
lowest layer of a stream knows that a failure was one of writing the output (the same error may come
from a file of ours), so that layer is replaced while a command runs.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from slurmic.errors import SlurmicError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(SlurmicError):
    """Standard output cannot be written."""


class ReaderGoneError(OutputError):
    """Standard output is a pipe whose reader has gone."""


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Within, standard output raises OutputError, and standard error never fails.

    Letters that their encoding lacks are written as escape sequences. Streams that a program has
    put in the place of the process's own (a test, an interactive shell) are left alone.
    """
    _open_closed_ones()
    out, errors = sys.stdout, sys.stderr
    if out is sys.__stdout__:
        # Line by line where it was so: on a terminal, or as PYTHONUNBUFFERED asks for.
        at_once = out is not None and (out.line_buffering or _is_unbuffered(out))
        sys.stdout = _text_stream(_Output(1, "wb", closefd=False), out, at_once)
    if errors is sys.__stderr__:
        sys.stderr = _text_stream(_Messages(2, "wb", closefd=False), errors, True)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, errors


def discard_output() -> None:
    """Give up standard output, with what was not written: closing it would fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _open_closed_ones() -> None:
    """Take the places of standard streams that are closed, before another file gets them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Whoever writes to standard output is to fail, as if it were closed still.
            opened = os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)
            os.set_inheritable(opened, True)


def _is_unbuffered(stream: TextIO) -> bool:
    return isinstance(stream, io.TextIOWrapper) and stream.write_through


def _text_stream(raw: io.FileIO, instead_of: TextIO | None, line_buffering: bool) -> TextIO:
    """A stream of text on `raw`, otherwise like another; that is None if it was closed."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=None if instead_of is None else instead_of.encoding,
        errors="backslashreplace",
        line_buffering=line_buffering,
    )


class _Patient(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        # None: another process has made it non-blocking, and it takes nothing just now.
        while (written := super().write(data)) is None:
            select.select((), (self,), ())
        return written


class _Output(_Patient):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ReaderGoneError("cannot write the output: its reader has gone") from error
        except OSError as error:
            reason = (error.strerror or "error").lower()
            if error.errno == errno.EBADF:
                reason = "standard output is closed"
            raise OutputError(f"cannot write the output: {reason}") from error


class _Messages(_Patient):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            # A message that cannot be written is not a reason to stop.
            return memoryview(data).nbytes

"""Listing a folder; run as a program, listing folders for another process.

As a program it must start within a few milliseconds, so it imports nothing but what Python has
loaded by then, and is run without site-packages (see module `listings`, which runs it).
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

Listing = tuple[list[bytes], list[bytes], list[bytes]]
"""The names in one folder: of regular files, of folders, and of symlinks. Anything else (sockets,
devices) is left out."""

_LENGTH_BYTES = 8


def list_directory(path: bytes) -> Listing:
    """List the folder at `path`, in no particular order.

    Raises:
        OSError: it cannot be listed.
    """
    entries = list(os.scandir(path))  # exhausting it closes it
    names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    if len(names) == len(entries):
        return names, [], []
    folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    if len(names) + len(folders) == len(entries):
        return names, folders, []
    return names, folders, [entry.name for entry in entries if entry.is_symlink()]


def message(value: Any) -> bytes:
    """What `receive` reads as `value`: bytes, integers, and lists and tuples of such."""
    content = marshal.dumps(value)
    return len(content).to_bytes(_LENGTH_BYTES, "little") + content


GREETING = message([])
"""What the process says first."""


def receive(file: IO[bytes]) -> Any:
    """Read a message.

    Raises:
        EOFError: there is none, or the writer ended in the middle of it.
    """
    length = file.read(_LENGTH_BYTES)
    content = file.read(int.from_bytes(length, "little"))
    return marshal.loads(content)  # raises EOFError itself


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """List the folders of each request until there are no more requests.

    A request is a list of paths, relative to the current folder. Its answer is a list with a
    :data:`Listing` for each, or the errno that says why there is none.
    """
    answers.write(GREETING)
    answers.flush()
    while True:
        try:
            request: list[bytes] = receive(requests)
        except EOFError:
            return
        answer: list[Listing | int] = []
        for path in request:
            try:
                answer.append(list_directory(path))
            except OSError as error:
                answer.append(error.errno or 0)
        answers.write(message(answer))
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)

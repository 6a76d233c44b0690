"""What a filesystem can do: found out by doing it, and leaving nothing behind.

What a filesystem is called does not say it: a bind mount, a project quota or a server's
configuration may forbid what its kind can do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import files
from .errors import os_failure
from .store import probe


@dataclass(frozen=True)
class Trials:
    """What was found between two folders.

    Attributes:
        link_failure: why a file of the first cannot be hard-linked into the second; "" if it can.
        reflink_failure: why its content cannot be shared by a reflink; "" if it can.
        granularity: the smallest step of a modification time in the first, nanoseconds.
        keeps_modes: whether the first keeps permission bits.
    """

    link_failure: str
    reflink_failure: str
    granularity: int
    keeps_modes: bool


def try_folders(source: str | bytes, destination: str | bytes) -> Trials:
    """Find out what works from one folder to another.

    Each trial is made between new folders in the two, since some filesystems link within a folder
    only.

    Args:
        source: where files would be linked from; must exist.
        destination: where to; must exist.

    Raises:
        StoreError: one of them cannot be written to.
    """
    name = files.random_name(b".trial")
    one, other = (os.path.join(os.fsencode(folder), name) for folder in (source, destination))
    if one == other:
        other += b"-2"
    try:
        for folder in (one, other):
            os.mkdir(folder, 0o700)
        granularity, keeps_modes = probe(one)
        path = os.path.join(one, b"file")
        files.write_new(path, b"slurmic\n", sync=False)
        return Trials(
            _failure_of_link(path, os.path.join(other, b"link")),
            _failure_of_reflink(path, os.path.join(other, b"reflink")),
            granularity,
            keeps_modes,
        )
    except OSError as error:
        raise os_failure("write to", error.filename or one, error) from error
    finally:
        for folder in (one, other):
            files.remove_tree(folder)


def _failure_of_link(path: bytes, link: bytes) -> str:
    try:
        os.link(path, link, follow_symlinks=False)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "" if os.path.samefile(path, link) else "what was made is another file"


def _failure_of_reflink(path: bytes, clone: bytes) -> str:
    try:
        with open(path, "rb") as source, open(clone, "xb") as destination:
            files.clone_file(source.fileno(), destination.fileno())
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""

"""Trials: what a filesystem can do, found out by doing it, with nothing left behind.

The type of a filesystem does not say it: a bind mount, a project quota or a server's
configuration may forbid what its kind can do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from slurmic_store.errors import os_failure, reason_of
from slurmic_store.format.names import random_name
from slurmic_store.fs import files
from slurmic_store.fs.creating import write_new

from .method import reflink_failure
from .opening import probe


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
    name = random_name(b".trial")
    one, other = (os.path.join(os.fsencode(folder), name) for folder in (source, destination))
    if one == other:
        other += b"-2"
    try:
        for folder in (one, other):
            os.mkdir(folder, 0o700)
        granularity, keeps_modes = probe(one)
        path = os.path.join(one, b"file")
        write_new(path, b"slurmic\n", sync=False)
        return Trials(
            _link_failure(path, os.path.join(other, b"link")),
            reflink_failure(path, os.path.join(other, b"reflink")),
            granularity,
            keeps_modes,
        )
    except OSError as error:
        raise os_failure("write to", error.filename or one, error) from error
    finally:
        for folder in (one, other):
            files.remove_tree(folder)


def _link_failure(path: bytes, link: bytes) -> str:
    try:
        os.link(path, link, follow_symlinks=False)
    except OSError as error:
        return reason_of(error)
    return "" if os.path.samefile(path, link) else "the link is another file"

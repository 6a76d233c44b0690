"""Where the store is.

Hard links do not cross filesystems, so the store has to be on the filesystem of the output path,
and one user's jobs should share one store there. In this order: what the configuration says; what
SLURMIC_STORE says; ``~/.slurmic`` if a file there can be linked into the output path; else
``.slurmic`` in the topmost folder above the output path that the user owns on its filesystem.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class StoreLocation(NamedTuple):
    """Where the store is, and why there.

    Attributes:
        path: the store's folder, absolute; it may not exist yet.
        reason: half a sentence for the user.
    """

    path: str
    reason: str


def locate_store(
    output_path: str, *, store_path: str = "", setting: str = "", home: str = ""
) -> StoreLocation:
    """Where the store for an output path is.

    Args:
        output_path: an existing folder: a link into it is tried.
        store_path: from the configuration, or "".
        setting: from the environment, or "".
        home: the user's home folder, or "".
    """
    if store_path:
        return StoreLocation(_absolute(store_path), "set by store_path")
    if setting:
        return StoreLocation(_absolute(setting), "set by SLURMIC_STORE")
    output_path = os.path.abspath(output_path)
    if home and _can_link(home, output_path):
        return StoreLocation(
            os.path.join(home, ".slurmic"), "your home folder shares the output path's filesystem"
        )
    top = _topmost_owned(output_path)
    return StoreLocation(
        os.path.join(top, ".slurmic"),
        "the topmost folder above the output path that is yours, on its filesystem",
    )


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _can_link(home: str, folder: str) -> bool:
    """Whether a file in the home folder can be linked into `folder`, by trying it.

    Equal device numbers prove nothing (bind mounts, quotas), but different ones rule it out.
    """
    name = f".slurmic-{os.urandom(8).hex()}"
    probe, link = os.path.join(home, name), os.path.join(folder, name)
    store_file = os.path.join(home, ".slurmic", "FORMAT")
    made = False
    try:
        if os.stat(home).st_dev != os.stat(folder).st_dev:
            return False
        if os.path.exists(store_file):
            probe = store_file
        else:
            os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            made = True
        os.link(probe, link, follow_symlinks=False)
        os.unlink(link)
        return True
    except OSError:
        return False
    finally:
        if made:
            os.unlink(probe)


def _topmost_owned(folder: str) -> str:
    """The topmost folder from `folder` upwards that this user owns, on the same filesystem.

    Folders in between may belong to others: that is rare, and the topmost folder is what all output
    paths have in common.
    """
    device, user = os.stat(folder).st_dev, os.geteuid()
    found = current = folder
    while True:
        parent = os.path.dirname(current)
        if parent == current:
            return found
        status = os.stat(parent)
        if status.st_dev != device:
            return found
        if status.st_uid == user and os.access(parent, os.W_OK | os.X_OK):
            found = parent
        current = parent

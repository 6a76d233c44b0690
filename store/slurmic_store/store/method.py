"""Fill methods: how files get into a code folder, by hard link, reflink or copy.

Whether hard links work between a store and a folder cannot be known without trying: bind mounts of
one device and XFS project quotas refuse them although st_dev is equal, and BeeGFS refused them only
across folders. So a link is really made, from the store into the folder, before anything else.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Literal

from slurmic_store.errors import LinkModeError, os_failure, quoted, reason_of
from slurmic_store.format.digests import PERMISSIONS
from slurmic_store.format.names import FORMAT_FILE, random_name
from slurmic_store.fs import files
from slurmic_store.fs.creating import creating, temporarily

from .store import Store

LinkMode = Literal["auto", "hardlink", "reflink", "copy"]
"""What a caller may ask for: one fill method, or "auto" for the first of them that works."""

Method = Literal["hardlink", "reflink", "copy"]

_CHUNK = 1 << 20


@dataclass(frozen=True)
class FillMethod:
    """How the files of a code folder are made from blobs.

    Attributes:
        method: hardlink, reflink or copy.
        notice: "" for the best method; otherwise one sentence that says what is used instead,
            why, and what would make links possible.
        asked: what the user asked for; only "auto" lets a single file fall back to a copy.
    """

    method: Method
    notice: str = ""
    asked: LinkMode = "auto"


def choose_method(store: Store, folder: bytes, mode: LinkMode) -> FillMethod:
    """Find out, by trying, how files in `folder` can be made from blobs of `store`.

    Args:
        store: its FORMAT file serves as the file to link.
        folder: an existing folder on the destination's filesystem.
        mode: "auto" for the best that works, or the one method that is wanted.

    Raises:
        LinkModeError: the wanted method does not work; says why.
        OSError: not even a copy can be written (a full disk, no permission).
    """
    if mode == "copy":
        return FillMethod("copy", asked=mode)
    probe = os.path.join(folder, random_name())
    reasons = []
    if mode in ("auto", "hardlink"):
        refused = _link_failure(os.path.join(store.path, FORMAT_FILE), probe)
        if not refused:
            return FillMethod("hardlink", asked=mode)
        reasons.append(f"hard links: {refused}")
    if mode in ("auto", "reflink"):
        refused = reflink_failure(os.path.join(store.path, FORMAT_FILE), probe)
        if not refused:
            notice = _notice(store, folder, "reflinks", reasons) if mode == "auto" else ""
            return FillMethod("reflink", notice, asked=mode)
        reasons.append(f"reflinks: {refused}")
    if mode == "auto":
        return FillMethod("copy", _notice(store, folder, "copies", reasons))
    raise mode_refused(store, folder, mode, "; ".join(reasons))


def mode_refused(store: Store, path: bytes, mode: LinkMode, reason: str) -> LinkModeError:
    """The error for an explicit link mode that does not work, for a folder or for one file."""
    return LinkModeError(
        f"link_mode '{mode}' does not work from store '{store.name}' to {quoted(path)} ({reason})",
        path=path,
        hint="set store_path (or SLURMIC_STORE) to a folder on the filesystem of the output "
        "path, or set link_mode to 'auto'",
    )


def _notice(store: Store, folder: bytes, used: str, reasons: list[str]) -> str:
    return (
        f"code folders below {quoted(os.path.dirname(folder))} are made of {used}, not hard "
        f"links, and take more space: store '{store.name}' cannot be linked from there "
        f"({'; '.join(reasons)}); a store_path on the filesystem of the output path would allow it"
    )


def _link_failure(source: bytes, probe: bytes) -> str:
    """Why a hard link of a file cannot be made at `probe`, where nothing stays; "" if it can.

    Raises:
        StoreError: nothing can be made there.
    """
    try:
        os.link(source, probe, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EMLINK:
            return ""
        if error.errno not in files.CANNOT_LINK:
            raise os_failure("link into", probe, error) from error
        return reason_of(error)
    files.remove_quietly(probe)
    return ""


def reflink_failure(source: bytes, probe: bytes) -> str:
    """Why a reflink of a file cannot be made at `probe`, where nothing stays; "" if it can.

    Raises:
        OSError: no file can be made there at all.
    """
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with temporarily(probe), creating(probe) as file:
            try:
                files.clone_file(descriptor, file.descriptor)
            except OSError as error:
                return reason_of(error)
    finally:
        os.close(descriptor)
    return ""


Cloning = Literal["never", "if possible", "always"]


def copy_blob(
    blob: int,
    path: bytes,
    status: os.stat_result,
    *,
    clone: Cloning,
    dir_fd: int | None = None,
    writable: bool = False,
) -> None:
    """Make a file of its own from an open blob, by reflink or copy, with its mode and seal.

    Args:
        blob: file descriptor of the blob, open for reading.
        path: where; must not exist.
        status: the blob's stat: its mode and modification time are kept.
        clone: whether to try a reflink first, and whether a copy will do instead.
        dir_fd: the folder that `path` is relative to.
        writable: let the owner write, and let the time be the clock's: the file is no stand-in
            for the blob.

    Raises:
        OSError: the file cannot be written; nothing is left at `path`.
    """
    mode = status.st_mode & PERMISSIONS | (0o200 if writable else 0)
    times = None if writable else (status.st_atime_ns, status.st_mtime_ns)
    with creating(path, mode=mode, times=times, dir_fd=dir_fd) as file:
        if not _cloned(blob, file.descriptor, clone):
            os.lseek(blob, 0, os.SEEK_SET)
            while data := os.read(blob, _CHUNK):
                file.write(data)


def _cloned(blob: int, target: int, clone: Cloning) -> bool:
    if clone == "never":
        return False
    try:
        files.clone_file(blob, target)
    except OSError:
        if clone == "always":
            raise
        return False
    return True

"""Placing blobs in code folders: hard link, reflink or copy.

Whether hard links work between a store and a folder cannot be read off anything: bind mounts of one
device and XFS project quotas refuse them with equal st_dev, and BeeGFS refused them only across
directories. So a link is really made, from the store into the folder, before anything else.
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import dataclass
from typing import Literal

from . import files
from .digests import SECOND, stored_at
from .errors import LinkModeError, os_failure, quoted
from .store import Store

LinkMode = Literal["auto", "hardlink", "reflink", "copy"]
Method = Literal["hardlink", "reflink", "copy"]

_CHUNK = 1 << 20


@dataclass(frozen=True)
class FillMethod:
    """How the files of a code folder are made from blobs.

    Attributes:
        method: hardlink, reflink or copy.
        notice: "" for what is best; otherwise one sentence that says what is used instead, why,
            and what would make links possible.
        asked: what the user asked for; only "auto" lets a single file fall back to a copy.
    """

    method: Method
    notice: str = ""
    asked: LinkMode = "auto"


def choose_method(store: Store, folder: bytes, mode: LinkMode) -> FillMethod:
    """Find out, by trying, how blobs of `store` can be placed in `folder`.

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
    probe = os.path.join(folder, files.random_name())
    reasons = []
    if mode in ("auto", "hardlink"):
        refused = _try_hardlink(store, probe)
        if refused is None:
            return FillMethod("hardlink", asked=mode)
        reasons.append(f"hard links: {refused}")
    if mode in ("auto", "reflink"):
        refused = _try_reflink(store, probe)
        if refused is None:
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


def _try_hardlink(store: Store, probe: bytes) -> str | None:
    """None if a hard link from the store to `probe` works, else why not."""
    try:
        os.link(os.path.join(store.path, b"FORMAT"), probe, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EMLINK:
            return None
        if error.errno not in files.CANNOT_LINK:
            raise os_failure("link into", probe, error) from error
        return os.strerror(error.errno or 0).lower()
    files.remove_quietly(probe)
    return None


def _try_reflink(store: Store, probe: bytes) -> str | None:
    """None if a reflink from the store to `probe` works, else why not."""
    source = os.open(os.path.join(store.path, b"FORMAT"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            files.clone_file(source, target)
        except OSError as error:
            return os.strerror(error.errno or 0).lower()
        finally:
            os.close(target)
            files.remove_quietly(probe)
    finally:
        os.close(source)
    return None


Cloning = Literal["never", "if possible", "always"]


def place_copy(
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
        writable: let the owner write, and let the time be now's: the file is no blob's likeness.

    Raises:
        OSError: the file could not be written; nothing is left at `path`.
    """
    target = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=dir_fd
    )
    try:
        try:
            if not _cloned(blob, target, clone):
                os.lseek(blob, 0, os.SEEK_SET)
                while data := os.read(blob, _CHUNK):
                    files.write_all(target, data)
            os.fchmod(target, status.st_mode & 0o555 | (0o200 if writable else 0))
            if not writable:
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(target)
    except BaseException:
        files.remove_quietly(path, dir_fd=dir_fd)
        raise


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


def is_old(status: os.stat_result, now: float, refresh_after: float) -> bool:
    """Whether a blob is so old that a purge by age might take it (ages in seconds).

    What was stored at `now` or later never is, whatever `refresh_after`: the time that it was
    stored is known to the second only.
    """
    return now - stored_at(status) >= refresh_after + 1


def oldest_young(now: float, refresh_after: float) -> float:
    """The modification time in nanoseconds from which :func:`is_old` says no."""
    return (
        (math.floor(now - refresh_after - 2) + 1) * SECOND
        if refresh_after < math.inf
        else -math.inf
    )

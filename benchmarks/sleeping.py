"""A filesystem that sleeps: a folder, mounted again, on which every operation takes some time.

    python benchmarks/sleeping.py FOLDER MOUNTPOINT SECONDS

So behave network filesystems whose metadata is far away. The kernel remembers names and attributes
for one second, as it does for many of those. Operations of different threads sleep side by side,
except where the kernel lets one at a time into a folder (making, linking, renaming and removing
names in it), as on those, too.

Needs FUSE (/dev/fuse, Debian's fuse3) and mfusepy, which the extra "bench" installs.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def why_impossible() -> str:
    """Why it cannot be mounted here; "" if nothing speaks against it."""
    if importlib.util.find_spec("mfusepy") is None:
        return "mfusepy is not installed (pip install 'slurmic[bench]')"
    if shutil.which("fusermount3") is None:
        return "fuse3 is not installed"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    return ""


@contextlib.contextmanager
def sleeping_filesystem(folder: Path, mountpoint: Path, seconds: float) -> Iterator[Path]:
    """Mount `folder` at `mountpoint`; unmounted again, and its process ended, whatever happens.

    Args:
        folder: an existing folder.
        mountpoint: another; it is made if it is not there.
        seconds: that each operation sleeps.

    Raises:
        RuntimeError: it could not be mounted; says why.
    """
    mountpoint.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, os.path.abspath(__file__), str(folder), str(mountpoint)]
    with subprocess.Popen(
        [*command, str(seconds)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/"
    ) as process:
        try:
            for _ in range(500):
                if os.path.ismount(mountpoint) or process.poll() is not None:
                    break
                time.sleep(0.02)
            if process.poll() is not None or not os.path.ismount(mountpoint):
                process.kill()
                said = process.communicate()[1].decode(errors="replace")
                raise RuntimeError(f"'{mountpoint}' could not be mounted: {said[-1000:]}")
            yield mountpoint
        finally:
            _unmount(mountpoint)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _unmount(mountpoint: Path) -> None:
    for options in (["-u"], ["-u"], ["-u"], ["-u", "-z"]):
        if not os.path.ismount(mountpoint):
            return
        done = subprocess.run(["fusermount3", *options, str(mountpoint)], capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.3)


def serve(folder: str, mountpoint: str, seconds: float) -> None:
    """Mount, and answer until it is unmounted."""
    import mfusepy

    def path_of(name: str) -> str:
        return folder + name

    def slow(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            time.sleep(seconds)
            return function(*arguments)

        return call

    def status(path: str, handle: int | None = None) -> dict[str, Any]:
        found = os.fstat(handle) if handle is not None else os.lstat(path_of(path))
        names = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
        times = {
            name: getattr(found, f"{name}_ns") for name in ("st_atime", "st_mtime", "st_ctime")
        }
        return {**{name: getattr(found, name) for name in names}, **times}

    def times(path: str, both: tuple[int, int] | None = None) -> None:
        os.utime(path_of(path), ns=both or (time.time_ns(), time.time_ns()), follow_symlinks=False)

    def truncate(path: str, length: int, handle: int | None = None) -> None:
        os.truncate(path_of(path) if handle is None else handle, length)

    def create(path: str, mode: int, flags: int | None = None) -> int:
        return os.open(path_of(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)

    def read_only_handle(path: str, flags: int) -> int:
        return os.open(path_of(path), flags | os.O_CLOEXEC | os.O_NOFOLLOW)

    def names(path: str, handle: int) -> list[tuple[str, dict[str, int], int]]:
        # An entry without an inode number would not be shown.
        with os.scandir(path_of(path)) as entries:
            found = {entry.name: entry.inode() for entry in entries}
        found |= dict.fromkeys((".", ".."), os.lstat(path_of(path)).st_ino)
        return [(name, {"st_ino": number}, 0) for name, number in found.items()]

    def read_attribute(path: str, name: str, position: int = 0) -> bytes:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    def room(path: str) -> dict[str, int]:
        found = os.statvfs(path_of(path))
        names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree")
        return {name: getattr(found, name) for name in (*names, "f_favail", "f_namemax")}

    def sync(path: str, data_only: int, handle: int) -> None:
        os.fdatasync(handle)

    handlers: dict[str, Callable[..., Any]] = {
        "getattr": status,
        "readlink": lambda path: os.readlink(path_of(path)),
        "readdir": names,
        "mkdir": lambda path, mode: os.mkdir(path_of(path), mode),
        "rmdir": lambda path: os.rmdir(path_of(path)),
        "unlink": lambda path: os.unlink(path_of(path)),
        # The new name comes first, here.
        "symlink": lambda path, target: os.symlink(target, path_of(path)),
        "link": lambda path, old: os.link(path_of(old), path_of(path), follow_symlinks=False),
        "rename": lambda old, new: os.rename(path_of(old), path_of(new)),
        "chmod": lambda path, mode: os.chmod(path_of(path), mode),
        "chown": lambda path, user, group: os.lchown(path_of(path), user, group),
        "utimens": times,
        "truncate": truncate,
        "create": create,
        "open": read_only_handle,
        "read": lambda path, size, offset, handle: os.pread(handle, size, offset),
        "write": lambda path, data, offset, handle: os.pwrite(handle, data, offset),
        "fsync": sync,
        "statfs": room,
    }
    operations = type("Sleeping", (mfusepy.Operations,), {"use_ns": True})()
    for name, function in handlers.items():
        setattr(operations, name, slow(function))
    # No operations of the server: these cost a network filesystem nothing.
    operations.release = lambda path, handle: os.close(handle)
    operations.getxattr = read_attribute
    options: dict[str, Any] = {"attr_timeout": 1, "entry_timeout": 1, "negative_timeout": 0}
    options |= {"use_ino": True, "hard_remove": True, "default_permissions": True}
    mfusepy.FUSE(
        operations, mountpoint, foreground=True, fsname="sleeping", max_threads=64, **options
    )


if __name__ == "__main__":
    os.umask(0)
    serve(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), float(sys.argv[3]))

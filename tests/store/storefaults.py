"""Faults: a process that is killed, or told that the disk is full, at the n-th file-changing call.

The engine calls everything through the ``os`` module at run time, so that replacing the functions
there reaches all of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from slurmic_store import StoreError
from slurmic_store.fs import syncing

CHANGING = (
    "open", "write", "link", "rename", "unlink", "mkdir", "rmdir", "symlink", "utime", "fchmod",
    "chmod", "fdatasync", "ftruncate",
)  # fmt: skip
"""Functions of os that change a filesystem; open counts where it creates."""

REMOVING = ("unlink", "rmdir")

When = Literal["before", "after"]
Hook = Callable[[str, tuple[Any, ...], dict[str, Any]], None]


def _nothing(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    pass


@contextlib.contextmanager
def watched(before: Hook = _nothing, after: Hook = _nothing) -> Iterator[None]:
    """Call hooks before and after each file-changing call of this process."""
    originals = {name: getattr(os, name) for name in CHANGING}
    ioctl, libc = fcntl.ioctl, syncing._libc

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return function(*args, **options)
            seen = _absolute(name, args, options)
            before(name, seen, options)
            result = function(*args, **options)
            after(name, (result, *seen) if name == "open" else seen, options)
            return result

        return call

    class Libc:
        def __init__(self) -> None:
            self.statfs = libc().statfs
            self.syncfs = wrap("syncfs", libc().syncfs)

    watching = Libc()
    for name, function in originals.items():
        setattr(os, name, wrap(name, function))
    fcntl.ioctl = wrap("ioctl", ioctl)  # type: ignore[assignment]
    syncing._libc = lambda: watching  # type: ignore[assignment,return-value]
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(os, name, function)
        fcntl.ioctl = ioctl
        syncing._libc = libc


def _absolute(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of a call, with the paths that are relative to an open folder made absolute."""
    found = list(args)
    # A symbolic link's target stays as it is.
    first = 1 if name == "symlink" else 0
    for number, option in ((first, "dir_fd"), (0, "src_dir_fd"), (1, "dst_dir_fd")):
        folder = options.get(option)
        if folder is not None and isinstance(found[number], bytes):
            found[number] = os.path.join(os.readlink(b"/proc/self/fd/%d" % folder), found[number])
    return tuple(found)


def raising(name: str, number: int, matches: Callable[[str], bool] = lambda _: True) -> Hook:
    """A hook that makes all calls of one function fail, where its first path fits."""

    def hook(called: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if called == name and matches(os.fsdecode(args[0]) if isinstance(args[0], bytes) else ""):
            raise OSError(number, os.strerror(number), *args[:1])

    return hook


def syncfs(descriptor: int) -> None:
    """syncfs(2), which Python does not have."""
    ctypes.CDLL(None).syncfs(descriptor)


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        kind: "done"; "killed"; "refused": a StoreError that names a path; "failed": anything else.
        detail: what it returned, or the error.
        fault: the name of the call that the fault hit, "" if it hit none.
        calls: number of file-changing calls that were made.
    """

    kind: Literal["done", "killed", "refused", "failed"]
    detail: Any = None
    fault: str = ""
    calls: int = 0


def in_child(
    function: Callable[[], Any],
    *,
    at: int = -1,
    when: When = "before",
    error: int = 0,
    user: int | None = None,
) -> Outcome:
    """Run a function in a forked process that gets a fault at its `at`-th file-changing call.

    Args:
        function: its result must be picklable.
        at: which call; -1 for none.
        when: before it is made, or after.
        error: errno of the OSError that the call raises; 0 kills the process.
        user: run as this user id, without any privilege.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_child(function, writer, at, when, error, user)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return Outcome("killed")
    outcome: Outcome = pickle.loads(data)
    return outcome


def _run_child(
    function: Callable[[], Any], writer: int, at: int, when: When, error: int, user: int | None
) -> None:
    calls = 0
    fault = ""

    def before(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        nonlocal fault
        if calls == at and when == "before":
            strike(name)

    def after(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        nonlocal calls
        calls += 1
        if calls - 1 == at and when == "after":
            strike(name)

    def strike(name: str) -> None:
        nonlocal fault, calls
        if not error:
            os.kill(os.getpid(), signal.SIGKILL)
        fault = name
        calls += 1
        raise OSError(error, os.strerror(error))

    original_write = os.write
    try:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        try:
            with watched(before, after):
                result = function()
            outcome = Outcome("done", result, fault, calls)
        except StoreError as failure:
            kind: Literal["refused", "failed"] = "refused" if failure.path else "failed"
            outcome = Outcome(kind, f"{type(failure).__name__}: {failure}", fault, calls)
        except BaseException:
            outcome = Outcome("failed", traceback.format_exc(), fault, calls)
        data = pickle.dumps(outcome)
        while data:
            data = data[original_write(writer, data) :]
    finally:
        os._exit(0)


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

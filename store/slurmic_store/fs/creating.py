"""New files: written under a name that no process reads yet, then given their own.

Everything that the engine publishes goes through here, so that the order of the steps (write, make
read-only, set the time, sync, give the name) is the same everywhere:

- :func:`creating` makes a file, which is gone if what is done with it fails;
- :func:`replacing` lets it replace the file that has its name, by rename: for names that one
  process alone writes;
- :func:`publishing` gives it a name that several processes may want, by link: the first one wins.

The functions of ``os`` are called through the module at run time, which lets tests interrupt or
refuse any of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from slurmic_store.format.names import random_name

from .files import CANNOT_LINK, remove_quietly


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`; os.write may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class NewFile:
    """A new file, open for writing; a context manager, which gives itself.

    In the end it is finished and closed. If what is done with it fails, or that does, nothing is
    left at its path.

    Args:
        path: where it comes to be; must not exist.
        dir_fd: the folder that `path` is relative to; None for the current one.

    Attributes:
        descriptor: its file descriptor, for writing by other means than :meth:`write`.
        mode: the permission bits that it gets when it is finished; None for what the umask says.
        times: the access and modification time in nanoseconds that it gets; None for the clock's.
        sync: whether its content is made durable. Without it, a crash of the machine may leave a
            file of no bytes under the final name.
    """

    # Written out, as tens of thousands may be made: a generator would take a third longer.
    __slots__ = ("_dir_fd", "_finished", "_path", "descriptor", "mode", "sync", "times")

    def __init__(self, path: bytes, mode: int | None, dir_fd: int | None) -> None:
        self._path = path
        self._dir_fd = dir_fd
        self._finished = False
        self.mode = mode
        self.times: tuple[int, int] | None = None
        self.sync = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self.descriptor = os.open(path, flags, 0o666 if mode is None else 0o600, dir_fd=dir_fd)

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            try:
                if kind is None:
                    self.finish()
            finally:
                os.close(self.descriptor)
        except BaseException:
            self._remove()
            raise
        if kind is not None:
            self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._path, dir_fd=self._dir_fd)

    def write(self, data: bytes | memoryview) -> int:
        """Append all of `data`; its length."""
        write_all(self.descriptor, data)
        return len(data)

    def finish(self) -> None:
        """Set permission bits and times, and sync; nothing may be written from then on.

        Done in the end in any case; to be called where something remains to be done after the file
        is complete, and before it gets its name.
        """
        if self._finished:
            return
        if self.mode is not None:
            os.fchmod(self.descriptor, self.mode)
        if self.times is not None:
            os.utime(self.descriptor, ns=self.times)
        if self.sync:
            os.fdatasync(self.descriptor)
        self._finished = True


def creating(
    path: bytes,
    *,
    mode: int | None = 0o444,
    sync: bool = False,
    times: tuple[int, int] | None = None,
    dir_fd: int | None = None,
) -> NewFile:
    """A new file at `path`, which must not exist; to be used in a ``with`` statement.

    Args:
        path: where; relative to `dir_fd` if that is given.
        mode: as in :class:`NewFile`.
        sync: as in :class:`NewFile`.
        times: as in :class:`NewFile`.
        dir_fd: an open folder.

    Raises:
        OSError: it cannot be created or written.
    """
    file = NewFile(path, mode, dir_fd)
    file.sync = sync
    file.times = times
    return file


def write_new(
    path: bytes,
    data: bytes,
    *,
    mode: int = 0o444,
    sync: bool = True,
    dir_fd: int | None = None,
) -> None:
    """Create `path`, as :func:`creating` does, with `data` in it."""
    with creating(path, mode=mode, sync=sync, dir_fd=dir_fd) as file:
        file.write(data)


@contextlib.contextmanager
def temporarily(path: bytes) -> Iterator[bytes]:
    """`path`, at which a file may be made, moved or linked: in the end it is not there."""
    try:
        yield path
    finally:
        remove_quietly(path)


@contextlib.contextmanager
def replacing(
    path: str | bytes,
    *,
    temporary: bytes | None = None,
    mode: int | None = 0o444,
    sync: bool = True,
) -> Iterator[NewFile]:
    """A new file that takes the place of what is at `path` when it is complete, by rename.

    A reader sees the old file or the new one, whole. Only for a name that no other process writes
    at the same time: two writers that rename onto one name have hung GlusterFS clients.

    Args:
        path: the final name.
        temporary: where it is written, on the same filesystem; a random name beside `path` if None.
        mode: as in :class:`NewFile`.
        sync: as in :class:`NewFile`.

    Raises:
        OSError: it cannot be written or renamed: what is at `path` is what was there before, and
            nothing else is left.
    """
    final = os.fsencode(path)
    if temporary is None:
        temporary = os.path.join(os.path.dirname(final), random_name())
    with creating(temporary, mode=mode, sync=sync) as file:
        yield file
    try:
        os.rename(temporary, final)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_quietly(temporary)
        raise


@contextlib.contextmanager
def publishing(
    path: bytes,
    *,
    temporary: bytes,
    times: tuple[int, int] | None = None,
    sync: bool = True,
) -> Iterator[NewFile]:
    """A new, read-only file that gets the name `path` when it is complete, unless that is taken.

    Args:
        path: the final name, which several processes may want to give; see :func:`give_name`.
        temporary: where it is written, on the same filesystem.
        times: as in :class:`NewFile`.
        sync: as in :class:`NewFile`.

    Raises:
        OSError: it cannot be written, or the name cannot be given; nothing is left.
    """
    with temporarily(temporary):
        with creating(temporary, sync=sync, times=times) as file:
            yield file
        give_name(temporary, path)


def give_name(temporary: bytes, final: bytes, *, or_rename: bool = True) -> bool:
    """Give the finished file at `temporary` the shared name `final`, unless it is taken.

    By link(2), which has exactly one winner on every filesystem measured; two writers renaming
    onto one name deadlocked GlusterFS clients. Where there are no hard links, by a rename onto
    a name that is free, which then is the best there is. `temporary` is left, or gone.

    Args:
        temporary: a complete file.
        final: its name from now on.
        or_rename: whether `temporary` may be renamed where it cannot be linked.

    Returns:
        True if this call gave the name, False if it was already taken.

    Raises:
        OSError: neither was possible.
    """
    try:
        os.link(temporary, final, follow_symlinks=False)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if not or_rename or error.errno not in CANNOT_LINK | {errno.EMLINK}:
            raise
    if os.path.lexists(final):
        return False
    os.rename(temporary, final)
    return True

"""Code on the node's own disk: ``code_stage="node"``.

Where thousands of tasks import from one shared filesystem, every import costs it several lookups.
So the code folder is read as one archive, once on each node, and unpacked below the node's
temporary folder (TMPDIR, which many clusters give each job a private one of). All processes on the
node that run from the same snapshot share the unpacked folder.

    <TMPDIR>/slurmic-<user id>/<key>/lock       who uses the folder holds it, shared
                                     unpacking  who unpacks holds it
                                     code/      unpacked under another name, then renamed

Who ends last gets the first lock exclusively, and removes the folder. A job that is killed cannot
do so, but a lock ends with its process: the next job of this user on the node removes what no
process holds a lock on. (A node's temporary folder is local, so locks can be trusted there.)
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import stat
import sys
import tempfile

from slurmic.errors import SlurmicError
from slurmic_store import StoreError

_LOCK, _UNPACKING, _CODE = "lock", "unpacking", "code"
_NAMED = 5


class NodeFolderError(SlurmicError):
    """The code could not be unpacked on this node."""


def node_folder(archive: str, key: str) -> str:
    """The unpacked code on this node, until this process ends.

    Args:
        archive: what :func:`slurmic_store.write_archive` has written.
        key: names the folder; equal for processes that share it. Without a dot.

    Raises:
        NodeFolderError: it cannot be unpacked here; says why.
    """
    try:
        top = _private_folder(os.path.join(tempfile.gettempdir(), f"slurmic-{os.geteuid()}"))
        remove_unused(top, but=key)
        folder = os.path.join(top, key)
        lock = _hold(folder, archive)
    except (OSError, StoreError) as error:
        raise NodeFolderError(
            f"'{archive}' cannot be unpacked below '{tempfile.gettempdir()}' on this node: {error}",
            hint="set TMPDIR to a folder with room on the nodes, or code_stage to 'shared'",
        ) from error
    atexit.register(_leave, folder, lock, os.getpid())
    return os.path.join(folder, _CODE)


def remove_unused(top: str, but: str = "") -> None:
    """Remove the folders that no process uses: of jobs that were killed."""
    for name in os.listdir(top):
        if name == but:
            continue
        folder = os.path.join(top, name)
        if "." in name:  # on its way out when its process was killed
            shutil.rmtree(folder, ignore_errors=True)
            continue
        with contextlib.suppress(OSError):
            lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(lock)


def _private_folder(folder: str) -> str:
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    status = os.lstat(folder)
    # Below /tmp anybody may have made it, to put code of their own into our jobs.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(f"'{folder}' belongs to somebody else, or others may write to it")
    return folder


def _hold(folder: str, archive: str) -> int:
    """Unpack the archive unless that was done; a file descriptor that holds the folder."""
    while True:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        try:
            lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # removed in between
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if _is_in_place(folder, lock):
                _unpack_once(archive, folder)
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _unpack_once(archive: str, folder: str) -> None:
    if os.path.exists(os.path.join(folder, _CODE)):
        return
    turn = os.open(os.path.join(folder, _UNPACKING), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, _CODE)):
            _unpack(archive, folder)
    finally:
        os.close(turn)


def _is_in_place(folder: str, lock: int) -> bool:
    """Whether the lock that is held is still the one that others will find."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(os.path.join(folder, _LOCK)))
    except FileNotFoundError:
        return False


def _unpack(archive: str, folder: str) -> None:
    from slurmic_store import unpack_archive

    staged = os.path.join(folder, f"{_CODE}.partial")
    shutil.rmtree(staged, ignore_errors=True)  # left by a process that was killed
    os.mkdir(staged)
    with open(archive, "rb") as file:
        unpack_archive(file, os.fsencode(staged), name=archive)
    os.rename(staged, os.path.join(folder, _CODE))


def _leave(folder: str, lock: int, owner: int) -> None:
    """Give the lock back, and remove the folder if no other process holds it."""
    if os.getpid() != owner:
        return  # a forked child runs the same exit handlers
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _say_what_is_lost(os.path.join(folder, _CODE))
        _remove(folder)
    with contextlib.suppress(OSError):
        os.close(lock)


def _remove(folder: str) -> None:
    """Remove a folder whose exclusive lock is held: away from its name at once."""
    trash = f"{folder}.{os.getpid()}"
    os.rename(folder, trash)
    shutil.rmtree(trash, ignore_errors=True)


def _say_what_is_lost(code: str) -> None:
    """Name the files that the job has written beside its code: packed ones can't be written to."""
    written = []
    for folder, folders, names in os.walk(code):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o200:
                written.append(os.path.relpath(path, code))
    if written:
        named = ", ".join(ascii(name) for name in sorted(written)[:_NAMED])
        more = f" and {len(written) - _NAMED} more" if len(written) > _NAMED else ""
        print(
            f"slurmic: what the job wrote beside its code goes away with the node's copy "
            f"(code_stage='node'): {named}{more}; give such files an absolute path",
            file=sys.stderr,
            flush=True,
        )

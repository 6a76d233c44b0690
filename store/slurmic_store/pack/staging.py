"""Staging folders: where a code folder is built before it gets its name.

A staging folder lies beside its destination, so that one rename puts it in place. A note in the
store's ``tmp/`` announces it: it says where the folder is and which process builds it, so that gc
can remove it if that process has died. The note is written before the folder is made, and removed
after the folder has got its name or is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import Literal

from slurmic_store.errors import os_failure
from slurmic_store.format.names import (
    ID_SIZE,
    NOTE_SUFFIX,
    TEMPORARIES_BESIDE,
    TEMPORARY_PREFIX,
    is_temporary,
    staging_name,
)
from slurmic_store.fs import files
from slurmic_store.fs.creating import write_new
from slurmic_store.store.store import Store

OwnerState = Literal["alive", "dead", "unknown"]

ABANDONED_AFTER = 24 * 3600.0
"""Age in seconds from which anything without a known living owner counts as abandoned."""


@dataclass(frozen=True)
class StagingFolder:
    """A staging folder.

    Attributes:
        path: the folder, absolute.
        note: its note in the store.
        created_ns: when the note was made, by the clock of the store's filesystem, nanoseconds.
        mount: the mount point of the folder's filesystem.
    """

    path: bytes
    note: bytes
    created_ns: int
    mount: bytes

    def close(self) -> None:
        """Remove the note: the folder has got its name, or is gone."""
        files.remove_quietly(self.note)

    def discard(self) -> None:
        """Remove the folder, what is beside it, and the note, as far as the filesystem allows."""
        with contextlib.suppress(OSError):
            files.remove_all(self.path + suffix for suffix in TEMPORARIES_BESIDE)
            files.remove_tree(self.path)
            self.close()


def open_staging_folder(store: Store, snapshot_id: str, parent: bytes) -> StagingFolder:
    """Make a staging folder below `parent`.

    Raises:
        FileExistsError: another submission uses this id.
        StoreError: it cannot be made; nothing is left.
    """
    stage = announce(store, snapshot_id, parent)
    try:
        os.mkdir(stage.path)
    except OSError as error:
        with contextlib.suppress(OSError):
            stage.close()
        raise os_failure("create folder", stage.path, error) from error
    return stage


def announce(store: Store, snapshot_id: str, parent: bytes) -> StagingFolder:
    """Announce a staging folder below `parent`, which is about to be made, or renamed to that name.

    Raises:
        FileExistsError: another submission uses this id.
        StoreError: the note cannot be written; nothing is left.
    """
    path = os.path.join(parent, staging_name(snapshot_id))
    note = os.path.join(store.tmp, os.fsencode(snapshot_id) + NOTE_SUFFIX)
    mount = files.mount_point(parent)
    about = {"path": os.fsdecode(path), "mount": os.fsdecode(mount)}
    text = json.dumps({**about, **_this_process()})
    try:
        # Not synced: it matters only when this process dies, not when the machine does (gc removes
        # a note without content, and its folder is left to the user).
        write_new(note, text.encode(), sync=False)
        return StagingFolder(path, note, os.stat(note).st_ctime_ns, mount)
    except FileExistsError:
        raise
    except OSError as error:
        with contextlib.suppress(OSError):
            files.remove_quietly(note)
        raise os_failure("write", note, error) from error


def read_note(note: bytes) -> tuple[bytes, OwnerState] | None:
    """The staging folder that a note announces, and the state of its owner.

    None if the note cannot be read (it was torn by a crash of the machine).
    """
    try:
        data = json.loads(files.read_piece(note))
        path = os.fsencode(data["path"])
        process = {key: data[key] for key in ("host", "boot", "pid", "start")}
        mounted = os.path.ismount(data.get("mount", "/"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not is_temporary(path):
        return None
    # While its filesystem is not mounted, the folder cannot be removed, nor known to be gone.
    return path, _owner_state(process) if mounted else "alive"


def abandoned_paths(store: Store, grace: float, now: float) -> list[bytes]:
    """Staging folders and temporary files that no process will finish; notes come last.

    Args:
        store: the store whose notes are read.
        grace: seconds; nothing younger is named.
        now: seconds since the epoch.

    A folder whose process is known to be dead is named once the grace period is over; where that
    cannot be known (another host, a container), after a day. A submission that is suspended for
    longer than that fails when it continues, and nothing but its time is lost.
    """
    patience = max(grace, ABANDONED_AFTER)
    abandoned: list[bytes] = []
    kept = set()
    notes: list[bytes] = []
    others: list[bytes] = []
    for name in files.names_in(store.tmp):
        path = os.path.join(store.tmp, name)
        (notes if name.endswith(NOTE_SUFFIX) else others).append(path)
    dead = set()
    for note in notes:
        found = read_note(note)
        age = _age(note, now)
        if found is None:
            abandoned += [note] if age >= patience else []
            continue
        folder, owner = found
        owned = TEMPORARY_PREFIX + os.path.basename(note).removesuffix(NOTE_SUFFIX)
        if owner != "alive" and age >= (grace if owner == "dead" else patience):
            dead.add(owned)
            if os.path.dirname(folder) != store.tmp:
                abandoned += [folder + suffix for suffix in TEMPORARIES_BESIDE] + [folder]
            abandoned.append(note)
        else:
            kept.add(owned)
    left = []
    for path in others:
        # Temporary names begin with the id of the snapshot that they belong to, if to any.
        owned = os.path.basename(path)[:_OWNED]
        if owned in dead or (owned not in kept and _age(path, now) >= patience):
            left.append(path)
    return left + abandoned


_OWNED = len(TEMPORARY_PREFIX) + ID_SIZE


def _age(path: bytes, now: float) -> float:
    """Seconds since a file last changed in any way; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return now - os.lstat(path).st_ctime
    return 0.0


def _this_process() -> dict[str, str | int]:
    pid = os.getpid()
    start = _start(pid) or ""
    return {"host": os.uname().nodename, "boot": _boot(), "pid": pid, "start": start}


def _owner_state(process: dict[str, str | int]) -> OwnerState:
    """Whether the process that a note names still runs; "unknown" on another host."""
    # Another pid namespace of this host (a container) is another host: its pids are not ours.
    if not process["boot"] or process["boot"] != _boot() or process["host"] != os.uname().nodename:
        return "unknown"
    start = _start(int(process["pid"]))
    if start is None or not process["start"]:
        return "unknown"
    return "alive" if start == process["start"] else "dead"


def _boot() -> str:
    """What tells one boot of a host from the next, and one pid namespace from another."""
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


def _start(pid: int) -> str | None:
    """When a process started, in clock ticks since boot.

    "" if there is no such process, or it is dead but has not been waited for; None if that
    cannot be found out.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    except OSError:
        return None
    # The command's name is in parentheses and may hold anything; the state follows.
    fields = text.rpartition(b")")[2].split()
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()

"""The checks of ``slurmic doctor``: each says what it found, and what to do about it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from slurmic import environment
from slurmic.cluster.client import ask
from slurmic.snapshot import StoreLocation, locate_store
from slurmic.text import counted, size
from slurmic.version import installed_version
from slurmic_store import REFRESH_AFTER, Store, StoreError, Trials, printable, quoted, try_folders

CheckState = Literal["ok", "warning", "problem"]

TIMEOUT = 10.0
"""Seconds that a program may take to answer."""


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: what was looked at, one word.
        state: "ok"; "warning": it works, but not as well as it could; "problem": it will fail.
        message: what was found.
        advice: what to do; "" if nothing need be done.
    """

    name: str
    state: CheckState
    message: str
    advice: str = ""


def check_all(output: str, store_option: str) -> list[Check]:
    """All checks for submissions into an output folder, which need not exist yet."""
    folder = os.path.abspath(os.path.expanduser(output))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    location = locate_store(
        folder,
        store_path=store_option,
        setting=environment.store_setting(),
        home=environment.home_folder(),
    )
    checks = [_versions()]
    checks += _places(folder, location)
    checks += _programs()
    return checks


def _versions() -> Check:
    return Check(
        "versions", "ok", f"slurmic {installed_version()}, Python {environment.python_version()}"
    )


def _places(folder: str, location: StoreLocation) -> Iterator[Check]:
    store, place = None, location.path
    if os.path.lexists(location.path):
        try:
            store = Store.open(location.path, create=False)
            store.require_owner()
            yield Check("store", "ok", f"{printable(location.path)}: {location.reason}")
        except StoreError as error:
            yield Check("store", "problem", error.message, error.hint)
            store, place = None, os.path.dirname(location.path)  # nothing is tried in that one
    else:
        message = f"{printable(location.path)}: {location.reason}; made by the first submission"
        yield Check("store", "ok", message)
    place = os.fsdecode(store.tmp) if store is not None else place
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    yield _filesystem("output", folder)
    yield _filesystem("store", place)
    try:
        trials = try_folders(place, folder)
    except StoreError as error:
        yield Check("writing", "problem", error.message, error.hint or "choose another folder")
    else:
        yield from _judge(trials)
    if store is not None:
        yield _access(store)
    for what, where in _different_mounts({"output": folder, "store": place}):
        yield from _space(what, where)
    yield _purge(folder, store)


def _judge(trials: Trials) -> Iterator[Check]:
    if not trials.link_failure:
        yield Check("links", "ok", "files of the store can be hard-linked into output folders")
    elif not trials.reflink_failure:
        yield Check(
            "links",
            "ok",
            f"hard links do not work ({trials.link_failure}); reflinks do, and are used",
        )
    else:
        yield Check(
            "links",
            "warning",
            f"neither hard links ({trials.link_failure}) nor reflinks ({trials.reflink_failure}) "
            "work from the store into output folders: every code folder is a full copy",
            "set store_path or SLURMIC_STORE to a folder on the filesystem of the outputs",
        )
    if trials.granularity >= 1_000_000_000:
        yield Check(
            "timestamps",
            "warning",
            "the store's filesystem keeps whole seconds only: blobs that a job has overwritten are "
            "recognised by their size alone",
            "run 'slurmic verify --checksum' now and then",
        )
    else:
        step = f"{trials.granularity:,} ns"
        yield Check("timestamps", "ok", f"kept in steps of {step}: overwritten blobs are found")
    if not trials.keeps_modes:
        yield Check(
            "modes",
            "warning",
            "the store's filesystem does not keep permissions: jobs may change packed files by "
            "accident, and scripts may not be executable",
            "choose another filesystem for the outputs",
        )


def _access(store: Store) -> Check:
    mode = stat.S_IMODE(os.stat(store.path).st_mode)
    if mode & 0o055:
        return Check(
            "access",
            "warning",
            f"others may look into the store (mode {mode:04o}), private files keep their own modes",
            f"chmod 700 '{store.name}', if you do not want that",
        )
    return Check("access", "ok", "the store is yours alone")


@dataclass(frozen=True)
class _Mount:
    point: str
    kind: str


_ONE_HOST = frozenset({"tmpfs", "ramfs", "overlay"})


def _filesystem(what: str, folder: str) -> Check:
    mount = _mount_of(folder)
    message = f"{what} {printable(folder)}: {mount.kind}, mounted at {printable(mount.point)}"
    if mount.kind in _ONE_HOST:
        return Check(
            "filesystem",
            "warning",
            f"{message}; other hosts do not see it, and it may not outlive this one",
            "jobs on other nodes need a shared filesystem: give another --output to compare",
        )
    return Check("filesystem", "ok", message)


def _mount_of(folder: str) -> _Mount:
    """The filesystem of a folder, by the kernel's list: the last one mounted there counts."""
    found = _Mount("/", "unknown")
    point = os.path.realpath(folder)
    while not os.path.ismount(point):
        point = os.path.dirname(point)
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                before, _, after = line.partition(" - ")
                if _unescaped(before.split(" ")[4]) == point:
                    found = _Mount(point, after.split(" ")[0])
    except OSError:
        return _Mount(point, "unknown")
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _different_mounts(folders: dict[str, str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for what, folder in folders.items():
        device = os.stat(folder).st_dev
        if device not in seen:
            seen.add(device)
            yield what, folder


_LOW = 0.05
"""Below this share of free space or inodes, there is a warning."""


def _space(what: str, folder: str) -> Iterator[Check]:
    free = os.statvfs(folder)
    space = f"{what}: {size(free.f_bavail * free.f_frsize)} free"
    if free.f_files:
        space += f", {counted(free.f_favail, 'inode')} free"
    low = free.f_bavail < _LOW * free.f_blocks or free.f_favail < _LOW * free.f_files
    if free.f_bavail == 0 or (free.f_files and free.f_favail == 0):
        yield Check("space", "problem", space, "delete what you no longer need: see 'slurmic du'")
    elif low:
        yield Check("space", "warning", space, "'slurmic du' says what can be freed")
    else:
        yield Check("space", "ok", space)
    command = {
        "lustre": ["lfs", "quota", "-q", "-u", str(os.geteuid()), folder],
        "beegfs": ["beegfs-ctl", "--getquota", "--csv", "--uid", str(os.geteuid())],
    }.get(_mount_of(folder).kind, ["quota", "--no-wrap", "--raw-grace"])
    if shutil.which(command[0]) is None:
        return
    answer = _ask(*command)
    lines = [line for line in (answer or "").splitlines() if line.strip()]
    if lines:
        said = " ".join(lines[-1].split())
        # Each of them marks what is over its limit so.
        over = "*" in said
        yield Check(
            "quota",
            "warning" if over else "ok",
            f"{what}: {command[0]} says: {said}",
            "a limit is exceeded: 'slurmic du' says what can be freed" if over else "",
        )


_SCRATCH = re.compile(r"scratch|purge|(?:^|/)(?:tmp|temp|work)\d*(?:/|$)", re.IGNORECASE)
_LOOKED_AT = 2000


def _purge(folder: str, store: Store | None) -> Check:
    places = [folder] + ([os.fsdecode(store.path)] if store is not None else [])
    scratch = [place for place in places if _SCRATCH.search(place)]
    if not scratch:
        return Check("purge", "ok", "no path looks like scratch space that is purged by age")
    old = "" if store is None else _old_blobs(store)
    return Check(
        "purge",
        "warning",
        f"{quoted(scratch[0])} looks like scratch space, from which old files may be deleted; "
        f"blobs are stored again when they are used after {REFRESH_AFTER / 86400:.0f} days{old}",
        "what you want to keep for long: 'slurmic export REF -o code.tar.zst', to a place that is "
        "not purged",
    )


def _old_blobs(store: Store) -> str:
    """How many blobs are old, of the first that are found."""
    old = looked = 0
    before = time.time() - REFRESH_AFTER
    for prefix in sorted(os.scandir(store.blobs), key=lambda entry: entry.name):
        for entry in os.scandir(prefix.path):
            looked += 1
            old += entry.stat(follow_symlinks=False).st_mtime < before
            if looked == _LOOKED_AT:
                break
        if looked == _LOOKED_AT:
            break
    return f"; {old:,} of {counted(looked, 'blob')} looked at are older" if looked else ""


def _programs() -> Iterator[Check]:
    slurm = ask("sbatch", "--version")
    if slurm.problem:
        yield Check(
            "slurm",
            "warning",
            "sbatch is not installed on this host, or does not work",
            "submit from a login node, or use mode 'local'",
        )
    elif (partitions := ask("sinfo", "--noheader", "--format=%R")).problem:
        yield Check(
            "slurm",
            "problem",
            f"{slurm.text.strip()} is installed, but its controller does not answer",
            "try 'sinfo': its message says more; the cluster may be down",
        )
    else:
        names = ", ".join(dict.fromkeys(partitions.text.split()))
        yield Check("slurm", "ok", f"{slurm.text.strip()}, partitions: {names}")
    git = _ask("git", "--version")
    if git is None:
        yield Check(
            "git",
            "warning",
            "git is not installed: records will not say which commit was packed, and the files "
            "that .gitignore leaves out but git tracks are not packed",
            "install git, or load its module before you submit",
        )
    else:
        yield Check("git", "ok", git.strip())


def _ask(*command: str) -> str | None:
    """What a program prints; None if it is not there, fails or takes too long."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None

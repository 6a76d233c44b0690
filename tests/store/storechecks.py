"""A plain model of what a store and its code folders must hold, and checks against it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import xxhash

from slurmic_store import (
    Snapshot,
    SnapshotOptions,
    Store,
    decode_tree,
    plan_gc,
    read_records,
    take_snapshot,
)
from slurmic_store.store.method import LinkMode

DEEP = bool(os.environ.get("SLURMIC_DEEP")) or os.environ.get("HYPOTHESIS_PROFILE") == "ci"
"""Whether to try everything (CI's step "every-step") or a sample (`make test`)."""

Content = dict[bytes, tuple[str, int, bytes]]
"""Of a folder: path → ("file", permission bits, bytes) or ("link", 0, target)."""

STAGE = b".slurmic-"


@dataclass(frozen=True)
class Project:
    """A source tree."""

    root: bytes

    def fill(self) -> None:
        """Put one of each kind of file into it."""
        self.write(b"train.py", b"print('training')\n")
        self.write(b"package/__init__.py", b"")
        self.write(b"package/model.py", b"def model(): return 1\n" * 40)
        self.write(b"package/same.py", b"def model(): return 1\n" * 40)
        self.write(b"scripts/run.sh", b"#!/bin/sh\nexec python train.py\n", 0o755)
        self.write(b"secret.txt", b"a token\n", 0o600)
        self.link(b"latest", b"package/model.py")
        self.link(b"scripts/up", b"..")

    def path(self, name: bytes) -> bytes:
        return os.path.join(self.root, name)

    def write(self, name: bytes, data: bytes, mode: int = 0o644) -> None:
        """Write a file anew, as an editor does that renames."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path + b"~")).write_bytes(data)
        os.chmod(path + b"~", mode)
        os.rename(path + b"~", path)

    def overwrite(self, name: bytes, data: bytes) -> None:
        """Write into a file, as an editor does that does not rename."""
        with open(self.path(name), "r+b") as stream:
            stream.write(data)
            stream.truncate()

    def link(self, name: bytes, target: bytes) -> None:
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        os.symlink(target, self.path(name))

    def names(self) -> list[bytes]:
        return sorted(read_folder(self.root))

    def expected(self) -> Content:
        """What a code folder of it must hold: as it is, without write permission."""
        return {
            path: (kind, mode & 0o555, data)
            for path, (kind, mode, data) in read_folder(self.root).items()
        }

    def take(
        self,
        store: Store,
        output: bytes | Path | None,
        link_mode: LinkMode = "auto",
        **options: object,
    ) -> Snapshot:
        folder = None if output is None else os.fsencode(output)
        return take_snapshot(
            store,
            self.root,
            self.names(),
            output_folder=folder,
            options=SnapshotOptions(link_mode=link_mode, **options),  # type: ignore[arg-type]
        )


def read_folder(folder: bytes) -> Content:
    """Everything in a folder, byte for byte (folders are implied by what is in them)."""
    content: Content = {}
    for parent, _, _ in os.walk(folder):
        for entry in os.scandir(parent):
            path = os.path.relpath(entry.path, folder)
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                content[path] = ("link", 0, os.readlink(entry.path))
            elif stat.S_ISREG(status.st_mode):
                data = Path(os.fsdecode(entry.path)).read_bytes()
                content[path] = ("file", stat.S_IMODE(status.st_mode), data)
    return content


def blob_files(store: Store) -> dict[bytes, bytes]:
    """Blob name → path."""
    return {
        name: os.path.join(store.blobs, prefix, name)
        for prefix in os.listdir(store.blobs)
        for name in os.listdir(os.path.join(store.blobs, prefix))
    }


def wrong_blobs(store: Store) -> set[bytes]:
    """Names of blobs whose content or permission bits are not what their name says."""
    return {name for name, path in blob_files(store).items() if not _is_right(name, path)}


def _is_right(name: bytes, path: bytes) -> bool:
    digest, _, mode = name.partition(b"-")
    data = Path(os.fsdecode(path)).read_bytes()
    return (
        bool(data)
        and xxhash.xxh3_128(data).hexdigest().encode() == digest
        and stat.S_IMODE(os.lstat(path).st_mode) == int(mode, 8)
    )


_EXPECTED = {
    b".": re.compile(rb"FORMAT$"),
    b"blobs": re.compile(rb"[0-9a-f]{2}/[0-9a-f]{32}-[0-7]{3}$"),
    b"trees": re.compile(rb"[0-9a-f]{2}/[0-9a-f]{32}\.zst$"),
    b"snapshots": re.compile(rb"\d{6}-\d{6}-[0-9a-f]{6}\.json$"),
    b"pins": re.compile(rb"\d{6}-\d{6}-[0-9a-f]{6}\.json$"),
    b"index": re.compile(rb"[0-9a-f]{32}/(\d{20}-[0-9a-f]{16}|\.slurmic-[0-9a-f]{16})$"),
}


def strange_names(store: Store) -> list[bytes]:
    """Files in a store that are none of those that belong there; quarantine and tmp included."""
    strange = []
    for parent, folders, names in os.walk(store.path):
        relative = os.path.relpath(parent, store.path)
        kind = relative.split(b"/")[0]
        for name in names:
            below = os.path.relpath(os.path.join(parent, name), os.path.join(store.path, kind))
            if kind not in _EXPECTED or not _EXPECTED[kind].match(below):
                strange.append(os.path.join(relative, name))
        if kind in (b"tmp", b"quarantine"):
            strange += [os.path.join(relative, name) for name in folders]
    return strange


def check_store(store: Store, *, damaged: frozenset[bytes] | set[bytes] = frozenset()) -> None:
    """No incomplete file under a final name: every blob, manifest and record reads back.

    Args:
        store: the store.
        damaged: names of blobs that the test itself has damaged.
    """
    assert wrong_blobs(store) <= damaged
    for prefix in os.listdir(store.trees):
        for name in os.listdir(os.path.join(store.trees, prefix)):
            decode_tree(store.read_manifest(name.decode().removesuffix(".zst")))
    list(read_records(store))


def rebuild(store: Store, tree: str) -> tuple[Content, set[bytes]]:
    """A tree from the store alone, and the names of the blobs that are missing or wrong."""
    content: Content = {}
    missing = set()
    for entry in decode_tree(store.read_manifest(tree)).entries:
        if entry.target is not None:
            content[entry.path] = ("link", 0, entry.target)
        elif not entry.size:
            content[entry.path] = ("file", entry.mode, b"")
        else:
            path = store.blob_path(entry.digest, entry.mode)
            if os.path.lexists(path) and _is_right(os.path.basename(path), path):
                data = Path(os.fsdecode(path)).read_bytes()
                content[entry.path] = ("file", entry.mode, data)
            else:
                missing.add(os.path.basename(path))
    return content, missing


def collect(store: Store, *, tolerate: str = "\0", now: float | None = None) -> None:
    """Let gc take all that it may: no grace, nothing that it can't account for.

    Args:
        store: the store.
        tolerate: what a problem that the test itself has made says.
        now: the time, if it is to be another day.
    """
    for _ in range(2):  # a staging folder keeps its record alive until it is gone
        plan = plan_gc(store, grace=0, now=now)
        assert not plan.blocked, plan.problems
        plan.execute()
        assert not [problem for problem in plan.problems if tolerate not in problem]


def tolerated(damaged: Set[bytes]) -> str:
    """What `collect` must tolerate: a damaged blob that was set aside but not stored anew is kept.

    Args:
        damaged: names of blobs that the test itself has damaged.
    """
    return "nothing has replaced it" if damaged else "\0"


def left_for_good(store: Store, damaged: Set[bytes] = frozenset()) -> list[bytes]:
    """Collect in two days' time; the strange names that not even that removes.

    Stat caches are not counted, nor what the test itself has made irreplaceable.
    """
    collect(store, tolerate=tolerated(damaged), now=time.time() + 2 * 86400)
    allowed = (b"index/", b"quarantine/damaged-") if damaged else (b"index/",)
    return [name for name in strange_names(store) if not name.startswith(allowed)]


def leftovers(outputs: bytes) -> list[bytes]:
    """What does not belong into output folders: staging folders, claims without a folder."""
    left = []
    for parent, folders, names in os.walk(outputs):
        if b"code" in os.path.relpath(parent, outputs).split(b"/"):
            continue
        for name in [*folders, *names]:
            path = os.path.join(parent, name)
            base = path.removesuffix(b".json").removesuffix(b".tree.zst")
            orphan = base != path and not os.path.isdir(base)
            if name.startswith(STAGE) or name.endswith(b".claim") or orphan:
                left.append(path)
    return left


def code_folders(outputs: bytes) -> list[bytes]:
    """All code folders below a folder of output folders."""
    found = []
    for parent, folders, _ in os.walk(outputs):
        for name in list(folders):
            if re.match(rb"code(-\d+)?$", name):
                found.append(os.path.join(parent, name))
                folders.remove(name)
            elif name.startswith(STAGE):
                folders.remove(name)
    return sorted(found)


def age(path: bytes, seconds: float) -> None:
    """Make a blob look as if it had been stored earlier; its seal stays."""
    status = os.lstat(path)
    then = int(time.time() - seconds) * 10**9 + status.st_mtime_ns % 10**9
    os.utime(path, ns=(then, then))


def remove(path: bytes) -> None:
    """rm -rf."""
    shutil.rmtree(path)

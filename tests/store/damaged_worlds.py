"""A source tree, a store and a code folder, and what can be done to them."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slurmic_store import (
    Finding,
    LinkMode,
    Snapshot,
    SnapshotOptions,
    Store,
    take_snapshot,
    verify_code_folder,
    verify_store,
)

SOURCE: dict[bytes, tuple[bytes, int]] = {
    b"main.py": (b"import pkg\n" * 50, 0o644),
    b"run.sh": (b"#!/bin/sh\nexec python main.py\n", 0o755),
    b"pkg/__init__.py": (b"", 0o644),
    b"pkg/model.py": (b"LAYERS = 12\n", 0o644),
    b"pkg/secret": (b"LAYERS = 12\n", 0o600),
    b"pkg/caf\xe9 \n.txt": (b"x", 0o644),
}


@dataclass
class World:
    """A source tree, a store and a code folder."""

    base: Path
    store: Store
    snapshot: Snapshot

    @property
    def root(self) -> bytes:
        return os.fsencode(self.base / "src")

    @property
    def code(self) -> bytes:
        assert self.snapshot.code_folder is not None
        return self.snapshot.code_folder

    def blob(self, path: bytes) -> bytes:
        (entry,) = (e for e in self.snapshot.tree.entries if e.path == path)
        return self.store.blob_path(entry.digest, entry.mode)

    def pack(self, name: str, link_mode: LinkMode = "auto") -> Snapshot:
        paths = [*SOURCE, b"link", b"pkg/up"]
        output = os.fsencode(self.base / name)
        return take_snapshot(
            self.store,
            self.root,
            paths,
            output_folder=output,
            options=SnapshotOptions(link_mode=link_mode),
        )

    def content(self) -> dict[bytes, bytes]:
        """What the code folder holds, by path."""
        return {path: read(os.path.join(self.code, path)) for path in SOURCE}


def make_world(base: Path, link_mode: LinkMode = "auto") -> World:
    for path, (data, mode) in SOURCE.items():
        file = os.path.join(os.fsencode(base / "src"), path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as stream:
            stream.write(data)
        os.chmod(file, mode)
    os.symlink("main.py", base / "src" / "link")
    os.symlink("..", base / "src" / "pkg" / "up")
    world = World(base, Store.open(base / "store"), None)  # type: ignore[arg-type]
    world.snapshot = world.pack("out", link_mode)
    return world


def read(path: bytes) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def write_through(path: bytes, data: bytes) -> None:
    """What a job does that will not be stopped: chmod, and write in place."""
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    os.chmod(path, mode | 0o200)
    with open(path, "r+b") as stream:
        stream.write(data)
    os.chmod(path, mode)


def import_in(folder: bytes) -> None:
    """What makes Python leave its bytecode beside the source."""
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(["python3", "-c", "import pkg.model"], cwd=folder, env=environment, check=True)


def kinds(findings: tuple[Finding, ...]) -> dict[bytes, str]:
    return {finding.path: finding.kind for finding in findings}


def assert_whole(world: World) -> None:
    assert verify_store(world.store, checksum=True).findings == ()
    assert verify_code_folder(world.code, checksum=True).findings == ()
    assert world.content() == {path: data for path, (data, _) in SOURCE.items()}


# Damage to a code folder. With hard links the store's blob is the same file.


def _truncate(path: bytes) -> None:
    os.chmod(path, 0o644)
    os.truncate(path, 3)


def _append(path: bytes) -> None:
    os.chmod(path, 0o644)
    with open(path, "ab") as stream:
        stream.write(b"x\n")


def _become_link(path: bytes) -> None:
    os.unlink(path)
    os.symlink(b"/etc/passwd", path)


def _become_folder(path: bytes) -> None:
    os.unlink(path)
    os.mkdir(path)


DAMAGE: dict[str, tuple[Callable[[bytes], None], str, str | None]] = {
    # What is done; what a stat of the folder finds; what a stat of the store finds.
    "rewritten in place": (lambda path: write_through(path, b"J"), "seal", "seal"),
    "appended to": (_append, "size", "size"),
    "truncated": (_truncate, "size", "size"),
    "touched": (lambda path: os.utime(path), "seal", "seal"),
    "mode changed": (lambda path: os.chmod(path, 0o666), "mode", "mode"),
    "setuid": (lambda path: os.chmod(path, 0o4444), "mode", "mode"),
    "removed": (os.unlink, "missing", None),
    "replaced by a link": (_become_link, "type", None),
    "replaced by a folder": (_become_folder, "type", None),
    "sed -i": (lambda path: shell("sed -i s/LAYERS/layers/", path), "seal", None),
}


def shell(command: str, path: bytes) -> None:
    subprocess.run(["sh", "-c", f'{command} "$1"', "sh", os.fsdecode(path)], check=True)

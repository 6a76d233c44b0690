"""A small source tree with every kind of file, and the shortest way to pack it."""

from __future__ import annotations

import os
from pathlib import Path

from slurmic_store import LinkMode, Snapshot, SnapshotOptions, Store, take_snapshot, verify_store

FILES = {
    b"main.py": b"import pkg\n",
    b"run.sh": b"#!/bin/sh\n",
    b"pkg/__init__.py": b"",
    b"pkg/caf\xe9 \n\xff": b"a name that is not text",
    b"pkg/private": b"secret",
}
MODES = {b"run.sh": 0o755, b"pkg/private": 0o600}


def plant(root: Path) -> list[bytes]:
    """Make a small source tree; its paths."""
    for path, data in FILES.items():
        file = os.path.join(os.fsencode(root), path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as stream:
            stream.write(data)
        os.chmod(file, MODES.get(path, 0o644))
    os.symlink("main.py", root / "link")
    return [*FILES, b"link"]


def pack(
    store: Store,
    root: Path,
    output: Path,
    paths: list[bytes] | None = None,
    link_mode: LinkMode = "auto",
) -> Snapshot:
    paths = [*FILES, b"link"] if paths is None else paths
    folder = os.fsencode(output)
    return take_snapshot(
        store,
        os.fsencode(root),
        paths,
        output_folder=folder,
        options=SnapshotOptions(link_mode=link_mode),
    )


def code_of(snapshot: Snapshot) -> bytes:
    assert snapshot.code_folder is not None
    return snapshot.code_folder


def read(path: bytes | Path) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def assert_holds(code: bytes, files: dict[bytes, bytes] = FILES) -> None:
    assert {path: read(os.path.join(code, path)) for path in files} == files


def names_below(folder: bytes) -> list[bytes]:
    """All files below a folder, relative."""
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder)
        for name in names
    )


def assert_clean(store: Store, output: Path) -> None:
    """Nothing is left of a snapshot that failed, but blobs and trees, which gc takes."""
    assert names_below(store.snapshots) == []
    assert names_below(store.tmp) == []
    assert names_below(store.quarantine) == []
    assert not output.exists() or os.listdir(output) == []
    assert verify_store(store, checksum=True).findings == ()

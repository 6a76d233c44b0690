"""A reader of stores that was written from FORMAT.md alone: it imports nothing of the engine."""

from __future__ import annotations

import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

import xxhash
import zstandard


def read(path: bytes) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def mini_columns(encoded: bytes) -> tuple[int, dict[bytes, bytes]]:
    assert encoded[:15] == b"slurmic tree 1\n"
    count_columns, count = struct.unpack("<IQ", encoded[15:27])
    place = 27 + 16 * count_columns
    columns = {}
    for number in range(count_columns):
        start = 27 + 16 * number
        name, length = struct.unpack("<8sQ", encoded[start : start + 16])
        columns[name.rstrip(b"\0")] = encoded[place : place + length]
        place += length
    assert place == len(encoded)
    return count, columns


class MiniReader:
    """Restores snapshots from a store: FORMAT.md, json, xxhash and zstandard; nothing else."""

    def __init__(self, store: Path) -> None:
        self.store = os.fsencode(store)
        lines = (store / "FORMAT").read_text().split("\n")
        assert lines[0] == "slurmic store"
        fields = dict(line.split(" ", 1) for line in lines if " " in line)
        assert int(fields["format"]) <= 1
        assert fields["digest"] == "xxh3-128"
        self.step = int(fields["mtime-granularity-ns"])

    def records(self) -> dict[str, dict[str, Any]]:
        found = {}
        folder = os.path.join(self.store, b"snapshots")
        for name in os.listdir(folder):
            if name.startswith(b".slurmic-"):
                continue
            data = read(os.path.join(folder, name))
            assert data.startswith(b'{"slurmic_record"')
            record = json.loads(data)
            assert name == record["id"].encode() + b".json"
            found[record["id"]] = record
        return found

    def tree(self, name: str) -> list[tuple[bytes, str, int, bytes]]:
        """Path, kind, mode and content (of a link: its target) of each entry."""
        path = os.path.join(self.store, b"trees", name[:2].encode(), name.encode() + b".zst")
        encoded = self.manifest(read(path), name)
        count, columns = mini_columns(encoded)
        paths = columns[b"path"].split(b"\0")
        targets = columns[b"target"].split(b"\0")
        assert paths.pop() == b"" and targets.pop() == b""
        assert paths == sorted(paths)
        assert len(paths) == count
        entries = []
        for number, path in enumerate(paths):
            (mode,) = struct.unpack_from("<H", columns[b"mode"], 2 * number)
            (size,) = struct.unpack_from("<Q", columns[b"size"], 8 * number)
            digest, key_mode = struct.unpack_from("<16sH", columns[b"blob"], 18 * number)
            if mode == 0xA000:
                content, kind = targets.pop(0), "link"
                assert key_mode == 0
            else:
                assert mode & 0xF000 == 0x8000
                assert key_mode == mode & 0o777
                content, kind = (self.blob(digest, key_mode) if size else b""), "file"
            assert len(content) == size
            assert xxhash.xxh3_128(content).digest() == digest
            entries.append((path, kind, mode & 0o777, content))
        assert not targets
        return entries

    @staticmethod
    def manifest(data: bytes, name: str) -> bytes:
        encoded = zstandard.ZstdDecompressor().decompress(data)
        assert xxhash.xxh3_128(encoded).hexdigest() == name
        return encoded

    def blob(self, digest: bytes, mode: int) -> bytes:
        name = f"blobs/{digest.hex()[:2]}/{digest.hex()}-{mode:03o}"
        path = os.path.join(self.store, name.encode())
        status = os.lstat(path)
        assert stat.S_ISREG(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == mode
        if self.step < 10**9:
            seal = 1 + int.from_bytes(digest[:8], "little") % 999_999_999
            assert status.st_mtime_ns % 10**9 // self.step == seal // self.step
        return read(path)

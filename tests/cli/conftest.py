"""The command as a user runs it: a process, its two streams, its exit code; or on a terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from hostile_names import HOSTILE

from slurmic.cli.main import main
from slurmic_store import SnapshotRecord, Store
from slurmic_store.store.records import write_record

Run = Callable[..., "CompletedProcess[bytes]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``slurmic`` with arguments, in tmp_path unless ``cwd`` says otherwise."""

    def command(*arguments: str | bytes, cwd: Path = tmp_path) -> CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "slurmic", *arguments],
            cwd=cwd,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return command


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """As `run`, in this process: for the many tests that need no process of their own."""

    def command(*arguments: str | bytes, cwd: Path = tmp_path) -> CompletedProcess[bytes]:
        words = [os.fsdecode(argument) for argument in arguments]
        out, errors = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
        time.tzset()
        with monkeypatch.context() as patched:
            patched.chdir(cwd)
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", errors)
            try:
                code = main(words)
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
        written = [stream.buffer.getvalue() for stream in (out, errors)]  # type: ignore[attr-defined]
        return CompletedProcess(words, code, *written)

    return command


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[..., str]:
    """Run ``slurmic`` with standard output on a terminal of so many columns; what it shows."""

    def command(columns: int, *arguments: str | bytes, plain: bool = True) -> str:
        screen, process_side = pty.openpty()
        fcntl.ioctl(process_side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)
        environment.pop("NO_COLOR", None)
        if plain:
            environment["NO_COLOR"] = "1"
        with subprocess.Popen(
            [sys.executable, "-m", "slurmic", *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=process_side,
            stderr=subprocess.DEVNULL,
        ) as process:
            os.close(process_side)
            shown = b""
            while True:
                try:
                    data = os.read(screen, 65536)
                except OSError:  # that is how a terminal ends
                    break
                if not data:
                    break
                shown += data
            process.wait()
        os.close(screen)
        return shown.decode().replace("\r\n", "\n")

    return command


class Records:
    """A store in which records are written as a test wants them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store.open(folder / "store")

    def add(
        self,
        snapshot_id: str,
        created: float,
        code: str | None = None,
        *,
        exists: bool = False,
        jobs: tuple[str, ...] = (),
        files: int = 3,
        size: int = 1234,
        tree: str = "0123456789abcdef" * 2,
        info: dict[str, object] | None = None,
    ) -> SnapshotRecord:
        """Write a record; `code` is its code folder, below the test's folder."""
        folder = None if code is None else os.path.join(os.fsencode(self.folder), code.encode())
        if folder is not None and exists:
            os.makedirs(folder)
        record = SnapshotRecord(
            snapshot_id,
            created,
            tree,
            () if folder is None else (folder,),
            files=files,
            size=size,
            jobs=jobs,
            info=info or {},
        )
        write_record(self.store, record)
        return record


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """A store to write records into; commands find it by themselves, in a fixed time zone."""
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("TZ", "UTC")
    return Records(tmp_path)


@pytest.fixture
def project(tmp_path: Path, write: Any) -> Path:
    """A source tree with 4 files to pack, one of a hostile name; modules may have their own."""
    folder: Path = write(
        tmp_path / "project",
        {"a.py": "a = 1\n", "b/c.sh": "echo\n", "d.txt": "d", "wandb/e.py": "e", "-x.py": ""},
    )
    (folder / os.fsdecode(HOSTILE)).write_text("x")
    return folder

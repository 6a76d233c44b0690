"""Programs that stand for Slurm's clients, for answers that no cluster here gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Client = Callable[[str, str], None]
"""Writes a client: its name, and the shell commands that it consists of."""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for programs that stand for clients; PATH has nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def script(program: Path) -> Client:
    """Writes a client into that folder."""

    def write(name: str, text: str) -> None:
        (program / name).write_text(f"#!/bin/sh\n{text}\n")
        (program / name).chmod(0o755)

    return write

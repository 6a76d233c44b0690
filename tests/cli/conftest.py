"""The command as a user runs it: a process, its two streams, its exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

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

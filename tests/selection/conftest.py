"""Fixtures of the selection's tests: a sandbox in which git knows nothing of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_oracle import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """An empty code_root, in no repository."""
    return Sandbox(tmp_path)


@pytest.fixture
def repository(sandbox: Sandbox) -> Sandbox:
    """An empty code_root, at the top of a repository."""
    sandbox.init()
    return sandbox

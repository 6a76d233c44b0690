"""Fixtures of the job's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.register_assert_rewrite("projects")  # so that its failing asserts show their values

from projects import Project  # noqa: E402


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project with an environment outside of it."""
    return Project(tmp_path / "project", tmp_path / "environment")

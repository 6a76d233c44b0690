"""Fixtures of the engine's tests: a store, a project, a world to damage, and how thorough to be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from storechecks import DEEP, Project

from slurmic_store import Store
from slurmic_store.source import statcache

# So that their failing asserts show their values, as a test's do.
pytest.register_assert_rewrite("damaged_worlds", "interruption_scenes")

from damaged_worlds import World, make_world  # noqa: E402

hypothesis.settings.register_profile(
    "default", max_examples=40, deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile("ci", max_examples=600, deadline=None, print_blob=True)
hypothesis.settings.load_profile("ci" if DEEP else "default")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store.open(tmp_path / "store")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small source tree with all kinds of files in it."""
    project = Project(os.fsencode(tmp_path / "project"))
    project.fill()
    return project


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A source tree, a store and a code folder, for a test to damage."""
    return make_world(tmp_path)


@pytest.fixture
def eager_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the stat cache believe files that are a moment old, as if two seconds had passed.

    With one clock for everything, as here, that is still right: what is written after the staging
    folder's note was made has a later change time.
    """
    monkeypatch.setattr(statcache, "RACY_MARGIN_NS", 0)
    yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests report of themselves (interruption points, submissions, …)."""
    sums: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if getattr(report, "when", "") == "call" and isinstance(value, int):
                    sums[name] += value
    for name, value in sorted(sums.items()):
        terminalreporter.write_line(f"{value:8} {name}")

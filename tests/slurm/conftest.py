"""Fixtures of the cluster tests: one cluster per test session, one project per test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .cluster import SlurmCluster, why_impossible
from .project import Project

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slurm)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the cluster's daemons and the jobs have to say."""
    report = yield
    fixtures = getattr(item, "funcargs", {})
    cluster, folder = fixtures.get("cluster"), fixtures.get("tmp_path")
    if report.failed and isinstance(cluster, SlurmCluster):
        report.sections.append(("Slurm's logs", cluster.last_logs()))
        if folder is not None:
            report.sections.append(("logs of the jobs", job_logs(folder)))
    return report


def job_logs(folder: Path) -> str:
    """The ends of all logs that jobs have written below `folder`."""
    return "\n".join(
        f"== {path.relative_to(folder)}\n{path.read_text(errors='replace')[-4000:]}"
        for path in sorted(folder.rglob("*_log.*"))
        if path.is_file()
    )


@pytest.fixture(scope="session")
def cluster() -> Iterator[SlurmCluster]:
    """A running Slurm cluster (under xdist one for each worker); skips where none is possible.

    SLURMIC_REQUIRE_SLURM=1 makes that a failure, for a build machine that must not skip.
    """
    if reason := why_impossible():
        if os.environ.get("SLURMIC_REQUIRE_SLURM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with SlurmCluster() as running:
        yield running


@pytest.fixture(scope="session")
def setuptools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds setuptools, to build editable installs with: fetched once."""
    folder = tmp_path_factory.mktemp("setuptools")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*command, "setuptools>=68", "wheel"], check=True)
    return folder


@pytest.fixture
def uninstalled_project(cluster: SlurmCluster, tmp_path: Path) -> Iterator[Project]:
    """A project whose package cannot be imported yet; see Project.install_editable."""
    project = Project(tmp_path, cluster.environment)
    yield project
    project.end_scripts()


@pytest.fixture
def project(uninstalled_project: Project) -> Project:
    """A project that is not installed: its src/ stands on PYTHONPATH."""
    uninstalled_project.use_src_by_path()
    return uninstalled_project

"""For all tests: the user's own settings do not reach them; a run says what it left out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

FOREIGN = (
    *("SLURM", "SBATCH_", "SALLOC_", "SRUN_", "SQUEUE_", "SACCT_", "SCANCEL_", "SUBMITIT_"),
    "MASTER_",  # of a rendezvous
    "GIT_",  # a hook of git that runs the tests names its repository
    "PYTHONPATH",
)
"""How the names of variables begin that change what slurmic, Slurm, submitit, git or Python do."""

SWITCHES = (
    "SLURMIC_BENCH_CACHE",
    "SLURMIC_DEEP",
    "SLURMIC_REQUIRE_REALFS",
    "SLURMIC_REQUIRE_SLURM",
    "SLURMIC_REWRITE_GUIDE",
    "SLURMIC_STRESS_SECONDS",
    "SLURMIC_TORCH_PYTHON",
    "SLURMIC_TWO_HOSTS_SECONDS",
)
"""What a person says to the tests themselves."""


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No store, git configuration or job environment from outside.

    A shell inside of an allocation has variables that sbatch and srun take for options, and that
    make a process look like a job's. What tests of the cluster need of them, their cluster sets.
    """
    for name in list(os.environ):
        if name.startswith(FOREIGN) and name not in SWITCHES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


Write = Callable[..., Path]


@pytest.fixture
def write() -> Write:
    """Write files below a folder: ``write(folder, {"a/b.py": "text"})``; gives the folder."""

    def write_files(folder: Path, files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    return write_files


@pytest.fixture
def git_commit() -> Callable[[Path], str]:
    """Make a folder a git repository with one commit of all that is in it; gives the commit."""

    def commit(folder: Path) -> str:
        def git(*arguments: str) -> str:
            settings = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
            command = ["git", "-C", str(folder), *settings, *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        git("init", "-q", "-b", "main")
        git("add", "-A")
        git("commit", "-q", "-m", "first")
        return git("rev-parse", "HEAD").strip()

    return commit


PARTS = {
    "slurm": "on a Slurm cluster",
    "gluster": "on GlusterFS",
    "realfs": "on other mounted filesystems",
}
"""Markers of tests that `make test` leaves out; the first one that a test has counts."""

LEFT_OUT = pytest.StashKey[dict[str, int]]()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count them by their markers."""
    for item in items:
        counts = item.config.stash.setdefault(LEFT_OUT, {})
        marker = next((name for name in PARTS if item.get_closest_marker(name)), "")
        counts[marker] = counts.get(marker, 0) + 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the process know that shows the summary, if this is one of xdist's workers."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = session.config.stash.get(LEFT_OUT, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Each worker has left out the same."""
    found = getattr(node, "workeroutput", {}).get("left_out")
    if found is not None:
        node.config.stash[LEFT_OUT] = found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out by its marker, and how to run it."""
    counts = config.stash.get(LEFT_OUT, {})
    parts = [f"{counts[name]} {text}" for name, text in PARTS.items() if name in counts]
    if parts and "not " in config.option.markexpr and not config.option.keyword:
        terminalreporter.write_line(
            f"left out: tests that need a prepared machine ({', '.join(parts)})\n"
            "  'make test-all' runs them, too: as root, with the Debian packages that "
            "'.ci/install-packages' installs"
        )

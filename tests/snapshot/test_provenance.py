"""What git says of a tree; that it never stops a submission."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slurmic.snapshot import Provenance, ask_git, provenance


def test_commit_branch_and_dirt(tmp_path: Path, git_commit: Callable[[Path], str]) -> None:
    (tmp_path / "a.py").write_text("1")
    commit = git_commit(tmp_path)
    assert ask_git(str(tmp_path)) == Provenance(commit, "main", dirty=False)
    (tmp_path / "a.py").write_text("2")
    assert ask_git(str(tmp_path)) == Provenance(commit, "main", dirty=True)
    subprocess.run(["git", "-C", str(tmp_path), "checkout", "-q", "--detach"], check=True)
    assert ask_git(str(tmp_path)).branch == ""


def test_no_repository_and_no_commit_are_noted(tmp_path: Path) -> None:
    answer = ask_git(str(tmp_path))
    assert (answer.commit, answer.dirty) == ("", None)
    assert "not a git repository" in answer.note
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert ask_git(str(tmp_path)).commit == ""


@pytest.mark.parametrize(
    ("script", "note"),
    [
        (None, "not installed"),
        ("sleep 61 & echo $! > {pid}; sleep 60", "more than"),
        ("echo broken >&2; exit 3", "broken"),
    ],
)
def test_a_missing_slow_or_broken_git_is_noted_never_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, note: str
) -> None:
    if script is not None:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{script.format(pid=tmp_path / 'pid')}\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setattr(provenance, "GIT_TIMEOUT", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    assert note in ask_git(str(tmp_path)).note
    if (tmp_path / "pid").exists():
        assert _ends((tmp_path / "pid").read_text().strip()), "its child was left behind"


def _ends(process: str) -> bool:
    """Whether a process ends soon: it has been sent a signal, and has yet to be scheduled."""
    for _ in range(200):
        try:
            if ") Z " in Path("/proc", process, "stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_the_environment_does_not_lead_to_another_repository(
    tmp_path: Path, git_commit: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submission from a git hook has GIT_DIR set, to the repository of the hook."""
    commits = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
        commits.append(git_commit(tmp_path / name))
    monkeypatch.setenv("GIT_DIR", os.fspath(tmp_path / "two" / ".git"))
    assert ask_git(str(tmp_path / "one")).commit == commits[0]

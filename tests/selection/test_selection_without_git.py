"""A git that is missing, fails, hangs or refuses, and a git that is not needed."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from git_oracle import DEFAULT_EXCLUDES, DEFAULT_SUFFIXES, Sandbox

from slurmic.git import asking
from slurmic.selection import Selection, SelectionRules, select, selector

RULES = SelectionRules(DEFAULT_SUFFIXES, DEFAULT_EXCLUDES)


def selected(sandbox: Sandbox) -> Selection:
    return select(sandbox.root, RULES, environ=sandbox.environ)


def problem(sandbox: Sandbox) -> str:
    """Select with a git that fails; the walk's own answer must stand, with one warning."""
    selection = select(sandbox.root, RULES, environ=sandbox.environ)
    assert selection.paths == [b".gitignore", b"a.txt"]
    (warning,) = selection.warnings
    assert warning.kind == "git_unavailable"
    return str(warning)


@pytest.fixture
def with_files(repository: Sandbox) -> Sandbox:
    repository.write(".gitignore", "*.bin")
    repository.write("a.bin")
    repository.write("a.txt")
    repository.track("a.bin")
    return repository


def test_git_is_missing(with_files: Sandbox) -> None:
    with_files.environ["PATH"] = str(with_files.base)
    assert "git cannot be run" in problem(with_files)


def test_git_fails(with_files: Sandbox) -> None:
    with_files.put_in_front_of_git("echo 'fatal: no luck today' >&2; exit 128\n")
    assert "git failed: fatal: no luck today" in problem(with_files)


def test_git_hangs(with_files: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.2)
    with_files.put_in_front_of_git("exec sleep 60\n")
    started = time.monotonic()
    assert "git did not answer within 0.2 seconds" in problem(with_files)
    assert time.monotonic() - started < 10


def test_time_that_passes_while_nobody_waits_does_not_count(
    with_files: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow filesystem the walk takes longer than git may; git had answered, in vain."""
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.2)
    with_files.configure("[core]\nexcludesFile = nothing")  # which git is asked before the walk
    real = selector.walk

    def slow(*arguments: Any) -> Any:
        walked = real(*arguments)
        time.sleep(0.5)
        return walked

    monkeypatch.setattr(selector, "walk", slow)
    assert selected(with_files).warnings == ()
    assert b"a.bin" in selected(with_files).paths


def test_a_slow_git_is_waited_for(with_files: Sandbox) -> None:
    real = subprocess.check_output(["sh", "-c", "command -v git"], text=True).strip()
    with_files.put_in_front_of_git(f'sleep 0.3\nexec {real} "$@"\n')
    assert selected(with_files).warnings == ()
    assert b"a.bin" in selected(with_files).paths


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give the repository to another user")
def test_git_refuses_a_repository_of_another_user(with_files: Sandbox) -> None:
    for path in (with_files.root, with_files.root / ".git"):
        os.chown(path, 12345, 12345)
    message = problem(with_files)
    assert "because another user owns it" in message
    assert f"git config --global --add safe.directory '{with_files.root}'" in message


def test_the_index_is_not_written(with_files: Sandbox) -> None:
    """Selecting must not take index.lock under the feet of a git that runs at the same time."""
    index = with_files.root / ".git/index"
    before = (index.stat().st_ino, index.stat().st_mtime_ns)
    (with_files.root / ".git/index.lock").touch()
    assert b"a.bin" in selected(with_files).paths
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == before


def test_no_git_is_run_where_it_does_not_matter(sandbox: Sandbox, tmp_path: Path) -> None:
    """Outside of a repository, or without a .gitignore."""
    trace = tmp_path / "was-run"
    sandbox.put_in_front_of_git(f"touch {trace}\n")
    sandbox.write("a.py")
    assert select(sandbox.root, RULES, environ=sandbox.environ).paths == [b"a.py"]
    sandbox.write(".gitignore")
    select(sandbox.root, RULES, environ=sandbox.environ)
    assert not trace.exists()
    assert stat.S_ISREG((sandbox.root / ".gitignore").stat().st_mode)

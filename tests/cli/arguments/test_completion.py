"""What shells complete, asked of the real ones."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from taken_snapshots import take

from slurmic.cli.table import COMMANDS


@pytest.fixture
def world(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A store with two snapshots, and ``slurmic`` on PATH."""
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "slurmic"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m slurmic "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    project = write(tmp_path / "project", {"a.py": "1"})
    return take(project, tmp_path / "store", tmp_path / "runs a", jobs=("4711_0", "4711_1"))


def _bash(tmp_path: Path, *words: str) -> list[str]:
    line = " ".join("'" + word + "'" for word in words)
    script = (
        f"source <(slurmic completion bash); COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
        '_slurmic_completion slurmic; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return sorted(filter(None, done.stdout.split("\n")))


def test_bash(tmp_path: Path, world: Any, run: Any) -> None:
    run("pin", world.id, "--name", "paper")
    other = run("pin", world.id)
    assert other.returncode == 0
    assert _bash(tmp_path, "slurmic", "s") == ["show", "snapshot", "submit"]
    assert _bash(tmp_path, "slurmic", "") == sorted(COMMANDS)
    assert _bash(tmp_path, "slurmic", "gc", "--o") == ["--older-than"]
    assert _bash(tmp_path, "slurmic", "show", "47") == ["4711"]
    assert _bash(tmp_path, "slurmic", "show", world.id[:8]) == [world.id]
    assert _bash(tmp_path, "slurmic", "show", "runs") == ["runs a"]
    assert _bash(tmp_path, "slurmic", "unpin", "") == [world.id, "paper"]
    assert _bash(tmp_path, "slurmic", "completion", "") == ["bash", "fish", "zsh"]
    assert _bash(tmp_path, "slurmic", "diff", "--color", "a") == ["always", "auto"]
    assert _bash(tmp_path, "slurmic", "diff", "--color", "auto", "4711", "47") == ["4711"]
    assert _bash(tmp_path, "slurmic", "checkout", "4711", "run") == ["runs a"]
    assert _bash(tmp_path, "slurmic", "cat", "4711", "proj") == ["project"]
    assert _bash(tmp_path, "slurmic", "du", "--store", "st") == ["store"]
    assert _bash(tmp_path, "slurmic", "nonsense", "x") == []
    assert _bash(tmp_path, "slurmic", "--v") == ["--version"]
    assert _bash(tmp_path, "slurmic", "submit", "--code-sc") == ["--code-scope"]
    assert _bash(tmp_path, "slurmic", "submit", "--code-scope", "t") == ["task", "tree"]
    assert _bash(tmp_path, "slurmic", "submit", "--", "cat", "proj") == ["project"]


class Terminal:
    """A shell that somebody types to."""

    def __init__(self, shell: list[str], folder: Path) -> None:
        self.screen, process_side = pty.openpty()
        fcntl.ioctl(process_side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        environment = {**os.environ, "TERM": "dumb", "PS1": "READY> ", "HISTFILE": ""}
        self._process = subprocess.Popen(
            shell,
            cwd=folder,
            env=environment,
            stdin=process_side,
            stdout=process_side,
            stderr=process_side,
            start_new_session=True,
        )
        os.close(process_side)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self.screen)

    def type(self, keys: str, until: str) -> str:
        """What is shown until it contains a text; the test fails if that does not come."""
        os.write(self.screen, keys.encode())
        shown, end = "", time.monotonic() + 60
        while until not in shown:
            assert select.select([self.screen], [], [], end - time.monotonic())[0], shown
            shown += os.read(self.screen, 65536).decode(errors="replace")
        return shown


def test_bash_on_a_terminal(tmp_path: Path, world: Any) -> None:
    """readline quotes the names of folders, and leaves a space behind the names of snapshots."""
    with Terminal(["bash", "--norc", "--noprofile", "-i"], tmp_path) as terminal:
        terminal.type("source <(slurmic completion bash); echo so''urced\n", "sourced\r\n")
        terminal.type("slurmic checkout 47\t", "11 ")
        terminal.type("runs\t", "\\ a/")
        terminal.type("\b\b\b\b\b\b\b --li\t", "nk ")


def test_a_pin_s_name_is_never_run(tmp_path: Path, world: Any, run: Any) -> None:
    """compgen -W expands what it is given: a name must not be a command."""
    run("pin", world.id, "--name", "$(touch harm)`touch harm`")
    assert world.id in _bash(tmp_path, "slurmic", "unpin", "")
    _bash(tmp_path, "slurmic", "show", "$")
    assert not (tmp_path / "harm").exists()


def test_without_a_store_nothing_is_said(tmp_path: Path, run: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("_SLURMIC_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_CWORD", "2")
    for command in ("show", "unpin"):
        monkeypatch.setenv("COMP_WORDS", f"slurmic\n{command}")
        done = run()
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.strip() in (b"dir,", b"")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh(tmp_path: Path, world: Any) -> None:
    with Terminal(["zsh", "-f", "-i"], tmp_path) as terminal:
        setup = "autoload -Uz compinit && compinit -u -D; source <(slurmic completion zsh)"
        terminal.type(f"{setup}; echo so''urced\n", "sourced\r\n")
        terminal.type("slurmic comp\t", "letion ")
        terminal.type("f\t", "ish ")
        terminal.type("\x15slurmic checkout 47\t", "11 ")
        terminal.type("runs\t", "\\ a")
        terminal.type("\x15slurmic gc --old\t", "er-than ")


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish(tmp_path: Path, world: Any) -> None:
    def complete(line: str) -> list[str]:
        script = f"slurmic completion fish | source; complete -C '{line}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return [found.split("\t")[0] for found in done.stdout.splitlines()]

    assert set(complete("slurmic s")) == {"show", "snapshot", "submit"}
    assert "4711" in complete("slurmic show 47")
    assert complete("slurmic gc --old") == ["--older-than"]
    assert sorted(complete("slurmic diff --color a")) == ["always", "auto"]

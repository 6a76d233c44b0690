"""What shells complete, asked of the real ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from taken_snapshots import take

from slurmic.cli.commands import COMMANDS
from slurmic.cli.words import words_of


@pytest.mark.parametrize("name", COMMANDS)
def test_all_options_are_known_and_no_others(run: Any, name: str) -> None:
    """The words come from the classes; what really counts is what the parser takes."""
    text = run(name, "--help").stdout.decode()
    # An option stands first in its line, or behind a comma.
    shown = re.findall(r"^[│ ]*(-.*?)(?:  |$)", text, flags=re.MULTILINE)
    parsed = {
        option
        for line in shown
        for part in line.split(", ")
        if (option := part.split(" ")[0]).startswith("-")
    }
    words = words_of(COMMANDS[name])
    assert {option for word in words for option in word.names} == parsed


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
        '_slurmic; printf "%s\\n" "${COMPREPLY[@]}"'
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
    assert set(COMMANDS) < set(_bash(tmp_path, "slurmic", ""))
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


def test_a_pin_s_name_is_never_run(tmp_path: Path, world: Any, run: Any) -> None:
    """compgen -W expands what it is given: a name must not be a command."""
    run("pin", world.id, "--name", "$(touch harm)`touch harm`")
    assert world.id in _bash(tmp_path, "slurmic", "unpin", "")
    _bash(tmp_path, "slurmic", "show", "$")
    assert not (tmp_path / "harm").exists()


def test_without_a_store_nothing_is_said(tmp_path: Path, run: Any) -> None:
    for kind in ("reference", "pinned"):
        done = run("complete-names", kind)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh(tmp_path: Path, world: Any) -> None:
    script = (
        "autoload -Uz compinit && compinit -u -D; source <(slurmic completion zsh); "
        "whence -w _slurmic; echo ${_comps[slurmic]}; "
        "COMP_WORDS=(slurmic show 47); COMP_CWORD=2; "
        'emulate -L ksh; _slurmic; print -l -- "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["zsh", "-f", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == "", done.stderr
    assert done.stdout.split("\n")[0] == "_slurmic: function"
    assert "4711" in done.stdout.split("\n")


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

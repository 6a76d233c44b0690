"""The entry point: which message and which exit code, without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gc", "--no-such"], "'slurmic gc' has no option --no-such\n  'slurmic gc --help' lists"),
        (["gc", "--older"], "'slurmic gc' has no option --older\n  did you mean --older-than?"),
        (["cat", "17"], "PATH is missing\n  'slurmic cat --help' says more"),
        (["export", "17"], "--output FILE is missing\n"),
        (["du", "--store"], "option '--store' requires an argument\n"),
        (["ls", "x"], "got unexpected extra argument (x)\n"),
        (["ls", "--limit", "-1"], "--limit must be at least 0\n"),
        (["ls", "-n", "x"], "--limit must be a whole number, not 'x'\n"),
        (["ls", "--since", "soon"], "'soon' is not a length of time\n  write 90 (seconds)"),
        (["diff", "a", "--color", "red"], "--color: 'red' is not one of 'auto', 'always'"),
        (["completion", "tcsh"], "SHELL: 'tcsh' is not one of 'bash', 'zsh', 'fish'\n"),
        (
            ["--no-such"],
            "'--no-such' is not an option of 'slurmic'\n"
            "  options of a command come after its name; "
            "'slurmic --help' lists the commands\n",
        ),
        (
            ["submit", "--mode", "local", "python", "x.py", "--epochs", "3"],
            "'python' is not an option of 'slurmic submit'\n  write '--' before the command: "
            "slurmic submit --mode local -- python x.py --epochs 3\n",
        ),
        (["submit", "python", "--", "x"], "write '--' before the command: slurmic submit -- "),
    ],
)
def test_wrong_usage(run_here: Any, arguments: list[str], said: str) -> None:
    done = run_here(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith("slurmic: error: ")
    assert said in done.stderr.decode()


def test_options_may_be_written_as_settings(run_here: Any, records: Any) -> None:
    assert run_here("gc", "--dry_run").stdout == run_here("gc", "--dry-run").stdout != b""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["files", "missing"], 1, "missing"),
        (["files", "--suffix", "*"], 1, "code_file_suffixes"),
        (["snapshot", "missing"], 1, "missing"),
        (["snapshot", "empty"], 1, "nothing to pack"),
        (["ls", "--store", "nowhere"], 1, "no store at"),
        (["gc", "--store", "nowhere"], 1, "no store at"),
        (["gc", "--store", "project"], 1, "no store at"),
        (["gc", "--grace", "soon", "--store", "nowhere"], 2, "nowhere|soon"),
        (["frobnicate"], 2, "frobnicate"),
        (["gc", "--no-such-option"], 2, "no-such-option"),
        ([], 2, "required|files"),
    ],
)
def test_a_mistake_gets_a_message_and_no_traceback(
    run: Any, project: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    done = run(*arguments)
    text = (done.stderr + done.stdout).decode()
    assert done.returncode == code, text
    assert any(part in text for part in message.split("|"))
    assert "Traceback" not in text
    assert done.stdout == b"" or code == 2


@pytest.mark.parametrize("command", [["files"], ["why", "a"], ["show", "."], ["ls"]])
def test_a_current_folder_that_was_deleted(tmp_path: Path, command: list[str]) -> None:
    """By somebody in another terminal."""

    # As it is installed: `python -c` has the current folder on its path, and Python 3.13.0 does not
    # survive that.
    script = os.path.join(os.path.dirname(sys.executable), "slurmic")
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir ../gone; exec "$@"', "sh", script, *command],
        cwd=tmp_path / "gone",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("slurmic: error: ") and "Traceback" not in done.stderr


def test_version_and_help(run: Any) -> None:
    assert run("--version").stdout.startswith(b"slurmic ")
    text = run("--help").stdout.decode()
    assert "exit codes:" in text
    for command in ("files", "why", "snapshot", "ls", "gc", "verify"):
        assert command in text
        assert run(command, "--help").returncode == 0


def test_version_imports_nothing_heavy() -> None:
    """--version at the speed of Python itself."""

    script = (
        "import sys; from slurmic.cli.main import main; main(['--version']); "
        "print(sorted({'tyro', 'submitit', 'rich', 'zstandard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"

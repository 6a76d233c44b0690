"""Wrong usage: one line and a hint on standard error, and exit code 2."""

from __future__ import annotations

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
        (["--no-such"], "no command '--no-such'\n  'slurmic --help' lists them\n"),
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

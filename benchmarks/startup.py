"""How long a start takes: the interpreter's own, imports, and commands that have little to do.

Everything is a process of its own, in turn. What is compiled once (.pyc) is compiled before.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .harness import Candidate, Settings, alternate
from .report import Report

EMPTY = "python -c pass"


def run(settings: Settings, report: Report) -> None:
    """Measure it all."""
    tree, store = settings.scratch / "tree", settings.scratch / "store"
    tree.mkdir()
    (tree / "main.py").write_text("print('hello')\n")
    program = str(Path(sys.executable).parent / "slurmic")
    packed = settings.scratch / "packed"
    snapshot = [program, "snapshot", str(tree), "--output", str(packed), "--store", str(store)]
    subprocess.run(snapshot, check=True, capture_output=True)
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }

    def process(*command: str) -> Callable[[Path], None]:
        return partial(_run, command, tree, environment)

    def python(program: str) -> Callable[[Path], None]:
        return process(sys.executable, "-c", program)

    commands = {
        "files": [str(tree)],
        "why": ["main.py"],
        "ls": ["--store", str(store)],
        "show": [str(packed), "--store", str(store)],
        "gc": ["--dry-run", "--store", str(store)],
        "verify": ["--store", str(store)],
    }
    candidates = [
        Candidate(EMPTY, python("pass")),
        Candidate("import submitit", python("import submitit")),
        Candidate("import slurmic", python("import slurmic")),
        Candidate("import slurmic's all", python("from slurmic import *")),
        Candidate("import click", python("import click")),
        Candidate("slurmic --version", process(program, "--version")),
        Candidate("slurmic --help", process(program, "--help")),
        *(
            Candidate(f"slurmic {name}", process(program, name, *arguments))
            for name, arguments in commands.items()
        ),
    ]
    rounds = settings.pick(tiny=2, quick=11, full=31)
    samples = alternate(candidates, settings.scratch, rounds=rounds)
    report.compared("a process that does nothing else", samples, EMPTY)
    if settings.size == "tiny":
        return
    report.ratio_bar("start", samples, "import slurmic", "import submitit", 1.2)
    report.ratio_bar("start", samples, "import slurmic's all", "import submitit", 1.2)
    report.ratio_bar("start", samples, "slurmic --version", EMPTY, 3)
    for name in ("--help", *commands):
        # verify reads manifests: it loads what decompresses them.
        limit = 5.5 if name == "verify" else 5
        report.ratio_bar("start", samples, f"slurmic {name}", EMPTY, limit)


def _run(command: tuple[str, ...], folder: Path, environment: dict[str, str], _: Path) -> None:
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)

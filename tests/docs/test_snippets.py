"""The programs that the pages begin with run as they stand there, but for where they run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def first_program(page: str) -> str:
    """The first block of Python on a page."""
    found = re.search(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    assert found, page
    return found[1]


def run(program: str, folder: Path) -> str:
    script = folder / "script.py"
    script.write_text(program)
    command = [sys.executable, script.name]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def test_the_first_script(tmp_path: Path, write: Any) -> None:
    """README.md, in mode "local"."""
    program = first_program("README.md")
    assert program.count('mode="slurm"') == 1
    program = program.replace('mode="slurm"', 'mode="local"')
    fit = "def fit(learning_rate, seed):\n    return [learning_rate, seed, __file__]\n"
    write(tmp_path, {"mypackage.py": fit})
    program += "print(job.result(), best.result())\n"
    code = tmp_path / "runs/exp1/slurm_local"
    all_of_them, others = run(program, tmp_path).splitlines()
    sweep = [[rate, 1, f"{code}/code-2/mypackage.py"] for rate in (0.1, 0.01)]
    assert all_of_them == str(sweep)
    first, last = [0.1, 1, f"{code}/code/mypackage.py"], [0.05, 2, f"{code}/code-3/mypackage.py"]
    assert others == f"{first} {last}"


def test_the_engine_alone(tmp_path: Path, write: Any) -> None:
    """docs/reference/slurmic_store.md, with other paths."""
    program = first_program("docs/reference/slurmic_store.md")
    for path in ("/home/ada/project", "/scratch/ada"):
        assert path in program
        program = program.replace(path, str(tmp_path))
    write(tmp_path, {"train.py": "print('hello')\n"})
    tree, *_, folder = run(program, tmp_path).split()
    assert re.fullmatch(r"[0-9a-f]{32}", tree)
    assert folder == str((tmp_path / "runs/code").as_posix()).join(("b'", "'"))
    assert (tmp_path / "runs/code/train.py").read_text() == "print('hello')\n"

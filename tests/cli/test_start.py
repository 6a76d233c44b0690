"""What a start imports: no more than what it needs. Times are measured in benchmarks/startup.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import slurmic
import slurmic.selection
import slurmic.snapshot
import slurmic_store
from slurmic.cli.table import COMMANDS

HEAVY = ("click", "concurrent.futures", "importlib.metadata", "pathspec", "rich", "submitit")
HEAVY += ("tyro", "typeguard", "xxhash", "zstandard")


def imported_by(program: str, folder: Path) -> set[str]:
    """Those of HEAVY that a program of Python has imported in the end."""
    ask = f"import json, sys; print(json.dumps([n for n in {HEAVY} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{ask}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return set(names)


def command(*arguments: str) -> str:
    return f"from slurmic.cli.main import main; assert main({list(arguments)}) == 0"


def test_importing_slurmic_imports_nothing_else(tmp_path: Path) -> None:
    assert imported_by("import slurmic", tmp_path) == set()


def test_the_version_needs_nothing_else(tmp_path: Path) -> None:
    assert imported_by(command("--version"), tmp_path) == set()
    assert imported_by(command("--help"), tmp_path) == set()


def test_a_command_imports_what_it_needs(tmp_path: Path) -> None:
    """Neither submitit nor what compresses manifests, hashes files and checks types."""
    (tmp_path / "a.py").touch()
    assert imported_by(command("files", "."), tmp_path) <= {"click", "pathspec"}
    slurmic_store.Store.open(tmp_path / "store")
    for arguments in (["gc", "-n", "--store", "store"], ["verify", "--store", "store"]):
        assert imported_by(command(*arguments), tmp_path) <= {"click", "xxhash"}


def test_lines_are_written_without_rich(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    imported_by(command("snapshot", ".", "--output", "out/code", "--store", "store"), tmp_path)
    for arguments in (["ls"], ["show", "out"], ["doctor"]):
        assert "rich" not in imported_by(command(*arguments, "--store", "store"), tmp_path)


def test_a_command_is_completed_without_what_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command imports the engine, the selection or submitit to have its options completed."""
    monkeypatch.setenv("_SLURMIC_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_CWORD", "2")
    for name in COMMANDS:
        monkeypatch.setenv("COMP_WORDS", f"slurmic\n{name}\n--")
        assert imported_by(command(), tmp_path) == {"click"}, name


@pytest.mark.parametrize("package", [slurmic, slurmic_store, slurmic.selection, slurmic.snapshot])
def test_a_facade_has_all_that_it_announces_and_nothing_else(package: ModuleType) -> None:
    names = package.__all__
    assert len(set(names)) == len(names)
    for name in names:
        found = getattr(package, name)
        assert not isinstance(found, ModuleType)
        assert getattr(package, name) is found
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_a_function_called_like_its_module_is_found(tmp_path: Path) -> None:
    """An import puts the module there, under the same name."""
    for first in ("Explanation", "explain"):
        program = f"from slurmic.selection import {first}, explain; assert callable(explain)"
        imported_by(program, tmp_path)

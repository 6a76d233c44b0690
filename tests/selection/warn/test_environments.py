"""Environments of Python in the tree are warned of, and what is said leaves them out."""

from __future__ import annotations

import pytest
from git_oracle import DEFAULT_EXCLUDES, DEFAULT_SUFFIXES, Sandbox

from slurmic.selection import SelectionRules, SelectionWarning, select

RULES = SelectionRules(DEFAULT_SUFFIXES, DEFAULT_EXCLUDES)


def found(sandbox: Sandbox, rules: SelectionRules = RULES) -> list[SelectionWarning]:
    return list(select(sandbox.root, rules, environ=sandbox.environ).warnings)


def without(folders: tuple[bytes, ...]) -> SelectionRules:
    return SelectionRules(DEFAULT_SUFFIXES, tuple(folder.decode() for folder in folders))


@pytest.mark.parametrize("marker", ["pyvenv.cfg", "conda-meta/history"])
@pytest.mark.parametrize("ignored", [True, False, None])
def test_one_environment(sandbox: Sandbox, ignored: bool | None, marker: str) -> None:
    """One of conda or pixi was not noticed at all. Without a .gitignore only suffixes count."""
    if ignored is not None:
        sandbox.write(".gitignore", "/env/" if ignored else "*.pyc")
    sandbox.write(f"env/{marker}")
    for number in range(3):
        sandbox.write(f"env/lib/{number}.py")
    (warning,) = found(sandbox)
    count = "4 files" if ignored is False else "3 files"
    assert warning.kind == "virtual_environment"
    assert warning.message == f"the virtual environment 'env' is packed: {count}"
    assert warning.hint.startswith("add 'env' to exclude_code_folders")
    assert warning.paths == (b"env",)


def test_several_are_one_warning(sandbox: Sandbox) -> None:
    for name in "abcd":
        sandbox.write(f"envs/{name}/pyvenv.cfg")
        sandbox.write(f"envs/{name}/x.py")
    sandbox.write("empty/pyvenv.cfg")
    (warning,) = found(sandbox)
    assert warning.message == (
        "4 virtual environments are packed, 'envs/a', 'envs/b', 'envs/c' and 1 more: 4 files"
    )
    assert "add 'envs/a', 'envs/b', 'envs/c', 'envs/d' to exclude_code_folders" in warning.hint
    assert found(sandbox, without(warning.paths)) == []


def test_one_within_another_is_not_counted_again(repository: Sandbox) -> None:
    """They were two environments of 10 files, where 5 were packed."""
    repository.write(".gitignore", "/.pixi/\n")
    repository.write(".pixi/conda-meta/x.json")
    repository.write(".pixi/lib/venv/pyvenv.cfg")
    repository.write(".pixi/lib/venv/conda-meta/history")
    for number in range(5):
        repository.write(f".pixi/lib/venv/lib/{number}.py")
    # Sorts between the folder and what is in it.
    repository.write(".pixi-2/pyvenv.cfg", "")
    repository.write(".pixi-2/a.py", "")
    (warning,) = found(repository)
    assert warning.paths == (b".pixi", b".pixi-2")
    assert warning.message.endswith("packed, '.pixi', '.pixi-2': 7 files")


@pytest.mark.parametrize("ignored", [True, False])
def test_code_root_itself_is_one(repository: Sandbox, ignored: bool) -> None:
    """`python -m venv .` was not warned of, however much of it was packed."""
    repository.write(".gitignore", "/lib/\npyvenv.cfg\n" if ignored else "")
    repository.write("pyvenv.cfg")
    for number in range(4):
        repository.write(f"lib/python3.11/site-packages/p/{number}.py")
    repository.write("lib/python_of_mine.py")
    repository.write("src/a.py")
    repository.write("src/venv/pyvenv.cfg")
    (warning,) = found(repository)
    assert warning.message == (
        "code_root itself is a virtual environment, packed with 'lib/python3.11': 4 files"
        if ignored
        else "code_root itself is a virtual environment, packed with "
        "'lib/python3.11', 'src/venv': 5 files"
    )
    assert warning.hint.startswith("add 'lib/python3.11'")
    repository.write("src/venv/b.py")
    (warning,) = found(repository)
    assert warning.paths == (b"lib/python3.11", b"src/venv")
    assert found(repository, without(warning.paths)) == []


def test_an_environment_of_conda_in_code_root(sandbox: Sandbox) -> None:
    sandbox.write("conda-meta/history")
    sandbox.write("conda-metadata/a.py")
    sandbox.write("a.py")
    assert found(sandbox) == []
    sandbox.write("conda-meta/x.py")
    sandbox.write("include/python3.11/x.py")
    (warning,) = found(sandbox)
    assert warning.paths == (b"conda-meta", b"include/python3.11")


def test_an_excluded_one_is_no_matter(sandbox: Sandbox) -> None:
    sandbox.write("env/pyvenv.cfg")
    sandbox.write("env/x.py")
    assert found(sandbox, without((b"env",))) == []


def test_twenty_are_named_where_it_is_said_what_to_do(sandbox: Sandbox) -> None:
    for number in range(23):
        sandbox.write(f"e{number:02}/pyvenv.cfg")
        sandbox.write(f"e{number:02}/x.py")
    (warning,) = found(sandbox)
    assert "'e00', 'e01', 'e02' and 20 more: 23 files" in warning.message
    assert "'e19' and 3 more (see `slurmic files --tree`) to exclude" in warning.hint

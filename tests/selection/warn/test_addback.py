"""Many or large files that suffixes add back are warned of, and what is said leaves them out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from git_oracle import DEFAULT_EXCLUDES, DEFAULT_SUFFIXES, Sandbox, examples
from hypothesis import given
from hypothesis import strategies as st

from slurmic.selection import Selection, SelectionRules, SelectionWarning, select
from slurmic.selection.warn.folders import entry_for

RULES = SelectionRules(DEFAULT_SUFFIXES, DEFAULT_EXCLUDES)


_TWENTY = "20 folders, 'p00/gen' (31), 'p02/gen' (31), 'p04/gen' (31) and 17 more"


def selected(sandbox: Sandbox, warn_added: int = 500, rules: SelectionRules = RULES) -> Selection:
    return select(sandbox.root, rules, environ=sandbox.environ, warn_added=warn_added)


def found(
    sandbox: Sandbox, warn_added: int = 500, rules: SelectionRules = RULES
) -> list[SelectionWarning]:
    return list(selected(sandbox, warn_added, rules).warnings)


def fill(sandbox: Sandbox, folder: str, count: int, suffix: str = ".py") -> None:
    for number in range(count):
        sandbox.write(f"{folder}/{number}{suffix}")


def excluded_by(warning: SelectionWarning) -> SelectionRules:
    """The rules after a user has done what the hint says."""
    match = re.match(r"add (.*) to exclude_code_folders", warning.hint)
    assert match is not None, warning.hint
    entries = re.findall(r"r?'[^']*'", match[1])
    return SelectionRules(DEFAULT_SUFFIXES, (*DEFAULT_EXCLUDES, *map(ast.literal_eval, entries)))


def test_an_ignored_folder(repository: Sandbox) -> None:
    repository.write(".gitignore", "node_modules/\nsmall/\nenvs/\n*.log")
    for number in range(5):
        repository.write(f"node_modules/x{number}/a.yaml")
        repository.write(f"envs/one/{number}.py")
        repository.write(f"src/{number}.py")
    repository.write("envs/one/pyvenv.cfg")
    environment, added = found(repository, warn_added=4)
    assert environment.paths == (b"envs/one",)
    assert added.kind == "large_add_back"
    assert added.message == (
        "code_file_suffixes adds back 5 files that git ignores, from 'node_modules'"
    )
    assert added.hint == "add 'node_modules' to exclude_code_folders, or raise warn_added_files"
    for threshold in (0, 5):
        assert found(repository, warn_added=threshold) == [environment]
    repository.write("small/a.py")
    added = found(repository, warn_added=5)[1]
    assert added.message.endswith(
        "adds back 6 files that git ignores, from 2 folders, 'node_modules' (5), 'small' (1)"
    )


@pytest.mark.parametrize("inside", [True, False], ids=["repository", "none"])
@pytest.mark.parametrize(
    ("patterns", "folders", "where"),
    [
        ("data/*\n!data/.gitkeep", {"data": 600}, "'data'"),
        ("data/*\n!data/.gitkeep", {f"data/{n}": 30 for n in range(20)}, "'data'"),
        ("data/*\n!data/.gitkeep", {"data": 250, "data/a": 250, "data/b/c": 100}, "'data'"),
        ("gen/", {f"p{n:02}/gen": 31 - n % 2 for n in range(20)}, _TWENTY),
        ("*.yaml", {"conf": 600}, "'conf'"),
        ("*.yaml", {f"conf/{n}": 30 for n in range(20)}, "'conf'"),
    ],
)
def test_what_was_silent(
    sandbox: Sandbox, patterns: str, folders: dict[str, int], where: str, inside: bool
) -> None:
    """Only topmost ignored folders were counted, each alone."""
    if inside:
        sandbox.init()
    sandbox.write(".gitignore", patterns)
    sandbox.write("data/.gitkeep")
    fill(sandbox, "src", 10)
    for folder, count in folders.items():
        fill(sandbox, folder, count, ".yaml")
    (warning,) = found(sandbox)
    total = sum(folders.values())
    assert warning.message == (
        f"code_file_suffixes adds back {total} files that git ignores, from {where}"
    )
    assert found(sandbox, rules=excluded_by(warning)) == []
    assert found(sandbox, warn_added=total) == []


def test_one_pattern_stands_for_many_folders_of_a_name(repository: Sandbox) -> None:
    """ "and 25 more" cannot be excluded."""
    repository.write(".gitignore", "/p*/gen/\n")
    for number in range(25):
        repository.write(f"p{number:02}/a.py")
        fill(repository, f"p{number:02}/gen", 2)
    (warning,) = found(repository, warn_added=10)
    assert warning.hint == "add '**/gen' to exclude_code_folders, or raise warn_added_files"
    assert found(repository, warn_added=10, rules=excluded_by(warning)) == []
    # Unless it would exclude others.
    repository.write("src/gen/a.py")
    (warning,) = found(repository, warn_added=10)
    assert "'p19/gen' and 5 more (see `slurmic files --tree`) to exclude" in warning.hint


def test_files_that_are_ignored_one_by_one(repository: Sandbox) -> None:
    repository.write(".gitignore", "*.yaml\n")
    fill(repository, "conf", 600, ".yaml")
    (warning,) = found(repository)
    assert warning.message.endswith("adds back 600 files that git ignores, from 'conf'")
    assert warning.hint == "add 'conf' to exclude_code_folders, or raise warn_added_files"
    repository.write("conf/base.toml")
    (warning,) = found(repository)
    assert warning.hint == (
        "take '.yaml' out of code_file_suffixes (what git does not ignore is packed anyway), "
        "or raise warn_added_files"
    )
    rules = SelectionRules((".py", ".sh", ".toml"), DEFAULT_EXCLUDES)
    assert selected(repository, rules=rules).paths == [b".gitignore", b"conf/base.toml"]


def test_files_right_in_code_root_and_by_a_function(repository: Sandbox) -> None:
    repository.write(".gitignore", "/gen*\n")
    fill(repository, ".", 3)
    for number in range(3):
        repository.write(f"gen{number}.py")
        repository.write(f"gen/{number}.py")
    (warning,) = found(repository, warn_added=2)
    assert warning.message.endswith("from 2 folders, code_root itself (3), 'gen' (3)")
    assert warning.hint.startswith(
        "add 'gen' to exclude_code_folders, for code_root itself take '.py' out of code_file"
    )
    rules = SelectionRules((".py",), (), include=lambda path, root: "gen" in path)
    (warning,) = found(repository, warn_added=2, rules=rules)
    assert warning.message.startswith("the include function adds back 6 files")
    assert "for code_root itself make the include function refuse them, or" in warning.hint


def test_what_is_tracked_is_not_added_back(repository: Sandbox) -> None:
    """A folder that is ignored and full of tracked sources was said to be added back."""
    repository.write(".gitignore", "lib/\n*.yaml\n")
    for number in range(6):
        for path in (f"lib/{number}.ts", f"lib/{number}.py", f"conf/{number}.yaml"):
            repository.write(path)
    assert "12 files" in found(repository, warn_added=5)[0].message
    repository.track("lib", "conf")
    assert found(repository, warn_added=5) == []
    fill(repository, "lib/new", 6)
    (warning,) = found(repository, warn_added=5)
    assert warning.message.endswith("adds back 6 files that git ignores, from 'lib'")
    # It must not be said to exclude what is tracked.
    assert warning.hint.startswith("take '.py' out of code_file_suffixes")


def test_what_is_tracked_counts_for_nothing_where_nothing_was_left_out(
    repository: Sandbox,
) -> None:
    """Then nobody has asked for the index yet."""
    repository.write(".gitignore", "*.yaml\n")
    fill(repository, "conf", 6, ".yaml")
    repository.track("conf")
    assert found(repository, warn_added=5) == []
    fill(repository, "gen", 6, ".yaml")
    (warning,) = found(repository, warn_added=5)
    assert warning.paths == (b"gen",)


def test_a_virtual_environment_does_not_count(repository: Sandbox) -> None:
    repository.write(".gitignore", "*.yaml\n")
    for path in ("pyvenv.cfg", ".gitignore", "a.yaml", "b.yaml"):
        repository.write(f"env/{path}", "*.yaml\n")
    repository.write("env/lib/.gitignore", "*.py\n")
    fill(repository, "env/lib", 9)
    assert [warning.kind for warning in found(repository, warn_added=1)] == ["virtual_environment"]


def test_small_folders_are_not_named(repository: Sandbox) -> None:
    repository.write(".gitignore", "gen/\n")
    for number in range(4):
        fill(repository, f"p{number}/gen", 1)
        repository.write(f"p{number}/a.py")
    fill(repository, "big/gen", 30)
    (warning,) = found(repository, warn_added=20)
    assert "34 files" in warning.message and "from 5 folders" in warning.message
    assert warning.hint.startswith("add 'big/gen' to exclude_code_folders")
    assert warning.paths == (b"big/gen",)
    assert found(repository, warn_added=20, rules=excluded_by(warning)) == []


def test_nothing_is_asked_of_git_or_its_rules_in_an_ordinary_tree(
    repository: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking about each file would take a good part of the time of a selection."""
    repository.write(".gitignore", "__pycache__/\n")
    repository.write("__pycache__/a.pyc")
    for folder in range(20):
        fill(repository, f"src/{folder}", 50)
    repository.track(".gitignore", "src")

    def fail(*_: object) -> Iterator[None]:
        raise AssertionError("asked about a file that is tracked")

    monkeypatch.setattr("slurmic.selection.warn.addback.AddBack._place", fail)
    assert found(repository) == []


def test_a_sample_is_enough_to_notice_twice_as_many_anywhere(repository: Sandbox) -> None:
    """Spread over all folders, among others."""
    repository.write(".gitignore", "[02468].py\n")
    for folder in range(200):
        fill(repository, f"{folder:03}", 10)
    assert len(selected(repository).add_back.many(selected(repository).paths, 500)) == 200


def test_large_files(repository: Sandbox) -> None:
    """Three files of 60 MB are not many, but they are no code."""
    repository.write(".gitignore", "/data/\n*.toml\n")
    for number in range(3):
        repository.write(f"data/{number}.yaml")
    repository.write("a.toml")
    selection = selected(repository)
    assert selection.warnings == ()
    sizes = [60_000_000 if path.startswith(b"data") else 300_000 for path in selection.paths]
    warning = selection.warn_of_size(selection.paths, sizes, 50)
    assert warning is not None
    assert warning.message == (
        "code_file_suffixes adds back 4 files, 180.3 MB, that git ignores, from 2 folders, "
        "'data' (180.0 MB), code_root itself (0.3 MB)"
    )
    assert warning.hint == "add 'data' to exclude_code_folders, or raise warn_added_mb"
    assert selection.warn_of_size(selection.paths, sizes, 181) is None
    assert selection.warn_of_size(selection.paths, sizes, 0) is None
    # Said once: their number is too large already.
    selection = selected(repository, warn_added=2)
    assert [warning.kind for warning in selection.warnings] == ["large_add_back"]
    assert selection.warn_of_size(selection.paths, sizes, 50) is None
    repository.track(*(f"data/{number}.yaml" for number in range(3)))
    assert selected(repository).warn_of_size(selection.paths, sizes, 50) is None


@examples
@given(st.text("a*?[]!^-\\ .", min_size=1).filter(lambda name: name not in (".", "..")))
def test_an_entry_names_its_folder_and_no_other(name: str) -> None:
    entry = ast.literal_eval(entry_for(name.encode()))
    rules = SelectionRules((), (entry,))
    assert rules.excluding_entry(name.encode()) == entry
    assert rules.excluding_entry(name.encode() + b"a") is None
    for index, char in enumerate(name):
        if char in "*?[":
            assert rules.excluding_entry((name[:index] + "b" + name[index + 1 :]).encode()) is None


def test_a_folder_with_wildcards_in_its_name_can_be_excluded(repository: Sandbox) -> None:
    """Taken as it is, "ve[3]" excludes ve3."""
    repository.write(".gitignore", "/ve*/\n")
    fill(repository, "ve[3]", 3)
    (warning,) = found(repository, warn_added=2)
    assert warning.hint.startswith(r"add r've\[3\]' to exclude_code_folders")
    assert found(repository, warn_added=2, rules=excluded_by(warning)) == []

"""The settings: what entries mean, which are refused, and 0.2.1's functions in their place."""

from __future__ import annotations

import os
import warnings

import pytest
from git_oracle import DEFAULT_EXCLUDES, DEFAULT_SUFFIXES, Sandbox

from slurmic.errors import ConfigError, SelectionError
from slurmic.selection import SelectionRules, explain, select
from slurmic.selection.rules import packed


def names_taken(sandbox: Sandbox, suffixes: tuple[str, ...], *names: str) -> list[str]:
    for name in names:
        sandbox.write(name)
    rules = SelectionRules(suffixes, ())
    return [os.fsdecode(path) for path in select(sandbox.root, rules).paths]


@pytest.mark.parametrize(
    ("entry", "taken", "left"),
    [
        (".py", ["a.py", ".py", "a.b.py"], ["a.pyc", "a.PY", "py", "apy"]),
        (".tar.gz", ["a.tar.gz"], ["a.gz", "tar.gz"]),
        ("py", ["a.py", "py"], ["happy", "a.pyc"]),
        ("Dockerfile", ["Dockerfile", "app.Dockerfile"], ["Dockerfile.dev", "MyDockerfile"]),
        (".é", ["a.é"], ["a.e"]),
        (" ", [" ", "a. "], ["a "]),
    ],
)
def test_suffix_entries(sandbox: Sandbox, entry: str, taken: list[str], left: list[str]) -> None:
    assert names_taken(sandbox, (entry,), *taken, *left) == sorted(taken)
    rules = SelectionRules((entry,), ())
    for name in (*taken, *left):
        assert (rules.matching_suffix(os.fsencode(name)) == entry) is (name in taken)


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("", "such as '.py'"),
        (".", "such as '.py'"),
        ("*.py", "write '.py'"),
        ("*", "name the endings"),
        ("src/a.py", "write 'a.py'"),
    ],
)
def test_suffix_entries_that_are_refused(entry: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SelectionRules((entry,), ())
    assert f"code_file_suffixes has the entry '{entry}'" in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("", "name folders below it"),
        (".", "name folders below it"),
        ("./", "name folders below it"),
        ("/wandb", "write 'wandb'"),
        ("../data", "leave it out"),
        ("a/../b", "without .."),
    ],
)
def test_folder_entries_that_are_refused(entry: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SelectionRules((), (entry,))
    assert f"exclude_code_folders has the entry '{entry}'" in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("bad", [".py", [".py", 3], [".py", None], [b".py"], ["a\0b"]])
def test_settings_that_are_no_lists_of_strings(bad: object) -> None:
    with pytest.raises(ConfigError):
        SelectionRules.from_settings(bad, [])  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        SelectionRules.from_settings([], bad)  # type: ignore[arg-type]


def test_lists_are_taken_as_they_come_from_a_config() -> None:
    rules = SelectionRules.from_settings(list(DEFAULT_SUFFIXES), list(DEFAULT_EXCLUDES))
    assert rules == SelectionRules(DEFAULT_SUFFIXES, DEFAULT_EXCLUDES)


@pytest.mark.parametrize(
    ("entry", "excluded", "kept"),
    [
        ("wandb", ["wandb/a.py", "wandb/deep/a.py"], ["src/wandb/a.py", "wandb2/a.py"]),
        ("wandb/", ["wandb/a.py"], ["src/wandb/a.py"]),
        ("./wandb", ["wandb/a.py"], ["src/wandb/a.py"]),
        ("o/p", ["o/p/a.py"], ["o/a.py", "p/a.py", "x/o/p/a.py"]),
        ("o//p/", ["o/p/a.py"], ["o/a.py"]),
        ("**/wandb", ["wandb/a.py", "src/x/wandb/y/a.py"], ["src/wandb2/a.py"]),
        ("run*", ["run1/a.py", "runs/x/a.py"], ["src/runner/a.py"]),
        ("*/out", ["x/out/a.py"], ["out/a.py", "x/y/out/a.py"]),
        ("lit!", ["lit!/a.py"], ["lit/a.py"]),
        ("!run?", ["!run1/a.py"], ["run1/a.py"]),
        ("#run?", ["#run1/a.py"], ["run1/a.py"]),
        ("x[ab]", ["xa/a.py", "xb/a.py"], ["xc/a.py"]),
    ],
)
@pytest.mark.parametrize("discovering", [True, False])
def test_folder_entries(
    sandbox: Sandbox, entry: str, excluded: list[str], kept: list[str], discovering: bool
) -> None:
    for path in (*excluded, *kept):
        sandbox.write(path)
    if discovering:
        sandbox.write(".gitignore")
    rules = SelectionRules((".py",), (entry,))
    paths = [os.fsdecode(path) for path in select(sandbox.root, rules).paths]
    assert [path for path in paths if path != ".gitignore"] == sorted(kept)
    for item in explain(sandbox.root, excluded, rules):
        assert (item.reason, item.entry) == ("excluded_folder", entry)


def test_a_glob_survives_names_that_are_not_utf8(sandbox: Sandbox) -> None:
    sandbox.write(b"\xff/a.py")
    sandbox.write(b"x\xff/a.py")
    sandbox.write(b"x\n/a.py")
    rules = SelectionRules((".py",), ("x*",))
    assert select(sandbox.root, rules).paths == [b"\xff/a.py"]


def test_a_file_named_like_an_excluded_folder_is_packed(sandbox: Sandbox) -> None:
    sandbox.write("wandb")
    sandbox.write(".gitignore")
    rules = SelectionRules((), ("wandb",))
    assert b"wandb" in select(sandbox.root, rules).paths


def test_never_is_not_entered(sandbox: Sandbox) -> None:
    sandbox.write("out/slurm/a.py")
    sandbox.write("out/a.py")
    rules = SelectionRules((".py",), (), never=(b"out/slurm/", b""))
    assert select(sandbox.root, rules).paths == [b"out/a.py"]
    (item,) = explain(sandbox.root, ["out/slurm/a.py"], rules)
    assert (item.packed, item.reason, item.directory) == (False, "never", b"out/slurm")


def test_functions_replace_the_settings(sandbox: Sandbox) -> None:
    """0.2.1's pack_code_include_fn and pack_code_exclude_fn: absolute path, absolute root."""
    for path in ("a.txt", "b.py", "wandb/c.txt", "skip/d.txt", "skip/e/f.txt"):
        sandbox.write(path)
    calls: list[tuple[str, str]] = []

    def include(path: str, root: str) -> bool:
        calls.append((path, root))
        return path.endswith(".txt")

    def exclude(path: str, root: str) -> bool:
        return os.path.relpath(path, root) == "skip"

    rules = SelectionRules((".py",), ("wandb",), include=include, exclude_directory=exclude)
    assert select(sandbox.root, rules).paths == [b"a.txt", b"wandb/c.txt"]
    assert (str(sandbox.root / "wandb/c.txt"), str(sandbox.root)) in calls
    reasons = [
        item.reason for item in explain(sandbox.root, ["a.txt", "b.py", "skip/d.txt"], rules)
    ]
    assert reasons == ["suffix", "no_suffix", "excluded_folder"]


def test_the_include_function_adds_back(sandbox: Sandbox) -> None:
    sandbox.write(".gitignore", "*")
    sandbox.write("x/a.txt")
    sandbox.write("x/b.py")
    rules = SelectionRules((".py",), (), include=lambda path, _: path.endswith("a.txt"))
    assert select(sandbox.root, rules).paths == [b"x/a.txt"]


@pytest.mark.parametrize("excluded", [True, False])
@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("matches", [True, False])
def test_the_formula(excluded: bool, ignored: bool, matches: bool) -> None:
    """The tables of the specification."""
    given = {"excluded": excluded, "suffix_matches": matches, "ignored": ignored}
    assert packed(**given, discovering=True) is (not excluded and (not ignored or matches))
    assert packed(**given, discovering=False) is (not excluded and matches)


def test_an_empty_selection_names_the_rules(sandbox: Sandbox) -> None:
    sandbox.write("a.txt")
    selection = select(sandbox.root, SelectionRules((".py",), ("wandb",)))
    assert selection.paths == []
    with pytest.raises(SelectionError) as caught:
        selection.require_files()
    assert str(sandbox.root) in caught.value.message
    assert "code_file_suffixes = ['.py']" in caught.value.hint
    assert "no .gitignore" in caught.value.hint
    sandbox.write("a.py")
    found = select(sandbox.root, SelectionRules((".py",), ("wandb",)))
    assert found.require_files() is found


def test_a_root_that_is_no_directory(sandbox: Sandbox) -> None:
    sandbox.write("file")
    rules = SelectionRules((), ())
    with pytest.raises(SelectionError, match="no such file"):
        select(sandbox.root / "missing", rules)
    with pytest.raises(SelectionError, match="not a directory"):
        select(sandbox.root / "file", rules)


def test_a_relative_root(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.write("sub/a.py")
    monkeypatch.chdir(sandbox.root)
    for root in ("sub", b"sub", "./sub/", sandbox.root / "sub"):
        selection = select(root, SelectionRules((".py",), ()))
        assert selection.root == os.fsencode(sandbox.root / "sub")
        assert selection.paths == [b"a.py"]


@pytest.mark.parametrize("entry", ["[z-a]*", "run*\\", "a\\/b*"])
def test_a_glob_that_is_no_pattern_is_a_clear_error(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"exclude_code_folders has the entry.*not a pattern"):
        SelectionRules((".py",), ("wandb", entry))


def test_odd_brackets_do_not_warn(sandbox: Sandbox) -> None:
    sandbox.write("[a]x/a.py")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SelectionRules((".py",), ("[[a]*", "[[:alpha:]]*"))


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u2028"])
def test_white_space_at_the_end_of_a_glob_counts(sandbox: Sandbox, blank: str) -> None:
    sandbox.write("x/a.py")
    sandbox.write(os.fsencode(f"x{blank}/a.py"))
    rules = SelectionRules((".py",), (f"?{blank}",))
    assert select(sandbox.root, rules, environ=sandbox.environ).paths == [b"x/a.py"]

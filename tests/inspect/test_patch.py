"""Patches: git applies them, and where git would write one, it is the same."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmic.inspect.changes import compare_trees
from slurmic.inspect.codetree import WorkingTree, working_tree
from slurmic.inspect.patch import count_lines, patch_lines, quoted_for_git

Files = Mapping[bytes, "tuple[bytes, int] | bytes"]
"""Content and mode of a file, or the target of a symbolic link, by path."""


def fill(folder: Path, files: Files) -> None:
    """Write files; an empty .gitignore sees to it that all are packed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / ".gitignore").touch()
    for name, file in files.items():
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(file, bytes):
            os.symlink(file, path)
        else:
            with open(path, "wb") as stream:
                stream.write(file[0])
            os.chmod(path, file[1])


def patch(old: WorkingTree, new: WorkingTree, *, binary: bool = True) -> bytes:
    changes = compare_trees(old.tree, new.tree)
    lines = [line for each in changes for line in patch_lines(each, old, new, binary=binary)]
    return b"".join(line.text + b"\n" for line in lines)


def trees(first: Path, second: Path) -> tuple[WorkingTree, WorkingTree]:
    return working_tree(str(first), None, None), working_tree(str(second), None, None)


def apply(folder: Path, text: bytes) -> None:
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn"], cwd=folder, input=text, capture_output=True
    )
    assert done.returncode == 0, (done.stderr.decode(errors="replace"), text)


names = st.one_of(
    st.sampled_from([b"a.py", b"b c.py", b"d/e.py", b"d/f", b"tab\there", b"n\nl", b'q"uo\\te']),
    st.sampled_from(["é.py".encode(), b"\xff.py", b"\x1b[31m", b"a ", b" a", b"d e/f g/h"]),
)
lines = st.lists(st.sampled_from([b"one", b"two", b"def f():", b"", b"\x0c", b"x\r"]), max_size=12)
texts = st.builds(lambda parts, end: b"\n".join(parts) + end, lines, st.sampled_from([b"", b"\n"]))
contents = st.one_of(texts, texts, st.binary(max_size=200))
files = st.one_of(
    st.tuples(contents, st.sampled_from([0o644, 0o755])),
    st.tuples(contents, st.sampled_from([0o644, 0o755])),
    st.sampled_from([b"a.py", b"../x", b"no such"]),
)
file_trees = st.dictionaries(names, files, max_size=5)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(file_trees, file_trees)
def test_git_applies_the_patch(tmp_path: Path, first: Any, second: Any) -> None:
    one, two, copy = tmp_path / "one", tmp_path / "two", tmp_path / "copy"
    fill(one, first)
    fill(two, second)
    fill(copy, first)
    old, new = trees(one, two)
    text = patch(old, new)
    if text:
        apply(copy, text)
    assert working_tree(str(copy), None, None).tree == new.tree


PYTHON = b"""\
import os


class Model:
    def forward(self):
        a = 1
        b = 2
        c = 3
        d = 4
        e = 5
        return a


def main():
    print("x")
"""

CASES: dict[str, tuple[Files, Files]] = {
    "text": (
        {b"m.py": (PYTHON, 0o644)},
        {b"m.py": (PYTHON.replace(b"return a", b"return b"), 0o644)},
    ),
    "two hunks": (
        {b"m.py": (PYTHON, 0o644)},
        {b"m.py": (PYTHON.replace(b"os", b"sys").replace(b'"x"', b'"y"'), 0o755)},
    ),
    "no newline": ({b"a": (b"1\n2", 0o644)}, {b"a": (b"1\n2\n", 0o644)}),
    "empty": ({b"a": (b"", 0o644)}, {b"b": (b"", 0o755)}),
    "emptied": ({b"a": (b"1\n", 0o644)}, {b"a": (b"", 0o644)}),
    "mode": ({b"a": (b"x\n", 0o644)}, {b"a": (b"x\n", 0o755)}),
    "link": ({b"l": b"there"}, {b"l": b"here"}),
    "type": ({b"l": b"there"}, {b"l": (b"there", 0o644)}),
    "binary": ({b"a": (b"\0\1", 0o644)}, {b"a": (b"\0\2", 0o644), b"b": (b"\0", 0o644)}),
    "names": ({}, {b"a b": (b"1\n", 0o644), b"t\t": (b"2\n", 0o644), b"\xff": (b"3\n", 0o644)}),
}


@pytest.mark.parametrize("name", CASES)
def test_what_git_would_write(tmp_path: Path, git_commit: Any, name: str) -> None:
    first, second = CASES[name]
    fill(tmp_path / "a", first)
    fill(tmp_path / "b", second)
    text = patch(*trees(tmp_path / "a", tmp_path / "b"), binary=False)
    git_commit(tmp_path / "a")
    git = ["git", f"--git-dir={tmp_path}/a/.git", f"--work-tree={tmp_path}/b"]
    subprocess.run([*git, "add", "-A"], check=True)
    command = [*git, "diff", "--cached", "--no-renames", "--abbrev=7"]
    assert text == subprocess.run(command, capture_output=True, check=True).stdout


def test_nothing_to_say_of_permissions_that_git_does_not_keep(tmp_path: Path) -> None:
    fill(tmp_path / "a", {b"a": (b"x\n", 0o644)})
    fill(tmp_path / "b", {b"a": (b"x\n", 0o600)})
    old, new = trees(tmp_path / "a", tmp_path / "b")
    assert [change.kind for change in compare_trees(old.tree, new.tree)] == ["mode"]
    assert patch(old, new) == b""


def test_counted_lines(tmp_path: Path) -> None:
    fill(tmp_path / "a", {b"a": (b"1\n2\n3\n", 0o644), b"b": (b"\0", 0o644), b"c": b"l"})
    fill(tmp_path / "b", {b"a": (b"1\nx\ny\n3\n", 0o644), b"b": (b"\1", 0o644)})
    old, new = trees(tmp_path / "a", tmp_path / "b")
    changes = compare_trees(old.tree, new.tree)
    assert [count_lines(change, old, new) for change in changes] == [(2, 1), None, (0, 1)]


def test_long_files_with_lines_that_repeat(tmp_path: Path) -> None:
    """difflib takes lines that are everywhere for noise in long files; the patch is right still."""
    chosen = random.Random(1)
    first = [chosen.choice([b"a", b"b", b"c", b""]) for _ in range(3000)]
    second = list(first)
    for place in sorted(chosen.sample(range(3000), 40), reverse=True):
        second[place : place + chosen.randrange(3)] = [b"new"] * chosen.randrange(3)
    fill(tmp_path / "a", {b"a": (b"\n".join(first), 0o644)})
    fill(tmp_path / "b", {b"a": (b"\n".join(second), 0o644)})
    old, new = trees(tmp_path / "a", tmp_path / "b")
    apply(tmp_path / "a", patch(old, new))
    assert (tmp_path / "a" / "a").read_bytes() == b"\n".join(second)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"plain", b"plain"),
        ("é".encode(), "é".encode()),
        (b"a b", b"a b"),
        (b"\x1b", b'"\\033"'),
        (b"\xff\t", b'"\\377\\t"'),
        ("\u202e".encode(), b'"\\342\\200\\256"'),
        (b'"', b'"\\""'),
    ],
)
def test_names_in_patches(name: bytes, expected: bytes) -> None:
    assert quoted_for_git(name) == expected

"""What the user may not read: said, never passed over in silence."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_oracle import Sandbox

import slurmic.errors

UNPRIVILEGED = """
import os, shutil, subprocess, sys  # as below: some are imported where they are needed
sys.path[:0] = {path!r}
from slurmic.selection import SelectionRules, explain, select
from slurmic.selection.walk import walk
from slurmic.errors import SelectionError
# Only now: an unprivileged user need not be able to read this checkout.
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    selection = select({root!r}, SelectionRules((".py",), ()), environ={environ!r})
except SelectionError as error:
    print("error:", error.message)
else:
    print(selection.paths)
    for warning in selection.warnings:
        print(warning.kind, warning.paths, warning.message)
    for item in explain({root!r}, {asked!r}, selection.rules, environ={environ!r}):
        print(item)
"""


@pytest.fixture
def reachable() -> Iterator[Sandbox]:
    """A sandbox that every user can get to; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Sandbox(Path(folder))


def select_unprivileged(sandbox: Sandbox, *asked: str) -> str:
    """Select and explain in a process that permissions hold for; its output."""
    if os.getuid() == 0:
        for folder, _, files in os.walk(sandbox.root):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, 65534, 65534, follow_symlinks=False)
    package = str(Path(slurmic.errors.__file__).parents[1])
    script = UNPRIVILEGED.format(
        path=[package, *sys.path], root=str(sandbox.root), environ=sandbox.environ, asked=asked
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_an_unreadable_directory_is_named(reachable: Sandbox) -> None:
    reachable.write("locked/a.py")
    reachable.write("open/a.py")
    (reachable.root / "locked").chmod(0o000)
    try:
        output = select_unprivileged(reachable, "locked/a.py", "locked/nothing/x", "locked")
    finally:
        (reachable.root / "locked").chmod(0o755)
    assert output.splitlines() == [
        "[b'open/a.py']",
        "unreadable_directory (b'locked',) 1 folder cannot be read and is not packed: "
        "'locked' (permission denied)",
        "'locked/a.py': not packed, 'locked' cannot be read",
        "'locked/nothing/x': not packed, 'locked' cannot be read",
        "'locked': not packed, 'locked' cannot be read",
    ]


def test_a_tracked_file_in_a_directory_that_cannot_be_listed(reachable: Sandbox) -> None:
    reachable.write(".gitignore", "")
    reachable.write("locked/tracked.c")
    reachable.write("locked/other.c")
    reachable.init()
    reachable.track("locked/tracked.c")
    reachable.configure("[safe]\n    directory = *")
    for folder, _, _ in os.walk(reachable.base):
        os.chmod(folder, 0o755)
    (reachable.root / "locked").chmod(0o111)
    try:
        output = select_unprivileged(reachable, "locked/tracked.c", "locked/other.c")
    finally:
        (reachable.root / "locked").chmod(0o755)
    lines = output.splitlines()
    assert lines[0] == "[b'.gitignore', b'locked/tracked.c']"
    assert lines[2:] == [
        "'locked/tracked.c': packed, not ignored",
        "'locked/other.c': not packed, 'locked' cannot be read",
    ]


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_a_tracked_file_in_a_directory_that_cannot_be_entered(
    reachable: Sandbox, mode: int
) -> None:
    """In one that can be listed it was left out without a word, since nothing was known of it."""
    reachable.write(".gitignore", "*.o\n")
    for name in ("tracked.o", "other.o", "plain"):
        reachable.write(f"locked/{name}")
    reachable.init()
    reachable.track("locked/tracked.o")
    reachable.configure("[safe]\n    directory = *")
    for folder, _, _ in os.walk(reachable.base):
        os.chmod(folder, 0o755)
    (reachable.root / "locked").chmod(mode)
    try:
        lines = select_unprivileged(reachable).splitlines()
    finally:
        (reachable.root / "locked").chmod(0o755)
    if mode:
        assert lines == ["[b'.gitignore', b'locked/plain', b'locked/tracked.o']"]
    else:
        assert lines[0] == "[b'.gitignore']"
        assert lines[1].startswith("unreadable_directory (b'locked',)")


def test_an_unreadable_gitignore_is_named(reachable: Sandbox) -> None:
    reachable.write(".gitignore", "*.txt")
    reachable.write("a.txt")
    (reachable.root / ".gitignore").chmod(0o000)
    lines = select_unprivileged(reachable).splitlines()
    assert lines[0] == "[b'.gitignore', b'a.txt']"
    assert lines[1].startswith("unreadable_gitignore (b'.gitignore',) 1 ignore file cannot be read")


def test_an_unreadable_root_is_an_error(reachable: Sandbox) -> None:
    reachable.write("a.py")
    reachable.root.chmod(0o000)
    try:
        output = select_unprivileged(reachable)
    finally:
        reachable.root.chmod(0o755)
    assert output == f"error: cannot read code_root '{reachable.root}': permission denied\n"

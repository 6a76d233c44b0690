"""slurmic why: by which rule a path is packed or not, and what it cannot know."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def project(tmp_path: Path, write: Any) -> Path:
    folder: Path = write(
        tmp_path / "project",
        {"a.py": "a = 1\n", "b/c.sh": "echo\n", "d.txt": "d", "wandb/e.py": "e"},
    )
    return folder


def test_why_names_the_rule_as_git_would(run: Any, project: Path) -> None:
    """Someone who finds out hours later that one file was not packed."""
    (project / ".gitignore").write_text("# data\n*.txt\nb/\n")
    paths = ["a.py", "d.txt", "b/c.sh", "b/nothing", "wandb/e.py", str(project / "d.txt")]
    done = run("why", *paths, cwd=project)
    lines = done.stdout.decode().splitlines()
    assert [": packed" in line for line in lines] == [True, False, True, False, False, False]
    assert "'.gitignore' line 2 ('*.txt')" in lines[1]
    assert "'.gitignore' line 3 ('b/')" in lines[3] and "does not exist" in lines[3]
    assert "wandb" in lines[4] and "exclude_code_folders" in lines[4]
    done = run("why", "--json", "d.txt", "--code-root", str(project))
    answer = json.loads(done.stdout)
    expected = {
        "path": "d.txt",
        "packed": False,
        "reason": "ignored",
        "line": 2,
        "pattern": "*.txt",
    }
    assert {name: answer[name] for name in expected} == expected


def test_why_takes_paths_relative_to_the_tree_or_to_the_current_folder(
    run: Any, project: Path
) -> None:
    done = run("why", "b/c.sh", "c.sh", "../d.txt", "--code-root", "..", cwd=project / "b")
    assert done.stdout.decode().splitlines() == [
        "'b/c.sh': packed, by .sh in code_file_suffixes",
        "'b/c.sh': packed, by .sh in code_file_suffixes",
        "'d.txt': not packed, none of code_file_suffixes matches, and code_root has no .gitignore",
    ]
    for name in ("e.py", "new.py"):
        (project / name).touch()
    (project / "b" / "e.py").touch()

    def answered(folder: Path, root: str, *paths: str) -> list[str]:
        done = run("why", *paths, "--json", "--code-root", root, cwd=folder)
        return [json.loads(line)["path"] for line in done.stdout.splitlines()]

    # Both are there, or neither is: as git, by the current folder.
    assert answered(project / "b", "..", "e.py", "no.py", "new.py", "..") == [
        "b/e.py",
        "b/no.py",
        "new.py",
        ".",
    ]
    link = project.parent / "link"
    link.symlink_to(project / "b")
    assert answered(link, str(project), "e.py", "no.py") == ["b/e.py", "b/no.py"]
    # Unless that is outside of the tree.
    assert answered(project.parent, "project", "b/e.py", "no.py", "project/e.py", "link") == [
        "b/e.py",
        "no.py",
        "e.py",
        str(link),
    ]
    assert answered(project, "b", "e.py", "c.sh", "new.py", "/") == [
        "e.py",
        "c.sh",
        str(project / "new.py"),
        "/",
    ]
    assert answered(project, "/", "new.py") == [str(project / "new.py")[1:]]


def test_why_wants_a_path(run: Any, project: Path) -> None:
    done = run("why", cwd=project)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"no path was given" in done.stderr


@pytest.fixture
def run_permitted() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``slurmic`` such that permissions hold for it: not so for root, unless it gives up two
    of its capabilities."""
    give_up: list[str] = []
    if os.getuid() == 0:
        give_up = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        works = shutil.which("setpriv") and subprocess.run([*give_up, "true"]).returncode == 0
        if not works:
            pytest.skip("needs setpriv, or a user other than root")

    def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*give_up, sys.executable, "-m", "slurmic", *arguments],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


def test_a_folder_that_may_be_listed_and_not_entered(run_permitted: Any, project: Path) -> None:
    """It said that an existing file does not exist."""
    (project / "b" / "inner").mkdir()
    (project / "b" / "link.sh").symlink_to("c.sh")
    (project / "b").chmod(0o444)
    try:
        listed = run_permitted("files", cwd=project)
        asked = ("b/c.sh", "b/link.sh", "b/no.sh", "b/inner", "b/inner/x.sh", "b")
        done = run_permitted("why", *asked, cwd=project)
    finally:
        (project / "b").chmod(0o755)
    assert "b/c.sh\nb/link.sh\n" in listed.stdout
    assert done.stdout.splitlines() == [
        "'b/c.sh': packed, by .sh in code_file_suffixes",
        "'b/link.sh': packed, by .sh in code_file_suffixes",
        "'b/no.sh' (does not exist): packed, by .sh in code_file_suffixes",
        "'b/inner': not packed, 'b/inner' cannot be read",
        "'b/inner/x.sh': not packed, 'b/inner' cannot be read",
        "'b': only files in it with code_file_suffixes are packed, "
        "since code_root has no .gitignore",
    ]


def test_a_source_tree_that_cannot_be_read(run_permitted: Any, project: Path) -> None:
    """It is refused as for files; any path was called packed, and said not to exist."""
    for mode in (0o000, 0o111):
        project.chmod(mode)
        try:
            answers = [
                run_permitted(*words, "--code-root", str(project), cwd=project.parent)
                if words[0] == "why"
                else run_permitted(*words, str(project), cwd=project.parent)
                for words in (("why", "a.py"), ("files",))
            ]
        finally:
            project.chmod(0o755)
        for done in answers:
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == (
                f"slurmic: error: cannot read code_root '{project}': permission denied\n"
            )


def test_an_ignore_file_that_cannot_be_read_is_warned_of(run_permitted: Any, project: Path) -> None:
    (project / ".gitignore").write_text("*.txt\n")
    (project / ".gitignore").chmod(0o000)
    done = run_permitted("why", "d.txt", cwd=project)
    assert done.stdout == "'d.txt': packed, not ignored\n"
    assert "warning: 1 ignore file cannot be read: '.gitignore'" in done.stderr


def test_git_that_does_not_answer_is_warned_of(
    run: Any, project: Path, git_commit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for files: the index, which only git can read, may have the file."""
    git_commit(project)
    (project / ".gitignore").write_text("*.txt\n")
    tracked = b"'d.txt': packed, tracked by git, although '.gitignore' line 1 ('*.txt') matches\n"
    done = run("why", "d.txt", cwd=project)
    assert (done.stdout, done.stderr) == (tracked, b"")
    monkeypatch.setenv("PATH", "/nowhere")
    warning = (
        b"slurmic: warning: git cannot be run: it is not installed, or not on PATH; tracked files"
    )
    assert warning in run("files", cwd=project).stderr
    done = run("why", "--json", "d.txt", cwd=project)
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (0, "ignored")
    assert done.stderr.startswith(warning)
    assert run("why", "a.py", cwd=project).stderr == b""


def test_help_names_the_argument(run: Any) -> None:
    text = run("why", "--help").stdout.decode()
    assert "slurmic why [OPTIONS] PATH..." in text
    assert "[[" not in text and "(default: )" not in text

"""How often git is asked: a program in front of it writes down what a submission runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from slurmic.git.asking import Git
from slurmic.snapshot import PackRequest, pack_code

Commit = Callable[[Path], str]


@dataclass(frozen=True)
class Recorder:
    """What git was run for.

    Attributes:
        log: a line for each process: the folder and the arguments.
    """

    log: Path

    def asked(self) -> list[tuple[str, str]]:
        """The name of the folder and git's command, of each process so far."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        asked = (line.split("\t") for line in lines)
        return sorted((os.path.basename(folder), command) for folder, command in asked)


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Put in front of git from here on."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    # The arguments: -c, the setting that all questions have, the command.
    (folder / "git").write_text(
        f'#!/bin/sh\nprintf "%s\\t%s\\n" "$PWD" "$3" >> {log}\nexec {shutil.which("git")} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Recorder(log)


@pytest.fixture
def project(tmp_path: Path, write: Callable[..., Path], git_commit: Commit) -> Path:
    """A repository that tracks a file which its patterns match."""
    root = write(tmp_path / "project", {"a.py": "", "kept.log": "", "b.txt": ""})
    git_commit(root)
    return write(root, {".gitignore": "*.log\ndata/\n", "left.log": ""})


def pack(root: Path, **settings: bool) -> dict[str, object]:
    """Submit as far as packing; what the record says of git."""
    base = root.parent
    request = PackRequest(
        str(root), (".py",), (), str(base / "out"), store_path=str(base / "store"), **settings
    )
    packed = pack_code(request)
    assert b"kept.log" in packed.selection.paths
    git = packed.record.info["git"]
    assert isinstance(git, dict)
    return git


def test_a_submission_lists_the_index_once(project: Path, recorder: Recorder) -> None:
    """The selection needs it, and so does the record, to say what no commit has."""
    git = pack(project)
    assert [file["path"] for file in git["differing"]] == [".gitignore"]
    commands = [command for _folder, command in recorder.asked()]
    assert commands == ["config", "ls-files", "status"]


def test_many_added_files_and_a_clean_tree_need_no_second_listing(
    project: Path, write: Callable[..., Path], git_commit: Commit, recorder: Recorder
) -> None:
    """Both come to the index after the selection has it."""
    git_commit(project)
    recorder.log.unlink()
    write(project, {f"data/{number}.py": "" for number in range(501)})
    git = pack(project)
    assert git["differing_files"] == 501
    assert [command for _folder, command in recorder.asked()].count("ls-files") == 1


def test_the_index_of_a_submodule_is_listed_once(
    project: Path, write: Callable[..., Path], git_commit: Commit, recorder: Recorder
) -> None:
    """For the warning of what it tracks and patterns keep out, and for the record."""
    library = write(project.parent / "library", {"kept.log": "", "b.txt": ""})
    git_commit(library)
    settings = ("-c", "protocol.file.allow=always", "-c", "user.name=t", "-c", "user.email=t@e.org")
    for arguments in (
        ("submodule", "--quiet", "add", str(library), "lib"),
        ("add", "-A"),
        ("commit", "-qm", "with a library"),
    ):
        subprocess.run(["git", "-C", str(project), *settings, *arguments], check=True)
    recorder.log.unlink()
    assert pack(project)["dirty"] is False
    assert [entry for entry in recorder.asked() if entry[1] == "ls-files"] == [
        ("lib", "ls-files"),
        ("project", "ls-files"),
    ]


def test_one_asker_keeps_the_answer(project: Path, recorder: Recorder) -> None:
    """Even after it was left; what nobody fetched until then is asked again."""
    with Git(os.fsencode(project), os.environ) as git:
        git.ask_index()
    assert set(git.index()) == {b"a.py", b"b.txt", b"kept.log"}
    recorder.log.unlink(missing_ok=True)
    assert git.index() and git.tracks(b"a.py") and not git.tracks(b"left.log")
    assert recorder.asked() == []


def test_answers_leave_no_open_files(
    tmp_path: Path, write: Callable[..., Path], git_commit: Commit
) -> None:
    """A tree may hold more repositories than a process may have files open."""
    for name in ("one", "two", "three"):
        git_commit(write(tmp_path / name, {"a.py": ""}))
    before = len(os.listdir("/proc/self/fd"))
    with Git(os.fsencode(tmp_path), os.environ) as git:
        for folder in (b"one", b"two", b"three"):
            assert git.within(folder).index() == [b"a.py"]
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_broken_repository_within_is_its_own_problem(
    project: Path, write: Callable[..., Path]
) -> None:
    write(project, {"lib/.git": "gitdir: nowhere\n", "lib/a.py": ""})
    with Git(os.fsencode(project), os.environ) as git:
        assert git.within(b"lib").index() == []
        assert git.within(b"lib").problem is not None
        assert git.problem is None

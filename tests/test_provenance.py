"""What git says of a tree; that it never stops a submission."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slurmic import provenance
from slurmic.errors import ConfigError
from slurmic.git import asking
from slurmic.provenance import Difference, Provenance, ask_git, without_credentials
from slurmic.snapshot import PackRequest, pack_code


def test_commit_branch_and_dirt(tmp_path: Path, git_commit: Callable[[Path], str]) -> None:
    (tmp_path / "a.py").write_text("1")
    commit = git_commit(tmp_path)
    assert ask_git(str(tmp_path)) == Provenance(commit, "main", dirty=False)
    (tmp_path / "a.py").write_text("2")
    answer = ask_git(str(tmp_path))
    assert answer.dirty
    assert answer.differing == (Difference("a.py", "modified"),)
    subprocess.run(["git", "-C", str(tmp_path), "checkout", "-q", "--detach"], check=True)
    assert ask_git(str(tmp_path)).branch == ""


def test_no_repository_and_no_commit_are_noted(tmp_path: Path) -> None:
    answer = ask_git(str(tmp_path))
    assert (answer.commit, answer.dirty) == ("", None)
    assert "not a git repository" in answer.note
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert ask_git(str(tmp_path)).commit == ""


@pytest.mark.parametrize(
    ("script", "note"),
    [
        (None, "not installed"),
        ("sleep 61 & echo $! > {pid}; sleep 60", "git did not answer within 0.5 seconds"),
        ("echo broken >&2; exit 3", "broken"),
    ],
)
def test_a_missing_slow_or_broken_git_is_noted_never_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, note: str
) -> None:
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / ".git" / "refs").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    if script is not None:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{script.format(pid=tmp_path / 'pid')}\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    assert note in ask_git(str(tmp_path)).note
    if (tmp_path / "pid").exists():
        assert _ends((tmp_path / "pid").read_text().strip()), "its child was left behind"


def _ends(process: str) -> bool:
    """Whether a process ends soon: it has been sent a signal, and has yet to be scheduled."""
    for _ in range(200):
        try:
            if ") Z " in Path("/proc", process, "stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_the_environment_does_not_lead_to_another_repository(
    tmp_path: Path, git_commit: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submission from a git hook has GIT_DIR set, to the repository of the hook."""
    commits = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
        commits.append(git_commit(tmp_path / name))
    monkeypatch.setenv("GIT_DIR", os.fspath(tmp_path / "two" / ".git"))
    assert ask_git(str(tmp_path / "one")).commit == commits[0]


def _git(folder: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    settings += ("-c", "protocol.file.allow=always")
    subprocess.run(["git", "-C", str(folder), *settings, *arguments], check=True)


def test_the_files_that_differ_are_named(
    tmp_path: Path, git_commit: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source tree may be a part of a repository; what is outside of it differs in vain."""
    root = tmp_path / "part"
    root.mkdir()
    names = ["kept.py", "gone.py", "new\nline.py", "mode.sh", os.fsdecode(b"\xff.py")]
    for name in names:
        (root / name).write_text(name.encode("utf-8", "surrogateescape").hex())
    (tmp_path / "outside.py").write_text("1")
    git_commit(tmp_path)
    (tmp_path / "outside.py").write_text("2")
    assert ask_git(str(root), [os.fsencode(name) for name in names]).dirty is False
    (root / "gone.py").unlink()
    (root / names[2]).write_text("2")
    (root / names[4]).write_text("2")
    (root / "mode.sh").chmod(0o755)
    (root / "staged.py").write_text("s")
    _git(root, "add", "staged.py")
    (root / "untracked.py").write_text("u")
    (root / "not packed.txt").write_text("u")
    packed = [b"kept.py", b"untracked.py", b"staged.py", b"\xff.py"]
    answer = ask_git(str(root), packed)
    assert {entry.path: entry.change for entry in answer.differing} == {
        "gone.py": "deleted",
        names[2]: "modified",
        "mode.sh": "modified",
        "staged.py": "added",
        "untracked.py": "untracked",
        names[4]: "modified",
    }
    assert answer.differing_files == 6
    monkeypatch.setattr(provenance, "NAMED_FILES", 2)
    answer = ask_git(str(root), packed)
    assert (len(answer.differing), answer.differing_files) == (2, 6)


def test_a_submodule_is_part_of_the_tree(tmp_path: Path, git_commit: Callable[[Path], str]) -> None:
    library, root = tmp_path / "library", tmp_path / "root"
    for folder in (library, root):
        folder.mkdir()
        (folder / "a.py").write_text("1")
        git_commit(folder)
    _git(root, "submodule", "--quiet", "add", str(library), "lib")
    _git(root, "commit", "-qam", "with a library")
    packed = [b".gitmodules", b"a.py", b"lib/a.py"]
    assert ask_git(str(root), packed).dirty is False
    (root / "lib" / "b.py").write_text("new")
    answer = ask_git(str(root), [*packed, b"lib/b.py"])
    assert answer.differing == (Difference("lib/b.py", "untracked"),)
    (root / "lib" / "a.py").write_text("2")
    assert ask_git(str(root), packed).differing == (Difference("lib", "modified"),)


def test_the_remote_is_the_one_of_the_branch(
    tmp_path: Path, git_commit: Callable[[Path], str]
) -> None:
    (tmp_path / "a.py").write_text("1")
    git_commit(tmp_path)
    assert ask_git(str(tmp_path)).remote == ""
    _git(tmp_path, "remote", "add", "fork", "https://token@example.org/fork.git")
    assert ask_git(str(tmp_path)).remote == "https://example.org/fork.git"
    _git(tmp_path, "remote", "add", "origin", "git@example.org:me/it.git")
    assert ask_git(str(tmp_path)).remote == "git@example.org:me/it.git"
    _git(tmp_path, "config", "branch.main.remote", "fork")
    assert ask_git(str(tmp_path)).remote == "https://example.org/fork.git"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", ""),
        ("/srv/git/it.git", "/srv/git/it.git"),
        ("../it.git", "../it.git"),
        ("git@example.org:me/it.git", "git@example.org:me/it.git"),
        ("me:secret@example.org:it.git", "example.org:it.git"),
        ("https://example.org:8443/a@b/it.git", "https://example.org:8443/a@b/it.git"),
        ("https://user:secret@example.org/it.git", "https://example.org/it.git"),
        ("https://secret@example.org/it.git", "https://example.org/it.git"),
        ("https://user:sec@ret@example.org/it.git", "https://example.org/it.git"),
        ("https://user:se/cret@example.org/it.git", "https://example.org/it.git"),
        ("https://example.org/it.git?access_token=secret#secret", "https://example.org/it.git"),
        ("https://user:secret@[::1]:80/it.git", "https://[::1]:80/it.git"),
        ("ssh://git@example.org:22/it.git", "ssh://git@example.org:22/it.git"),
        ("git+ssh://me:secret@example.org/it.git", "git+ssh://example.org/it.git"),
    ],
)
def test_a_remote_has_no_credentials(url: str, expected: str) -> None:
    assert without_credentials(url) == expected


def _request(root: Path, output: Path) -> PackRequest:
    return PackRequest(
        str(root), (".py",), (), str(output), store_path=f"{root}-store", require_clean=True
    )


def test_require_clean_refuses_before_anything_is_written(
    tmp_path: Path, git_commit: Callable[[Path], str]
) -> None:
    root, output = tmp_path / "project", tmp_path / "runs" / "first"
    root.mkdir()
    for name in "abcdefgh":
        (root / f"{name}.py").write_text("1")
    with pytest.raises(ConfigError, match="not a git repository"):
        pack_code(_request(root, output))
    git_commit(root)
    for name in "abcdefg":
        (root / f"{name}.py").write_text("2")
    (root / "x.py").write_text("1")
    with pytest.raises(ConfigError, match=r"'a.py' \(modified\), .*'e.py' .* and 3 more"):
        pack_code(_request(root, output))
    assert os.listdir(tmp_path) == ["project"]
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "second")
    packed = pack_code(_request(root, output))
    assert packed.record.info["git"]["dirty"] is False


def test_a_repository_of_somebody_else_is_noted(
    tmp_path: Path, git_commit: Callable[[Path], str]
) -> None:
    """Git does not trust it, and says so: the submission goes on."""
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    (tmp_path / "a.py").write_text("1")
    git_commit(tmp_path)
    for path in (tmp_path, tmp_path / ".git"):
        os.chown(path, 12345, -1)
    answer = ask_git(str(tmp_path), [b"a.py"])
    assert answer.dirty is None and "another user owns it" in answer.note

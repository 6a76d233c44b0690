"""The node's copy of the code: unpacked once, shared, and gone when the last process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slurmic.job.node_folder import NodeFolderError, node_folder
from slurmic_store import TreeContent, read_source_tree, write_archive

HOLD = """
import os, sys, time
from slurmic.job.node_folder import node_folder
folder = node_folder(sys.argv[1], sys.argv[2])
status = os.stat(folder + "/a.py")
print(folder, status.st_ino, oct(status.st_mode), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A tree of many files, so that unpacking takes a while."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("a.py", *(f"{number}.py" for number in range(300))):
        (tree / name).write_text(name)
        (tree / name).chmod(0o444)
    packed = tmp_path / "code.tar.zst"
    found = read_source_tree(os.fsencode(tree), sorted(os.listdir(os.fsencode(tree))))
    content = TreeContent(found, None, [os.fsencode(tree)])
    with open(packed, "wb") as out:
        write_archive(found, content.open, out, compression="fast")
    return packed


class Node:
    """A node's temporary folder, and processes that run there."""

    def __init__(self, folder: Path, archive: Path) -> None:
        folder.mkdir()
        self.top = folder / f"slurmic-{os.geteuid()}"
        self._environment = {**os.environ, "TMPDIR": str(folder)}
        self._archive = archive

    def start(self, key: str = "key") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self._archive), key],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def node(tmp_path: Path, archive: Path) -> Node:
    return Node(tmp_path / "temporary", archive)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


def test_processes_share_one_folder_until_the_last_one_ends(node: Node) -> None:
    processes = [node.start() for _ in range(6)]
    folders = {said(process) for process in processes}
    assert len(folders) == 1
    folder, _, mode = folders.pop().split()
    assert (folder, mode) == (str(node.top / "key/code"), "0o100444")
    for process in processes:
        assert len(list(Path(folder).iterdir())) == 301
        end(process)
    assert list(node.top.iterdir()) == []


def test_processes_that_come_and_go_never_meet_half_a_folder(node: Node) -> None:
    """Each ends at once, so one often removes the folder while the next one is about to enter."""
    for _ in range(8):
        processes = [node.start() for _ in range(4)]
        for process in processes:
            assert process.communicate()[0].endswith("0o100444\n")
    assert list(node.top.iterdir()) == []


def test_what_a_killed_job_leaves_is_removed_by_the_next(node: Node) -> None:
    killed, other = node.start("killed"), node.start("other")
    assert said(killed)
    assert said(other)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (node.top / "killed/code").is_dir()
    following = node.start("following")
    assert said(following)
    assert sorted(path.name for path in node.top.iterdir()) == ["following", "other"]
    end(other)
    end(following)
    assert list(node.top.iterdir()) == []


def test_an_unpacking_that_was_killed_is_begun_anew(node: Node) -> None:
    partial = node.top / "key/code.partial"
    partial.mkdir(parents=True)
    node.top.chmod(0o700)
    (partial / "a.py").write_text("half")
    process = node.start()
    folder = Path(said(process).split()[0])
    assert (folder / "a.py").read_text() == "a.py"
    end(process)


def test_a_folder_that_others_may_write_to_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below /tmp anybody can make a folder of that name, and code of theirs would run."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"slurmic-{os.geteuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(NodeFolderError, match="others may write to it"):
        node_folder(str(archive), "key")
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(NodeFolderError):
        node_folder(str(archive), "key")


def test_a_missing_archive_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(NodeFolderError, match=r"missing\.tar\.zst"):
        node_folder(str(tmp_path / "missing.tar.zst"), "key")

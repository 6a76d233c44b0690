"""slurmic diff: whole outputs, and where its two sides come from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HOSTILE = "\x1b[31m\nx.py"


@pytest.fixture
def run(run_here: Any) -> Any:
    return run_here


@pytest.fixture
def project(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch, run: Any) -> Path:
    """A source tree that has been packed into ``out/code`` and then changed."""
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    folder: Path = write(
        tmp_path / "project",
        {"a.py": "one\ntwo\n", "b/gone.py": "", "run.sh": "echo\n", "same.py": "x", "no.txt": ""},
    )
    (folder / "link.py").symlink_to("a.py")
    done = run("snapshot", "project", "--output", "out/code")
    assert done.returncode == 0, done.stderr
    write(folder, {"a.py": "one\nTWO\nthree\n", HOSTILE: "new"})
    (folder / "b" / "gone.py").unlink()
    (folder / "run.sh").chmod(0o755)
    (folder / "link.py").unlink()
    (folder / "link.py").write_text("a.py")
    (folder / "no.txt").write_text("not packed")
    return folder


def snapshot_id(tmp_path: Path, name: str = "code") -> str:
    return str(json.loads((tmp_path / "out" / f"{name}.json").read_text())["id"])


PIPED = b"added\t\x1b[31m\nx.py\nchanged\ta.py\nremoved\tb/gone.py\ntype\tlink.py\nmode\trun.sh\n"

TERMINAL = """\
added    \\x1b[31m\\nx.py
changed  a.py
removed  b/gone.py
type     link.py  (symbolic link to file)
mode     run.sh  (now executable)
"""

STAT = """\
 \\x1b[31m\\nx.py | 1 +
 a.py           | 3 ++-
 b/gone.py      | 0
 link.py        | 2 +-
 run.sh         | 0
 5 files changed, 4 insertions(+), 2 deletions(-)
"""

PATCH_OF_A = """\
diff --git a/a.py b/a.py
index 814f4a4..ddc897f 100644
--- a/a.py
+++ b/a.py
@@ -1,2 +1,3 @@
 one
-two
+TWO
+three
"""


def test_against_the_working_tree(run: Any, project: Path, tmp_path: Path) -> None:
    done = run("diff", "out")
    assert (done.returncode, done.stdout) == (0, PIPED)
    assert done.stderr.decode() == (
        f"from snapshot {snapshot_id(tmp_path)} to the working tree {project}: 5 files differ: "
        "1 added, 1 removed, 1 changed, 1 with other permissions, 1 of another type\n"
    )
    assert run("diff", "out", "-0").stdout == PIPED.replace(b"\t", b"\0").replace(
        b"\nx.py\n", b"\nx.py\0"
    ).replace(b".py\n", b".py\0").replace(b".sh\n", b".sh\0")
    assert run("diff", "out", "--name-only", "-p", "b", "-p", "./a.py").stdout == (
        b"a.py\nb/gone.py\n"
    )
    assert run("diff", "out", "--name-only", "-p", f"{project}/b").stdout == b"b/gone.py\n"
    assert run("diff", "out", "--name-only", "-p", ".").stdout.count(b".py\n") == 4
    assert run("diff", "out", "--stat").stdout.decode() == STAT
    assert run("diff", "out", "--patch", "-p", "a.py").stdout.decode() == PATCH_OF_A


def test_on_a_terminal(terminal: Any, project: Path) -> None:
    assert terminal(80, "diff", "out") == TERMINAL
    assert terminal(80, "diff", "out", "--stat") == STAT
    coloured = terminal(80, "diff", "out", "--patch", plain=False)
    assert "\x1b[31m-two\x1b[0m\n\x1b[32m+TWO\x1b[0m\n" in coloured
    assert '\x1b[1mdiff --git "a/\\033[31m\\nx.py" "b/\\033[31m\\nx.py"\x1b[0m\n' in coloured
    assert "\x1b" not in terminal(80, "diff", "out", "--patch")


def test_content_with_control_characters(run: Any, terminal: Any, project: Path) -> None:
    """Raw where it is data: git could not apply it otherwise. Not on a terminal."""
    (project / "a.py").write_bytes(b"one\n\x1b]0;title\x07\ttwo\r\n")
    assert b"+\x1b]0;title\x07\ttwo\r\n" in run("diff", "out", "--patch").stdout
    assert "+\\x1b]0;title\\x07\ttwo\\r\n" in terminal(80, "diff", "out", "--patch")


def test_colour_when_asked_for(run: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert b"\x1b[32m" in run("diff", "out", "--color", "always", "-p", "a.py", "--patch").stdout
    assert b"\x1b" not in run("diff", "out", "--color", "auto", "-p", "a.py", "--patch").stdout


def test_between_two_snapshots(run: Any, project: Path, tmp_path: Path) -> None:
    run("snapshot", "project", "--output", "out/code-2")
    first, second = snapshot_id(tmp_path), snapshot_id(tmp_path, "code-2")
    done = run("diff", first, "out/code-2")
    assert done.stdout == PIPED
    assert f"from snapshot {first} to snapshot {second}".encode() in done.stderr
    assert run("diff", "out/code-2", first).stdout.startswith(b"removed\t\x1b")
    # The working tree is as it was packed last.
    done = run("diff", "out/code-2")
    assert (done.stdout, done.stderr.endswith(b": no difference\n")) == (b"", True)
    assert run("diff", "../out/code-2", ".", cwd=project).stdout == b""
    assert run("diff", ".", "../out/code", cwd=project).stdout.startswith(b"removed\t\x1b")


def test_the_working_tree_is_packed_by_the_snapshots_settings(
    run: Any, project: Path, tmp_path: Path
) -> None:
    """Other suffixes must not look like added files."""
    run("snapshot", "project", "--output", "out/code-2", "--suffix", ".txt")
    assert run("diff", "out/code-2").stdout == b""
    assert run("diff", "../out/code-2", ".", cwd=project).stdout == b""
    (project / "more.txt").touch()
    assert run("diff", "out/code-2").stdout == b"added\tmore.txt\n"


def test_exit_code(run: Any, project: Path) -> None:
    assert run("diff", "out", "--exit-code").returncode == 5
    assert run("diff", "out", "--exit-code", "-p", "same.py").returncode == 0


def test_git_applies_the_patch(run: Any, project: Path, tmp_path: Path) -> None:
    (project / "same.py").write_bytes(b"\0binary")
    text = run("diff", "out", "--binary").stdout
    assert run("checkout", "out", "copy").returncode == 0
    subprocess.run(["git", "apply"], cwd=tmp_path / "copy", input=text, check=True)
    assert run("diff", "out", "--path", "same.py").stdout == b"changed\tsame.py\n"
    for name in ("a.py", "run.sh", "link.py", "same.py", HOSTILE):
        assert (tmp_path / "copy" / name).read_bytes() == (project / name).read_bytes()
    assert not (tmp_path / "copy" / "b" / "gone.py").exists()


def test_a_patch_says_what_it_cannot_carry(run: Any, project: Path) -> None:
    (project / "same.py").chmod(0o600)
    done = run("diff", "out", "--patch", "-p", "same.py")
    assert done.stdout == b""
    assert b"1 file not in the patch" in done.stderr


def test_when_the_store_or_the_folder_is_gone(run: Any, project: Path, tmp_path: Path) -> None:
    os.rename(tmp_path / "store", tmp_path / "away")
    assert run("diff", "out/code", "--patch", "-p", "a.py").stdout.decode() == PATCH_OF_A
    os.rename(tmp_path / "away", tmp_path / "store")
    shutil.rmtree(tmp_path / "out" / "code")
    assert run("diff", "out/code", "--patch", "-p", "a.py").stdout.decode() == PATCH_OF_A


def test_what_a_job_has_changed_is_not_what_was_packed(
    run: Any, project: Path, tmp_path: Path
) -> None:
    """A job that writes through its link changes the blob as well; the source has changed, too."""
    packed = tmp_path / "out" / "code" / "a.py"
    packed.chmod(0o644)
    packed.write_text("one\nTWO\nthree\n")
    done = run("diff", "out", "--patch", "-p", "a.py")
    assert done.returncode == 1
    assert b"content of 'a.py' is lost" in done.stderr
    (project / "copy_of_a.py").write_text("one\ntwo\n")
    run("snapshot", "project")  # a blob of the same content is there again
    assert run("diff", "out", "--patch", "-p", "a.py").stdout.decode() == PATCH_OF_A


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["."], 2, "'.' is the working tree"),
        (["nothing"], 1, "no snapshot 'nothing'"),
        (["out", "nothing"], 1, "no snapshot 'nothing'"),
        (["out", "--stat", "--patch"], 2, "exclude each other"),
        (["out", "--stat", "-0"], 2, "--null is for lists"),
    ],
)
def test_mistakes(run: Any, project: Path, arguments: list[str], code: int, message: str) -> None:
    done = run("diff", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert message in done.stderr.decode() and "Traceback" not in done.stderr.decode()


def test_a_source_tree_that_is_elsewhere(run: Any, project: Path, tmp_path: Path) -> None:
    os.rename(project, tmp_path / "moved")
    done = run("diff", "out")
    assert done.returncode == 1 and b"is not on this host" in done.stderr
    assert run("diff", "../out", ".", cwd=tmp_path / "moved").stdout == PIPED

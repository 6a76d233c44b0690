"""slurmic cat and slurmic checkout: getting files back."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

HOSTILE = b"\x1b[31m \xff\n.py"
RAW = b"\x1b[31m\ttext\r\n\xff\n"


@pytest.fixture
def run(run_here: Any) -> Any:
    return run_here


@pytest.fixture
def packed(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch, run: Any) -> Path:
    """A code folder, whose source tree has been changed since."""
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    project: Path = write(
        tmp_path / "project", {"a.py": "one\n", "pkg/run.sh": "echo\n", "pkg/__init__.py": ""}
    )
    (project / "pkg" / "run.sh").chmod(0o755)
    (project / os.fsdecode(HOSTILE)).write_bytes(RAW)
    (project / "link.py").symlink_to("pkg/../a.py")
    (project / "out.py").symlink_to("../elsewhere")
    done = run("snapshot", "project", "--output", "out/code")
    assert done.returncode == 0, done.stderr
    (project / "a.py").write_text("two\n")
    return tmp_path / "out" / "code"


def test_cat_writes_what_was_packed(run: Any, packed: Path, tmp_path: Path) -> None:
    for path in (
        "a.py",
        "./pkg/../a.py",
        "link.py",
        str(packed / "a.py"),
        tmp_path / "project/a.py",
    ):
        assert run("cat", "out", str(path)).stdout == b"one\n", path
    assert run("cat", "out", HOSTILE).stdout == RAW
    assert run("cat", "out", "pkg/__init__.py").stdout == b""
    assert run("cat", ".", "a.py", cwd=tmp_path / "project").stdout == b"two\n"
    assert run("cat", "out", "a.py").stderr == b""


def test_cat_on_a_terminal(terminal: Any, packed: Path) -> None:
    assert terminal(80, "cat", "out", HOSTILE) == "\\x1b[31m\ttext\\r\n\\udcff\n"


def test_cat_without_the_store_and_without_the_folder(
    run: Any, packed: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "store" / "blobs")
    assert run("cat", "out", "a.py").stdout == b"one\n"
    os.rename(tmp_path / "store", tmp_path / "away")
    assert run("cat", "out", "a.py").stdout == b"one\n"
    os.rename(tmp_path / "out", tmp_path / "kept")
    assert run("cat", "kept/code", "a.py").stdout == b"one\n"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("b.py", "no file 'b.py' in snapshot"),
        ("sub/a.py", "did you mean 'a.py'?"),
        ("pkg", "is a folder of snapshot"),
        ("out.py", "is a symbolic link to '../elsewhere'"),
        ("../a.py", "no file '../a.py'"),
    ],
)
def test_cat_of_what_is_not_there(run: Any, packed: Path, path: str, message: str) -> None:
    done = run("cat", "out", path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert message in done.stderr.decode()


def files_in(folder: Path) -> dict[bytes, bytes | str]:
    raw = os.fsencode(folder)
    found: dict[bytes, bytes | str] = {}
    for place, _, names in os.walk(raw):
        for name in names:
            path = os.path.join(place, name)
            found[os.path.relpath(path, raw)] = (
                os.readlink(path) if os.path.islink(path) else Path(os.fsdecode(path)).read_bytes()
            )
    return found


def test_checkout_is_an_independent_writable_copy(run: Any, packed: Path, tmp_path: Path) -> None:
    done = run("checkout", "out", "mine")
    assert done.stdout.decode() == f"{tmp_path}/mine\n"
    record = json.loads((tmp_path / "out" / "code.json").read_text())
    assert done.stderr.decode() == f"6 files, 23 B, of snapshot {record['id']}; writable\n"
    mine = tmp_path / "mine"
    assert files_in(mine) == files_in(packed)
    modes = {name: stat.S_IMODE((mine / name).stat().st_mode) for name in ("a.py", "pkg/run.sh")}
    assert modes == {"a.py": 0o644, "pkg/run.sh": 0o755}
    (mine / "a.py").write_text("mine\n")
    assert (packed / "a.py").read_text() == "one\n"
    assert run("verify", "--checksum").returncode == 0


def test_checkout_of_links(run: Any, packed: Path, tmp_path: Path) -> None:
    done = run("checkout", "out", "linked", "--link")
    assert b"linked, read-only" in done.stderr
    assert (tmp_path / "linked" / "a.py").stat().st_ino == (packed / "a.py").stat().st_ino
    assert files_in(tmp_path / "linked") == files_in(packed)


def test_checkout_of_a_part(run: Any, packed: Path, tmp_path: Path) -> None:
    assert run("checkout", "out", "part", "--", "pkg", "a.py").returncode == 0
    assert set(files_in(tmp_path / "part")) == {b"a.py", b"pkg/run.sh", b"pkg/__init__.py"}
    done = run("checkout", "out", "other", "nothing")
    assert done.returncode == 1 and b"no file 'nothing'" in done.stderr
    assert not (tmp_path / "other").exists()


def test_checkout_into_an_empty_folder(run: Any, packed: Path, tmp_path: Path) -> None:
    """It may be the current one, or a mount point: it is filled, not replaced."""
    empty = tmp_path / "empty"
    empty.mkdir()
    inode = empty.stat().st_ino
    assert run("checkout", str(packed), ".", cwd=empty).returncode == 0
    assert empty.stat().st_ino == inode
    assert files_in(empty) == files_in(packed)


def test_what_is_there_is_left_alone(run: Any, packed: Path, tmp_path: Path) -> None:
    for taken in ("project", "project/a.py", "out"):
        before = files_in(tmp_path)
        done = run("checkout", "out/code", taken)
        assert done.returncode == 1 and b"already exists" in done.stderr
        assert files_in(tmp_path) == before


def test_checkout_when_the_store_has_lost_something(run: Any, packed: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "store" / "blobs")
    assert run("checkout", "out", "linked", "--link").returncode == 1
    done = run("checkout", "out", "mine")
    assert done.returncode == 0 and b"the code folder had it" in done.stderr
    assert files_in(tmp_path / "mine") == files_in(packed)
    (packed / "a.py").unlink()
    done = run("checkout", "out", "lost")
    assert done.returncode == 1 and b"content of 'a.py' is lost" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["mine", "out", "project", "store"]


def test_checkout_of_the_working_tree(run: Any, packed: Path, tmp_path: Path) -> None:
    assert run("checkout", ".", "../mine", cwd=tmp_path / "project").returncode == 0
    assert (tmp_path / "mine" / "a.py").read_text() == "two\n"
    done = run("checkout", ".", "../other", "--link", cwd=tmp_path / "project")
    assert done.returncode == 1 and b"leave out --link" in done.stderr

"""slurmic export and slurmic import."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from taken_snapshots import take


@pytest.fixture
def project(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    folder: Path = write(tmp_path / "project", {"a.py": "a = 1\n", "b/c.sh": "echo\n"})
    (folder / "out.py").symlink_to("/etc/hostname")
    return folder


def contents(archive: bytes) -> dict[str, bytes | str]:
    """Name → bytes of a file or target of a link, as Python's own tar reads them."""
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(archive))
    found: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=plain, mode="r|") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if not member.isdir():
                found[member.name] = member.linkname if stream is None else stream.read()
    return found


def test_from_a_job_to_another_store(
    run: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = take(project, tmp_path / "store", tmp_path / "run", jobs=("17",))
    done = run("export", "17", "-o", "code.tar.zst")
    assert done.stdout.decode() == f"{tmp_path}/code.tar.zst\n"
    assert done.stderr.decode() == f"3 files, 11 B, of snapshot {record.id}\n"
    data = (tmp_path / "code.tar.zst").read_bytes()
    assert run("export", "run", "-o", "-").stdout == data
    assert contents(data) == {
        "code/a.py": b"a = 1\n",
        "code/b/c.sh": b"echo\n",
        "code/out.py": "/etc/hostname",
    }

    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "other"))
    done = run("import", "code.tar.zst", "--name", "theirs")
    assert done.returncode == 0, done.stderr
    imported = done.stdout.decode().strip()
    assert b"1 symbolic link leads out of the tree: 'out.py' to '/etc/hostname'" in done.stderr
    shown = run("show", imported).stdout.decode()
    assert record.tree in shown and "pinned 'theirs'" in shown
    assert run("cat", imported, "a.py").stdout == b"a = 1\n"
    assert run("export", imported, "-o", "-").stdout == data


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs the program zstd")
def test_tar_unpacks_it(run: Any, project: Path, tmp_path: Path) -> None:
    """As --help says: by "tar --zstd"."""
    take(project, tmp_path / "store", tmp_path / "run", jobs=("17",))
    assert run("export", "17", "-o", "code.tar.zst").returncode == 0
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "--zstd", "-xf", "code.tar.zst", "-C", "out"], cwd=tmp_path, check=True)
    assert (tmp_path / "out" / "code" / "a.py").read_text() == "a = 1\n"
    assert os.readlink(tmp_path / "out" / "code" / "out.py") == "/etc/hostname"


def test_mistakes(run: Any, project: Path, tmp_path: Path) -> None:
    take(project, tmp_path / "store", tmp_path / "run", jobs=("17",))
    (tmp_path / "there.tar").write_text("mine")
    (tmp_path / "bad\x1b.tar").write_text("no archive")
    for arguments, message in (
        (("export", "17", "-o", "there.tar"), "already exists"),
        (("export", "17", "-o", "code.zip"), "does not end in .tar.zst"),
        (("export", "17", "-o", "no/such/folder.tar"), "no such file"),
        (("export", "99", "-o", "x.tar"), "no snapshot '99'"),
        (("import", "missing.tar"), "no such file"),
        (("import", "run"), "is a directory"),
        (("import", "bad\x1b.tar"), "archive 'bad\\x1b.tar' does not read back"),
    ):
        done = run(*arguments)
        assert done.returncode == (2 if "code.zip" in arguments else 1), arguments
        assert message in done.stderr.decode(), done.stderr
        assert (done.stdout, b"\x1b" in done.stderr) == (b"", False)
    assert (tmp_path / "there.tar").read_text() == "mine"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".slurmic")]
    assert run("export", "17", "-o", "there.tar", "--force").returncode == 0
    assert run("import", "there.tar", "--max-files", "2").returncode == 1
    assert run("import", "there.tar").returncode == 0

"""The filesystem that sleeps behaves as a filesystem does, only later."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.sleeping import sleeping_filesystem, why_impossible

pytestmark = [
    pytest.mark.realfs,
    pytest.mark.skipif(bool(why_impossible()), reason=why_impossible() or "possible"),
]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "behind").mkdir()
    with sleeping_filesystem(tmp_path / "behind", tmp_path / "mnt", 0.001) as folder:
        yield folder
    assert not os.path.ismount(tmp_path / "mnt")


def test_it_is_a_filesystem(mounted: Path) -> None:
    behind = mounted.parent / "behind"
    name = os.fsdecode(b"no utf-8 \xff\n")
    (mounted / "folder").mkdir()
    (mounted / "folder" / name).write_bytes(b"text" * 10_000)
    os.chmod(mounted / "folder" / name, 0o444)
    os.link(mounted / "folder" / name, mounted / "linked", follow_symlinks=False)
    os.symlink("folder/missing", mounted / "symbolic")
    os.utime(mounted / "linked", ns=(5, 1_000_000_007))
    found, there = os.lstat(mounted / "linked"), os.lstat(behind / "linked")
    assert (mounted / "linked").read_bytes() == b"text" * 10_000
    for field in ("st_ino", "st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_blocks"):
        assert getattr(found, field) == getattr(there, field)
    assert found.st_nlink == 2
    assert stat.S_IMODE(found.st_mode) == 0o444
    assert os.readlink(mounted / "symbolic") == "folder/missing"
    assert sorted(os.listdir(mounted)) == ["folder", "linked", "symbolic"]
    with pytest.raises(FileExistsError):
        os.link(mounted / "linked", mounted / "symbolic", follow_symlinks=False)
    with pytest.raises(OSError, match="not empty"):
        os.rmdir(mounted / "folder")
    os.rename(mounted / "folder", mounted / "moved")
    os.unlink(mounted / "moved" / name)
    os.rmdir(mounted / "moved")
    assert sorted(os.listdir(behind)) == ["linked", "symbolic"]

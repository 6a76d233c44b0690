"""New files: complete under their final names, or nothing is left."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from storefaults import raising, watched

from slurmic_store import replacing
from slurmic_store.fs.creating import creating, publishing, temporarily


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_text("old")
    with replacing(str(path)) as file:
        file.write(b"ne")
        assert path.read_text() == "old" and len(names(tmp_path)) == 2
        file.write(b"w")
    assert path.read_text() == "new" and names(tmp_path) == ["it"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_the_umask_decides_on_the_mode_if_none_is_given(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        with replacing(os.fsencode(tmp_path / "it"), mode=None) as file:
            file.write(b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "it").stat().st_mode) == 0o640


@pytest.mark.parametrize("call", ["write", "fchmod", "fdatasync", "rename"])
def test_what_was_there_stays_if_a_step_fails(tmp_path: Path, call: str) -> None:
    path = tmp_path / "it"
    path.write_text("old")
    failing = watched(raising(call, errno.ENOSPC))
    with failing, pytest.raises(OSError, match="No space"), replacing(os.fsencode(path)) as file:
        file.write(b"new")
    assert path.read_text() == "old" and names(tmp_path) == ["it"]


def test_a_caller_that_fails_leaves_nothing(tmp_path: Path) -> None:
    for make in (
        lambda path: replacing(path),
        lambda path: creating(path),
        lambda path: publishing(path, temporary=path + b".new"),
    ):
        with pytest.raises(KeyError), make(os.fsencode(tmp_path / "it")) as file:
            file.write(b"half")
            raise KeyError
        assert names(tmp_path) == []


def test_the_first_to_publish_has_the_name(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "it")
    for text in (b"first", b"second"):
        with publishing(path, temporary=path + b".new", times=(1, 2_000_000_001)) as file:
            file.write(text)
    assert (tmp_path / "it").read_bytes() == b"first" and names(tmp_path) == ["it"]
    assert os.stat(path).st_mtime_ns == 2_000_000_001


def test_a_finished_file_is_not_finished_again(tmp_path: Path) -> None:
    path = tmp_path / "it"
    with creating(os.fsencode(path), sync=True) as file:
        file.write(b"x")
        file.finish()
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        os.chmod(path, 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_temporarily_goes_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(KeyError), temporarily(os.fsencode(tmp_path / "it")) as path:
        Path(os.fsdecode(path)).write_text("x")
        raise KeyError
    assert names(tmp_path) == []
    with temporarily(os.fsencode(tmp_path / "it")):
        pass  # never made

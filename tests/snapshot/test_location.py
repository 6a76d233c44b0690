"""Where the store goes: by settings, by what can be linked, by who owns what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slurmic.snapshot import locate_store


def test_the_configuration_wins_over_the_environment(tmp_path: Path) -> None:
    there = locate_store(
        str(tmp_path), store_path=f"{tmp_path}/a", setting="/b", home=str(tmp_path)
    )
    assert (there.path, there.reason) == (f"{tmp_path}/a", "set by store_path")
    there = locate_store(str(tmp_path), setting=f"{tmp_path}/b", home=str(tmp_path))
    assert (there.path, there.reason) == (f"{tmp_path}/b", "set by SLURMIC_STORE")


def test_the_home_folder_where_its_files_can_be_linked_from(tmp_path: Path) -> None:
    home, output = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    output.mkdir()
    assert locate_store(str(output), home=str(home)).path == f"{home}/.slurmic"
    assert not list(home.iterdir()) and not list(output.iterdir()), "a trial leaves nothing"


def test_a_home_folder_on_another_filesystem_is_not_taken(tmp_path: Path) -> None:
    """Links do not reach across; the store has to be where the output is."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second filesystem")
    there = locate_store(str(tmp_path), home=str(other))
    assert not there.path.startswith("/dev/shm")


def test_links_that_are_refused_rule_the_home_folder_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bind mounts of one device refuse links with equal st_dev: only a real link proves it."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    (tmp_path / "home").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "link", refuse)
    there = locate_store(str(tmp_path / "out"), home=str(tmp_path / "home"))
    assert there.path != f"{tmp_path}/home/.slurmic"
    assert "topmost folder" in there.reason
    assert not list((tmp_path / "home").iterdir())


def test_otherwise_the_topmost_folder_that_is_the_users(tmp_path: Path) -> None:
    """/scratch belongs to root, /scratch/me to me: all my output paths share /scratch/me."""
    if os.getuid() != 0:
        pytest.skip("needs root, to make folders of several users")
    mine = tmp_path / "scratch" / "me"
    (mine / "project" / "out").mkdir(parents=True)
    for path, owner in ((mine, 1234), (mine / "project", 0), (mine / "project" / "out", 1234)):
        os.chown(path, owner, owner)
    for path in (tmp_path, *list(tmp_path.parents)[:-1], tmp_path / "scratch"):
        if path.stat().st_mode & 0o055 != 0o055:
            path.chmod(path.stat().st_mode | 0o055)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # the user: permissions do not bind root
        os.setgid(1234)
        os.setuid(1234)
        os.write(writer, locate_store(str(mine / "project" / "out")).path.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 4096).decode() == f"{mine}/.slurmic"

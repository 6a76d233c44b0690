"""Values of git's settings that need to be understood as git understands them."""

from __future__ import annotations

import getpass
import pwd

import pytest
from git_oracle import Sandbox

from slurmic.selection import SelectionRules, select

RULES = SelectionRules((), ())


@pytest.mark.parametrize(
    "value",
    [
        *("true", "YES", "on", "1", "2", "-1", "+1", "1k", "010", "0x10", "0x0a"),
        *("false", "No", "off", "0", "00", "0x0", "0k", '""', None),
    ],
)
def test_ignore_case(repository: Sandbox, value: str | None) -> None:
    repository.configure("[core]\nignoreCase" + ("" if value is None else f" = {value}"))
    repository.write(".gitignore", "*.LOG\n")
    repository.write("a.log")
    listed = repository.git("ls-files", "-o", "--exclude-standard").splitlines()
    paths = select(repository.root, RULES, environ=repository.environ).paths
    assert paths == listed


@pytest.mark.parametrize("value", ["~/mine", "~{user}/{home}/mine", "%(prefix)/../{home}/mine"])
def test_an_excludes_file_that_git_expands(repository: Sandbox, value: str) -> None:
    user = getpass.getuser()
    up = "/".join(".." for _ in pwd.getpwnam(user).pw_dir.strip("/").split("/"))
    home = repository.base / "home"
    value = value.format(user=user, home=f"{up}{home}")
    repository.configure(f'[core]\nexcludesFile = "{value}"')
    repository.write("mine", "*.log\n", below=home)
    repository.write(".gitignore")
    repository.write("a.log")
    listed = repository.git("ls-files", "-o", "--exclude-standard").splitlines()
    assert select(repository.root, RULES, environ=repository.environ).paths == listed
    if value.startswith("~"):
        assert listed == [b".gitignore"]

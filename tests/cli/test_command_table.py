"""The table of commands, and what is said of words that are not in it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import pytest

from slurmic.cli.commands import COMMANDS, GROUPS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_what_the_table_says(name: str) -> None:
    command = COMMANDS[name].load()
    assert dataclasses.is_dataclass(command)
    assert inspect.getdoc(command)
    assert list(inspect.signature(command.run).parameters) == ["self"]


def test_help_shows_every_command_under_its_heading(run: Any) -> None:
    shown = run("--help").stdout.decode()
    for heading, commands in GROUPS.items():
        section = shown.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines()] == [
            each.name for each in commands
        ]
    assert shown.isascii() and max(map(len, shown.splitlines())) <= 100


def test_words_that_are_no_command(run: Any) -> None:
    nothing = run()
    assert (nothing.returncode, nothing.stdout) == (2, b"")
    assert b"usage: slurmic COMMAND" in nothing.stderr
    close = run("fils")
    assert (close.returncode, close.stdout) == (2, b"")
    assert b"no command 'fils': did you mean 'files'?" in close.stderr
    hostile = run("\x1b[31m\n")
    assert hostile.returncode == 2 and b"\x1b" not in hostile.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_is_running_text(run_here: Any, name: str) -> None:
    """tyro would keep the line breaks of the source, and say that a flag is off by default."""
    done = run_here(name, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    text = " ".join(done.stdout.decode().replace("\u2502", " ").split())
    assert "(default: False)" not in text and "(default: '')" not in text
    for field in dataclasses.fields(COMMANDS[name].load()):
        told = documented(COMMANDS[name].load(), field.name)
        assert " ".join(told.split()) in text, field.name


def documented(command: type[Any], field: str) -> str:
    """The docstring below a field, found by its indentation."""
    source = inspect.getsource(command)
    found = re.search(
        rf'^    {field}: [^"]*?(?:"[^"]*"[^"]*?)*?\n    """(.+?)"""$', source, re.M | re.S
    )
    assert found is not None, field
    return found[1]

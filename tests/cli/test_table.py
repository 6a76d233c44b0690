"""The table of commands, their help, and what is said of words that are not in it."""

from __future__ import annotations

from typing import Any

import click
import pytest

from slurmic.cli.arguments.group import Command
from slurmic.cli.table import _MEANT, COMMANDS, GROUPS, load


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_what_the_table_says(name: str) -> None:
    command = load(name)
    assert isinstance(command, Command)
    assert command.name == name
    assert command.help is not None
    first = command.help.partition("\n")[0]
    assert first[:1].lower() + first[1:].rstrip(".") == COMMANDS[name].summary


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
    assert close.stderr == (
        b"slurmic: error: no command 'fils'\n"
        b"  did you mean 'slurmic files'? 'slurmic --help' lists them\n"
    )
    hostile = run("\x1b[31m\n")
    assert hostile.returncode == 2 and b"\x1b" not in hostile.stderr


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("restore", "'slurmic checkout'"),
        ("status", "'slurmic ls' or 'slurmic show'"),
        ("prune", "'slurmic gc'"),
        ("list", "'slurmic ls'"),
        ("logs", "'slurmic show'"),
        ("run", "'slurmic submit'"),
        ("cancel", "'scancel JOB'"),
    ],
)
def test_words_of_other_programs(run_here: Any, word: str, meant: str) -> None:
    done = run_here(word)
    assert done.returncode == 2
    assert meant in done.stderr.decode()


def test_each_word_leads_somewhere_once() -> None:
    assert {name for names in _MEANT for name in names.split()} <= COMMANDS.keys()
    words = [word for words in _MEANT.values() for word in words.split()]
    assert len(words) == len(set(words))
    assert not set(words) & COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(run_here: Any, name: str) -> None:
    """Each argument and option once, with a text; nothing is said of defaults like 0 and ""."""
    done = run_here(name, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.startswith(f"usage: slurmic {name} ")
    shown = " ".join(text.split())
    assert "[default: ]" not in shown and "[default: 0]" not in shown
    assert "9223372036854775807" not in shown and "(default" not in shown
    for param in load(name).params:
        record = param.get_help_record(click.Context(load(name)))
        assert record is not None and record[1], param
        assert shown.count(" ".join(record[1].split())) >= 1, param
        if isinstance(param, click.Option):
            assert not param.help.endswith("."), param
            assert text.count(f" {record[0]}  ") + text.count(f" {record[0]}\n") == 1, param
    assert shown.endswith("show this help") or "-h, --help show this help" in shown
    assert run_here(name, "-h").stdout == done.stdout

"""The fields of SlurmConfig as options: each once, and what is given comes back as it was meant."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Any

import pytest

from slurmic.cli.arguments.configuration import (
    FUNCTIONS,
    GROUPS,
    NOT_GIVEN,
    WITHOUT_EFFECT,
    config_options,
    given_fields,
    help_texts,
)
from slurmic.cli.arguments.group import command
from slurmic.config import SlurmConfig

ALL = {**GROUPS, **FUNCTIONS}


def parse(arguments: list[str], **settings: Any) -> dict[str, Any]:
    """The fields that a command with all the options gets."""

    @command("test")
    @config_options(ALL, **settings)
    def test(**options: Any) -> Any:
        return given_fields(options)

    found: dict[str, Any] = test.main(arguments, standalone_mode=False)
    return found


def test_every_field_is_in_one_group_and_has_a_text() -> None:
    names = [name for group in ALL.values() for name in group]
    assert set(Counter(names).values()) == {1}
    assert set(names) | WITHOUT_EFFECT == {each.name for each in fields(SlurmConfig)}
    assert help_texts().keys() == {each.name for each in fields(SlurmConfig)}
    assert all(help_texts().values())


def test_defaults_are_those_of_the_configuration() -> None:
    assert SlurmConfig(**parse([])) == SlurmConfig()
    assert SlurmConfig(**parse([], defaults={"mode": "slurm"})).mode == "slurm"


def test_without_defaults_only_what_is_given_counts() -> None:
    assert parse([], defaults=NOT_GIVEN) == {}
    given = ["--no-pack-code", "--mem", "", "--timeout-min", "0", "--require-clean"]
    assert parse(given, defaults=NOT_GIVEN) == {
        "pack_code": False,
        "mem": "",
        "timeout_min": 0,
        "require_clean": True,
    }


@pytest.mark.parametrize("defaults", [{}, NOT_GIVEN])
def test_values(defaults: Any) -> None:
    arguments = ["--setup", "a b", "--setup", "c", "--code_file_suffixes", ".py"]
    arguments += ["--extra-params-kwargs", "account", "x", "--extra-params-kwargs", "qos", "y"]
    arguments += ["--mode", "local", "--gpus-per-node=2", "--job-name", "my_job"]
    found = parse(arguments, defaults=defaults)
    assert found["setup"] == ["a b", "c"]
    assert found["code_file_suffixes"] == [".py"]
    assert found["extra_params_kwargs"] == {"account": "x", "qos": "y"}
    assert (found["mode"], found["gpus_per_node"], found["job_name"]) == ("local", 2, "my_job")


def test_code_that_is_packed_by_default() -> None:
    assert parse([], defaults={"pack_code": True})["pack_code"] is True
    assert parse(["--no-pack-code"], defaults={"pack_code": True})["pack_code"] is False

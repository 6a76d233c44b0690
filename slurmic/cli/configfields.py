"""The fields of SlurmConfig as options of a command, with the help that its docstring has."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import tyro

from slurmic.config import NO_LIMIT, SlurmConfig

_ENTRY = re.compile(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |^\w|\Z)", re.MULTILINE | re.DOTALL)
_GIVEN: dict[str, Any] = {"mode": "slurm", "pack_code": True}


def _for_commands() -> type[Any]:
    """SlurmConfig with the defaults of a command."""
    members: list[Any] = []
    texts, hints = _help_texts(), get_type_hints(SlurmConfig)
    for each in fields(SlurmConfig):
        make: Any = each.default_factory
        default = _GIVEN.get(each.name, each.default)
        value = field(default_factory=make) if default is MISSING else field(default=default)
        said = make() if default is MISSING else default not in (NO_LIMIT, None) and default
        argument = tyro.conf.arg(help=texts[each.name], help_behavior_hint=None if said else "")
        members.append((each.name, Annotated[hints[each.name], argument], value))
    made = make_dataclass("CommandConfig", members, bases=(SlurmConfig,))
    made.__doc__ = "The settings of SlurmConfig."
    return made


def _changes() -> type[Any]:
    """The fields of SlurmConfig, each of which may be None for "as it was"."""
    texts = _help_texts()
    members: list[Any] = []
    for name, kind in get_type_hints(SlurmConfig).items():
        argument: Any = tyro.conf.arg(help=texts[name], help_behavior_hint="")
        members.append((name, Annotated[kind | None, argument], field(default=None)))
    made = make_dataclass("ConfigChanges", members)
    made.__doc__ = "What is changed of the job's configuration; the rest stays as it was."
    return made


def _help_texts() -> dict[str, str]:
    # Cleaned: Python 3.13 has taken the indentation away already, those before have not.
    found = dict(_ENTRY.findall(inspect.cleandoc(SlurmConfig.__doc__ or "")))
    return {each.name: " ".join(found[each.name].split()) for each in fields(SlurmConfig)}


if TYPE_CHECKING:

    @dataclass
    class CommandConfig(SlurmConfig):
        """SlurmConfig with the defaults of a command."""

    @dataclass
    class ConfigChanges(SlurmConfig):
        """The fields of SlurmConfig, each of which may be None for "as it was"."""
else:
    CommandConfig = _for_commands()
    ConfigChanges = _changes()

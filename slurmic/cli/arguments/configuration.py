"""The fields of SlurmConfig as options, each once, in groups, with the help that its docstring has.

A field that is added to SlurmConfig has to be put into a group here, or among those that commands
refuse: a test holds that.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from slurmic.config import SlurmConfig
from slurmic.defaults import NO_LIMIT

from .group import Decorator, option
from .values import COUNT, FOLDER

GROUPS: dict[str, tuple[str, ...]] = {
    "the job": (
        "mode",
        "job_name",
        "partition",
        "output_parent_path",
        "output_folder",
        "stderr_to_stdout",
        "setup",
    ),
    "resources": (
        "num_of_node",
        "tasks_per_node",
        "cpus_per_task",
        "gpus_per_task",
        "gpus_per_node",
        "mem",
        "timeout_min",
        "array_parallelism",
        "node_list",
        "node_list_exclude",
        "extra_params_kwargs",
        "extra_submit_kwargs",
    ),
    "the code": (
        "pack_code",
        "code_root",
        "code_file_suffixes",
        "exclude_code_folders",
        "require_clean",
        "code_scope",
        "code_stage",
        "on_live_import",
        "store_path",
        "link_mode",
    ),
    "limits on the size of the code": (
        "warn_code_files",
        "warn_code_mb",
        "warn_added_files",
        "warn_added_mb",
        "max_code_files",
        "max_code_mb",
    ),
}
"""Options of every command that submits, by their headings."""

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "distributed functions": (
        "use_distributed_env",
        "distributed_env_task",
        "processes_per_task",
        "distributed_launch_command",
        "extra_task_kwargs",
    ),
}
"""Those that mean something for functions only: a command is its own launch command."""

WITHOUT_EFFECT = frozenset({"use_packed_code"})
"""Fields that do nothing, kept for scripts written for 0.2.1."""

_FOLDERS = ("output_parent_path", "code_root", "store_path", "exclude_code_folders")
_METAVARS = {
    **dict.fromkeys(("output_parent_path", "code_root", "store_path"), "DIR"),
    **dict.fromkeys(("output_folder", "exclude_code_folders"), "FOLDER"),
    **dict.fromkeys(("node_list", "node_list_exclude"), "NODES"),
    "code_file_suffixes": "SUFFIX",
    "setup": "COMMAND",
    "distributed_launch_command": "COMMAND",
    "mem": "SIZE",
    "timeout_min": "MINUTES",
    "job_name": "NAME",
    "partition": "NAME",
}

_ENTRY = re.compile(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |^\w|\Z)", re.MULTILINE | re.DOTALL)


def help_texts() -> dict[str, str]:
    """What the docstring of SlurmConfig says of each field. (Nothing under ``python -OO``.)"""
    # Cleaned: Python 3.13 has taken the indentation away already, those before have not.
    found = dict(_ENTRY.findall(inspect.cleandoc(SlurmConfig.__doc__ or "")))
    texts = {each.name: found.get(each.name, "").replace("`", "") for each in fields(SlurmConfig)}
    return {name: " ".join(text.split()).rstrip(".") for name, text in texts.items()}


def config_options(
    groups: Mapping[str, Sequence[str]],
    *,
    defaults: Mapping[str, Any] = MappingProxyType({}),
    texts: Mapping[str, str] = MappingProxyType({}),
    modes: Sequence[str] = (),
) -> Decorator:
    """A decorator that gives a command options for fields of SlurmConfig.

    Args:
        groups: the fields, by the headings that they stand under.
        defaults: of the command, where they differ from SlurmConfig's.
        texts: help for fields of which the command means something else.
        modes: the modes that the command takes, if it does not take all.
    """
    hints, texts = get_type_hints(SlurmConfig), {**help_texts(), **texts}
    usual = {
        each.name: each.default if each.default_factory is MISSING else each.default_factory()
        for each in fields(SlurmConfig)
    }
    options = []
    for heading, names in groups.items():
        for name in names:
            attributes = _attributes(name, hints[name], defaults.get(name, usual[name]))
            if name == "mode" and modes:
                attributes["type"] = click.Choice(modes)
            declared = attributes.pop("declared")
            text = texts.get(name, "")
            if attributes.get("multiple"):
                # click would write the default as Python does.
                shown = " ".join(attributes.get("default") or ())
                text += "; may be repeated" + (f"  [default: {shown}]" if shown else "")
            attributes |= {"group": heading, "help": text}
            options.append(option(*declared, **attributes))

    def decorate(function: Any) -> Any:
        for add in reversed(options):
            function = add(function)
        return function

    return decorate


NOT_GIVEN: Mapping[str, Any] = {each.name: None for each in fields(SlurmConfig)}
"""Defaults of a command that changes only what is given."""


def _attributes(name: str, hint: Any, default: Any) -> dict[str, Any]:
    """How click is to read a field of this type."""
    written = "--" + name.replace("_", "-")
    kind = get_args(hint)[0] if type(None) in get_args(hint) else hint
    if kind is bool:
        if default is None:
            return {"declared": (f"{written}/--no-{written[2:]}", name), "default": None}
        if default:
            return {"declared": (f"--no-{written[2:]}", f"no_{name}"), "is_flag": True}
        return {"declared": (written, name), "is_flag": True}
    metavar = _METAVARS.get(name)
    found: dict[str, Any] = {"declared": (written, name), "metavar": metavar}
    if get_origin(kind) is dict:
        return found | {"multiple": True, "nargs": 2, "metavar": "NAME VALUE"}
    if name in _FOLDERS:
        found["type"] = FOLDER
    if get_origin(kind) is list:
        return found | {"multiple": True, "default": default}
    found |= {"default": default, "show_default": default not in (None, "", 0, NO_LIMIT)}
    if get_origin(kind) is Literal:
        return found | {"type": click.Choice(get_args(kind))}
    if kind is int:
        return found | {"type": COUNT, "metavar": metavar or "N"}
    return found | {"metavar": metavar or "TEXT"}


def given_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of SlurmConfig that options of a command stand for; without those not given."""
    found = {}
    for name, value in options.items():
        if name.startswith("no_"):
            name, value = name[3:], not value
        if isinstance(value, tuple):
            pairs = isinstance(next(iter(value), ""), tuple)
            value = (dict(value) if pairs else list(value)) or None
        if value is not None:
            found[name] = value
    return found

"""The help of options, made readable: tyro keeps the line breaks of the source in it, and states
defaults that go without saying."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from typing import Annotated, Any, get_type_hints

import tyro


def tidy_help(command: type[Any]) -> None:
    """Give each field of a command the docstring below it as its help, as running text.

    That a flag is off, a text empty, a number 0 or a list empty unless it is given, is not said.

    Args:
        command: a dataclass; its annotations are replaced. It reads the source, so it is only for
            when somebody asks for help.
    """
    hints = get_type_hints(command, include_extras=True)
    defaults = {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(command)
    }
    definition = ast.parse(textwrap.dedent(inspect.getsource(command))).body[0]
    assert isinstance(definition, ast.ClassDef)
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            name = field.target.id
            text = " ".join(below.value.value.split())
            default = defaults[name]
            hint = None if default or default is dataclasses.MISSING else ""
            extra = tyro.conf.arg(help=text, help_behavior_hint=hint)
            command.__annotations__[name] = Annotated[hints[name], extra]

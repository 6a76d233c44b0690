"""slurmic why: which rule decided about a path."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from slurmic.cli.arguments.group import argument, command, option
from slurmic.cli.arguments.options import exclude_option, json_option, rules_of, suffix_option
from slurmic.cli.arguments.values import FILE, FOLDER
from slurmic.cli.exits import DONE, UsageError
from slurmic.cli.output.console import warn

if TYPE_CHECKING:
    from slurmic.selection import Explanation


@command("why")
@argument(
    "paths",
    "PATH...",
    "relative to the current folder if that is in the source tree, else to the source tree; a path "
    "that exists only relative to the other one is taken as such. Paths need not exist",
    nargs=-1,
    type=FILE,
)
@option(
    "--code-root",
    metavar="DIR",
    type=FOLDER,
    default=".",
    show_default=True,
    help="the source tree",
)
@suffix_option
@exclude_option
@json_option("one JSON object a line")
def why(
    paths: tuple[str, ...],
    code_root: str,
    suffixes: tuple[str, ...],
    excluded: tuple[str, ...],
    as_json: bool,
) -> int:
    """Say which rule decides whether a path is packed.

    One line is written for each path.
    """
    if not paths:
        raise UsageError("no path was given", hint="name one: slurmic why PATH")
    from slurmic.selection import explain

    found = explain(code_root, _absolute(paths, code_root), rules_of(suffixes, excluded))
    for explanation in found:
        print(_as_json(explanation) if as_json else explanation)
    sys.stdout.flush()
    for warning in found.warnings:
        warn(str(warning))
    return DONE


def _absolute(paths: Iterable[str], code_root: str) -> list[str]:
    """The paths that are meant."""
    here, root = os.getcwd(), os.path.abspath(code_root)
    real = os.path.realpath(root)
    inside = os.path.commonpath([os.path.realpath(here), real]) == real
    folders = (here, root) if inside else (root, here)
    found = []
    for path in paths:
        candidates = [os.path.join(folder, path) for folder in folders]
        found.append(next(filter(os.path.lexists, candidates), candidates[0]))
    return found


def _as_json(explanation: Explanation) -> str:
    import json

    rule = explanation.rule
    values = {
        "path": os.fsdecode(explanation.path),
        "packed": explanation.packed,
        "reason": explanation.reason,
        "kind": explanation.kind,
        "entry": explanation.entry or None,
        "folder": os.fsdecode(explanation.directory) or None,
        "marker": os.fsdecode(explanation.marker) or None,
        "source": None if rule is None else os.fsdecode(rule.source),
        "line": None if rule is None else rule.line,
        "pattern": None if rule is None else os.fsdecode(rule.text),
    }
    return json.dumps(values)

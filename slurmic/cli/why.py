"""slurmic why: which rule decided about a path."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from slurmic.selection import Explanation, explain

from .console import warn
from .exits import DONE, UsageError
from .files import Excluded, Suffixes, rules_of


@dataclass
class Why:
    """Say for each path whether it would be packed, and which rule decides."""

    paths: Annotated[tyro.conf.Positional[list[str]], tyro.conf.arg(metavar="PATH ...")] = field(
        default_factory=list
    )
    """as git takes them: relative to the current folder if that is in the source tree, else to the
    source tree. One that does not exist there, but relative to the other, is taken so. They need
    not exist"""

    code_root: Annotated[str, tyro.conf.arg(metavar="DIR")] = "."
    """the source tree"""

    suffixes: Suffixes = field(default_factory=list)
    """as in code_file_suffixes; may be repeated; replaces the default (.py .sh .yaml .toml)"""

    excluded: Excluded = field(default_factory=list)
    """as in exclude_code_folders; may be repeated; replaces the default (.git wandb outputs
    datasets)"""

    json: bool = False
    """one JSON object a line"""

    def run(self) -> int:
        """Write one line a path."""
        if not self.paths:
            raise UsageError("no path was given", hint="name one: slurmic why PATH")
        rules = rules_of(self.suffixes, self.excluded)
        found = explain(self.code_root, self._absolute(), rules)
        for explanation in found:
            print(json.dumps(_as_json(explanation)) if self.json else explanation)
        sys.stdout.flush()
        for warning in found.warnings:
            warn(str(warning))
        return DONE

    def _absolute(self) -> list[str]:
        """The paths that are meant."""
        here, root = os.getcwd(), os.path.abspath(self.code_root)
        real = os.path.realpath(root)
        inside = os.path.commonpath([os.path.realpath(here), real]) == real
        folders = (here, root) if inside else (root, here)
        paths = []
        for path in self.paths:
            candidates = [os.path.join(folder, path) for folder in folders]
            paths.append(next(filter(os.path.lexists, candidates), candidates[0]))
        return paths


def _as_json(explanation: Explanation) -> dict[str, object]:
    rule = explanation.rule
    return {
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

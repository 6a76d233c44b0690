"""slurmic why: which rule decided about a path."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from slurmic.selection import Explanation, explain

from .exits import DONE, UsageError
from .files import Excluded, Suffixes, rules_of


@dataclass
class Why:
    """Say for each path whether it would be packed, and which rule decides."""

    paths: tyro.conf.Positional[list[str]]
    """relative to the source tree, else to the current folder, or absolute; they need not exist"""

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
        paths = [os.fsencode(self._found(path)) for path in self.paths]
        for explanation in explain(self.code_root, paths, rules):
            print(json.dumps(_as_json(explanation)) if self.json else explanation)
        return DONE

    def _found(self, path: str) -> str:
        """`path`, absolute if it exists in the current folder and not in the source tree."""
        here = os.path.lexists(path) and not os.path.lexists(os.path.join(self.code_root, path))
        return os.path.join(os.getcwd(), path) if here else path


def _as_json(explanation: Explanation) -> dict[str, object]:
    rule = explanation.rule
    return {
        "path": os.fsdecode(explanation.path),
        "packed": explanation.packed,
        "reason": explanation.reason,
        "kind": explanation.kind,
        "entry": explanation.entry or None,
        "folder": os.fsdecode(explanation.directory) or None,
        "source": None if rule is None else os.fsdecode(rule.source),
        "line": None if rule is None else rule.line,
        "pattern": None if rule is None else os.fsdecode(rule.text),
    }

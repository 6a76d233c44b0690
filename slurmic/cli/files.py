"""slurmic files: what would be packed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from slurmic.config import DEFAULT_EXCLUDED, DEFAULT_SUFFIXES, WARN_ADDED_MB, WARN_FILES, WARN_MB
from slurmic.errors import SelectionError
from slurmic.selection import Selection, SelectionRules, select

from .console import number, say, size, warn, write_paths
from .exits import DONE, UsageError
from .foldertree import draw_folders

Suffixes = Annotated[
    list[str],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(name="suffix", metavar="SUFFIX"),
]
Excluded = Annotated[
    list[str],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(name="exclude", metavar="FOLDER"),
]


@dataclass
class Files:
    """List the files of a source tree that would be packed, sorted, one a line."""

    code_root: tyro.conf.Positional[str] = "."
    """the source tree"""

    suffixes: Suffixes = field(default_factory=list)
    """as in code_file_suffixes; may be repeated; replaces the default (.py .sh .yaml .toml)"""

    excluded: Excluded = field(default_factory=list)
    """as in exclude_code_folders; may be repeated; replaces the default (.git wandb outputs
    datasets)"""

    null: Annotated[bool, tyro.conf.arg(aliases=["-0"])] = False
    """end each name with a NUL byte, and write it as it is"""

    json: bool = False
    """one JSON object a line: path, kind, size in bytes"""

    tree: bool = False
    """the folders, each with the number and size of the files in it and below it"""

    def run(self) -> int:
        """Write the list; the count and any warnings go to standard error."""
        if self.null + self.json + self.tree > 1:
            raise UsageError("--null, --json and --tree exclude each other", hint="give one")
        selection = select(self.code_root, rules_of(self.suffixes, self.excluded))
        sizes = sizes_of(selection)
        if self.json:
            for path in selection.paths:
                kind = "symlink" if path in selection.symlinks else "file"
                print(json.dumps({"path": os.fsdecode(path), "kind": kind, "size": sizes[path]}))
        elif self.tree:
            draw_folders(selection.root, sizes)
        else:
            write_paths(selection.paths, nul=self.null)
        # Nothing more is said about a list that nobody got.
        sys.stdout.flush()
        for warning in selection.warnings:
            warn(str(warning))
        total = sum(sizes.values())
        if len(sizes) > WARN_FILES or total > WARN_MB * 1_000_000:
            warn(_size_warning(sizes))
        added = selection.warn_of_size(list(sizes), list(sizes.values()), WARN_ADDED_MB)
        if added:
            warn(str(added))
        if not sizes:
            warn(_refusal(selection.require_files))
        say(f"{number(len(sizes), 'file')} would be packed, {size(total)}")
        return DONE


def _size_warning(sizes: dict[bytes, int]) -> str:
    """What a submission with the default limits would say of so large a selection."""
    # Here and not above: it takes longer to import than most trees to list.
    from slurmic.snapshot import SizeLimits

    return _refusal(lambda: SizeLimits().check(list(sizes), list(sizes.values())))


def _refusal(check: Callable[[], object]) -> str:
    """What `check` says, or why it refuses."""
    try:
        return str(check())
    except SelectionError as error:
        return f"a submission would be refused: {error}"


def rules_of(suffixes: list[str], excluded: list[str]) -> SelectionRules:
    """The rules that options ask for; what is not given is as in the configuration's default."""
    return SelectionRules.from_settings(
        suffixes or list(DEFAULT_SUFFIXES), excluded or list(DEFAULT_EXCLUDED)
    )


def sizes_of(selection: Selection) -> dict[bytes, int]:
    """Size in bytes of each selected file; 0 for one that is gone by now."""
    sizes = {}
    for path in selection.paths:
        try:
            sizes[path] = os.lstat(os.path.join(selection.root, path)).st_size
        except OSError:
            sizes[path] = 0
    return sizes

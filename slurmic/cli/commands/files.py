"""slurmic files: what would be packed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from slurmic.cli.arguments.group import command, option
from slurmic.cli.arguments.options import (
    exclude_option,
    json_option,
    null_option,
    rules_of,
    source_argument,
    suffix_option,
)
from slurmic.cli.exits import DONE, UsageError
from slurmic.cli.output.console import say, warn, write_paths
from slurmic.errors import SelectionError
from slurmic.text import counted, size


@command("files")
@source_argument
@suffix_option
@exclude_option
@null_option
@json_option("one JSON object a line: path, kind, size in bytes")
@option("--tree", is_flag=True, help="the folders, each with the number and size of its files")
def files(
    code_root: str,
    suffixes: tuple[str, ...],
    excluded: tuple[str, ...],
    null: bool,
    as_json: bool,
    tree: bool,
) -> int:
    """List the files of a source tree that would be packed.

    They are sorted, one a line. The count and any warnings of a submission go to standard error.
    """
    if null + as_json + tree > 1:
        raise UsageError("--null, --json and --tree exclude each other", hint="give one")
    from slurmic.defaults import WARN_ADDED_MB, WARN_FILES, WARN_MB
    from slurmic.selection import select

    selection = select(code_root, rules_of(suffixes, excluded))
    sizes = _sizes(selection.root, selection.paths)
    if as_json:
        import json

        for path in selection.paths:
            kind = "symlink" if path in selection.symlinks else "file"
            print(json.dumps({"path": os.fsdecode(path), "kind": kind, "size": sizes[path]}))
    elif tree:
        from slurmic.cli.output.foldertree import draw_folders

        draw_folders(selection.root, sizes)
    else:
        write_paths(selection.paths, nul=null)
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
    say(f"{counted(len(sizes), 'file')} would be packed, {size(total)}")
    return DONE


def _size_warning(sizes: dict[bytes, int]) -> str:
    """What a submission with the default limits would say of so large a selection."""
    from slurmic.snapshot import SizeLimits

    return _refusal(lambda: SizeLimits().check(list(sizes), list(sizes.values())))


def _refusal(check: Callable[[], object]) -> str:
    """What `check` says, or why it refuses."""
    try:
        return str(check())
    except SelectionError as error:
        return f"a submission would be refused: {error}"


def _sizes(root: bytes, paths: list[bytes]) -> dict[bytes, int]:
    """Size in bytes of each selected file; 0 for one that was deleted meanwhile."""
    sizes = {}
    for path in paths:
        try:
            sizes[path] = os.lstat(os.path.join(root, path)).st_size
        except OSError:
            sizes[path] = 0
    return sizes

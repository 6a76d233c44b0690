"""slurmic diff: what differs between two snapshots, or a snapshot and the working tree."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from slurmic.cli.arguments.group import argument, command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import json_option, null_option, store_option
from slurmic.cli.arguments.values import FILE, REFERENCE, choice_of
from slurmic.cli.exits import DIFFERENT, DONE, UsageError
from slurmic.cli.output.console import ColourWhen, colours, say

if TYPE_CHECKING:
    from slurmic.inspect.changes import Change, ChangeKind
    from slurmic.inspect.codetree import CodeTree
    from slurmic_store import TreeEntry


class Asked(NamedTuple):
    """What is compared, and how the differences are written."""

    a: str
    b: str
    paths: tuple[str, ...]
    patch: bool
    binary: bool
    stat: bool
    name_only: bool
    null: bool
    as_json: bool
    exit_code: bool
    color: ColourWhen
    store: str


@command("diff")
@argument(
    "a", "A", "a snapshot, any REF (see 'slurmic --help'); . is the current folder", type=REFERENCE
)
@argument(
    "b",
    "[B]",
    "what it is compared with; by default A's source tree, as it would be packed now",
    type=REFERENCE,
    default="",
)
@option(
    "-p",
    "--path",
    "paths",
    metavar="PATH",
    type=FILE,
    multiple=True,
    help="only this file, or the files in this folder, written as for 'slurmic cat'; may be "
    "repeated",
)
@option(
    "--patch", is_flag=True, help="unified text diffs, as git shows them; 'git apply' takes them"
)
@option(
    "--binary",
    is_flag=True,
    help="in the patch, write out binary files too, so that 'git apply' can make them",
)
@option("--stat", is_flag=True, help="how many lines each file gained and lost")
@option("--name-only", is_flag=True, help="only the names")
@null_option
@json_option("one JSON object a line: path, change, old, new")
@option("--exit-code", is_flag=True, help="exit with 5 if anything differs")
@option(
    "--color",
    type=choice_of(ColourWhen),
    default="auto",
    show_default=True,
    help="colours; auto: on a terminal, unless NO_COLOR is set",
)
@store_option
def diff(**options: Any) -> int:
    """Compare two snapshots, or one with the working tree.

    It says which files differ from A to B. Without B, that is A's source tree as it would be packed
    now by A's settings. The words are: added, removed, changed (content), mode (only permissions),
    type (a file in the place of a symbolic link, or the other way round).
    """
    asked = Asked(**options)
    _check(asked)
    from slurmic.cli.output.diffview import write_names, write_patch, write_stat
    from slurmic.inspect.changes import below, compare_trees
    from slurmic.inspect.treepaths import path_in

    old, new = _sides(asked)
    changes = compare_trees(old.tree, new.tree, below([path_in(old, path) for path in asked.paths]))
    colour = colours(asked.color)
    if asked.as_json:
        for change in changes:
            print(json.dumps(_change_as_json(change)))
    elif asked.patch or asked.binary:
        write_patch(changes, old, new, binary=asked.binary, colour=colour)
    elif asked.stat:
        write_stat(changes, old, new, colour=colour)
    else:
        write_names(changes, name_only=asked.name_only, null=asked.null, colour=colour)
    say(f"from {old.label} to {new.label}: {_summary(changes)}")
    return DIFFERENT if changes and asked.exit_code else DONE


def _check(asked: Asked) -> None:
    if (asked.patch or asked.binary) + asked.stat + asked.name_only + asked.as_json > 1:
        raise UsageError(
            "--patch, --stat, --name-only and --json exclude each other", hint="give one"
        )
    if asked.null and (asked.patch or asked.binary or asked.stat or asked.as_json):
        raise UsageError("--null is for lists of names", hint="leave it out")
    if asked.a == "." and not asked.b:
        raise UsageError(
            "'.' is the working tree: there is nothing to compare it with",
            hint="name a snapshot: 'slurmic diff REF' compares it with its working tree",
        )


def _sides(asked: Asked) -> tuple[CodeTree, CodeTree]:
    from slurmic.inspect.codetree import snapshot_tree
    from slurmic.inspect.references import WORKING_TREE

    find = finder(asked.store)
    references = [asked.a, asked.b] if asked.b else [asked.a]
    found = [
        None if reference == WORKING_TREE else find.find_snapshot(reference)
        for reference in references
    ]
    # The working tree is packed as the other side was: else every difference in settings
    # would look like one in the code.
    like = next((each.record for each in found if each is not None), None)
    sides = [find.current_tree(like) if each is None else snapshot_tree(each) for each in found]
    if len(sides) == 1:
        assert like is not None
        sides.append(find.tree_packed_from(like))
    return sides[0], sides[1]


def _change_as_json(change: Change) -> dict[str, Any]:
    """A change as JSON values; docs/json.md says what they mean."""
    return {
        "path": os.fsdecode(change.path),
        "change": change.kind,
        "old": _entry_as_json(change.old),
        "new": _entry_as_json(change.new),
    }


def _entry_as_json(entry: TreeEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "kind": "file" if entry.target is None else "symlink",
        "size": entry.size,
        "mode": None if entry.target is not None else f"{entry.mode:04o}",
        "digest": entry.digest.hex(),
        "target": None if entry.target is None else os.fsdecode(entry.target),
    }


def _summary(changes: Sequence[Change]) -> str:
    if not changes:
        return "no difference"
    counts = Counter(change.kind for change in changes)
    parts = [f"{counts[kind]:,} {text}" for kind, text in _COUNTED.items() if counts[kind]]
    differ = "1 file differs" if len(changes) == 1 else f"{len(changes):,} files differ"
    return f"{differ}: {', '.join(parts)}"


_COUNTED: dict[ChangeKind, str] = {
    "added": "added",
    "removed": "removed",
    "changed": "changed",
    "mode": "with other permissions",
    "type": "of another type",
}

"""slurmic diff: what differs between two snapshots, or a snapshot and the working tree."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from .console import colours, say
from .exits import DIFFERENT, DONE, UsageError
from .options import NullFlag, StoreOption

if TYPE_CHECKING:
    from slurmic.snapshot.changes import Change, ChangeKind
    from slurmic.snapshot.codetree import CodeTree
    from slurmic_store import TreeEntry


@dataclass
class Diff:
    """Say which files differ from A to B, by default from snapshot A to its working tree.

    That is the source tree that A was packed from, as it would be packed now by the same settings.
    The words are: added, removed, changed (content), mode (only permissions), type (a file in the
    place of a symbolic link, or the other way round)."""

    a: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="A")]
    """the snapshot to compare: any REF (see 'slurmic --help'); . is the current folder"""

    b: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[B]")] = ""
    """what to compare it with; by default A's source tree, as it would be packed now"""

    path: Annotated[
        list[str],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(metavar="PATH", aliases=["-p"]),
    ] = field(default_factory=list)
    """only this file, or the files in this folder; paths as 'slurmic cat' takes them; may be
    repeated"""

    patch: bool = False
    """unified text diffs, as git shows them; 'git apply' takes them"""

    binary: bool = False
    """in the patch, write out binary files too, so that 'git apply' can make them"""

    stat: bool = False
    """how many lines each file gained and lost"""

    name_only: bool = False
    """only the names"""

    null: NullFlag = False
    """end words and names with NUL bytes, and write names as they are"""

    json: bool = False
    """one JSON object a line: path, change, old, new"""

    exit_code: bool = False
    """exit with 5 if anything differs"""

    color: Literal["auto", "always", "never"] = "auto"
    """colours; auto: on a terminal, unless NO_COLOR is set"""

    store: StoreOption = ""
    """the store; by default the one that a submission from here would use"""

    def run(self) -> int:
        """Write what differs; how much that is goes to standard error."""
        self._check()
        from slurmic.snapshot.changes import below, compare_trees

        from .cat import path_in
        from .diffview import write_names, write_patch, write_stat

        old, new = self._sides()
        paths = [path_in(old, path) for path in self.path]
        changes = compare_trees(old.tree, new.tree, below(paths))
        if self.json:
            for change in changes:
                print(json.dumps(change_as_json(change)))
        elif self.patch or self.binary:
            write_patch(changes, old, new, binary=self.binary, colour=colours(self.color))
        elif self.stat:
            write_stat(changes, old, new, colour=colours(self.color))
        else:
            write_names(
                changes, name_only=self.name_only, null=self.null, colour=colours(self.color)
            )
        say(f"from {old.label} to {new.label}: {_summary(changes)}")
        return DIFFERENT if changes and self.exit_code else DONE

    def _check(self) -> None:
        if (self.patch or self.binary) + self.stat + self.name_only + self.json > 1:
            raise UsageError(
                "--patch, --stat, --name-only and --json exclude each other", hint="give one"
            )
        if self.null and (self.patch or self.binary or self.stat or self.json):
            raise UsageError("--null is for lists of names", hint="leave it out")
        if self.a == "." and not self.b:
            raise UsageError(
                "'.' is the working tree: there is nothing to compare it with",
                hint="name a snapshot: 'slurmic diff REF' compares it with its working tree",
            )

    def _sides(self) -> tuple[CodeTree, CodeTree]:
        from slurmic.snapshot.codetree import snapshot_tree
        from slurmic.snapshot.references import WORKING_TREE

        from .references import find_snapshot
        from .trees import current_tree, tree_packed_from

        references = [self.a, self.b] if self.b else [self.a]
        found = [
            None if reference == WORKING_TREE else find_snapshot(reference, self.store)
            for reference in references
        ]
        # The working tree is packed as the other side was: else every difference in settings
        # would look like one in the code.
        like = next((each.record for each in found if each is not None), None)
        sides = [
            current_tree(self.store, like) if each is None else snapshot_tree(each)
            for each in found
        ]
        if len(sides) == 1:
            assert like is not None
            sides.append(tree_packed_from(like, self.store))
        return sides[0], sides[1]


def change_as_json(change: Change) -> dict[str, Any]:
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

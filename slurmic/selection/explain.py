"""Why a path is packed or not: the rule that decided, as ``git check-ignore -v`` would name it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .boundaries import Barrier, BarrierKind, Barriers
from .discovery import GITIGNORE, SourceTree, root_level, with_ignore_file
from .display import shown
from .gitindex import GitQuery
from .matcher import Level
from .patterns import IgnoreRule
from .rules import SelectionRules, packed
from .selector import absolute_root

PathKind = Literal["file", "symlink", "directory", "special", "missing"]

#: What decided. "not_ignored" comes with a rule if one re-includes the path.
Reason = (
    BarrierKind
    | Literal[
        "code_root",
        "outside_root",
        "special_file",
        "unreadable_directory",
        "suffix",
        "tracked",
        "ignored",
        "not_ignored",
        "no_suffix",
    ]
)


@dataclass(frozen=True)
class Explanation:
    """The verdict on one path.

    Attributes:
        path: relative to code_root; as given if it is outside.
        packed: whether it is packed. For a directory: whether files in it are, unless a rule of
            their own keeps them out; one that git ignores counts as not packed, although
            code_file_suffixes adds back files in it.
        reason: what decided.
        kind: what is there now; a missing path is judged as a file would be (as a directory if
            given with a slash at its end).
        entry: of code_file_suffixes or exclude_code_folders, if one decided.
        directory: the directory above `path` that was decided about, if it was not `path` itself;
            b"." is code_root.
        rule: the line of an ignore file that decided.
    """

    path: bytes
    packed: bool
    reason: Reason
    kind: PathKind
    entry: str = ""
    directory: bytes = b""
    rule: IgnoreRule | None = None

    def __str__(self) -> str:
        verdict = "packed" if self.packed else "not packed"
        known = self.reason != "unreadable_directory"
        missing = " (does not exist)" if self.kind == "missing" and known else ""
        return f"{shown(self.path)}{missing}: {verdict}, {self._because()}"

    def _because(self) -> str:
        where = shown(self.directory)
        if self.reason == "suffix":
            return f"by {self.entry} in code_file_suffixes"
        if self.reason == "tracked":
            assert self.rule is not None
            return f"tracked by git, although {_location(self.rule)} matches"
        if self.reason == "ignored":
            assert self.rule is not None
            what = f"its folder {where}" if self.directory else "it"
            return f"{_location(self.rule)} ignores {what}" + (
                ", but files in it with code_file_suffixes are" if self.kind == "directory" else ""
            )
        if self.reason == "not_ignored":
            return f"re-included by {_location(self.rule)}" if self.rule else "not ignored"
        if self.reason == "excluded_folder":
            return f"{shown(self.directory)} is excluded by {self.entry} in exclude_code_folders"
        return _FIXED[self.reason].format(where=where)


_FIXED: dict[str, str] = {
    "code_root": "it is code_root itself",
    "outside_root": "it is outside of code_root",
    "special_file": "it is neither a file nor a link",
    "unreadable_directory": "{where} cannot be read",
    "no_suffix": "none of code_file_suffixes matches, and code_root has no .gitignore",
    "git_directory": "{where} belongs to git",
    "staging": "slurmic prepares something in {where}",
    "never": "{where} is the output folder or the store",
    "output_folder": "{where} is an output folder of slurmic (it has a code.json)",
    "store": "{where} is a store of slurmic (it has a FORMAT)",
    "beyond_symlink": "it is beyond the link {where}",
}


def _location(rule: IgnoreRule) -> str:
    return f"{shown(rule.source)} line {rule.line} ({shown(rule.text)})"


def explain(
    root: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    paths: Iterable[str | bytes | os.PathLike[str] | os.PathLike[bytes]],
    rules: SelectionRules,
    *,
    environ: Mapping[str, str] | None = None,
) -> list[Explanation]:
    """Say for each of `paths` whether it is packed and what decides that.

    Args:
        root: code_root.
        paths: absolute or relative to `root`; they need not exist.
        rules, environ: as for `select`.

    Raises:
        SelectionError: `root` is not a directory.
    """
    environ = os.environ if environ is None else environ
    tree = SourceTree.at(absolute_root(root), environ)
    tracked: frozenset[bytes] = frozenset()
    level: Level | None = None
    ignoring: IgnoreRule | None = None
    hidden: dict[bytes, bytes] = {}
    if tree.discovering:
        settings = None
        if tree.repository is not None:
            with GitQuery(tree.root, tree.repository, environ) as git:
                git.ask_tracked()
                hidden = git.hidden_ignore_files()
                settings = git.settings()
                tracked = frozenset(git.tracked())
        above = root_level(tree, settings, hidden)
        level, ignoring = above.level, above.ignoring
    explainer = _Explainer(tree, rules, tracked, hidden, level, ignoring)
    return [explainer.explain(os.fsencode(path)) for path in paths]


@dataclass(frozen=True)
class _Ignored:
    """What ignore files say of a path: the rule, and the directory it matches (b"": the path)."""

    rule: IgnoreRule | None
    directory: bytes = b""

    def __bool__(self) -> bool:
        return self.rule is not None and not self.rule.negated


class _Explainer:
    def __init__(
        self,
        tree: SourceTree,
        rules: SelectionRules,
        tracked: frozenset[bytes],
        hidden: Mapping[bytes, bytes],
        level: Level | None,
        ignoring: IgnoreRule | None,
    ) -> None:
        self._tree = tree
        self._rules = rules
        self._tracked = tracked
        self._hidden = hidden
        self._barriers = Barriers(tree.root, rules)
        self._listed: dict[bytes, bytes] = {}
        self._levels: dict[bytes, Level | _Ignored] = {}
        if level is None:
            self._levels[b""] = _Ignored(ignoring, b".")
        else:
            self._levels[b""] = self._with_gitignore(level, b"")

    def explain(self, given: bytes) -> Explanation:
        path = self._relative(given)
        if path is None:
            return Explanation(given, False, "outside_root", _kind_of(given))
        if path == b".":
            return Explanation(path, True, "code_root", "directory")
        kind = _kind_of(os.path.join(self._tree.root, path))
        directory = kind == "directory" or (kind == "missing" and given.endswith(b"/"))
        barrier = self._barriers.above(path) or self._barrier_at(path, directory)
        if barrier is not None:
            return Explanation(
                path, False, barrier.kind, kind, barrier.entry, directory=barrier.directory
            )
        if kind == "special":
            return Explanation(path, False, "special_file", kind)
        unreadable = self._unreadable(path if directory else os.path.dirname(path))
        if unreadable and not (path in self._tracked and kind in ("file", "symlink")):
            return Explanation(path, False, "unreadable_directory", kind, directory=unreadable)

        suffix = None if directory else self._suffix(path)
        ignored = self._ignored(path, directory) if self._tree.discovering else _Ignored(None)
        tracked = path in self._tracked and not directory
        verdict = packed(
            excluded=False,
            suffix_matches=suffix is not None,
            discovering=self._tree.discovering or directory,
            ignored=bool(ignored) and not tracked,
        )
        if suffix is not None:
            return Explanation(path, verdict, "suffix", kind, suffix)
        if not self._tree.discovering and not directory:
            return Explanation(path, verdict, "no_suffix", kind)
        reason: Reason = "not_ignored"
        if ignored:
            reason = "tracked" if tracked else "ignored"
        return Explanation(
            path, verdict, reason, kind, directory=ignored.directory, rule=ignored.rule
        )

    def _unreadable(self, directory: bytes) -> bytes:
        """The topmost of `directory` and those above it that cannot be listed, or b""."""
        if not directory:
            return b""
        if directory not in self._listed:
            above = self._unreadable(os.path.dirname(directory))
            self._listed[directory] = above or (
                b"" if _can_be_listed(os.path.join(self._tree.root, directory)) else directory
            )
        return self._listed[directory]

    def _relative(self, given: bytes) -> bytes | None:
        """`given` relative to the root, or None if it is outside."""
        root = self._tree.root
        path = os.path.normpath(os.path.join(root, given))
        for top, candidate in (
            (root, path),
            # Spelled through another link. The last name stays as it is: it may be a link itself.
            (
                os.path.realpath(root),
                os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)),
            ),
        ):
            if candidate == top:
                return b"."
            below = top.rstrip(b"/") + b"/"
            if candidate.startswith(below):
                return candidate[len(below) :]
        return None

    def _barrier_at(self, path: bytes, directory: bool) -> Barrier | None:
        if os.path.basename(path) == b".git":
            return Barrier("git_directory", path)
        return self._barriers.at(path) if directory else None

    def _suffix(self, path: bytes) -> str | None:
        if self._rules.include is None:
            return self._rules.matching_suffix(os.path.basename(path))
        root = os.fsdecode(self._tree.root)
        taken = self._rules.include(os.path.join(root, os.fsdecode(path)), root)
        return "the include function" if taken else None

    def _ignored(self, path: bytes, directory: bool) -> _Ignored:
        parent, name = os.path.split(path)
        level = self._level(parent)
        if isinstance(level, _Ignored):
            return level
        return _Ignored(level.deciding_rule(name, directory=directory))

    def _level(self, directory: bytes) -> Level | _Ignored:
        known = self._levels.get(directory)
        if known is None:
            known = self._levels[directory] = self._entered(directory)
        return known

    def _entered(self, directory: bytes) -> Level | _Ignored:
        parent, name = os.path.split(directory)
        level = self._level(parent)
        if isinstance(level, _Ignored):
            return level
        below = level.enter(name)
        if below is None:
            return _Ignored(level.deciding_rule(name, directory=True), directory)
        return self._with_gitignore(below, directory + b"/")

    def _with_gitignore(self, level: Level, directory: bytes) -> Level:
        path = directory + GITIGNORE
        absolute = os.path.join(self._tree.root, path)
        return with_ignore_file(level, absolute, self._tree.prefix + path, hidden=self._hidden)[0]


def _can_be_listed(directory: bytes) -> bool:
    """Also if it does not exist."""
    try:
        os.scandir(directory).close()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return True


def _kind_of(path: bytes) -> PathKind:
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):
        return "missing"
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "special"

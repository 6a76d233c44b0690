"""Why a path is packed or not: the rule that decided, as ``git check-ignore -v`` would name it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from slurmic.errors import SelectionError
from slurmic.git.asking import Git
from slurmic.git.settings import git_settings, hidden_ignore_files
from slurmic.selection.explanation import Explanation, Explanations, PathKind, Reason
from slurmic.selection.ignore.folderrules import FolderRules
from slurmic.selection.ignore.inherited import (
    GITIGNORE,
    InheritedRules,
    SourceTree,
    inherited_rules,
    with_ignore_file,
)
from slurmic.selection.ignore.patterns import IgnoreRule
from slurmic.selection.rules import INCLUDE_FUNCTION, SelectionRules, packed
from slurmic.selection.selector import absolute_root
from slurmic.selection.walk.boundaries import Barrier, Barriers
from slurmic.selection.warn.leftout import unreadable_warnings
from slurmic.selection.warn.warning import SelectionWarning
from slurmic.text import quoted


def explain(
    root: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    paths: Iterable[str | bytes | os.PathLike[str] | os.PathLike[bytes]],
    rules: SelectionRules,
    *,
    environ: Mapping[str, str] | None = None,
) -> Explanations:
    """Say for each of `paths` whether it is packed and what decides that.

    Args:
        root: code_root.
        paths: absolute or relative to `root`; they need not exist.
        rules, environ: as for `select`.

    Raises:
        SelectionError: `root` is not a folder that can be read.
    """
    environ = os.environ if environ is None else environ
    path = absolute_root(root)
    try:
        os.scandir(path).close()
    except OSError as error:
        raise SelectionError(
            f"cannot read code_root {quoted(path)}: {(error.strerror or 'error').lower()}"
        ) from error
    given = [os.fsencode(path) for path in paths]
    with Git(path, environ) as git:
        tree = SourceTree.at(path, git)
        if not tree.discovering:
            return _Explainer(tree, rules, InheritedRules(None, None, ())).run(given)
        if tree.repository is None:
            return _Explainer(tree, rules, inherited_rules(tree, None)).run(given)
        hidden = hidden_ignore_files(git, tree.repository)
        above = inherited_rules(tree, git_settings(git, tree.repository), hidden)
        return _Explainer(tree, rules, above, hidden, git).run(given)


@dataclass(frozen=True)
class _Ignored:
    """What ignore files say of a path: the rule, and the folder it matches (b"": the path)."""

    rule: IgnoreRule | None
    directory: bytes = b""

    def __bool__(self) -> bool:
        return self.rule is not None and not self.rule.negated


_NOT_IGNORED = _Ignored(None)


class _Explainer:
    """Explains paths of one tree. None of it recurses: a path may have thousands of parts."""

    def __init__(
        self,
        tree: SourceTree,
        rules: SelectionRules,
        above: InheritedRules,
        hidden: Mapping[bytes, bytes] | None = None,
        git: Git | None = None,
    ) -> None:
        self._tree = tree
        self._rules = rules
        self._hidden = hidden or {}
        self._git = git
        self._barriers = Barriers(tree.root, rules)
        self._unreadable_rules = list(above.unreadable)
        self._listed: dict[bytes, bytes] = {}
        self._levels: dict[bytes, FolderRules | _Ignored] = {}
        if above.level is None:
            self._levels[b""] = _Ignored(above.ignoring, b".")
        else:
            self._levels[b""] = self._with_gitignore(above.level, b"")

    def run(self, paths: list[bytes]) -> Explanations:
        explanations = tuple(self._explain(path) for path in paths)
        return Explanations(explanations, tuple(self._warnings()))

    def _warnings(self) -> Iterator[SelectionWarning]:
        yield from unreadable_warnings([], self._unreadable_rules)
        problem = None if self._git is None else self._git.problem
        if problem is not None:
            yield SelectionWarning(
                "git_unavailable",
                f"{problem.message}; tracked files that patterns match may be called ignored",
                problem.hint,
            )

    def _explain(self, given: bytes) -> Explanation:
        absolute = os.path.normpath(os.path.join(self._tree.root, given))
        path = self._relative(absolute)
        if path is None:
            return Explanation(absolute, False, "outside_root", _kind_of(absolute))
        if path == b".":
            return Explanation(path, True, "code_root", "directory")
        kind = _kind_of(os.path.join(self._tree.root, path))
        directory = kind == "directory" or (kind in ("missing", "unknown") and given.endswith(b"/"))
        barrier = self._barriers.above(path) or self._barrier_at(path, directory)
        if barrier is not None:
            return Explanation(
                path,
                False,
                barrier.kind,
                kind,
                barrier.entry,
                directory=barrier.directory,
                marker=barrier.marker,
            )
        if kind == "special":
            return Explanation(path, False, "special_file", kind)
        unreadable = self._unreadable(path if directory else os.path.dirname(path))
        if unreadable and not (kind in ("file", "symlink") and path in self._tracked):
            return Explanation(path, False, "unreadable_directory", kind, directory=unreadable)
        return self._judged(path, kind, directory)

    def _judged(self, path: bytes, kind: PathKind, directory: bool) -> Explanation:
        """The verdict of suffixes and git on a path that nothing else keeps out."""
        discovering = self._tree.discovering
        entry = None if directory else self._rules.taking_entry(self._tree.root, path)
        ignored = self._ignored(path, directory) if discovering else _NOT_IGNORED
        tracked = bool(ignored) and not directory and path in self._tracked
        verdict = packed(
            excluded=False,
            suffix_matches=entry is not None,
            discovering=discovering,
            ignored=bool(ignored) and not tracked,
        )
        reason: Reason = "not_ignored"
        if entry is not None:
            reason = "suffix"
            if tracked or not ignored:
                ignored = _NOT_IGNORED  # It would be packed all the same.
        elif not discovering:
            reason = "no_suffix"
            if directory:
                reason = "suffixes_only"
                entry = INCLUDE_FUNCTION if self._rules.include else None
        elif ignored:
            reason = "tracked" if tracked else "ignored"
        return Explanation(
            path,
            verdict,
            reason,
            kind,
            entry or "",
            directory=ignored.directory,
            rule=ignored.rule,
        )

    @cached_property
    def _tracked(self) -> frozenset[bytes]:
        # Asked for only where it matters: so is the warning that git does not answer.
        if self._git is None:
            return frozenset()
        return frozenset(self._git.index())

    def _unreadable(self, directory: bytes) -> bytes:
        """The topmost of `directory` and those above it that cannot be listed, or b""."""
        unknown: list[bytes] = []
        while directory and directory not in self._listed:
            unknown.append(directory)
            directory = os.path.dirname(directory)
        found = self._listed[directory] if directory else b""
        for directory in reversed(unknown):
            if not found and not _can_be_listed(os.path.join(self._tree.root, directory)):
                found = directory
            self._listed[directory] = found
        return found

    def _relative(self, path: bytes) -> bytes | None:
        """`path`, which is absolute, relative to the root; None if it is outside."""
        root = self._tree.root
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

    def _ignored(self, path: bytes, directory: bool) -> _Ignored:
        parent, name = os.path.split(path)
        level = self._level(parent)
        if isinstance(level, _Ignored):
            return level
        return _Ignored(level.deciding_rule(name, directory=directory))

    def _level(self, directory: bytes) -> FolderRules | _Ignored:
        unknown: list[bytes] = []
        while directory not in self._levels:
            unknown.append(directory)
            directory = os.path.dirname(directory)
        level = self._levels[directory]
        for directory in reversed(unknown):
            if isinstance(level, FolderRules):
                level = self._entered(level, directory)
            self._levels[directory] = level
        return level

    def _entered(self, level: FolderRules, directory: bytes) -> FolderRules | _Ignored:
        """What is ignored in `directory`, `level` being that of the one above it."""
        name = os.path.basename(directory)
        below = level.enter(name)
        if below is None:
            return _Ignored(level.deciding_rule(name, directory=True), directory)
        return self._with_gitignore(below, directory + b"/")

    def _with_gitignore(self, level: FolderRules, directory: bytes) -> FolderRules:
        path = directory + GITIGNORE
        level, readable = with_ignore_file(
            level,
            os.path.join(self._tree.root, path),
            self._tree.prefix + path,
            hidden=self._hidden,
        )
        if not readable:
            self._unreadable_rules.append(path)
        return level


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
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "missing"
    except OSError:
        return _listed_kind(path)
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "special"


def _listed_kind(path: bytes) -> PathKind:
    """What is said of a path by the folder that it is in, as for the walk.

    One may be listed without the permission to look at what is in it.
    """
    parent, name = os.path.split(path)
    try:
        with os.scandir(parent) as entries:
            for entry in entries:
                if entry.name == name:
                    if entry.is_symlink():
                        return "symlink"
                    if entry.is_dir(follow_symlinks=False):
                        return "directory"
                    return "file" if entry.is_file(follow_symlinks=False) else "special"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return "unknown"
    return "missing"

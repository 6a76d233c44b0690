"""Selecting: the walk, joined with what git's index says."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from slurmic.defaults import WARN_ADDED_FILES
from slurmic.errors import SelectionError
from slurmic.git.asking import Git
from slurmic.git.settings import git_settings, hidden_ignore_files
from slurmic.selection.ignore.inherited import InheritedRules, SourceTree, inherited_rules
from slurmic.selection.index import add_tracked, left_out_of_repositories
from slurmic.selection.paths import contains
from slurmic.selection.rules import SelectionRules
from slurmic.selection.walk.environments import Environments
from slurmic.selection.walk.walk import Walked, walk
from slurmic.selection.warn.addback import AddBack
from slurmic.selection.warn.folders import Measure, add_back_warning, environment_warnings
from slurmic.selection.warn.leftout import (
    git_warnings,
    ignored_root_warnings,
    nested_warnings,
    unreadable_warnings,
)
from slurmic.selection.warn.links import link_warnings
from slurmic.selection.warn.secrets import secret_warnings
from slurmic.selection.warn.warning import SelectionWarning
from slurmic.text import quoted


@dataclass(frozen=True)
class Selection:
    """The files of a source tree that are packed.

    Attributes:
        root: absolute path of the tree.
        mode: "gitignore" if the tree has a .gitignore, else "suffix": only suffixes count.
        paths: relative to the root, sorted by their bytes; regular files and symlinks.
        symlinks: those of `paths` that are symlinks, to be packed as such.
        warnings: what the user should know.
        rules: that they were selected by.
        environments: environments of Python that some of them are in.
        add_back: tells which of them are packed although git ignores them.
    """

    root: bytes
    mode: Literal["gitignore", "suffix"]
    paths: list[bytes]
    symlinks: frozenset[bytes]
    warnings: tuple[SelectionWarning, ...]
    rules: SelectionRules
    environments: Environments
    add_back: AddBack = field(repr=False, compare=False)

    def warn_of_size(
        self, paths: Sequence[bytes], sizes: Sequence[int], megabytes: int
    ) -> SelectionWarning | None:
        """The warning that files which suffixes add back are large, if they are.

        Says nothing of folders that are in `warnings` for the number of such files.

        Args:
            paths: of the selection; its order is kept.
            sizes: of each in bytes.
            megabytes: how large they may be, in 10^6 bytes; 0 for any size.
        """
        if not megabytes:
            return None
        found = self.add_back.heavy(paths, sizes, megabytes * 1_000_000)
        if not found:
            return None
        named = [w.paths for w in self.warnings if w.kind == "large_add_back"]
        known = tuple(folder + b"/" for folder in chain.from_iterable(named))
        found = {
            folder: files
            for folder, files in found.items()
            if not (folder + b"/").startswith(known)
        }
        measure = Measure.size(dict(zip(paths, sizes, strict=True)), megabytes)
        if measure.amount(list(chain.from_iterable(found.values()))) <= measure.limit:
            return None
        return add_back_warning(found, self.paths, self.environments, self.rules, measure)

    def require_files(self) -> Selection:
        """This selection, if it has any files.

        Raises:
            SelectionError: it is empty.
        """
        if self.paths:
            return self
        hint = f"in force: {self.rules}; "
        hint += (
            f"there is a .gitignore in {quoted(self.root)}, and all other files are ignored"
            if self.mode == "gitignore"
            else f"there is no .gitignore in {quoted(self.root)}, so only suffixes count"
        )
        raise SelectionError(f"nothing to pack in {quoted(self.root)}", hint=hint)


def select(
    root: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    rules: SelectionRules,
    *,
    environ: Mapping[str, str] | None = None,
    git: Git | None = None,
    warn_added: int = WARN_ADDED_FILES,
) -> Selection:
    """Select the files of the tree at `root`: find them, join them with git's index, warn.

    Args:
        root: a folder; relative to the current one if not absolute.
        rules: which files.
        environ: the environment that git is run in; None for this process's.
        git: what is asked, if the caller has questions to it, too; its root is `root`.
        warn_added: number of files that suffixes add back although git ignores them, above which
            that is warned of; 0 for never.

    Raises:
        SelectionError: `root` is not a folder that can be read.
    """
    path = absolute_root(root)
    with contextlib.ExitStack() as stack:
        if git is None:
            git = stack.enter_context(Git(path, os.environ if environ is None else environ))
        try:
            found = _find(path, rules, git)
        except OSError as error:
            raise SelectionError(
                f"cannot read code_root {quoted(path)}: {(error.strerror or 'error').lower()}"
            ) from error
        tracked = _join_index(found, rules, git)
        return _with_warnings(found, rules, git, tracked, warn_added)


@dataclass
class _Found:
    """What the walk has found.

    Attributes:
        tree: the source tree.
        above: the ignore rules from above it.
        walked: the files, and where the index may have more.
    """

    tree: SourceTree
    above: InheritedRules
    walked: Walked


def _find(root: bytes, rules: SelectionRules, git: Git) -> _Found:
    """The walk: what suffixes take, and what ignore files leave.

    Raises:
        OSError: the root cannot be listed.
    """
    tree = SourceTree.at(root, git)
    if not tree.discovering:
        return _Found(tree, InheritedRules(None, None, ()), walk(root, rules, None))
    if tree.repository is None:
        above = inherited_rules(tree, None)
        return _Found(tree, above, walk(root, rules, above.level))
    hidden = hidden_ignore_files(git, tree.repository)
    above = inherited_rules(tree, git_settings(git, tree.repository), hidden)
    # git lists its index beside the walk, from the first entry on that the index may decide.
    return _Found(tree, above, walk(root, rules, above.level, tree.prefix, hidden, git.ask_index))


def _join_index(found: _Found, rules: SelectionRules, git: Git) -> list[bytes] | None:
    """Add the tracked files that patterns match.

    Returns:
        git's index, sorted; None if it was not needed: where nothing was ignored, it cannot change
        anything.
    """
    if found.tree.repository is None:
        return []
    if not found.walked.maybe_tracked:
        return None
    tracked = sorted(git.index())
    add_tracked(found.tree.root, rules, tracked, found.walked)
    return tracked


def _with_warnings(
    found: _Found,
    rules: SelectionRules,
    git: Git,
    tracked: list[bytes] | None,
    warn_added: int,
) -> Selection:
    """The selection, with all that the user should know of it."""
    root, walked = found.tree.root, found.walked
    problem = git.problem if found.tree.repository is not None else None
    nested = left_out_of_repositories(root, rules, walked, git)
    symlinks = _selected(walked.links, walked.paths)
    environments = Environments.among(walked.environments, walked.paths)
    # Where the index was not needed so far, it may turn out to matter after all.
    add_back = AddBack(walked.levels, environments.folders, tracked, git.index)
    folders = list(environment_warnings(walked.paths, environments))
    added = add_back.many(walked.paths, warn_added) if warn_added else {}
    if added:
        measure = Measure.number(warn_added)
        folders.append(add_back_warning(added, walked.paths, environments, rules, measure))
    return Selection(
        root=root,
        mode="gitignore" if found.tree.discovering else "suffix",
        paths=walked.paths,
        symlinks=frozenset(symlinks),
        warnings=(
            *ignored_root_warnings(root, found.above),
            *folders,
            *link_warnings(root, walked.paths, symlinks),
            *secret_warnings(root, sorted(walked.suspects), rules),
            *nested_warnings(nested),
            *unreadable_warnings(
                sorted(walked.unreadable, key=lambda item: item[0]),
                [*found.above.unreadable, *sorted(walked.unreadable_rules)],
            ),
            *git_warnings(problem),
        ),
        rules=rules,
        environments=environments,
        add_back=add_back,
    )


def absolute_root(root: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> bytes:
    """The absolute path of `root`, links in it kept.

    Raises:
        SelectionError: it is not a folder.
    """
    path = os.path.abspath(os.fsencode(root))
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise SelectionError(
            f"cannot pack code_root {quoted(path)}: {(error.strerror or 'error').lower()}",
            hint="code_root is the folder that holds your source tree",
        ) from error
    if not stat.S_ISDIR(mode):
        raise SelectionError(
            f"cannot pack code_root {quoted(path)}: not a directory",
            hint="code_root is the folder that holds your source tree",
        )
    return path


def _selected(candidates: Iterable[bytes], paths: Sequence[bytes]) -> list[bytes]:
    """Those of `candidates` that are in `paths`, which is sorted; sorted, each once."""
    return [path for path in sorted(set(candidates)) if contains(paths, path)]

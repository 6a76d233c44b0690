"""Selecting: the walk, joined with what git's index says."""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from slurmic.config import WARN_ADDED_FILES
from slurmic.errors import SelectionError
from slurmic_store import threaded_map

from .boundaries import Barriers
from .discovery import RootLevel, SourceTree, root_level
from .display import shown
from .gitindex import GitProblem, GitQuery, tracked_in
from .rules import SelectionRules
from .secretnames import secret_names
from .walk import Walked, walk
from .warnings import (
    SelectionWarning,
    count_below,
    folder_warnings,
    link_warnings,
    nested_warnings,
    range_below,
    secret_warnings,
    unreadable_warnings,
)

#: So many repositories within the tree are asked at the same time.
ASKED_AT_ONCE: Final = 4


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
    """

    root: bytes
    mode: Literal["gitignore", "suffix"]
    paths: list[bytes]
    symlinks: frozenset[bytes]
    warnings: tuple[SelectionWarning, ...]
    rules: SelectionRules

    def require_files(self) -> Selection:
        """This selection, if it has any files.

        Raises:
            SelectionError: it is empty.
        """
        if self.paths:
            return self
        hint = f"in force: {self.rules}; "
        hint += (
            f"there is a .gitignore in {shown(self.root)}, and all other files are ignored"
            if self.mode == "gitignore"
            else f"there is no .gitignore in {shown(self.root)}, so only suffixes count"
        )
        raise SelectionError(f"nothing to pack in {shown(self.root)}", hint=hint)


def select(
    root: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    rules: SelectionRules,
    *,
    environ: Mapping[str, str] | None = None,
    warn_added: int = WARN_ADDED_FILES,
) -> Selection:
    """Select the files of the tree at `root`.

    Args:
        root: a directory; relative to the current one if not absolute.
        rules: which files.
        environ: the environment that git is run in; None for this process's.
        warn_added: number of files added back from one ignored folder above which that is warned
            of; 0 for never.

    Raises:
        SelectionError: `root` is not a directory that can be read.
    """
    environ = os.environ if environ is None else environ
    path = absolute_root(root)
    tree = SourceTree.at(path, environ)
    above = RootLevel(None, None, ())
    tracked: list[bytes] = []
    problem: GitProblem | None = None
    try:
        if not tree.discovering:
            walked = walk(path, rules, None)
        elif tree.repository is None:
            above = root_level(tree, None)
            walked = walk(path, rules, above.level)
        else:
            with GitQuery(path, tree.repository, environ) as git:
                hidden = git.hidden_ignore_files()
                above = root_level(tree, git.settings(), hidden)
                walked = walk(path, rules, above.level, tree.prefix, hidden, git.ask_tracked)
                # Where nothing was ignored, the index cannot change anything.
                if walked.doubtful:
                    tracked = git.tracked()
                problem = git.problem
    except OSError as error:
        raise SelectionError(
            f"cannot read code_root {shown(path)}: {(error.strerror or 'error').lower()}"
        ) from error
    if tracked:
        _add_tracked(path, rules, tracked, walked)
    nested = _left_out_of_repositories(path, rules, walked, environ)
    symlinks = _selected(walked.links, walked.paths)
    return Selection(
        root=path,
        mode="gitignore" if tree.discovering else "suffix",
        paths=walked.paths,
        symlinks=frozenset(symlinks),
        warnings=tuple(
            _warnings(path, walked, symlinks, above, problem, nested, rules, warn_added)
        ),
        rules=rules,
    )


def absolute_root(root: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> bytes:
    """The absolute path of `root`, links in it kept.

    Raises:
        SelectionError: it is not a directory.
    """
    path = os.path.abspath(os.fsencode(root))
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise SelectionError(
            f"cannot pack code_root {shown(path)}: {(error.strerror or 'error').lower()}",
            hint="code_root is the folder that holds your source tree",
        ) from error
    if not stat.S_ISDIR(mode):
        raise SelectionError(
            f"cannot pack code_root {shown(path)}: not a directory",
            hint="code_root is the folder that holds your source tree",
        )
    return path


def _add_tracked(
    root: bytes, rules: SelectionRules, tracked: Iterable[bytes], walked: Walked
) -> None:
    """Add tracked files that patterns match; those in the index are never ignored."""
    added = _left_out(root, rules, tracked, walked)
    if added:
        secret = set(secret_names(map(os.path.basename, added)))
        walked.suspects += [path for path in added if os.path.basename(path) in secret]
        walked.links += [path for path, is_link in added.items() if is_link]
        walked.paths.extend(added)
        walked.paths.sort()


def _left_out(
    root: bytes, rules: SelectionRules, tracked: Iterable[bytes], walked: Walked
) -> dict[bytes, bool]:
    """Those of `tracked` that patterns keep out, and whether they are links.

    Not those that are gone, that lie beyond a symlink put in the place of a directory, or in an
    excluded folder. A submodule is in the index as a directory; it is a folder like any other.
    """
    barriers = Barriers(root, rules)
    found: dict[bytes, bool] = {}
    for path in _at_or_below(walked.doubtful, sorted(tracked)):
        if _contains(walked.paths, path) or barriers.above(path) is not None:
            continue
        try:
            mode = os.lstat(os.path.join(root, path)).st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            found[path] = stat.S_ISLNK(mode)
    return found


def _left_out_of_repositories(
    root: bytes, rules: SelectionRules, walked: Walked, environ: Mapping[str, str]
) -> list[bytes]:
    """Files that patterns keep out although a repository within the tree has them in its index.

    git itself does not look into such a repository, and here it is a folder like any other, so they
    are not packed; but somebody may rely on them.
    """
    doubtful = sorted(walked.doubtful)
    asked = [
        folder
        for folder in walked.repositories
        if doubtful[:1] == [b""] or count_below(doubtful, folder)
    ]
    if not asked:
        return []
    tracked: set[bytes] = set()
    answers = threaded_map(
        lambda folder: tracked_in(os.path.join(root, folder), environ), asked, threads=ASKED_AT_ONCE
    )
    for folder, paths in zip(asked, answers, strict=True):
        tracked.update(folder + b"/" + path for path in paths)
    return sorted(_left_out(root, rules, tracked, walked))


def _at_or_below(places: Iterable[bytes], paths: Sequence[bytes]) -> set[bytes]:
    """Those of `paths`, which are sorted, that are one of `places` or below one."""
    chosen: set[bytes] = set()
    for place in places:
        if not place:
            return set(paths)
        if _contains(paths, place):
            chosen.add(place)
        first, end = range_below(paths, place)
        chosen.update(paths[first:end])
    return chosen


def _contains(paths: Sequence[bytes], path: bytes) -> bool:
    """Whether `path` is among `paths`, which are sorted."""
    index = bisect_left(paths, path)
    return index < len(paths) and paths[index] == path


def _selected(candidates: Iterable[bytes], paths: Sequence[bytes]) -> list[bytes]:
    """Those of `candidates` that are in `paths`, which is sorted; sorted, each once."""
    return [path for path in sorted(set(candidates)) if _contains(paths, path)]


def _warnings(
    root: bytes,
    walked: Walked,
    symlinks: Sequence[bytes],
    above: RootLevel,
    problem: GitProblem | None,
    nested: Sequence[bytes],
    rules: SelectionRules,
    warn_added: int,
) -> Iterator[SelectionWarning]:
    if above.ignoring is not None:
        rule = above.ignoring
        yield SelectionWarning(
            "ignored_root",
            f"git ignores code_root {shown(root)} itself, by {shown(rule.source)} "
            f"line {rule.line} ({shown(rule.text)}); "
            "only code_file_suffixes and tracked files are packed",
            "change that pattern, or run `git init` in code_root",
        )
    yield from folder_warnings(walked.paths, walked.environments, walked.ignored, warn_added)
    yield from link_warnings(root, walked.paths, symlinks)
    yield from secret_warnings(root, sorted(walked.suspects), rules)
    yield from nested_warnings(nested)
    yield from unreadable_warnings(
        sorted(walked.unreadable, key=lambda item: item[0]),
        [*above.unreadable, *sorted(walked.unreadable_rules)],
    )
    if problem is not None:
        yield SelectionWarning(
            "git_unavailable",
            f"{problem.message}; tracked files that patterns match may be missing",
            problem.hint,
        )

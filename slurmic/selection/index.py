"""Tracked files that patterns match: git does not ignore them, so they are packed.

The walk knows nothing of git's index; it remembers where files may have been left out that are in
it, and this looks there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Final

from slurmic.git.asking import Git
from slurmic.selection.paths import contains, count_below, range_below
from slurmic.selection.rules import SelectionRules
from slurmic.selection.walk.boundaries import Barriers
from slurmic.selection.walk.secretnames import secret_names
from slurmic.selection.walk.walk import Walked

#: This many repositories within the tree are asked at the same time.
ASKED_AT_ONCE: Final = 4


def add_tracked(
    root: bytes, rules: SelectionRules, tracked: Sequence[bytes], walked: Walked
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
    root: bytes, rules: SelectionRules, tracked: Sequence[bytes], walked: Walked
) -> dict[bytes, bool]:
    """Those of `tracked` that patterns keep out, and whether they are links.

    Those that are gone, that lie beyond a symlink which has replaced a folder, or in an excluded
    folder are not among them. A submodule is in the index as a folder; it is a folder like any
    other.

    `tracked` is sorted.
    """
    barriers = Barriers(root, rules)
    unreadable = tuple(folder + b"/" for folder, _ in walked.unreadable)
    found: dict[bytes, bool] = {}
    for path in _at_or_below(walked.maybe_tracked, tracked):
        if contains(walked.paths, path) or barriers.above(path) is not None:
            continue
        try:
            mode = os.lstat(os.path.join(root, path)).st_mode
        except PermissionError:
            # It is there, if its folder could be listed; packing it says what is wrong.
            if not path.startswith(unreadable):
                found[path] = False
            continue
        except OSError:
            continue
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            found[path] = stat.S_ISLNK(mode)
    return found


def left_out_of_repositories(
    root: bytes, rules: SelectionRules, walked: Walked, git: Git
) -> list[bytes]:
    """Files that patterns keep out although a repository within the tree has them in its index.

    git itself does not look into such a repository, and here it is a folder like any other, so they
    are not packed; but somebody may rely on them.
    """
    maybe_tracked = sorted(walked.maybe_tracked)
    asked = [
        folder
        for folder in walked.repositories
        if maybe_tracked[:1] == [b""] or count_below(maybe_tracked, folder)
    ]
    if not asked:
        return []
    tracked: set[bytes] = set()
    for first in range(0, len(asked), ASKED_AT_ONCE):
        some = asked[first : first + ASKED_AT_ONCE]
        for folder in some:
            git.within(folder).ask_index()
        for folder in some:
            tracked.update(folder + b"/" + path for path in git.within(folder).index())
    return sorted(_left_out(root, rules, sorted(tracked), walked))


def _at_or_below(places: Iterable[bytes], paths: Sequence[bytes]) -> set[bytes]:
    """Those of `paths`, which are sorted, that are one of `places` or below one."""
    chosen: set[bytes] = set()
    for place in places:
        if not place:
            return set(paths)
        if contains(paths, place):
            chosen.add(place)
        first, end = range_below(paths, place)
        chosen.update(paths[first:end])
    return chosen

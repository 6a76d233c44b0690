"""Whether many files are added back by a suffix although git ignores them.

The walk takes files by their suffix and does not ask what git says of them: that would cost a good
part of its time. So a sample of the selection is asked about afterwards, and all of it only if the
sample says that there may be many. Files in git's index do not count, and the index is looked at
first; so in most trees no rule is looked at.

Limits: a number just above the threshold may be missed if the files are spread thinly over a large
selection. Files in the index of a nested repository count as added back, since only one index is
known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from slurmic.selection.ignore.folderrules import FolderRules
from slurmic.selection.paths import contains

#: How many of the smallest number of files that matters a sample has, on average.
SAMPLED: Final = 4

#: Smaller files (in bytes) are not asked about when size counts: if there are enough of them to
#: matter, their number is noticed.
LARGE_FILE: Final = 100_000

#: Folders, each with files in it that are added back. A folder that git ignores stands for all
#: that is below it; any other for the ignored files directly in it.
AddedFiles = dict[bytes, list[bytes]]


class AddBack:
    """Tells which files of one selection git ignores.

    Args:
        levels: what is ignored in folders that have a .gitignore, and in the root, by their
            paths with a slash at the end; empty if only suffixes count.
        environments: folders whose files do not count: environments have a warning of their own.
        tracked: what is in git's index, sorted; None if that is not known yet.
        ask: gives it in that case.
    """

    def __init__(
        self,
        levels: Mapping[bytes, FolderRules],
        environments: Iterable[bytes] = (),
        tracked: Sequence[bytes] | None = (),
        ask: Callable[[], Sequence[bytes]] = tuple,
    ) -> None:
        self._tracked = tracked
        self._ask = ask
        #: By folder, with a slash at its end: what is ignored in it; or the folder, at or above
        #: it, that is ignored; or None in an environment.
        self._places: dict[bytes, FolderRules | bytes | None] = {}
        if levels:
            outside = tuple(folder + b"/" for folder in environments)
            self._places = {d: level for d, level in levels.items() if not d.startswith(outside)}
            self._places |= dict.fromkeys(outside)

    def files(self, paths: Iterable[bytes]) -> AddedFiles:
        """Those of the selected `paths` that are added back."""
        paths = list(paths)
        if not self._places:
            return {}
        tracked = self._tracked
        candidates = paths if tracked is None else [p for p in paths if not contains(tracked, p)]
        found: AddedFiles = {}
        alike: dict[FolderRules, dict[bytes, list[bytes]]] = {}
        for directory, names in _by_directory(candidates).items():
            place = self._place(directory)
            if isinstance(place, bytes):
                found.setdefault(place, []).extend(directory + name for name in names)
            elif place is not None:
                alike.setdefault(place, {})[directory] = names
        for level, directories in alike.items():
            different = set().union(*directories.values())
            ignored = different.difference(level.kept_files(list(different)))
            if ignored:
                for directory, names in directories.items():
                    added = [directory + name for name in names if name in ignored]
                    if added:
                        found[directory[:-1]] = added
        if found and tracked is None:
            self._tracked = sorted(self._ask())
            return self.files(paths)
        return found

    def many(self, paths: Sequence[bytes], more_than: int) -> AddedFiles:
        """All of the selected `paths` that are added back, if they are more; else none."""
        step = max(1, more_than // SAMPLED)
        found = self.files(paths[step // 2 :: step])
        if step > 1:
            # By chance, a sample may have only a third of what it should have.
            if 3 * step * _count(found) <= more_than:
                return {}
            found = self.files(paths)
        return found if _count(found) > more_than else {}

    def heavy(self, paths: Sequence[bytes], sizes: Sequence[int], more_than: int) -> AddedFiles:
        """All of the selected `paths` that are added back, if they are larger in all; else none.

        Args:
            paths: selected.
            sizes: of each, in bytes.
            more_than: bytes.
        """
        large = {p: n for p, n in zip(paths, sizes, strict=True) if n >= LARGE_FILE}
        if sum(large.values()) <= more_than:
            return {}
        found = self.files(large)
        if sum(large[path] for added in found.values() for path in added) <= more_than:
            return {}
        return self.files(paths)

    def _place(self, directory: bytes) -> FolderRules | bytes | None:
        places = self._places
        unknown = []
        while directory not in places:
            unknown.append(directory)
            directory = directory[: directory.rfind(b"/", 0, -1) + 1]
        place = places[directory]
        for below in reversed(unknown):
            if isinstance(place, FolderRules):
                name = below[len(directory) : -1]
                place = place.enter(name) or below[:-1]
            places[below] = place
            directory = below
        return place


def _count(found: AddedFiles) -> int:
    return sum(map(len, found.values()))


def _by_directory(paths: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """The names of `paths`, by their folders (with a slash at the end)."""
    names: dict[bytes, list[bytes]] = {}
    for path in paths:
        slash = path.rfind(b"/") + 1
        names.setdefault(path[:slash], []).append(path[slash:])
    return names

"""The one walk over the source tree.

Folders that cannot contribute are never entered. A file is tested for its suffix first, since
that settles it; what no suffix takes in folders that are not ignored is collected, and decided
in batches. Below an ignored folder only the suffix counts, no .gitignore is read, and if there
is no suffix to look for, it is not entered at all.

Listing the folders takes most of the time (module `listings`), so hardly anything may be done for
each file. In all folders of a *zone* git's verdict on a name is the same; a zone
remembers names that are packed, and a folder without subfolders whose names are all remembered
takes a single comparison of sets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from slurmic.selection.ignore.folderrules import FolderRules
from slurmic.selection.ignore.inherited import GITIGNORE, with_ignore_file
from slurmic.selection.rules import SelectionRules
from slurmic.selection.walk.boundaries import (
    GIT_DIRECTORY,
    MARKERS,
    STAGING,
    directory_test,
    is_code_folder,
    is_submissions_folder,
    mark_of,
)
from slurmic.selection.walk.environments import ENVIRONMENT_FILE, ENVIRONMENT_FOLDER
from slurmic.selection.walk.listings import Listings
from slurmic.selection.walk.secretnames import secret_names

#: This many names are decided at a time, at most. More would save nothing, and the names of a
#: million ignored data files should never be in memory together.
BATCH_AT_MOST: Final = 1000
BATCH_AT_FIRST: Final = 16

#: A zone remembers this many names, at most; where names repeat, it soon has all of them.
REMEMBERED_AT_MOST: Final = 1000

#: Above this, ignored paths are no longer kept one by one.
MAYBE_TRACKED_AT_MOST: Final = 10_000

# Names that mean something to the walk itself; never remembered.
_NOTED: Final = frozenset({GITIGNORE, GIT_DIRECTORY, ENVIRONMENT_FILE, *MARKERS})


_NONE: Final[Mapping[bytes, bytes]] = {}


@dataclass
class Walked:
    """What a walk found; all paths are relative to its root.

    Attributes:
        paths: selected files and links, sorted by their bytes.
        links: all links that the walk has passed, selected or not.
        suspects: selected files with names that secrets have.
        levels: what is ignored in folders that have a .gitignore, and in the root, by their
            paths with a slash at the end; none where only the suffixes count.
        maybe_tracked: where files may have been left out that are in git's index: ignored files and
            folders, and folders that could not be listed. b"" means everywhere.
        environments: folders that hold a Python environment; some may be named twice.
        repositories: folders below the root that hold a repository of their own, except those
            in an ignored folder.
        unreadable: folders that could not be listed.
        unreadable_rules: .gitignore files that could not be read.
    """

    paths: list[bytes] = field(default_factory=list)
    links: list[bytes] = field(default_factory=list)
    suspects: list[bytes] = field(default_factory=list)
    levels: dict[bytes, FolderRules] = field(default_factory=dict)
    maybe_tracked: list[bytes] = field(default_factory=list)
    environments: list[bytes] = field(default_factory=list)
    repositories: list[bytes] = field(default_factory=list)
    unreadable: list[tuple[bytes, OSError]] = field(default_factory=list)
    unreadable_rules: list[bytes] = field(default_factory=list)


class _Zone:
    """Folders in which git's verdict on a name is the same.

    Attributes:
        level: what is ignored in them; None for those below an ignored folder, where only the
            suffixes count.
        packed: names of files that are packed; not all of them.
        folders: the zones that folders of these names are in; not all of them.
        names, paths: files and links yet to be decided.
        batch: how many of them are decided together.
    """

    __slots__ = ("batch", "folders", "level", "names", "packed", "paths")

    def __init__(self, level: FolderRules | None) -> None:
        self.level = level
        self.packed: set[bytes] = set()
        self.folders: dict[bytes, _Zone] = {}
        self.names: list[bytes] = []
        self.paths: list[bytes] = []
        self.batch = BATCH_AT_FIRST


def walk(
    root: bytes,
    rules: SelectionRules,
    level: FolderRules | None,
    prefix: bytes = b"",
    hidden: Mapping[bytes, bytes] = _NONE,
    on_maybe_tracked: Callable[[], None] = lambda: None,
) -> Walked:
    """Select the files below `root` by suffixes and ignore files; git's index comes later.

    Args:
        root: absolute path of a folder.
        rules: which files.
        level: what is ignored in `root`, its own .gitignore not read yet; None where only the
            suffixes count (there is no .gitignore, or git ignores `root` itself).
        prefix: path from the top of the repository to `root`, with a slash at its end unless
            empty; for the names of ignore files.
        hidden: contents of .gitignore files that count although they are not there, by their paths
            from the top of the repository.
        on_maybe_tracked: called as soon as the first entry is put into `Walked.maybe_tracked`.

    Raises:
        OSError: `root` itself cannot be listed.
    """
    return _Walk(root, rules, prefix, hidden, on_maybe_tracked).run(level)


class _Walk:
    """One walk; see `walk` for the arguments."""

    def __init__(
        self,
        root: bytes,
        rules: SelectionRules,
        prefix: bytes,
        hidden: Mapping[bytes, bytes],
        on_maybe_tracked: Callable[[], None],
    ) -> None:
        self._walked = Walked()
        self._base = root if root.endswith(b"/") else root + b"/"
        self._prefix = prefix
        self._hidden = hidden
        self._on_maybe_tracked = on_maybe_tracked
        # Among folders in which anything may apply, none are alike.
        self._remembered_at_most = 0 if hidden else REMEMBERED_AT_MOST
        self._endings = () if rules.include else rules.endings
        self._adds_back = bool(self._endings) or rules.include is not None
        self._matches = further_suffix_test(root, rules)
        self._excluded = directory_test(root, rules)
        self._literal_folders = rules.literal_folders
        self._literal_names = frozenset(map(os.path.basename, rules.literal_folders))
        self._zones: dict[FolderRules | None, _Zone] = {}
        self._listings: Listings[_Zone] = Listings(root)

    def run(self, level: FolderRules | None) -> Walked:
        """Walk the tree, `level` being that of its root."""
        paths = self._walked.paths
        if level is None:
            self._add_maybe_tracked([b""])
        else:
            self._walked.levels[b""] = level
        with self._listings as listings:
            listings.pending.append((self._zone(level), b""))
            for zone, directory, listing in listings:
                if isinstance(listing, OSError):
                    self._unlisted(directory, listing)
                    continue
                names, folders, links = listing
                if not folders and not links and zone.packed.issuperset(names):
                    paths += [directory + name for name in names]
                else:
                    self._look_closer(zone, directory, names, folders, links)
        for zone in self._zones.values():
            self._decide(zone)
        paths.sort()
        return self._walked

    def _zone(self, level: FolderRules | None) -> _Zone:
        zone = self._zones.get(level)
        if zone is None:
            zone = self._zones[level] = _Zone(level)
        return zone

    def _unlisted(self, directory: bytes, error: OSError) -> None:
        if not directory:
            raise error
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):  # removed meanwhile
            self._walked.unreadable.append((directory[:-1], error))
            self._add_maybe_tracked([directory[:-1]])

    def _add_maybe_tracked(self, paths: list[bytes]) -> None:
        maybe_tracked = self._walked.maybe_tracked
        if not maybe_tracked:
            self._on_maybe_tracked()
        if len(maybe_tracked) + len(paths) > MAYBE_TRACKED_AT_MOST:
            maybe_tracked[:] = [b""]
        else:
            maybe_tracked += paths

    def _look_closer(
        self,
        zone: _Zone,
        directory: bytes,
        names: list[bytes],
        folders: list[bytes],
        links: list[bytes],
    ) -> None:
        """Treat a folder in full."""
        walked = self._walked
        noted = _NOTED.intersection(names)
        if noted and directory and mark_of(self._base + directory, noted):
            return
        if folders and names:
            # A code folder is known by the record beside it, an output folder by such a folder.
            frozen = self._code_folders(directory, folders, names)
            if frozen:
                if directory and any(map(is_submissions_folder, frozen)):
                    return
                folders = [name for name in folders if name not in frozen]
        if (
            directory
            and zone.level is not None
            and (GIT_DIRECTORY in noted or GIT_DIRECTORY in folders)
        ):
            walked.repositories.append(directory[:-1])
        if GITIGNORE in noted or self._prefix + directory + GITIGNORE in self._hidden:
            zone = self._with_gitignore(zone, directory)
        if noted:
            if GIT_DIRECTORY in noted:
                names.remove(GIT_DIRECTORY)
            if ENVIRONMENT_FILE in noted:
                walked.environments.append(directory[:-1])
        links = [name for name in links if name != GIT_DIRECTORY]
        if names or links:
            walked.links += [directory + name for name in links]
            self._take(zone, directory, names, links)
        if folders:
            if ENVIRONMENT_FOLDER in folders:
                walked.environments.append(directory[:-1])
            self._descend(zone, directory, folders)

    def _code_folders(
        self, directory: bytes, folders: list[bytes], names: list[bytes]
    ) -> list[bytes]:
        records = {name[:-5] for name in names if name.endswith(b".json")}
        return [
            name
            for name in folders
            if name in records and is_code_folder(self._base + directory + name)
        ]

    def _with_gitignore(self, zone: _Zone, directory: bytes) -> _Zone:
        if zone.level is None:
            return zone
        path = directory + GITIGNORE
        level, readable = with_ignore_file(
            zone.level, self._base + path, self._prefix + path, hidden=self._hidden
        )
        if not readable:
            self._walked.unreadable_rules.append(path)
        self._walked.levels[directory] = level
        return self._zone(level)

    def _take(
        self,
        zone: _Zone,
        directory: bytes,
        names: list[bytes],
        links: list[bytes],
    ) -> None:
        """Apply the formula (rules.packed) to files and links of one folder.

        What a suffix takes is packed; the rest is put off, to be decided in `_decide`.
        """
        endings, matches = self._endings, self._matches
        if links:
            names = names + links
        taken = [name for name in names if name.endswith(endings)]
        rest = names
        if taken:
            secret = self._suspect(directory, taken)
            if len(zone.packed) < self._remembered_at_most:
                zone.packed.update(taken)
                zone.packed -= _NOTED
                zone.packed.difference_update(secret)
            rest = []
            if len(taken) < len(names):
                rest = [name for name in names if not name.endswith(endings)]
        if matches is not None:
            further = {name for name in rest if matches(directory, name)}
            self._suspect(directory, further)
            taken += further
            rest = [name for name in rest if name not in further]
        elif zone.packed.issuperset(rest):
            taken += rest
            rest = []
        self._walked.paths += [directory + name for name in taken]
        if rest and zone.level is not None:
            zone.names += rest
            zone.paths += [directory + name for name in rest]
            if len(zone.names) >= zone.batch:
                zone.batch = min(2 * zone.batch, BATCH_AT_MOST)
                self._decide(zone)

    def _suspect(self, directory: bytes, taken: Iterable[bytes]) -> list[bytes]:
        """Remember those of the names `taken` that secrets have, and give them."""
        secret = secret_names(taken)
        self._walked.suspects += [directory + name for name in secret]
        return secret

    def _decide(self, zone: _Zone) -> None:
        """Ask what git says of the files that no suffix takes, and remember it."""
        if zone.level is None or not zone.names:
            return
        walked = self._walked
        different = set(zone.names)
        kept = set(zone.level.kept_files(list(different)))
        discovered = zone.paths
        if len(kept) < len(different):
            verdicts = list(zip(zone.names, zone.paths, strict=True))
            discovered = [path for name, path in verdicts if name in kept]
            self._add_maybe_tracked([path for name, path in verdicts if name not in kept])
        walked.paths += discovered
        secret = set(secret_names(kept))
        if secret:
            walked.suspects += [path for path in discovered if os.path.basename(path) in secret]
        if len(zone.packed) < self._remembered_at_most:
            zone.packed |= kept
            zone.packed -= _NOTED
            zone.packed -= secret
        zone.names, zone.paths = [], []

    def _descend(self, zone: _Zone, directory: bytes, folders: list[bytes]) -> None:
        """Enter the subfolders of a folder that can contribute."""
        pending = self._listings.pending
        new = [name for name in folders if name not in zone.folders]
        children = self._learn_folders(zone, directory, new) if new else zone.folders
        for name in folders:
            child = children.get(name)
            if child is None:
                continue
            if child.level is None and zone.level is not None:
                self._add_maybe_tracked([directory + name])
            if child.level is not None or self._adds_back:
                pending.append((child, directory + name + b"/"))

    def _learn_folders(
        self, zone: _Zone, directory: bytes, names: list[bytes]
    ) -> Mapping[bytes, _Zone]:
        """The zones that folders in `directory` are in; those that are never entered are in none.

        Args:
            names: folders that `zone` does not remember. It will, unless their paths matter or it
                remembers many.
        """
        possible = [
            name for name in names if name != GIT_DIRECTORY and not name.startswith(STAGING)
        ]
        passing = [
            name
            for name in possible
            if name not in self._literal_names or directory + name not in self._literal_folders
        ]
        if self._excluded is not None:
            passing = [name for name in passing if not self._excluded(directory + name)]
        if zone.level is None:
            found = dict.fromkeys(passing, zone)
        else:
            found = {name: self._zone(level) for name, level in zone.level.enter_all(passing)}
        if (
            self._excluded is not None
            or not self._literal_names.isdisjoint(possible)
            or len(zone.folders) >= self._remembered_at_most
        ):
            return {**zone.folders, **found}
        zone.folders.update(found)
        return zone.folders


def further_suffix_test(
    root: bytes, rules: SelectionRules
) -> Callable[[bytes, bytes], bool] | None:
    """What the suffix test needs beyond comparing ends; takes (folder with slash, name)."""
    if rules.include is not None:
        include, text_root = rules.include, os.fsdecode(root)
        return lambda directory, name: bool(
            include(os.path.join(text_root, os.fsdecode(directory + name)), text_root)
        )
    exact_names = rules.exact_names
    return (lambda _, name: name in exact_names) if exact_names else None

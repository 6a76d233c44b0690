"""The selected files of a source tree: their stat, and what the stat cache knows of them.

What is known of them is kept in columns, because there may be tens of thousands.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence, Set
from functools import partial
from itertools import chain

from slurmic_store.errors import SourceError, quoted
from slurmic_store.format.digests import EMPTY, PERMISSIONS, digest_of
from slurmic_store.format.tree import Tree, TreeColumns, is_ordered, strange_path
from slurmic_store.fs.files import digest_file
from slurmic_store.fs.pace import in_bundles, paced_map
from slurmic_store.store.store import Store

from .reading import unreadable
from .statcache import Stamp, StatCache, stamp_of

_KIND = 0o170000
"""The bits of a file's mode that say what it is."""


class SelectedFiles:
    """Selected files of a source tree; one that is gone by the time it is looked at is left out.

    Args:
        root: absolute path of the source tree.
        paths: relative to `root`: regular files and symbolic links.
        cache: what is known from earlier.

    Attributes:
        root: as given.
        tree: the tree; the digests of those in `unknown` are not right yet.
        stamps: of each entry.
        unknown: the indices of files with content whose digest is not known, in order.
        former: the digest that a file had when its size was the same, by index, for some of these.

    Raises:
        SourceError: a path leads out of the tree; a file is not a file, or its stat cannot be had.
    """

    def __init__(self, root: bytes, paths: Sequence[bytes], cache: StatCache) -> None:
        if not is_ordered(paths):
            paths = sorted(set(paths))
        strange = strange_path(paths)
        if strange is not None:
            raise SourceError(f"{quoted(strange)} is not a path below {quoted(root)}", path=strange)
        self.root = root
        found = self._look_at(paths)
        self.stamps = [stamp for stamp in found if stamp]
        self.tree = TreeColumns(
            [path for path, stamp in zip(paths, found, strict=True) if stamp],
            [stamp[4] & PERMISSIONS for stamp in self.stamps],
            [stamp[0] for stamp in self.stamps],
            [EMPTY] * len(self.stamps),
            {},
        )
        self.unknown: list[int] = []
        self.former: dict[int, bytes] = {}
        self._read_links()
        self._recall(cache)

    def _look_at(self, paths: Sequence[bytes]) -> list[Stamp | None]:
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            parts = paced_map(partial(self._look_at_some, root), in_bundles(paths))
            return list(chain.from_iterable(parts))
        finally:
            os.close(root)

    def _look_at_some(self, root: int, paths: Sequence[bytes]) -> list[Stamp | None]:
        stat_of = os.stat
        stamps: list[Stamp | None] = []
        for path in paths:
            try:
                status = stat_of(path, dir_fd=root, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                stamps.append(None)
            except OSError as error:
                raise unreadable(os.path.join(self.root, path), error) from error
            else:
                # As stamp_of does, without one more call for each of so many.
                stamps.append(
                    (
                        status.st_size,
                        status.st_mtime_ns,
                        status.st_ctime_ns,
                        status.st_ino,
                        status.st_mode,
                    )
                )
        return stamps

    def _read_links(self) -> None:
        """Read the symbolic links; refuse what is neither a link nor a file."""
        tree = self.tree
        gone = set()
        kinds = [stamp[4] & _KIND for stamp in self.stamps]
        for index in [i for i, kind in enumerate(kinds) if kind != stat.S_IFREG]:
            source = self.path(index)
            if kinds[index] != stat.S_IFLNK:
                raise SourceError(
                    f"{quoted(source)} is neither a file nor a symbolic link",
                    path=source,
                    hint="something replaced it while the tree was being packed; submit again",
                )
            try:
                target = os.readlink(source)
            except FileNotFoundError:
                gone.add(index)
                continue
            except OSError as error:
                raise unreadable(source, error) from error
            tree.targets[index] = target
            tree.modes[index] = 0
            tree.sizes[index] = len(target)
            tree.digests[index] = digest_of(target)
        self.drop(gone)

    def _recall(self, cache: StatCache) -> None:
        """Take digests from the cache."""
        tree = self.tree
        indices = tree.blobs()
        paths, stamps, _ = self.columns(indices)
        for index, digest in zip(indices, cache.lookup(paths, stamps), strict=True):
            if digest is not None:
                tree.digests[index] = digest
                continue
            self.unknown.append(index)
            former = cache.entries.get(tree.paths[index])
            if former and former[0][0] == tree.sizes[index]:
                self.former[index] = former[1]

    def path(self, index: int) -> bytes:
        """The absolute path of a file."""
        return b"%s/%s" % (self.root, self.tree.paths[index])

    def set(self, index: int, digest: bytes, status: os.stat_result) -> None:
        """Set what a file has turned out to be when it was read."""
        self.stamps[index] = stamp_of(status)
        self.tree.digests[index] = digest
        self.tree.modes[index] = status.st_mode & PERMISSIONS
        self.tree.sizes[index] = status.st_size

    def drop(self, gone: Set[int]) -> list[int] | None:
        """Forget files that have been deleted meanwhile.

        Returns:
            The new index of each old one (-1 for those that are gone); None if nothing changes.
        """
        if not gone:
            return None
        kept = [index for index in range(len(self.tree)) if index not in gone]
        renumbered = [-1] * len(self.tree)
        for new, old in enumerate(kept):
            renumbered[old] = new
        self.tree = self.tree.picked(kept)
        self.stamps = [self.stamps[index] for index in kept]
        return renumbered

    def columns(
        self, indices: Sequence[int] | None = None
    ) -> tuple[list[bytes], list[Stamp], list[bytes]]:
        """Paths, stamps and digests of the files with content, for the stat cache."""
        tree = self.tree
        indices = tree.blobs() if indices is None else indices
        if len(indices) == len(tree):
            return tree.paths, self.stamps, tree.digests
        return (
            [tree.paths[index] for index in indices],
            [self.stamps[index] for index in indices],
            [tree.digests[index] for index in indices],
        )


def read_source_tree(root: bytes, paths: Sequence[bytes], store: Store | None = None) -> Tree:
    """The tree that a snapshot of these files would have if it were taken now.

    Nothing is written, and nothing is read twice: a file that is being written to may come out as
    no version of it ever was.

    Args:
        root: absolute path of the source tree.
        paths: relative to `root`, sorted: regular files and symbolic links. One that is gone by
            now is left out.
        store: a store whose stat cache saves reading files again; None for none.

    Raises:
        SourceError: a file cannot be read.
    """
    cache = StatCache(b"") if store is None else StatCache.load(store, root)
    source = SelectedFiles(root, paths, cache)
    gone = set()
    for index in source.unknown:
        absolute = source.path(index)
        try:
            source.tree.digests[index] = digest_file(absolute)
        except (FileNotFoundError, NotADirectoryError):
            gone.add(index)
        except OSError as error:
            raise unreadable(absolute, error) from error
    source.drop(gone)
    return source.tree.to_tree()

"""The tree of a source tree as it is now, without storing anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from .digests import EMPTY, PERMISSIONS, digest_of
from .manifest import Tree, TreeEntry
from .source import digest_file, unreadable
from .statcache import StatCache
from .store import Store


def read_source_tree(root: bytes, paths: Iterable[bytes], store: Store | None = None) -> Tree:
    """The tree that a snapshot of these files would have if it were taken now.

    Nothing is written, and nothing is read twice: a file that somebody is writing to may come out
    as no version of it ever was.

    Args:
        root: absolute path of the source tree.
        paths: relative to `root`, sorted: regular files and symbolic links. One that is gone by
            now is left out.
        store: a store whose stat cache saves reading files again; None for none.

    Raises:
        SourceError: a file cannot be read.
    """
    cache = StatCache.load(store, root) if store is not None else None
    entries = []
    for path in paths:
        absolute = os.path.join(root, path)
        try:
            status = os.lstat(absolute)
            if stat.S_ISLNK(status.st_mode):
                target = os.readlink(absolute)
                entries.append(TreeEntry(path, 0, len(target), digest_of(target), target))
                continue
            if status.st_size == 0:
                digest = EMPTY
            else:
                digest = (cache and cache.lookup(path, status)) or digest_file(absolute)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unreadable(absolute, error) from error
        entries.append(TreeEntry(path, status.st_mode & PERMISSIONS, status.st_size, digest))
    return Tree(tuple(entries))

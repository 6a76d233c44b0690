"""The tree of a source tree as it is now, without storing anything."""

from __future__ import annotations

from collections.abc import Sequence

from .manifest import Tree
from .source import digest_file, unreadable
from .sourcefiles import SourceFiles
from .statcache import StatCache
from .store import Store


def read_source_tree(root: bytes, paths: Sequence[bytes], store: Store | None = None) -> Tree:
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
    cache = StatCache(b"") if store is None else StatCache.load(store, root)
    source = SourceFiles(root, paths, cache)
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

"""The content of a stored tree: its list of files, and their bytes, from wherever they are healthy.

The store is looked in first, then the code folder, then (seldom) whatever
:mod:`slurmic_store.check.substitutes` finds. What is given out has been hashed: a file that a job
has overwritten is not taken for what was packed. So this works for a snapshot whose store has been
purged, and for one whose folder is gone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import BinaryIO

from slurmic_store.check.substitutes import Substitutes, tree_from_folder
from slurmic_store.errors import DamagedError, quoted, reason_of
from slurmic_store.format.manifest import decode_tree
from slurmic_store.format.names import MANIFEST_BESIDE
from slurmic_store.format.tree import Tree, TreeEntry
from slurmic_store.fs import files
from slurmic_store.fs.files import digest_descriptor
from slurmic_store.store.store import Store, read_manifest_file


def read_tree(name: str, store: Store | None, folders: Iterable[bytes] = ()) -> Tree:
    """A tree by its name.

    Args:
        name: of the tree.
        store: where its manifest is looked for first; None for nowhere.
        folders: code folders built from it: their manifests beside them come next, then what is
            in them.

    Raises:
        DamagedError: no manifest can be read, and none of the folders still holds just this tree.
    """
    folders = list(folders)
    problems = []
    if store is not None:
        try:
            return decode_tree(store.read_manifest(name))
        except DamagedError as error:
            problems.append(error.message)
    for folder in folders:
        path = folder + MANIFEST_BESIDE
        try:
            return decode_tree(read_manifest_file(path, name))
        except OSError as error:
            problems.append(f"cannot read manifest {quoted(path)}: {reason_of(error)}")
        except DamagedError as error:
            problems.append(error.message)
    for folder in folders:
        encoded = tree_from_folder(folder, name)
        if encoded is not None:
            return decode_tree(encoded)
    raise DamagedError(
        f"the list of files of tree '{name}' is lost: {'; '.join(problems) or 'no store'}",
        digest=name,
        hint="'slurmic verify --repair' rebuilds it if a code folder still holds exactly this tree",
    )


class TreeContent:
    """What the files of a tree hold.

    Args:
        tree: the tree.
        store: where blobs are looked for; None for nowhere.
        folders: code folders that may have the files.
        roots: source trees that may have them.
    """

    def __init__(
        self,
        tree: Tree,
        store: Store | None,
        folders: Iterable[bytes] = (),
        roots: Iterable[bytes] = (),
    ) -> None:
        self.tree = tree
        self._store = store
        self._folders = tuple(folders)
        self._roots = tuple(roots)

    def open(self, entry: TreeEntry) -> BinaryIO:
        """Open a file of the tree for reading; for a symbolic link, its target is the content.

        Raises:
            DamagedError: the content is nowhere to be found.
        """
        if not entry.is_blob:
            return io.BytesIO(entry.target or b"")
        for path in self._candidates(entry):
            stream = _open_sound(path, entry)
            if stream is not None:
                return stream
        raise DamagedError(
            f"the content of {quoted(entry.path)} is lost: no store, code folder or "
            "source tree has it",
            path=entry.path,
            digest=entry.digest.hex(),
            hint="'slurmic verify' says what else is missing",
        )

    def read(self, entry: TreeEntry) -> bytes:
        """The content of a file of the tree; arguments and errors as :meth:`open`."""
        with self.open(entry) as stream:
            return stream.read()

    def _candidates(self, entry: TreeEntry) -> Iterator[bytes]:
        if self._store is not None:
            yield self._store.blob_path(entry.digest, entry.mode)
        for folder in self._folders:
            yield os.path.join(folder, entry.path)
        # Looks through every record and manifest, so it comes last.
        yield from self._substitutes.candidates(entry.digest)

    @cached_property
    def _substitutes(self) -> Substitutes:
        blobs = [entry for entry in self.tree.entries if entry.is_blob]
        substitutes = Substitutes(self._store, {entry.digest for entry in blobs}, self._roots)
        for entry in blobs:
            substitutes.add_path(entry.digest, entry.path, self._folders)
        return substitutes


def _open_sound(path: bytes, entry: TreeEntry) -> BinaryIO | None:
    """Open a file if it holds what the entry says."""
    try:
        # Not blocking: a named pipe may have taken the file's place.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not files.is_regular(status):
        os.close(descriptor)
        return None
    stream = os.fdopen(descriptor, "rb")
    try:
        if status.st_size == entry.size and digest_descriptor(descriptor) == entry.digest:
            stream.seek(0)
            return stream
    except OSError:
        pass  # an I/O error: the content may be elsewhere
    except BaseException:
        stream.close()
        raise
    stream.close()
    return None

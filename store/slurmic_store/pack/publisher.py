"""Publishing blobs: a new file gets its name in the store, or shares the blob that already has it.

The name is given by link(2), which has one winner. If it is taken, the blob that has it is checked
and used instead: a damaged one is set aside, one that is old or has used up its links is retired.
Both keep a name in quarantine until ours is in place: until then they may be all that another
snapshot has.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from slurmic_store.errors import StoreError, quoted
from slurmic_store.format.names import random_name
from slurmic_store.format.seals import is_old
from slurmic_store.fs import files, syncing
from slurmic_store.fs.creating import give_name
from slurmic_store.store.method import copy_blob
from slurmic_store.store.store import Store

_ATTEMPTS = 8


@dataclass(frozen=True)
class WrittenFile:
    """A complete, synced file that is to become a blob.

    Attributes:
        path: where it was written.
        digest: of its content, 16 bytes.
        mode: its permission bits.
        size: bytes.
    """

    path: bytes
    digest: bytes
    mode: int
    size: int


@dataclass
class BlobPublisher:
    """Publishes files of one snapshot.

    Attributes:
        store: where to.
        staging: the staging folder if the files lie in it, and are to share their inode with the
            store; None if they lie inside the store.
        now: seconds since the epoch.
        refresh_after: age in seconds from which a blob is stored again.
        spare_path: gives new paths inside the store.
        refused: called with the blob's path if a link is refused; may raise.
    """

    store: Store
    staging: bytes | None
    now: float
    refresh_after: float
    spare_path: Callable[[], bytes]
    refused: Callable[[bytes, OSError], None]

    def publish(self, file: WrittenFile) -> bool:
        """Give a file its name in the store, or share the blob that has it.

        Returns:
            Whether it was new to the store. The file at its path is still there, or gone, or has
            become the shared blob.

        Raises:
            StoreError: others keep replacing the blob.
            OSError: the store cannot be written to.
        """
        blob = self.store.blob_path(file.digest, file.mode)
        source = file.path
        inside = self.staging is None
        retired: list[bytes | None] = []
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    if give_name(source, blob, or_rename=inside):
                        return True
                except FileNotFoundError:
                    os.makedirs(os.path.dirname(blob), 0o700, exist_ok=True)
                    continue
                except OSError as error:
                    if error.errno == errno.ESTALE:
                        # A network client that still remembers what another host has removed
                        # under this name; it looks again, at the latest when its cache is a
                        # second old (seen on GlusterFS).
                        time.sleep(0.01 * 2**attempt)
                        continue
                    if error.errno not in files.CANNOT_LINK or inside:
                        raise
                    # Links work into the folder but not out of it (project quotas).
                    self.refused(blob, error)
                    source, inside = self._copy_inside(file), True
                    continue
                if self._take_over(file, blob, retired):
                    return False
        finally:
            for path in retired:
                self.store.replace_retired(path, blob)
            if source != file.path:
                files.remove_quietly(source)
        raise StoreError(f"blob {quoted(blob)} is replaced again and again by others", path=blob)

    def _take_over(self, file: WrittenFile, blob: bytes, retired: list[bytes | None]) -> bool:
        """The name is taken: share that blob if it is good, else make room; whether shared."""
        shared = None
        try:
            if self.staging is not None:
                # Under another name first: the staged file must not be missing for a moment.
                shared = os.path.join(self.staging, random_name())
                try:
                    os.link(blob, shared, follow_symlinks=False)
                except OSError as error:
                    if error.errno == errno.EMLINK:
                        # Full: its inode lives on in the folders that have it.
                        retired.append(self.store.retire(blob))
                        return False
                    if error.errno not in files.CANNOT_LINK:
                        raise
                    shared = None
            # After linking: whatever happens to the store's name now, this inode is ours.
            status = os.lstat(shared or blob)
            if not self._is_sound(status, file):
                self._set_aside(blob, file)
                return False
            if is_old(status, self.now, self.refresh_after):
                retired.append(self.store.retire(blob))
                return False
            if shared is not None:
                try:
                    os.rename(shared, file.path)
                except OSError as error:
                    if error.errno != errno.EMLINK:
                        raise
                    # It was the last link, and GlusterFS needs one more to rename.
                    retired.append(self.store.retire(blob))
                    return False
            return True
        except OSError as error:
            if error.errno in files.GONE:
                return False
            raise
        finally:
            # Renaming one link of an inode onto another does nothing, and leaves both.
            if shared is not None:
                files.remove_quietly(shared)

    def _is_sound(self, status: os.stat_result, file: WrittenFile) -> bool:
        return status.st_size == file.size and self.store.is_pristine(
            status, file.digest, file.mode
        )

    def _set_aside(self, blob: bytes, file: WrittenFile) -> None:
        aside = self.store.set_aside(blob)
        # Another submission may have replaced it since the check: then this is its good one.
        if aside is not None and self._is_sound(os.lstat(aside), file):
            self.store.replace_retired(aside, blob)

    def _copy_inside(self, file: WrittenFile) -> bytes:
        path = self.spare_path()
        reader = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            copy_blob(reader, path, os.fstat(reader), clone="if possible")
        finally:
            os.close(reader)
        syncing.sync_files([path], self.store.tmp)
        return path

"""Building a code folder from source files and blobs, in its staging folder.

With hard links, a file that is new to the store is written once, into the staging folder, and the
store gets a link to it. With reflinks or copies it is written into the store, and the code folder
gets its own. The steps are called in the order that :mod:`slurmic_store.snapshot` explains.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from . import files
from .digests import EMPTY, PERMISSIONS, digest_of, sealed_now
from .errors import SourceError, shown
from .manifest import Tree, TreeEntry
from .placing import Cloning, Placement, is_old, mode_refused, place_copy
from .publishing import BlobPublisher, NewFile
from .source import unreadable, write_copy
from .statcache import StatCache
from .store import Store

State = Literal["new", "known", "written", "placed"]
"""new: to be read. known: its digest is believed, the blob is yet to be placed. written: read and
hashed, its blob is yet to be published. placed: done."""


_STRANGE_PATH = re.compile(rb"(?:\A|/)\.{0,2}(?:/|\Z)")
"""A path that is absolute or has an empty, ``.`` or ``..`` component."""


class _File:
    """One file on its way into the code folder."""

    __slots__ = ("digest", "mode", "path", "size", "state", "status", "target", "written")

    def __init__(self, path: bytes, status: os.stat_result) -> None:
        self.path = path
        self.status = status
        self.mode = status.st_mode & PERMISSIONS
        self.size = status.st_size
        self.digest = EMPTY
        self.target: bytes | None = None
        self.state: State = "placed"
        self.written = b""

    def entry(self) -> TreeEntry:
        return TreeEntry(self.path, self.mode, self.size, self.digest, self.target)


class CodeFolderBuilder:
    """Fills a staging folder.

    Args:
        store: where blobs are, and go.
        root: absolute path of the source tree.
        folder: the staging folder, empty.
        placement: how files are made from blobs.
        fill: False to only store what is new; the staging folder then holds nothing but new
            files on their way into the store.
        refresh_after: age in seconds from which a blob is stored anew.
        owner: id of the snapshot, for the names of temporary files.

    Attributes:
        read: how many files were read.
        stored: how many files were new to the store.
        stored_size: their bytes.
        notices: sentences for the user.
    """

    def __init__(
        self,
        store: Store,
        root: bytes,
        folder: bytes,
        *,
        placement: Placement,
        fill: bool,
        refresh_after: float,
        owner: str = "",
    ) -> None:
        self._store = store
        self._root = root
        self._folder = folder
        self._placement = placement
        self._fill = fill
        self._in_place = fill and placement.method == "hardlink"
        self._refresh_after = refresh_after
        self._owner = owner
        self._now = time.time()
        self._files: list[_File] = []
        self._folders: set[bytes] = set()
        self._spare: bytes | None = None
        self._publisher = BlobPublisher(
            store,
            folder if self._in_place else None,
            self._now,
            refresh_after,
            self._spare_path,
            self._note_refusal,
        )
        self._unsynced: list[bytes] = []
        self._unsynced_copies: list[bytes] = []
        self.read = 0
        self.stored = 0
        self.stored_size = 0
        self.notices: list[str] = []

    def examine(self, paths: Sequence[bytes], cache: StatCache) -> None:
        """Stat the selected files, and find their digests where the cache knows them.

        Links and empty files are made at once: they have no blob. (Empty files would all share
        one inode, whose links would run out: ext4 allows 65,000.)
        """
        for path in sorted(set(paths)):
            if _STRANGE_PATH.search(path):
                raise SourceError(
                    f"'{shown(path)}' is no path below '{shown(self._root)}'", path=path
                )
            source = os.path.join(self._root, path)
            try:
                status = os.lstat(source)
                target = os.readlink(source) if stat.S_ISLNK(status.st_mode) else None
            except (FileNotFoundError, NotADirectoryError):
                continue  # deleted since it was selected: as if it had been a moment earlier
            except OSError as error:
                raise unreadable(source, error) from error
            file = _File(path, status)
            if target is not None:
                file.mode = 0
                file.target = target
                file.size = len(file.target)
                file.digest = digest_of(file.target)
                if self._fill:
                    os.symlink(file.target, self._staged(path))
            elif not stat.S_ISREG(status.st_mode):
                raise SourceError(
                    f"'{shown(source)}' is neither a file nor a symbolic link",
                    path=source,
                    hint="something replaced it while the tree was being packed; submit again",
                )
            elif status.st_size == 0:
                if self._fill:
                    self._make_empty(path, file.mode)
            else:
                digest = cache.lookup(path, status)
                file.state = "new" if digest is None else "known"
                file.digest = digest or EMPTY
            self._files.append(file)

    def sizes(self) -> dict[bytes, int]:
        """Size in bytes of each file that has been examined, by path."""
        return {file.path: file.size for file in self._files}

    def copy_new(self) -> None:
        """Read and hash the files whose digest is not known (any more)."""
        for file in self._files:
            if file.state == "new":
                self._copy(file)
        self._files = [file for file in self._files if file.state != "new"]

    def _copy(self, file: _File) -> None:
        """Copy one source file; its state stays "new" if it is gone."""
        source = os.path.join(self._root, file.path)
        file.written = self._staged(file.path) if self._in_place else self._spare_path()
        try:
            digest, status = write_copy(file.written, source, sealed_now)
        except FileNotFoundError:
            return  # deleted meanwhile
        self.read += 1
        file.digest = digest
        file.status = status
        file.mode = status.st_mode & PERMISSIONS
        file.size = status.st_size
        if file.size == 0:
            # Emptied meanwhile.
            if not self._in_place:
                files.remove_quietly(file.written)
                if self._fill:
                    self._make_empty(file.path, file.mode)
            file.state = "placed"
        else:
            file.state = "written"
            self._unsynced.append(file.written)

    def sync(self) -> None:
        """Return when what was copied is on the disk."""
        sync_folder = self._folder if self._in_place else self._store.tmp
        files.sync_files(self._unsynced, sync_folder)
        self._unsynced = []

    def sync_copies(self) -> None:
        """Return when the files of the code folder that are no links are on the disk, too.

        A job must not find files of no bytes because the submitting host crashed.
        """
        files.sync_files(self._unsynced_copies, self._folder)
        self._unsynced_copies = []

    def tree(self) -> Tree:
        """The tree as it is known now."""
        return Tree(tuple(file.entry() for file in self._files))

    def known_files(self) -> Iterator[tuple[bytes, os.stat_result, bytes]]:
        """Path, stat and digest of every file with content, for the stat cache."""
        for file in self._files:
            if file.target is None and file.size:
                yield file.path, file.status, file.digest

    def place_known(self) -> bool:
        """Place the blobs that are known; whether some must be stored anew.

        Those are marked "new"; they are missing, damaged, full, or old.
        """
        if not self._in_place:
            self._publish_written()
        again = False
        for parent, group in self._by_folder():
            folder = self._made(parent) if self._fill else None
            descriptor = (
                os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                if folder is not None
                else None
            )
            try:
                for file in group:
                    if self._place(file, descriptor):
                        file.state = "placed"
                    else:
                        file.state = "new"
                        again = True
            finally:
                if descriptor is not None:
                    os.close(descriptor)
        return again

    def _by_folder(self) -> Iterator[tuple[bytes, list[_File]]]:
        groups: dict[bytes, list[_File]] = {}
        for file in self._files:
            if file.state == "known":
                groups.setdefault(os.path.dirname(file.path), []).append(file)
        return iter(groups.items())

    def _place(self, file: _File, folder: int | None) -> bool:
        """Place one blob; False if it must be stored anew."""
        blob = self._store.blob_path(file.digest, file.mode)
        name = os.path.basename(file.path)
        if folder is None:
            return self._is_usable(blob, file)
        if self._placement.method != "hardlink":
            return self._place_own(blob, name, folder, file)
        try:
            # follow_symlinks: with a dir_fd Python would otherwise follow.
            os.link(blob, name, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno in files.GONE or error.errno == errno.EMLINK:
                return False
            if error.errno in files.CANNOT_LINK:
                if not self._is_usable(blob, file):
                    return False  # a folder under a blob's name answers EPERM, too
                self._note_refusal(blob, error)
                return self._place_own(blob, name, folder, file)
            raise
        # Look at it after linking: whatever happens to the store's name now, this inode is ours.
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if self._fits(status, file):
            return True
        os.unlink(name, dir_fd=folder)
        return False

    def _place_own(self, blob: bytes, name: bytes, folder: int, file: _File) -> bool:
        try:
            descriptor = os.open(blob, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in files.GONE or error.errno in (errno.ELOOP, errno.EACCES):
                return False
            raise
        try:
            status = os.fstat(descriptor)
            if not self._fits(status, file):
                return False
            self._clone_or_copy(descriptor, name, status, folder, file)
            if not self._fits(os.fstat(descriptor), file):
                # Written to while it was copied: the copy would bear the seal all the same.
                os.unlink(name, dir_fd=folder)
                return False
            self._unsynced_copies.append(os.path.join(self._folder, file.path))
            return True
        finally:
            os.close(descriptor)

    def _clone_or_copy(
        self, blob: int, name: bytes, status: os.stat_result, folder: int, file: _File
    ) -> None:
        if self._placement.asked != "reflink":
            cloning: Cloning = "never" if self._placement.method == "copy" else "if possible"
            place_copy(blob, name, status, clone=cloning, dir_fd=folder)
            return
        try:
            place_copy(blob, name, status, clone="always", dir_fd=folder)
        except OSError as error:
            if error.errno not in files.CANNOT_LINK:
                raise
            reason = f"reflinks: {os.strerror(error.errno or 0).lower()}"
            path = os.path.join(self._folder, file.path)
            raise mode_refused(self._store, path, "reflink", reason) from error

    def _is_usable(self, blob: bytes, file: _File) -> bool:
        try:
            return self._fits(os.lstat(blob), file)
        except OSError as error:
            if error.errno in files.GONE:
                return False
            raise

    def _fits(self, status: os.stat_result, file: _File) -> bool:
        return (
            status.st_size == file.size
            and self._store.is_pristine(status, file.digest, file.mode)
            and not is_old(status, self._now, self._refresh_after)
        )

    def _note_refusal(self, blob: bytes, error: OSError) -> None:
        """A single link was refused although the probe worked: say so once, or fail."""
        if self._placement.asked == "hardlink":
            reason = f"hard links: {os.strerror(error.errno or 0).lower()}"
            raise mode_refused(self._store, blob, "hardlink", reason) from error
        reason = os.strerror(error.errno or 0).lower()
        if self._placement.notice == "" and not self.notices:
            self.notices.append(
                f"some files are copies, not hard links: '{shown(blob)}' could not be linked "
                f"({reason})"
            )

    def publish_blobs(self) -> None:
        """Give the files that were written their names in the store."""
        if self._in_place:
            for file in self._files:
                if file.state == "written":
                    self._publish(file)
                    file.state = "placed"
        self._remove_spare()

    def _publish_written(self) -> None:
        """Publish files that were written into the store, so that they can be placed."""
        for file in self._files:
            if file.state == "written":
                self._publish(file)
                files.remove_quietly(file.written)
                file.state = "known"

    def _publish(self, file: _File) -> None:
        """Give a written file its name in the store, or share the blob that has it."""
        if self._publisher.publish(NewFile(file.written, file.digest, file.mode, file.size)):
            self.stored += 1
            self.stored_size += file.size

    def _made(self, parent: bytes) -> bytes:
        """A folder in the staging folder, made if need be; absolute."""
        path = os.path.join(self._folder, parent) if parent else self._folder
        if parent and parent not in self._folders:
            self._made(os.path.dirname(parent))
            os.mkdir(path)
            self._folders.add(parent)
        return path

    def _staged(self, path: bytes) -> bytes:
        parent, name = os.path.split(path)
        return os.path.join(self._made(parent), name)

    def _make_empty(self, path: bytes, mode: int) -> None:
        files.write_new(self._staged(path), b"", mode=mode, sync=False)

    def _spare_path(self) -> bytes:
        """A new path inside the store, for a file on its way to its name."""
        if not self._fill:
            return os.path.join(self._folder, files.random_name())
        if self._spare is None:
            self._spare = os.path.join(self._store.tmp, files.random_name(b".d", owner=self._owner))
            os.mkdir(self._spare, 0o700)
        return os.path.join(self._spare, files.random_name())

    def _remove_spare(self) -> None:
        if self._spare is not None:
            files.remove_tree(self._spare)
            self._spare = None

    def abandon(self) -> None:
        """Remove what lies outside the staging folder; for a snapshot that fails."""
        self._remove_spare()

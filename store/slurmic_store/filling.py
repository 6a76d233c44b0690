"""Filling a folder with blobs: each is linked or copied, and looked at.

A blob is looked at *after* it has been linked: whatever happens to the store's name from then on,
this inode is the folder's. One that is copied is looked at before and after, because a copy bears
the seal of what it was made from, whatever was written into that meanwhile.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Literal

from . import files
from .digests import blob_name
from .errors import shown
from .manifest import TreeEntry
from .placing import Cloning, Placement, is_old, mode_refused, place_copy
from .store import Store

Problem = Literal["missing", "damaged", "full", "old"]
"""Why a blob cannot be placed: it is not there; it is not what was stored; its links are used up;
it is so old that a purge might take it."""


class FolderFiller:
    """Places blobs in a folder.

    Args:
        store: where the blobs are.
        folder: absolute path of the folder.
        placement: how files are made from blobs.
        now: the time to count ages from, in seconds since the epoch.
        refresh_after: age in seconds from which a blob is a problem; None for never.
        writable: whether files get their owner's write permission and a time of their own; not
            with hard links.

    Attributes:
        copied: absolute paths of the files that are no links.
        notices: sentences for the user.
    """

    def __init__(
        self,
        store: Store,
        folder: bytes,
        *,
        placement: Placement,
        now: float,
        refresh_after: float | None,
        writable: bool = False,
    ) -> None:
        self._store = store
        self._folder = folder
        self._placement = placement
        self._now = now
        self._refresh_after = refresh_after
        self._writable = writable
        self._folders: set[bytes] = set()
        self.copied: list[bytes] = []
        self.notices: list[str] = []

    def make_folder(self, parent: bytes) -> bytes:
        """Make a folder and those above it, if need be; its absolute path.

        Args:
            parent: relative to the folder that is filled; "" for that folder itself.
        """
        path = os.path.join(self._folder, parent) if parent else self._folder
        if parent and parent not in self._folders:
            self.make_folder(os.path.dirname(parent))
            os.mkdir(path)
            self._folders.add(parent)
        return path

    def make_empty(self, path: bytes, mode: int) -> None:
        """Make an empty file. (They share no inode: its links would run out soon.)"""
        mode |= 0o200 if self._writable else 0
        files.write_new(self._made(path), b"", mode=mode, sync=False)

    def make_link(self, path: bytes, target: bytes) -> None:
        """Make a symbolic link."""
        os.symlink(target, self._made(path))

    def _made(self, path: bytes) -> bytes:
        parent, name = os.path.split(path)
        return os.path.join(self.make_folder(parent), name)

    def place(self, entries: Sequence[TreeEntry]) -> list[tuple[TreeEntry, Problem]]:
        """Place the blobs of regular files that have content; those that could not be placed.

        Raises:
            LinkModeError: the link mode that was asked for does not work for a file.
            OSError: the folder cannot be written to.
        """
        groups: dict[bytes, list[TreeEntry]] = {}
        for entry in entries:
            groups.setdefault(os.path.dirname(entry.path), []).append(entry)
        problems: list[tuple[TreeEntry, Problem]] = []
        for parent, group in groups.items():
            folder = os.open(self.make_folder(parent), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for entry in group:
                    problem = self._place(entry, folder)
                    if problem is not None:
                        problems.append((entry, problem))
            finally:
                os.close(folder)
        return problems

    def _place(self, entry: TreeEntry, folder: int) -> Problem | None:
        blob = os.path.join(self._store.blobs, blob_name(entry.digest, entry.mode))
        name = os.path.basename(entry.path)
        if self._placement.method != "hardlink":
            return self._place_own(blob, name, folder, entry)
        try:
            # follow_symlinks: with a dir_fd Python would otherwise follow.
            os.link(blob, name, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno in files.GONE:
                return "missing"
            if error.errno == errno.EMLINK:
                return "full"
            if error.errno not in files.CANNOT_LINK:
                raise
            problem = self.look(blob, entry)
            if problem is not None:
                return problem  # a folder under a blob's name answers EPERM, too
            self.note_refusal(blob, error)
            return self._place_own(blob, name, folder, entry)
        problem = self._judge(os.stat(name, dir_fd=folder, follow_symlinks=False), entry)
        if problem is not None:
            os.unlink(name, dir_fd=folder)
        return problem

    def _place_own(self, blob: bytes, name: bytes, folder: int, entry: TreeEntry) -> Problem | None:
        try:
            descriptor = os.open(blob, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in files.GONE:
                return "missing"
            if error.errno in (errno.ELOOP, errno.EACCES):
                return "damaged"
            raise
        try:
            status = os.fstat(descriptor)
            problem = self._judge(status, entry)
            if problem is None:
                self._clone_or_copy(descriptor, name, status, folder, entry)
                problem = self._judge(os.fstat(descriptor), entry)
                if problem is not None:
                    os.unlink(name, dir_fd=folder)  # written to while it was copied
                else:
                    self.copied.append(os.path.join(self._folder, entry.path))
            return problem
        finally:
            os.close(descriptor)

    def _clone_or_copy(
        self, blob: int, name: bytes, status: os.stat_result, folder: int, entry: TreeEntry
    ) -> None:
        cloning: Cloning = "never" if self._placement.method == "copy" else "if possible"
        if self._placement.asked == "reflink":
            cloning = "always"
        try:
            place_copy(blob, name, status, clone=cloning, dir_fd=folder, writable=self._writable)
        except OSError as error:
            if cloning != "always" or error.errno not in files.CANNOT_LINK:
                raise
            reason = f"reflinks: {os.strerror(error.errno or 0).lower()}"
            path = os.path.join(self._folder, entry.path)
            raise mode_refused(self._store, path, "reflink", reason) from error

    def look(self, blob: bytes, entry: TreeEntry) -> Problem | None:
        """Look at a blob without placing it."""
        try:
            return self._judge(os.lstat(blob), entry)
        except OSError as error:
            if error.errno in files.GONE:
                return "missing"
            raise

    def _judge(self, status: os.stat_result, entry: TreeEntry) -> Problem | None:
        if status.st_size != entry.size or not self._store.is_pristine(
            status, entry.digest, entry.mode
        ):
            return "damaged"
        if self._refresh_after is not None and is_old(status, self._now, self._refresh_after):
            return "old"
        return None

    def note_refusal(self, blob: bytes, error: OSError) -> None:
        """A single link was refused although the probe worked: say so once, or fail."""
        reason = os.strerror(error.errno or 0).lower()
        if self._placement.asked == "hardlink":
            raise mode_refused(self._store, blob, "hardlink", f"hard links: {reason}") from error
        if self._placement.notice == "" and not self.notices:
            self.notices.append(
                f"some files are copies, not hard links: '{shown(blob)}' could not be linked "
                f"({reason})"
            )

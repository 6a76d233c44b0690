"""A store that has been opened: where things lie in it, its manifests, and its quarantine."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from slurmic_store.errors import (
    DamagedError,
    StoreError,
    StoreOwnerError,
    os_failure,
    printable,
    quoted,
    reason_of,
)
from slurmic_store.format.names import (
    ASIDE_BLOB,
    ASIDE_TREE,
    MANIFEST_SUFFIX,
    STORE_FOLDERS,
    aside_name,
    blob_name,
    damaged_name,
    key_name,
    random_name,
    random_token,
    tree_name,
)
from slurmic_store.format.seals import SECOND, seal_holds, sealed_now, stored_at
from slurmic_store.fs import files
from slurmic_store.fs.creating import give_name, publishing

from .opening import create_folder, parse_format, read_format

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Store:
    """A store that has been opened: its folder and what its FORMAT file says.

    Attributes:
        path: the absolute path of the store's folder, raw bytes.
        granularity: the smallest step of a timestamp on its filesystem, in nanoseconds. At a
            second or more there is no seal, and blobs are checked by size and mode alone.
        keeps_modes: whether its filesystem keeps permission bits; where it does not (FAT, some
            network shares), they are not compared.
    """

    path: bytes
    granularity: int
    keeps_modes: bool = True

    @classmethod
    def open(cls, path: str | bytes | os.PathLike[str], *, create: bool = True) -> Store:
        """Open the store at `path`, creating it if asked to.

        Args:
            path: the store's folder.
            create: make the folder a store if it is not one yet.

        Raises:
            StoreFormatError: the folder is something else, or of a newer format.
            StoreError: it does not exist and `create` is False, or it cannot be created.
        """
        folder = os.path.abspath(os.fsencode(path))
        try:
            text = read_format(folder)
        except FileNotFoundError:
            if not create:
                raise StoreError(
                    f"no store at {quoted(folder)}",
                    path=folder,
                    hint="nothing has been packed into it yet, or it lies elsewhere",
                ) from None
            create_folder(folder)
            text = read_format(folder)
        store = cls(folder, *parse_format(folder, text))
        if create:
            store._restore_folders()
        return store

    def _restore_folders(self) -> None:
        """Make the folders again that a purge has taken: most are empty most of the time."""
        present = set(files.names_in(self.path))
        for name in STORE_FOLDERS:
            # In another user's store, or a read-only one, what needs the folder will say so.
            if name not in present:
                with contextlib.suppress(OSError):
                    os.mkdir(os.path.join(self.path, name), 0o700)

    @property
    def name(self) -> str:
        """The path for messages."""
        return printable(self.path)

    @property
    def blobs(self) -> bytes:
        """The folder of blobs."""
        return os.path.join(self.path, b"blobs")

    @property
    def trees(self) -> bytes:
        """The folder of manifests."""
        return os.path.join(self.path, b"trees")

    @property
    def snapshots(self) -> bytes:
        """The folder of snapshot records."""
        return os.path.join(self.path, b"snapshots")

    @property
    def pins(self) -> bytes:
        """The folder of pins."""
        return os.path.join(self.path, b"pins")

    @property
    def index(self) -> bytes:
        """The folder of stat caches."""
        return os.path.join(self.path, b"index")

    @property
    def quarantine(self) -> bytes:
        """The folder of what is set aside: damaged, or about to be deleted."""
        return os.path.join(self.path, b"quarantine")

    @property
    def tmp(self) -> bytes:
        """The folder of files that have no final name yet."""
        return os.path.join(self.path, b"tmp")

    def blob_path(self, digest: bytes, mode: int) -> bytes:
        """Where a blob lies, or would lie.

        Args:
            digest: of its content, 16 bytes.
            mode: its permission bits, read and execute only.
        """
        return os.path.join(self.blobs, blob_name(digest, mode))

    def tree_path(self, tree: str) -> bytes:
        """Where the manifest of the tree with this name lies, or would lie."""
        return os.path.join(self.trees, tree_name(tree))

    def key_path(self, key: bytes) -> bytes:
        """As :meth:`blob_path`, for the blob with this 18-byte key."""
        return os.path.join(self.blobs, key_name(key))

    def temporary_path(self, suffix: bytes = b"", *, owner: str = "") -> bytes:
        """A new path in ``tmp/``.

        Args:
            suffix: what the file is going to be, as ``b".tree"``.
            owner: id of the snapshot that makes it; "" for none.
        """
        return os.path.join(self.tmp, random_name(suffix, owner=owner))

    @cached_property
    def owner(self) -> int:
        """The user id of the owner of the store's folder, and so of all that lies in it."""
        return os.stat(self.path).st_uid

    def require_owner(self) -> None:
        """Refuse to write into a store that another user owns, or may change.

        The owner of a store could neither link nor delete what another user puts there (Linux'
        protected_hardlinks); and who may write into it may put other bytes under the name of a
        blob, which jobs would then run. So its folder and those in it belong to this user, nobody
        else may write to them, and nobody may put another folder in its place. Members of a group
        that may write to a folder *above* it are trusted: a group-writable home is usual.

        Raises:
            StoreOwnerError: says which folder it is, and what to do.
        """
        try:
            descriptor = os.open(self.path, _FOLDER)
        except OSError as error:
            raise os_failure("open store", self.path, error) from error
        try:
            self._require_own(os.fstat(descriptor), self.path)
            for name in STORE_FOLDERS:
                path = os.path.join(self.path, name)
                try:
                    # By descriptor, and not through a link: what is looked at is what is there.
                    folder = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    # What is not a folder is in the way of what needs it, and of nothing else.
                    if error.errno == errno.ENOTDIR and not os.path.islink(path):
                        continue
                    raise os_failure("open folder of the store", path, error) from error
                try:
                    self._require_own(os.fstat(folder), path)
                finally:
                    os.close(folder)
        finally:
            os.close(descriptor)
        self._require_safe_parents()

    def _require_own(self, status: os.stat_result, path: bytes) -> None:
        if status.st_uid != os.geteuid():
            what = f"store '{self.name}'"
            if path != self.path:
                what = f"folder {quoted(path)} of the store"
            raise StoreOwnerError(
                f"{what} belongs to user id {status.st_uid}, not to {os.geteuid()}",
                path=path,
                hint="each user has a store of their own: set store_path or SLURMIC_STORE to a "
                "folder of yours",
            )
        if self.keeps_modes and status.st_mode & 0o022:
            raise StoreOwnerError(
                f"others may write to {quoted(path)} (mode {status.st_mode & 0o7777:04o}), so what "
                "it holds need not be what was stored",
                path=path,
                hint=f"if nobody else was there: chmod go-w {quoted(path)}; else set store_path or "
                "SLURMIC_STORE to a new folder",
            )

    def _require_safe_parents(self) -> None:
        parent = os.path.dirname(os.path.realpath(self.path))
        while True:
            mode = os.stat(parent).st_mode
            # In a folder with the sticky bit, as /tmp, nobody renames what is another's.
            if self.keeps_modes and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                raise StoreOwnerError(
                    f"everybody may write to {quoted(parent)}, and so replace the store in it",
                    path=parent,
                    hint=f"chmod o-w {quoted(parent)} (or +t), or set store_path or SLURMIC_STORE "
                    "to a folder elsewhere",
                )
            if parent == os.path.dirname(parent):
                return
            parent = os.path.dirname(parent)

    def read_manifest(self, tree: str) -> bytes:
        """The canonical encoding of a tree, read from its manifest and checked.

        Raises:
            DamagedError: it does not exist, cannot be read, or holds something else.
        """
        path = self.tree_path(tree)
        try:
            return read_manifest_file(path, tree)
        except OSError as error:
            raise DamagedError(
                f"cannot read manifest {quoted(path)}: {reason_of(error)}", path=path, digest=tree
            ) from error

    def publish_manifest(
        self, tree: str, encoded: bytes, *, refresh_after: float, owner: str = ""
    ) -> None:
        """Publish a tree's manifest unless the store has it, undamaged and young enough.

        Args:
            tree: the tree's name.
            encoded: its canonical encoding.
            refresh_after: age in seconds from which it is written again, so that a purge by age
                does not take what is in use.
            owner: id of the snapshot that is being taken, for the name of the temporary file.

        Raises:
            OSError: it cannot be written.
        """
        from slurmic_store.format.manifest import (
            compress,  # few read a tree, and it takes milliseconds
        )

        final = self.tree_path(tree)
        state = self._manifest_state(tree, refresh_after)
        if state == "good":
            return
        temporary = self.temporary_path(b".tree", owner=owner)
        times = sealed_now(bytes.fromhex(tree))
        retired = None
        try:
            with publishing(final, temporary=temporary, times=times) as file:
                file.write(compress(encoded))
                file.finish()
                if state == "damaged":
                    self.set_aside(final)
                elif state == "old":
                    retired = self.retire(final)
                os.makedirs(os.path.dirname(final), 0o700, exist_ok=True)
        finally:
            self.replace_retired(retired, final)

    def _manifest_state(
        self, tree: str, refresh_after: float
    ) -> Literal["good", "old", "missing", "damaged"]:
        """What state a manifest is in; one that reads back right is never set aside."""
        try:
            status = os.stat(self.tree_path(tree), follow_symlinks=False)
        except OSError:
            return "missing"
        trusted = self.granularity < SECOND
        if not (trusted and self.is_pristine(status, bytes.fromhex(tree), 0o444)):
            try:
                self.read_manifest(tree)
            except DamagedError:
                return "damaged"
        return "old" if time.time() - stored_at(status) > refresh_after else "good"

    def is_pristine(self, status: os.stat_result, digest: bytes, mode: int) -> bool:
        """Whether a file still is what was stored, as far as its owner, mode and seal tell.

        The size is the caller's to compare. A write that restores the modification time goes
        unnoticed here; re-hashing finds it.

        Args:
            status: what lstat says of it.
            digest: of the content that it should have, 16 bytes.
            mode: the permission bits that it should have.
        """
        return (
            files.is_regular(status)
            and status.st_uid == self.owner
            and (status.st_mode & 0o7777 == mode or not self.keeps_modes)
            and seal_holds(status.st_mtime_ns, digest, self.granularity)
        )

    def set_aside(self, path: bytes) -> bytes | None:
        """Move a damaged file out of the way, into quarantine, where gc will find it.

        Returns:
            Where it is now; None if another process was faster, or it could only be
            unlinked.
        """
        return self._move_aside(path, damaged_name(os.path.basename(path)))

    def retire(self, path: bytes) -> bytes | None:
        """Move a sound blob or manifest aside whose name a new one is about to get.

        It is old, or has used up its links; but until the new one has the name it is what live
        snapshots need. So it is not deleted first: from quarantine, under this name, gc puts it
        back should this process die in between. Renaming the new one onto the name would do as
        well if GlusterFS clients did not deadlock when two do so.

        Returns:
            Where it is now, for :meth:`replace_retired`; None if another process was faster, or it
            could only be unlinked.
        """
        kind = ASIDE_TREE if path.endswith(MANIFEST_SUFFIX) else ASIDE_BLOB
        return self._move_aside(path, aside_name(kind, random_token(), os.path.basename(path)))

    def _move_aside(self, path: bytes, name: bytes) -> bytes | None:
        """Rename a file into quarantine; None if it is gone, or had to be unlinked."""
        aside = os.path.join(self.quarantine, name)
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            # GlusterFS renames from one brick to another by way of a link, and this file has as
            # many as it may have. Its content lives on in the folders that have them.
            files.remove_quietly(path)
            return None
        return aside

    def replace_retired(self, retired: bytes | None, path: bytes) -> None:
        """Delete what was retired from `path`, or put it back if nothing has taken its place.

        Args:
            retired: what :meth:`retire` gave.
            path: the name that it had.
        """
        if retired is None:
            return
        if not os.path.lexists(path):
            with contextlib.suppress(FileNotFoundError):
                give_name(retired, path)
        files.remove_quietly(retired)


def read_manifest_file(path: bytes, tree: str) -> bytes:
    """The canonical encoding of a tree, read from a file that holds its manifest, and checked.

    Raises:
        OSError: the file does not exist, or cannot be read.
        DamagedError: it holds something else.
    """
    from slurmic_store.format.manifest import decompress

    return decompress(files.read_piece(path, files.LARGEST_TABLE), tree)

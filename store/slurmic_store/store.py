"""The store's folder: creating it, checking its format, and where things lie in it."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import digests, files
from .errors import (
    DamagedError,
    StoreError,
    StoreFormatError,
    StoreOwnerError,
    os_failure,
    printable,
    quoted,
)
from .manifest import compress, decompress

FORMAT_HEAD = "slurmic store"
FORMAT_VERSION = 1
DIGEST_NAME = "xxh3-128"


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
            create: make the folder a store if there is none yet.

        Raises:
            StoreFormatError: the folder is something else, or of a newer format.
            StoreError: it is not there and `create` is False, or it cannot be created.
        """
        folder = os.path.abspath(os.fsencode(path))
        try:
            text = _read_format(folder)
        except FileNotFoundError:
            if not create:
                raise StoreError(
                    f"no store at {quoted(folder)}",
                    path=folder,
                    hint="nothing has been packed into it yet, or it lies elsewhere",
                ) from None
            _create(folder)
            text = _read_format(folder)
        store = cls(folder, *_parse_format(folder, text))
        if create:
            store._restore_folders()
        return store

    def _restore_folders(self) -> None:
        """Make the folders anew that a purge has taken: most are empty most of the time."""
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
        return os.path.join(self.blobs, digests.blob_name(digest, mode))

    def tree_path(self, tree: str) -> bytes:
        """Where the manifest of the tree with this name lies, or would lie."""
        return os.path.join(self.trees, tree[:2].encode(), tree.encode() + b".zst")

    def require_owner(self) -> None:
        """Refuse to write into another user's store.

        Its owner could neither link nor delete what this user would put there (Linux'
        protected_hardlinks), so a store is one user's.

        Raises:
            StoreOwnerError: names the owner's id.
        """
        owner = os.stat(self.path).st_uid
        if owner != os.geteuid():
            raise StoreOwnerError(
                f"store '{self.name}' belongs to user id {owner}, not to {os.geteuid()}",
                path=self.path,
                hint="each user has a store of their own: set store_path or SLURMIC_STORE to a "
                "folder of yours",
            )

    def read_manifest(self, tree: str) -> bytes:
        """The canonical encoding of a tree, read from its manifest and checked.

        Raises:
            DamagedError: it is not there, cannot be read, or holds something else.
        """
        path = self.tree_path(tree)
        try:
            with open(path, "rb") as stream:
                manifest = stream.read()
        except OSError as error:
            raise DamagedError(
                f"cannot read manifest {quoted(path)}: {error.strerror}",
                path=path,
                digest=tree,
            ) from error
        return decompress(manifest, tree)

    def publish_manifest(
        self, tree: str, encoded: bytes, *, refresh_after: float, owner: str = ""
    ) -> None:
        """Publish a tree's manifest unless it is there already, in order and young enough.

        Args:
            tree: the tree's name.
            encoded: its canonical encoding.
            refresh_after: age in seconds from which it is written anew, so that a purge by age
                does not take what is in use.
            owner: id of the snapshot that is being taken, for the name of the temporary file.

        Raises:
            OSError: it cannot be written.
        """
        final = self.tree_path(tree)
        state = self._manifest_state(tree, refresh_after)
        if state == "good":
            return
        temporary = os.path.join(self.tmp, files.random_name(b".tree", owner=owner))
        files.write_new(temporary, compress(encoded))
        retired = None
        try:
            self.seal(temporary, bytes.fromhex(tree))
            if state == "damaged":
                self.set_aside(final)
            elif state == "old":
                retired = self.retire(final)
            os.makedirs(os.path.dirname(final), 0o700, exist_ok=True)
            files.give_name(temporary, final)
        finally:
            self.replace_retired(retired, final)
            files.remove_quietly(temporary)

    def _manifest_state(
        self, tree: str, refresh_after: float
    ) -> Literal["good", "old", "missing", "damaged"]:
        """What is to be done about a manifest; one that reads back right is never set aside."""
        try:
            status = os.stat(self.tree_path(tree), follow_symlinks=False)
        except OSError:
            return "missing"
        trusted = self.granularity < digests.SECOND
        if not (trusted and self.is_pristine(status, bytes.fromhex(tree), 0o444)):
            try:
                self.read_manifest(tree)
            except DamagedError:
                return "damaged"
        return "old" if time.time() - digests.stored_at(status) > refresh_after else "good"

    def seal(self, path: bytes, digest: bytes) -> None:
        """Set a finished file's modification time to now, sealed.

        Args:
            path: the file.
            digest: of its content, 16 bytes.
        """
        os.utime(path, ns=digests.sealed_now(digest), follow_symlinks=False)

    def is_pristine(self, status: os.stat_result, digest: bytes, mode: int) -> bool:
        """Whether a file still is what was stored, as far as mode and seal tell.

        The size is the caller's to compare. A write that restores the modification time goes
        unnoticed here; re-hashing finds it.

        Args:
            status: what lstat says of it.
            digest: of the content that it should have, 16 bytes.
            mode: the permission bits that it should have.
        """
        return (
            files.is_regular(status)
            and (status.st_mode & 0o7777 == mode or not self.keeps_modes)
            and digests.seal_holds(status.st_mtime_ns, digest, self.granularity)
        )

    def set_aside(self, path: bytes) -> bytes | None:
        """Move a damaged file out of the way, into quarantine, where gc will find it.

        Returns:
            Where it is now; None if somebody else was faster, or it could only be unlinked.
        """
        name = os.path.basename(path) + b"." + files.random_name()[len(files.STAGE_PREFIX) :]
        return _move_aside(path, os.path.join(self.quarantine, b"damaged-" + name))

    def retire(self, path: bytes) -> bytes | None:
        """Move a sound blob or manifest aside whose name a new one is about to get.

        It is old, or has used up its links; but until the new one has the name it is what live
        snapshots need. So it is not deleted first: from quarantine, under this name, gc puts it
        back should this process die in between. Renaming the new one onto the name would do as
        well if GlusterFS clients did not deadlock when two do so.

        Returns:
            Where it is now, for :meth:`replace_retired`; None if somebody else was faster, or it
            could only be unlinked.
        """
        kind = b"tree" if path.endswith(b".zst") else b"blob"
        token = files.random_name()[len(files.STAGE_PREFIX) :]
        name = b"%s-%s-%s" % (kind, token, os.path.basename(path))
        return _move_aside(path, os.path.join(self.quarantine, name))

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
                files.give_name(retired, path)
        files.remove_quietly(retired)


def _move_aside(path: bytes, aside: bytes) -> bytes | None:
    """Rename a file into quarantine; None if it is gone, or had to be unlinked."""
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        # GlusterFS renames from one brick to another by way of a link, and this file has as many
        # as it may have. Its content lives on in the folders that have them.
        files.remove_quietly(path)
        return None
    return aside


def _read_format(folder: bytes) -> str:
    try:
        return Path(os.fsdecode(folder), "FORMAT").read_text("utf-8")
    except NotADirectoryError:
        raise StoreFormatError(
            f"{quoted(folder)} is not a folder",
            path=folder,
            hint="give the store another path",
        ) from None
    except UnicodeDecodeError:
        raise StoreFormatError(
            f"'{printable(folder)}/FORMAT' is not a store's format file", path=folder
        ) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise os_failure("read", folder + b"/FORMAT", error) from error


def _parse_format(folder: bytes, text: str) -> tuple[int, bool]:
    """Check a FORMAT file; the granularity that it states, and whether modes are kept."""
    lines = text.splitlines()
    fields = dict(line.split(" ", 1) for line in lines[1:] if " " in line)
    if not lines or lines[0] != FORMAT_HEAD:
        raise StoreFormatError(
            f"'{printable(folder)}/FORMAT' is not a store's format file",
            path=folder,
            hint="is this really the folder of a slurmic store?",
        )
    try:
        version = int(fields["format"])
        granularity = int(fields["mtime-granularity-ns"])
    except (KeyError, ValueError):
        raise StoreFormatError(
            f"'{printable(folder)}/FORMAT' is damaged: {text!r}", path=folder
        ) from None
    if version > FORMAT_VERSION:
        raise StoreFormatError(
            f"store {quoted(folder)} has format {version}, newer than {FORMAT_VERSION}, "
            "the newest that this version of slurmic reads",
            path=folder,
            hint="upgrade slurmic, or set store_path to another folder",
        )
    if fields.get("digest") != DIGEST_NAME:
        raise StoreFormatError(
            f"store {quoted(folder)} uses the digest '{fields.get('digest')}', unknown here",
            path=folder,
            hint="upgrade slurmic, or set store_path to another folder",
        )
    return max(1, granularity), fields.get("permissions") != "lost"


def _create(folder: bytes) -> None:
    """Create an empty store; several processes at once are welcome."""
    if files.names_in(folder):
        # Only another creation of the same store may have come first.
        unknown = sorted(
            name
            for name in files.names_in(folder)
            if name not in STORE_FOLDERS and name != b"FORMAT" and not name.startswith(b".slurmic-")
        )
        if unknown:
            raise StoreFormatError(
                f"{quoted(folder)} is not a store, and not empty (it holds {quoted(unknown[0])})",
                path=folder,
                hint="give the store a folder of its own, or remove what is in this one",
            )
    files.make_folder(os.path.dirname(folder))
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        for name in STORE_FOLDERS:
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.join(folder, name), 0o700)
        granularity, keeps_modes = probe(os.path.join(folder, b"tmp"))
        text = (
            f"{FORMAT_HEAD}\nformat {FORMAT_VERSION}\ndigest {DIGEST_NAME}\n"
            f"mtime-granularity-ns {granularity}\n"
            f"permissions {'kept' if keeps_modes else 'lost'}\n"
        )
        temporary = os.path.join(folder, b"tmp", files.random_name())
        files.write_new(temporary, text.encode())
        try:
            files.give_name(temporary, os.path.join(folder, b"FORMAT"))
        finally:
            files.remove_quietly(temporary)
    except OSError as error:
        raise os_failure("create store", folder, error) from error


STORE_FOLDERS = (b"blobs", b"trees", b"snapshots", b"pins", b"index", b"quarantine", b"tmp")


def probe(folder: bytes) -> tuple[int, bool]:
    """Tried in this folder: the smallest timestamp step, in nanoseconds; modes kept or not."""
    path = os.path.join(folder, files.random_name())
    wanted = 1_700_000_001 * digests.SECOND + 123_456_789
    files.write_new(path, b"", mode=0o444, sync=False)
    try:
        os.utime(path, ns=(wanted, wanted))
        status = os.stat(path)
    finally:
        files.remove_quietly(path)
    keeps_modes = status.st_mode & 0o777 == 0o444
    for step in digests.TIMESTAMP_STEPS_NS:
        if status.st_mtime_ns == wanted // step * step:
            return step, keeps_modes
    return digests.SECOND, keeps_modes

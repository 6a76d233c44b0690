"""Filling a folder with blobs: each is linked or copied, and checked.

A blob is checked *after* it has been linked: whatever happens to the store's name from then on,
this inode is the folder's. One that is copied is checked before and after, because a copy bears the
seal of its blob, whatever was written into that meanwhile.

With tens of thousands of files every microsecond per file matters. So the tree is held in columns,
paths are relative to open folders (the kernel then walks two components, not ten: a seventh of the
time of a link), and a blob that is as it should be costs two system calls and one comparison;
anything else is examined by the methods below.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import IO, BinaryIO, Literal, Protocol

from slurmic_store.errors import SourceChangedError, quoted, reason_of
from slurmic_store.format.digests import hasher
from slurmic_store.format.names import blob_names
from slurmic_store.format.seals import SECOND, is_old, oldest_young, sealed_now, seals_of
from slurmic_store.format.tree import TreeColumns, TreeEntry, folders_of
from slurmic_store.fs import files
from slurmic_store.fs.creating import creating, write_new
from slurmic_store.fs.pace import BUNDLE, in_bundles, paced_map
from slurmic_store.fs.progress import followed
from slurmic_store.store.method import Cloning, FillMethod, copy_blob, mode_refused
from slurmic_store.store.store import Store

_CHUNK = 1 << 20

Problem = Literal["missing", "damaged", "full", "old"]
"""Why a blob cannot be used: it does not exist; it is not what was stored; its links are used up;
it is so old that a purge might take it."""

Problems = list[tuple[int, Problem]]
"""Indices of entries, and what is wrong with their blobs."""


class FolderWriter(contextlib.AbstractContextManager["FolderWriter"]):
    """Makes folders, symbolic links and files in a new folder; a context manager.

    Args:
        folder: absolute path of the folder.
        writable: whether files get their owner's write permission and the clock's time; else they
            get no write permission, and the seal.

    Attributes:
        copied: absolute paths of the files that are not links of blobs.
    """

    def __init__(self, folder: bytes, *, writable: bool = False) -> None:
        self._folder = folder
        self._writable = writable
        self._made: set[bytes] = set()
        with contextlib.ExitStack() as descriptors:
            self._folder_fd = _opened(folder, descriptors)
            self._descriptors = descriptors.pop_all()
        self.copied: list[bytes] = []

    def __exit__(self, *_: object) -> None:
        self._descriptors.close()

    def path(self, path: bytes) -> bytes:
        """Where an entry of the tree lies in the folder; absolute."""
        return b"%s/%s" % (self._folder, path)

    def make_folders(self, paths: Iterable[bytes]) -> None:
        """Make the folders that paths imply, except those that this has made already."""
        levels: defaultdict[int, list[bytes]] = defaultdict(list)
        for folder in sorted(folders_of(paths) - self._made):
            levels[folder.count(b"/")].append(folder)
        for _, level in sorted(levels.items()):
            for made in paced_map(self._make_folders, in_bundles(level)):
                self._made.update(made)

    def _make_folders(self, folders: Sequence[bytes]) -> Sequence[bytes]:
        mkdir, descriptor = os.mkdir, self._folder_fd
        with _absolute_errors(self._folder):
            for folder in folders:
                mkdir(folder, dir_fd=descriptor)
        return folders

    def make_special(self, tree: TreeColumns) -> None:
        """Make the symbolic links and the empty files, whose folders must exist.

        (Empty files share no inode: an ``__init__.py`` would share it with every other empty file
        of the store, and its links would run out.)
        """
        special = sorted({i for i, size in enumerate(tree.sizes) if not size} | set(tree.targets))
        for _ in paced_map(partial(self._make_special, tree), in_bundles(special)):
            pass

    def _make_special(self, tree: TreeColumns, indices: Sequence[int]) -> None:
        for index in indices:
            if index in tree.targets:
                self.make_link(tree.paths[index], tree.targets[index])
            else:
                self.make_empty(tree.paths[index], tree.modes[index])

    def make_link(self, path: bytes, target: bytes) -> None:
        """Make one symbolic link; its path is as in the tree."""
        with _absolute_errors(self._folder):
            os.symlink(target, path, dir_fd=self._folder_fd)

    def make_empty(self, path: bytes, mode: int) -> None:
        """Make one empty file; its path is as in the tree."""
        with _absolute_errors(self._folder):
            write_new(path, b"", mode=self._mode(mode), sync=False, dir_fd=self._folder_fd)

    def write(self, entry: TreeEntry, content: BinaryIO) -> None:
        """Write one file with content, whose folder must exist.

        Raises:
            SourceChangedError: it is not the entry's content; nothing is left.
            OSError: it cannot be written; nothing is left.
        """
        with (
            _absolute_errors(self._folder),
            creating(entry.path, mode=self._mode(entry.mode), dir_fd=self._folder_fd) as file,
        ):
            copy_content(entry, content, file)
            if not self._writable:
                file.times = sealed_now(entry.digest)
        self.copied.append(self.path(entry.path))

    def _mode(self, mode: int) -> int:
        return mode | 0o200 if self._writable else mode


class Output(Protocol):
    """What content can be written to."""

    def write(self, data: bytes, /) -> object:
        """Append all of `data`."""


def copy_content(entry: TreeEntry, content: IO[bytes], out: Output) -> None:
    """Copy the content of a file of a tree, a piece at a time.

    Raises:
        SourceChangedError: it is not what the tree says. By then some of it may be written.
    """
    digest, left = hasher(), entry.size
    while left and (data := content.read(min(left, _CHUNK))):
        digest.update(data)
        out.write(data)
        left -= len(data)
    if left or content.read(1) or digest.digest() != entry.digest:
        raise SourceChangedError(
            f"{quoted(entry.path)} changed while it was read",
            path=entry.path,
            hint="nothing was written; try again when no program writes to it",
        )


@dataclass(frozen=True)
class Filling:
    """How blobs get into a folder.

    Attributes:
        method: how files are made from blobs.
        now: the time to count ages from, in seconds since the epoch.
        refresh_after: age in seconds from which a blob is a problem.
        writable: as for :class:`FolderWriter`; not with hard links.
    """

    method: FillMethod
    now: float
    refresh_after: float
    writable: bool = False


class FolderFiller(FolderWriter):
    """Puts blobs into a folder, too.

    Args:
        store: where the blobs are.
        folder: absolute path of the folder.
        filling: how they get into it.

    Attributes:
        notices: sentences for the user.
    """

    def __init__(self, store: Store, folder: bytes, filling: Filling) -> None:
        super().__init__(folder, writable=filling.writable)
        self._store = store
        self._filling = filling
        self._method = filling.method
        self.notices: list[str] = []
        with contextlib.ExitStack() as descriptors:
            descriptors.push(self)
            # A purge may have taken it; then each blob is missing.
            with contextlib.suppress(OSError):
                os.mkdir(store.blobs, 0o700)
            self._blobs_fd = _opened(store.blobs, self._descriptors)
            descriptors.pop_all()

    def link(self, tree: TreeColumns, indices: Sequence[int]) -> Problems:
        """Link (or copy) blobs into folders that must exist; the problems, in `indices`' order.

        Raises:
            LinkModeError: the link mode that was asked for does not work for a file.
            OSError: the folder cannot be written to.
        """
        link = self._link if self._method.method == "hardlink" else self._copy_some
        with _absolute_errors(self._folder):
            parts = paced_map(partial(link, tree), in_bundles(indices))
            total = len(indices) // BUNDLE
            return list(chain.from_iterable(followed("building the code folder", parts, total)))

    def check(self, tree: TreeColumns, indices: Sequence[int]) -> Problems:
        """Look at blobs without linking them; the problems, in the order of `indices`."""
        with _absolute_errors(self._store.blobs):
            return list(
                chain.from_iterable(paced_map(partial(self._check, tree), in_bundles(indices)))
            )

    def _link(self, tree: TreeColumns, indices: Sequence[int]) -> Problems:
        problems: Problems = []
        link, stat_of, regular = os.link, os.stat, stat.S_IFREG
        blobs, folder, owner = self._blobs_fd, self._folder_fd, self._store.owner
        young = oldest_young(self._filling.now, self._filling.refresh_after)
        for index, path, blob, mode, size, seal in _rows(tree, indices):
            try:
                # With a dir_fd, Python would otherwise follow symbolic links.
                link(blob, path, src_dir_fd=blobs, dst_dir_fd=folder, follow_symlinks=False)
            except OSError as error:
                problem = self._cannot_link(tree, index, blob, error)
            else:
                status = stat_of(path, dir_fd=folder, follow_symlinks=False)
                if (
                    status.st_mode == regular | mode
                    and status.st_uid == owner
                    and status.st_size == size
                    and status.st_mtime_ns >= young
                    and status.st_mtime_ns % SECOND == seal
                ):
                    continue
                problem = self._judge(status, tree, index)
                if problem is not None:
                    os.unlink(path, dir_fd=folder)
            if problem is not None:
                problems.append((index, problem))
        return problems

    def _check(self, tree: TreeColumns, indices: Sequence[int]) -> Problems:
        problems: Problems = []
        stat_of, regular, blobs = os.stat, stat.S_IFREG, self._blobs_fd
        owner = self._store.owner
        young = oldest_young(self._filling.now, self._filling.refresh_after)
        for index, _, blob, mode, size, seal in _rows(tree, indices):
            try:
                status = stat_of(blob, dir_fd=blobs, follow_symlinks=False)
            except OSError as error:
                if error.errno not in files.GONE:
                    raise
                problems.append((index, "missing"))
                continue
            if (
                status.st_mode == regular | mode
                and status.st_uid == owner
                and status.st_size == size
                and status.st_mtime_ns >= young
                and status.st_mtime_ns % SECOND == seal
            ):
                continue
            problem = self._judge(status, tree, index)
            if problem is not None:
                problems.append((index, problem))
        return problems

    def _cannot_link(
        self, tree: TreeColumns, index: int, blob: bytes, error: OSError
    ) -> Problem | None:
        """What is wrong with a blob whose link failed; None if the file has been made anyway."""
        if error.errno in files.GONE:
            return "missing"
        if error.errno == errno.EMLINK:
            return "full"
        if error.errno not in files.CANNOT_LINK:
            error.filename = os.path.join(self._store.blobs, blob)
            raise error
        for _, problem in self._check(tree, [index]):
            return problem  # a folder under a blob's name answers EPERM, too
        self.note_refusal(os.path.join(self._store.blobs, blob), error)
        for _, problem in self._copy_some(tree, [index]):
            return problem
        return None

    def _copy_some(self, tree: TreeColumns, indices: Sequence[int]) -> Problems:
        """Make files of their own."""
        problems: Problems = []
        for index in indices:
            blob = self._store.blob_path(tree.digests[index], tree.modes[index])
            try:
                descriptor = os.open(blob, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in files.GONE:
                    problems.append((index, "missing"))
                elif error.errno in (errno.ELOOP, errno.EACCES):
                    problems.append((index, "damaged"))
                else:
                    raise
                continue
            try:
                problem = self._copy_open(descriptor, tree, index)
            finally:
                os.close(descriptor)
            if problem is not None:
                problems.append((index, problem))
        return problems

    def _copy_open(self, blob: int, tree: TreeColumns, index: int) -> Problem | None:
        status = os.fstat(blob)
        problem = self._judge(status, tree, index)
        if problem is None:
            path = self.path(tree.paths[index])
            self._clone_or_copy(blob, path, status)
            problem = self._judge(os.fstat(blob), tree, index)
            if problem is None:
                self.copied.append(path)
            else:
                os.unlink(path)  # written to while it was copied
        return problem

    def _clone_or_copy(self, blob: int, path: bytes, status: os.stat_result) -> None:
        cloning: Cloning = "never" if self._method.method == "copy" else "if possible"
        if self._method.asked == "reflink":
            cloning = "always"
        try:
            copy_blob(blob, path, status, clone=cloning, writable=self._writable)
        except OSError as error:
            if cloning != "always" or error.errno not in files.CANNOT_LINK:
                raise
            reason = f"reflinks: {reason_of(error)}"
            raise mode_refused(self._store, path, "reflink", reason) from error

    def _judge(self, status: os.stat_result, tree: TreeColumns, index: int) -> Problem | None:
        if status.st_size != tree.sizes[index] or not self._store.is_pristine(
            status, tree.digests[index], tree.modes[index]
        ):
            return "damaged"
        return "old" if is_old(status, self._filling.now, self._filling.refresh_after) else None

    def note_refusal(self, blob: bytes, error: OSError) -> None:
        """Say once that a single link was refused although the probe worked, or fail."""
        reason = reason_of(error)
        if self._method.asked == "hardlink":
            raise mode_refused(self._store, blob, "hardlink", f"hard links: {reason}") from error
        if self._method.notice == "" and not self.notices:
            self.notices.append(
                f"some files are copies, not hard links: {quoted(blob)} could not be linked "
                f"({reason})"
            )


@contextlib.contextmanager
def _absolute_errors(folder: bytes) -> Iterator[None]:
    """Let an OSError name the absolute path of what it failed on, which is relative to `folder`."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, bytes):
            error.filename = os.path.join(folder, error.filename)
        raise


def _opened(folder: bytes, descriptors: contextlib.ExitStack) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    descriptors.callback(os.close, descriptor)
    return descriptor


def _rows(
    tree: TreeColumns, indices: Sequence[int]
) -> Iterator[tuple[int, bytes, bytes, int, int, int]]:
    """Index, path, blob (its path below ``blobs/``), mode, size and seal."""
    digests = [tree.digests[index] for index in indices]
    modes = [tree.modes[index] for index in indices]
    return zip(
        indices,
        [tree.paths[index] for index in indices],
        blob_names(digests, modes),
        modes,
        [tree.sizes[index] for index in indices],
        seals_of(digests),
        strict=True,
    )

"""Code folder names: ``code``, ``code-2``, ``code-3``, …, and claiming one.

A name is claimed by the record beside it, ``code.json``: linked into place, so that exactly one of
several submissions gets it. What an earlier job sees never changes: a name that is taken, by a
record or by a folder, is never used again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal

from slurmic_store.errors import DestinationError, printable, quoted
from slurmic_store.format.manifest import compress
from slurmic_store.format.names import (
    ARCHIVE_BESIDE,
    GUARD_BESIDE,
    MANIFEST_BESIDE,
    RECORD_SUFFIX,
    TEMPORARIES_BESIDE,
    staging_name,
)
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.fs import files
from slurmic_store.fs.creating import replacing, write_new
from slurmic_store.store.store import Store

OnTaken = Literal["number", "fail"]


@dataclass(frozen=True)
class CodeFolderName:
    """A name that one snapshot alone may use, and the paths of what lies beside its folder.

    Attributes:
        folder: the absolute path that the code folder will have, or has.
    """

    folder: bytes

    @property
    def record(self) -> bytes:
        """The record beside the code folder."""
        return self.folder + RECORD_SUFFIX

    @property
    def manifest(self) -> bytes:
        """The manifest beside the code folder."""
        return self.folder + MANIFEST_BESIDE

    @property
    def archive(self) -> bytes:
        """An archive of the code folder, which a program above the engine may have put there."""
        return self.folder + ARCHIVE_BESIDE

    @property
    def guard(self) -> bytes:
        """A folder that exists while the name is being claimed where there are no hard links."""
        return self.folder + GUARD_BESIDE

    def temporaries(self, snapshot_id: str) -> tuple[bytes, bytes]:
        """Temporary paths beside the code folder, for a record and a manifest; gc knows them."""
        staging = os.path.join(os.path.dirname(self.folder), staging_name(snapshot_id))
        record, manifest = (staging + suffix for suffix in TEMPORARIES_BESIDE)
        return record, manifest

    def add_manifest(self, store: Store, record: SnapshotRecord, encoded: bytes) -> None:
        """Put the manifest beside the code folder, so that it can be verified without the store.

        A link to the store's where that works (a collection may have moved that aside just now),
        else a file of its own. Without it the snapshot is only not verifiable alone, so a failure
        is ignored.

        Args:
            store: where the manifest has been published.
            record: names the tree.
            encoded: the tree's canonical encoding.
        """
        source = store.tree_path(record.tree)
        with contextlib.suppress(OSError):
            try:
                os.link(source, self.manifest, follow_symlinks=False)
            except OSError:
                # Even if it exists: the name is ours, so that is what an earlier snapshot has
                # left, or what a network client remembers of it (seen on GlusterFS).
                self.update_manifest(record, encoded)

    def prepare(self, record: SnapshotRecord) -> None:
        """Write what :meth:`take` gives the name to: the record, with the folder as only anchor.

        Raises:
            OSError: it cannot be written.
        """
        temporary = self.temporaries(record.id)[0]
        files.remove_quietly(temporary)
        mine = replace(record, anchors=(self.folder,))
        write_new(temporary, mine.to_json().encode())

    def take(self, record: SnapshotRecord) -> bool:
        """Claim the name with the record that has been prepared; False if it is another's.

        Raises:
            OSError: no name can be given here.
        """
        temporary = self.temporaries(record.id)[0]
        won = False
        try:
            won = not _is_taken(self.folder) and self._give_exclusively(temporary)
            files.remove_quietly(temporary)
        except BaseException:
            if won:
                self.release()
            raise
        # A folder of another making may have come between the look and the claim.
        if won and os.path.lexists(self.folder):
            self.release()
            return False
        return won

    def _give_exclusively(self, temporary: bytes) -> bool:
        """Give the finished record at `temporary` its name, which only one process may get.

        Where there are no hard links, two renames onto a free name could both succeed; there a
        folder is made first, which exactly one process can.
        """
        try:
            os.link(temporary, self.record, follow_symlinks=False)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in files.CANNOT_LINK:
                raise
        try:
            os.mkdir(self.guard)
        except FileExistsError:
            return False
        try:
            if os.path.lexists(self.record):
                return False
            os.rename(temporary, self.record)
            return True
        finally:
            # One that stays makes others pass over the name, until gc removes it.
            with contextlib.suppress(OSError):
                os.rmdir(self.guard)

    def update_record(self, record: SnapshotRecord) -> None:
        """Replace the record beside the code folder; only its owner does.

        Raises:
            OSError: it cannot be written; the older version stays.
        """
        temporary = self.temporaries(record.id)[0]
        self._replace(self.record, temporary, record.to_json().encode())

    def update_manifest(self, record: SnapshotRecord, encoded: bytes) -> None:
        """Replace the manifest beside the code folder.

        Args:
            record: names the snapshot.
            encoded: the canonical encoding of its tree.

        Raises:
            OSError: it cannot be written; what was there stays.
        """
        self._replace(self.manifest, self.temporaries(record.id)[1], compress(encoded))

    def _replace(self, path: bytes, temporary: bytes, data: bytes) -> None:
        files.remove_quietly(temporary)  # left by a process that was killed
        with replacing(path, temporary=temporary) as file:
            file.write(data)

    def release(self) -> None:
        """Give the name up: remove what lies beside the folder, which is left to the caller."""
        files.remove_all((self.archive, self.manifest, self.record))


def next_free(
    output_folder: bytes,
    name: str,
    on_taken: OnTaken = "number",
    *,
    lost: Collection[bytes] = (),
) -> CodeFolderName:
    """The next name for a code folder that is still free; the first to take it has it.

    Args:
        output_folder: where the code folder will be.
        name: the first choice.
        on_taken: "number" goes on with ``<name>-2`` and so on; "fail" gives `name` or nothing.
        lost: folders whose names others were found to be taking.

    Raises:
        DestinationError: the name is taken, and `on_taken` is "fail".
        OSError: the folder cannot be looked into.
    """
    base = os.path.join(output_folder, os.fsencode(name))

    def taken(number: int) -> bool:
        folder = _numbered(base, number)
        return folder in lost or _is_taken(folder)

    number = _first_free(taken)
    if on_taken == "fail" and number > 1:
        raise DestinationError(
            f"{quoted(base)} already exists, or its record '{printable(base)}.json' does",
            path=base,
            hint="what an earlier snapshot has built is never changed: give another name",
        )
    return CodeFolderName(_numbered(base, number))


def _numbered(base: bytes, number: int) -> bytes:
    return base if number == 1 else base + b"-%d" % number


def _is_taken(folder: bytes) -> bool:
    return os.path.lexists(folder) or os.path.lexists(folder + RECORD_SUFFIX)


def _first_free(taken: Callable[[int], bool]) -> int:
    """A free number whose predecessor is taken (or 1), in a logarithmic number of looks.

    The thousandth submission into one output folder costs what the tenth did. Where names in the
    middle have been freed, one of those may be found: any free name is good.
    """
    if not taken(1):
        return 1
    low, high = 1, 2
    while taken(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(middle) else (low, middle)
    return high

"""The snapshot: from selected files to a code folder that is complete or does not exist.

The order of the steps makes it safe without locks (see also :mod:`slurmic_store.collect.plan`):

1. A staging folder is made beside the destination. Files whose digest is not known are copied into
   it, read-only, while they are hashed: no gc can touch them there.
2. One sync makes their content durable. Without it, a crash of the machine would leave files of no
   bytes under final names.
3. The manifest and then the record are published, with the name that the code folder is going to
   have if no other submission takes it. From here on gc knows what this snapshot needs.
4. Only now is anything in the store relied on: known blobs are linked into the staging folder. One
   that does not exist (gc was faster), or that a job has damaged, or that has used up its links, or
   that is old enough for a purge, is stored again from the source as in 1, synced, and the record
   is written again if the source has changed meanwhile.
5. New blobs get their names in the store, by link from the staging folder.
6. The name of the code folder is claimed by the record beside it, ``code.json`` (by link: exactly
   one submission wins; the others announce the next name in their records first), and the finished
   folder is renamed to the name that it alone has claimed.

What is synced on its own is synced before the blobs are linked (the record, and the one that is to
claim the name): after that, it would wait for the journal to write all those links.

A crash at any step leaves at worst a staging folder and a claimed name without a folder, which gc
removes. The code folder exists complete, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from slurmic_store.errors import DestinationError, StoreError, failed_path, os_failure, quoted
from slurmic_store.format.manifest import decode_tree
from slurmic_store.format.names import new_snapshot_id, staging_name
from slurmic_store.format.record import SnapshotRecord
from slurmic_store.format.tree import Tree, TreeColumns, encode_columns, tree_digest
from slurmic_store.fs import files
from slurmic_store.fs.files import remove_quietly
from slurmic_store.source.statcache import StatCache
from slurmic_store.store.method import FillMethod, LinkMode, choose_method
from slurmic_store.store.pins import pin, pin_path
from slurmic_store.store.records import record_path, write_record
from slurmic_store.store.store import Store

from .filler import Filling
from .from_source import CodeFolderBuilder
from .naming import CodeFolderName, OnTaken, next_free
from .staging import StagingFolder, announce, open_staging_folder

REFRESH_AFTER = 14 * 24 * 3600.0
"""Age in seconds from which a blob is stored again when it is used: well below the 30 days and more
after which scratch filesystems purge."""


@dataclass(frozen=True)
class SnapshotStats:
    """What a snapshot cost.

    Attributes:
        files: files in the tree.
        size: bytes of content in the tree.
        read: files that were read and hashed; the others were known by their stat.
        stored: files that were new to the store.
        stored_size: bytes that were new to the store.
    """

    files: int
    size: int
    read: int
    stored: int
    stored_size: int


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that has been taken.

    Attributes:
        record: its record, as published.
        code_folder: the code folder's absolute path; None if it was only stored.
        encoded_tree: the canonical encoding of its tree.
        stats: what it cost.
        notices: sentences for the user: a fallback that was taken, and why.
    """

    record: SnapshotRecord
    code_folder: bytes | None
    encoded_tree: bytes = field(repr=False)
    stats: SnapshotStats
    notices: tuple[str, ...]

    @cached_property
    def tree(self) -> Tree:
        """The files that it has."""
        return decode_tree(self.encoded_tree)


@dataclass(frozen=True)
class SnapshotOptions:
    """How a snapshot is taken.

    Attributes:
        name: name of the code folder.
        on_taken: what to do if the name is taken: "number" calls the next ones ``<name>-2``,
            ``<name>-3``, …; "fail" fails.
        link_mode: how files of the code folder are made from blobs.
        refresh_after: age in seconds from which a blob is stored again.
        pin_name: label of the pin of a snapshot that is only stored.
        info: called once, late, for what else the record is to hold.
        inspect: called with the paths of all files, sorted, and the size in bytes of each, before
            any is read. What it raises ends the snapshot.
    """

    name: str = "code"
    on_taken: OnTaken = "number"
    link_mode: LinkMode = "auto"
    refresh_after: float = REFRESH_AFTER
    pin_name: str = ""
    info: Callable[[], dict[str, Any]] = dict
    inspect: Callable[[Sequence[bytes], Sequence[int]], None] | None = None


def take_snapshot(
    store: Store,
    root: bytes,
    paths: Sequence[bytes],
    output_folder: bytes | None = None,
    options: SnapshotOptions | None = None,
) -> Snapshot:
    """Store files of a source tree and build a code folder of them.

    Args:
        store: must belong to this user.
        root: absolute path of the source tree.
        paths: which files of it, relative to `root`: regular files and symbolic links. One that
            has been deleted since it was selected is left out.
        output_folder: where the code folder goes, created if need be; None to only store the
            snapshot, which then is pinned, since nothing else would keep it.
        options: how; None for the defaults.

    Raises:
        SourceError: a file cannot be read, or changes every time that it is read.
        LinkModeError: an explicit `link_mode` is impossible here.
        DestinationError: the name is taken, and `on_taken` is "fail".
        StoreError: anything else: a full disk, a quota, no permission; names the path.

    After any of these errors nothing is left but blobs, which gc deletes.
    """
    store.require_owner()
    if output_folder is not None:
        output_folder = os.path.abspath(output_folder)
        files.make_folder(output_folder)
    snapshot_id, stage = _open_stage(store, output_folder)
    transaction = _Transaction(
        store, root, stage, snapshot_id, output_folder, options or SnapshotOptions()
    )
    try:
        return transaction.run(paths)
    except BaseException as error:
        transaction.roll_back()
        if isinstance(error, OSError):
            raise os_failure("pack into", failed_path(error, stage.path), error) from error
        raise


def _open_stage(store: Store, output_folder: bytes | None) -> tuple[str, StagingFolder]:
    """A staging folder, under an id that no other snapshot in this store has."""
    while True:
        snapshot_id = new_snapshot_id(time.time())
        try:
            stage = open_staging_folder(store, snapshot_id, output_folder or store.tmp)
        except FileExistsError:
            continue
        # In the other order, a submission that ends in between would go unnoticed.
        if not os.path.lexists(record_path(store, snapshot_id)):
            return snapshot_id, stage
        stage.discard()


@dataclass
class _Transaction:
    """One run of the steps above; what has to be undone if it fails."""

    store: Store
    root: bytes
    stage: StagingFolder
    snapshot_id: str
    output_folder: bytes | None
    options: SnapshotOptions
    encoded: bytes = b""
    record: SnapshotRecord | None = None
    claim: CodeFolderName | None = None  # announced
    claimed: CodeFolderName | None = None
    in_place: bool = False

    def run(self, paths: Sequence[bytes]) -> Snapshot:
        store, stage, options = self.store, self.stage, self.options
        method = (
            choose_method(store, stage.path, options.link_mode)
            if self.output_folder is not None
            else FillMethod("hardlink")
        )
        # Of two clocks the one that is behind: see statcache.
        began_ns = min(time.time_ns(), stage.created_ns)
        cache = StatCache.load(store, self.root)
        with CodeFolderBuilder(
            store,
            self.root,
            stage.path,
            Filling(method, time.time(), options.refresh_after),
            fill=self.output_folder is not None,
            owner=self.snapshot_id,
        ) as builder:
            builder.examine(paths, cache)
            if options.inspect is not None:
                options.inspect(builder.tree.paths, builder.tree.sizes)
            builder.read_new()
            builder.sync()
            self._publish_intent(builder.tree, method)
            for _ in range(4):
                if not builder.link_known():
                    break
                builder.read_new()
                builder.sync()
                if encode_columns(builder.tree) != self.encoded:
                    self._publish_intent(builder.tree, method)
            else:
                raise StoreError(
                    f"blobs keep vanishing from store '{store.name}' while they are used",
                    path=store.path,
                    hint="check whether another program removes files there",
                )
            builder.publish_blobs()
            builder.sync_copies()
        assert self.record is not None
        if self.output_folder is None:
            code_folder = None
            pin(store, self.snapshot_id, options.pin_name)
            self.record = replace(self.record, anchors=())
            write_record(store, self.record)
            files.remove_tree(stage.path)
        else:
            code_folder = self._put_in_place(self.output_folder)
        cache.save(self.root, *builder.known_files(), began_ns)
        # Last: as long as the note exists, what a crash leaves has an owner.
        stage.close()
        return Snapshot(
            record=self.record,
            code_folder=code_folder,
            encoded_tree=self.encoded,
            stats=SnapshotStats(
                files=self.record.files,
                size=self.record.size,
                read=builder.read,
                stored=builder.stored,
                stored_size=builder.stored_size,
            ),
            notices=tuple(notice for notice in (method.notice, *builder.notices) if notice),
        )

    def _publish_intent(self, tree: TreeColumns, method: FillMethod) -> None:
        """Publish manifest and record of what has been found so far."""
        self.encoded = encode_columns(tree)
        name = tree_digest(self.encoded)
        self._publish_manifest(name)
        if self.record is None:
            self.record = SnapshotRecord(
                id=self.snapshot_id,
                created=time.time(),
                tree=name,
                mount=self.stage.mount,
                placement=method.method if self.output_folder is not None else "none",
                info=self.options.info(),
            )
        self.record = replace(self.record, tree=name, files=len(tree), size=tree.size)
        if self.output_folder is None:
            self.record = replace(self.record, anchors=(self.stage.path,))
            write_record(self.store, self.record)
        else:
            self._announce(self._next_free(self.output_folder))
        # Again: a gc that did not see the record yet may have taken the manifest that an earlier
        # snapshot of the same tree had left. From here on none will.
        self._publish_manifest(name)

    def _next_free(self, output_folder: bytes, lost: Collection[bytes] = ()) -> CodeFolderName:
        options = self.options
        return next_free(output_folder, options.name, options.on_taken, lost=lost)

    def _announce(self, claim: CodeFolderName) -> None:
        """Publish the record with the name that is going to be claimed.

        After a crash, this is how gc finds the claim. (Should another snapshot get that name, its
        folder keeps this record alive no longer than its own staging folder lasts.)
        """
        assert self.record is not None
        # Both anchors: until the folder has moved, and from then on, one of them exists.
        self.record = replace(self.record, anchors=(self.stage.path, claim.folder))
        write_record(self.store, self.record)
        claim.prepare(self.record)
        self.claim = claim

    def _publish_manifest(self, name: str) -> None:
        self.store.publish_manifest(
            name, self.encoded, refresh_after=self.options.refresh_after, owner=self.snapshot_id
        )

    def _put_in_place(self, output_folder: bytes) -> bytes:
        """Claim a name, and rename the finished folder to it; the folder's path."""
        record, claim = self.record, self.claim
        assert record is not None and claim is not None
        lost: set[bytes] = set()
        while len(lost) < 10_000:
            if claim.take(record):
                self.claimed = claim
                claim.add_manifest(self.store, record, self.encoded)
                try:
                    os.rename(self.stage.path, claim.folder)
                except OSError:
                    if not os.path.lexists(claim.folder):
                        raise
                    # Something that is not ours took the name between the check and the rename.
                    claim.release()
                    self.claimed = None
                else:
                    self.in_place = True
                    self.record = replace(record, anchors=(claim.folder,))
                    return claim.folder
            lost.add(claim.folder)
            claim = self._next_free(output_folder, lost)
            self._announce(claim)
        raise DestinationError(
            f"no free name for a code folder in {quoted(output_folder)}", path=output_folder
        )

    def roll_back(self) -> None:
        """Take away what the steps so far have left, as far as the filesystem allows."""
        with contextlib.suppress(OSError):
            if self.claimed is not None and self.in_place:
                # So that it goes from its name at once, and not file by file.
                os.rename(self.claimed.folder, self.stage.path)
        with contextlib.suppress(OSError):
            if self.claimed is not None:
                self.claimed.release()
        with contextlib.suppress(OSError):
            if self.record is not None and self.output_folder is None:
                remove_quietly(pin_path(self.store, self.snapshot_id))
        with contextlib.suppress(OSError):
            if self.record is not None:
                remove_quietly(record_path(self.store, self.snapshot_id))
        self.stage.discard()


def withdraw_snapshot(store: Store, snapshot: Snapshot) -> None:
    """Undo a snapshot whose job could not be submitted: its code folder and records go away.

    Blobs stay for gc. Nothing may be running from the folder.

    Args:
        store: where it was stored.
        snapshot: what :func:`take_snapshot` gave.

    Raises:
        StoreError: something could not be removed; names it.
    """
    folder = snapshot.code_folder
    stage = None
    staged = b""
    try:
        if folder is not None:
            # It goes from its name at once, and not file by file; should this process die, gc
            # finishes, by the note. (On a full disk there may be no note.)
            with contextlib.suppress(StoreError, FileExistsError):
                stage = announce(store, snapshot.record.id, os.path.dirname(folder))
            staged = os.path.join(os.path.dirname(folder), staging_name(snapshot.record.id))
            with contextlib.suppress(FileNotFoundError):
                os.rename(folder, staged)
            CodeFolderName(folder).release()
            files.remove_tree(staged)
        else:
            remove_quietly(pin_path(store, snapshot.record.id))
        remove_quietly(record_path(store, snapshot.record.id))
        if stage is not None:
            stage.close()
    except OSError as error:
        if stage is not None and not os.path.lexists(staged):
            with contextlib.suppress(OSError):
                stage.close()
        raise os_failure("withdraw", failed_path(error, store.path), error) from error

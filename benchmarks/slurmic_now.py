"""This slurmic as a candidate: all that a submission does with the source tree, in this process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from slurmic.config import SlurmConfig
from slurmic.snapshot import PackedSnapshot, PackRequest, pack_code
from slurmic_store.fs import syncing

from .harness import Candidate
from .trees import SourceTree

P = ParamSpec("P")
T = TypeVar("T")

_DEFAULTS = SlurmConfig()


class Slurmic:
    """Snapshots of one source tree in one store.

    Attributes:
        tree: what is packed.
        store: the store's folder.
    """

    def __init__(self, tree: SourceTree, store: Path) -> None:
        self.tree = tree
        self.store = store
        self._packed: list[PackedSnapshot] = []

    def pack(self, path: Path) -> PackedSnapshot:
        """Select, look up, record, and build a code folder below `path`."""
        return self._take(path)

    def keep(self) -> PackedSnapshot:
        """Select, look up and record; no code folder."""
        return self._take(None)

    def _take(self, path: Path | None) -> PackedSnapshot:
        request = PackRequest(
            code_root=str(self.tree.root),
            suffixes=_DEFAULTS.code_file_suffixes,
            exclude_folders=_DEFAULTS.exclude_code_folders,
            output_path=None if path is None else str(path),
            store_path=str(self.store),
            pin_name="benchmark" if path is None else "",
        )
        packed = pack_code(request)
        self._packed.append(packed)
        return packed

    def forget(self) -> None:
        """Leave the last one as it is."""
        self._packed.pop()

    def withdraw(self) -> None:
        """Undo the last one, and see that it had all files."""
        packed = self._packed.pop()
        found = len(packed.snapshot.tree.entries)
        packed.withdraw()
        if found != self.tree.files:
            raise RuntimeError(f"packed {found} of {self.tree.files} files of {self.tree.root}")

    def candidate(
        self,
        name: str = "slurmic",
        *,
        folder: bool = True,
        prepare: Callable[[], object] = lambda: None,
    ) -> Candidate:
        """With a code folder or without; waiting for the disk is measured apart."""

        def run(path: Path) -> float:
            with waiting_for_disk() as waited:
                self._take(path if folder else None)
            return waited[0]

        return Candidate(name, run, prepare, clean=self.withdraw)


@contextmanager
def waiting_for_disk() -> Iterator[list[float]]:
    """Measure the seconds that this thread waits, inside, for data to be on the disk.

    Yields:
        A list of one number.
    """
    waited = [0.0]
    thread = threading.get_ident()
    nested = False

    def timed(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*arguments: P.args, **options: P.kwargs) -> T:
            nonlocal nested
            if nested or threading.get_ident() != thread:
                return function(*arguments, **options)
            nested = True
            began = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                waited[0] += time.perf_counter() - began
                nested = False

        return call

    fdatasync, fsync, sync_files = os.fdatasync, os.fsync, syncing.sync_files
    os.fdatasync, os.fsync = timed(fdatasync), timed(fsync)
    syncing.sync_files = timed(sync_files)
    try:
        yield waited
    finally:
        os.fdatasync, os.fsync, syncing.sync_files = fdatasync, fsync, sync_files

"""slurmic import: a snapshot from an archive."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Annotated, Any

import tyro

from slurmic import environment
from slurmic.config import MAX_FILES, MAX_MB
from slurmic.errors import SlurmicError
from slurmic.snapshot import locate_store
from slurmic_store import ArchiveLimits, Store, Tree, import_archive

from .console import number, one_line, say, size, warn
from .exits import DONE


@dataclass
class Import:
    """Store what an archive of 'slurmic export' holds, as a snapshot, and print its id.

    The archive is checked: what was changed, or is made to write elsewhere, is refused, and nothing
    of it is stored. The snapshot is pinned, since no folder keeps it alive."""

    archive: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    """the archive; - reads it from standard input"""

    name: str = ""
    """a name for the pin"""

    max_files: int = MAX_FILES
    """refuse an archive of more files; 0 for any number"""

    max_mb: int = MAX_MB
    """refuse an archive of more megabytes (10^6 bytes), unpacked; 0 for any"""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default where a submission from here would put it"""

    def run(self) -> int:
        """Store it; the id goes to standard output."""
        is_stdin = self.archive == "-"
        origin = "standard input" if is_stdin else os.path.abspath(self.archive)
        with _opened(self.archive) as archive:
            location = locate_store(
                os.getcwd(),
                store_path=self.store,
                setting=environment.store_setting(),
                home=environment.home_folder(),
            )
            store = Store.open(location.path)

            def info() -> dict[str, Any]:
                return {**environment.about_process(), "imported_from": origin}

            snapshot = import_archive(
                store,
                archive,
                name=self.archive,
                pin_name=self.name,
                info=info,
                limits=ArchiveLimits(self.max_files, self.max_mb * 1_000_000),
            )
        print(snapshot.record.id)
        stats = snapshot.stats
        say(
            f"{number(stats.files, 'file')}, {size(stats.size)}; new to the store: "
            f"{number(stats.stored, 'file')}, {size(stats.stored_size)}; "
            f"store: {store.name} ({location.reason})"
        )
        _warn_of_links(snapshot.tree)
        return DONE


def _warn_of_links(tree: Tree) -> None:
    """A link that leads out of the tree is no harm in the store, but may be one in a folder."""
    out = []
    for entry in tree.entries:
        if entry.target is not None:
            led_to = os.path.normpath(os.path.join(os.path.dirname(entry.path), entry.target))
            if led_to == b".." or led_to.startswith((b"/", b"../")):
                out.append(entry)
    if out:
        first = f"'{one_line(out[0].path)}' to '{one_line(out[0].target or b'')}'"
        lead = "leads" if len(out) == 1 else "lead"
        warn(f"{number(len(out), 'symbolic link')} {lead} out of the tree: {first}")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise SlurmicError(
            f"cannot read '{one_line(path)}': {(error.strerror or str(error)).lower()}"
        ) from error
    with stream:
        yield stream

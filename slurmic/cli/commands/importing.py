"""slurmic import: a snapshot from an archive."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from slurmic import environment
from slurmic.cli.arguments.group import argument, command, option
from slurmic.cli.arguments.options import store_option
from slurmic.cli.arguments.values import COUNT, FILE
from slurmic.cli.exits import DONE
from slurmic.cli.output.console import say, warn
from slurmic.defaults import MAX_FILES, MAX_MB
from slurmic.errors import SlurmicError
from slurmic.text import counted, quoted, size

if TYPE_CHECKING:
    from slurmic_store import Tree


@command("import")
@argument("archive", "FILE", "the archive; - reads it from standard input", type=FILE)
@option("--name", metavar="NAME", default="", help="a name for the pin")
@option(
    "--max-files",
    metavar="N",
    type=COUNT,
    default=MAX_FILES,
    show_default=True,
    help="refuse an archive of more files; 0 for no limit",
)
@option(
    "--max-mb",
    metavar="N",
    type=COUNT,
    default=MAX_MB,
    show_default=True,
    help="refuse an archive of more megabytes (10^6 bytes), unpacked; 0 for no limit",
)
@store_option
def import_snapshot(archive: str, name: str, max_files: int, max_mb: int, store: str) -> int:
    """Store the files of an archive as a snapshot.

    The archive is one of 'slurmic export'. The snapshot's id goes to standard output; it is pinned,
    because no folder keeps it alive. An archive that was changed, or that would write elsewhere, is
    refused, and nothing of it is stored.
    """
    from slurmic.snapshot import locate_store
    from slurmic_store import ArchiveLimits, Store, import_archive

    origin = "standard input" if archive == "-" else os.path.abspath(archive)
    with _opened(archive) as stream:
        location = locate_store(
            os.getcwd(),
            store_path=store,
            setting=environment.store_setting(),
            home=environment.home_folder(),
        )
        opened = Store.open(location.path)

        def info() -> dict[str, Any]:
            return {**environment.about_process(), "imported_from": origin}

        snapshot = import_archive(
            opened,
            stream,
            name=archive,
            pin_name=name,
            info=info,
            limits=ArchiveLimits(max_files, max_mb * 1_000_000),
        )
    print(snapshot.record.id)
    stats = snapshot.stats
    say(
        f"{counted(stats.files, 'file')}, {size(stats.size)}; new to the store: "
        f"{counted(stats.stored, 'file')}, {size(stats.stored_size)}; "
        f"store: {opened.name} ({location.reason})"
    )
    _warn_of_links(snapshot.tree)
    return DONE


def _warn_of_links(tree: Tree) -> None:
    """Warn of links that lead out of the tree: harmless in the store, maybe not in a folder."""
    out = []
    for entry in tree.entries:
        if entry.target is not None:
            led_to = os.path.normpath(os.path.join(os.path.dirname(entry.path), entry.target))
            if led_to == b".." or led_to.startswith((b"/", b"../")):
                out.append(entry)
    if out:
        first = f"{quoted(out[0].path)} to {quoted(out[0].target or b'')}"
        lead = "leads" if len(out) == 1 else "lead"
        warn(f"{counted(len(out), 'symbolic link')} {lead} out of the tree: {first}")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise SlurmicError(
            f"cannot read {quoted(path)}: {(error.strerror or str(error)).lower()}"
        ) from error
    with stream:
        yield stream

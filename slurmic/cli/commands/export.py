"""slurmic export: the files of a snapshot as one archive."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmic.cli.arguments.group import command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import store_option, tree_argument
from slurmic.cli.arguments.values import FILE
from slurmic.cli.exits import DONE, UsageError
from slurmic.cli.output.console import say, write_paths
from slurmic.errors import SlurmicError
from slurmic.text import counted, quoted, size

if TYPE_CHECKING:
    from slurmic_store import Compression, NewFile


@command("export")
@tree_argument
@option(
    "-o",
    "--output",
    metavar="FILE",
    type=FILE,
    required=True,
    help="where to, ending in .tar.zst (or .tzst), or in .tar for an uncompressed archive; "
    "- writes a .tar.zst to standard output",
)
@option("--force", is_flag=True, help="replace FILE if it exists")
@store_option
def export(ref: str, output: str, force: bool, store: str) -> int:
    """Write the files of a snapshot into an archive.

    'tar --zstd -xf' unpacks it into a folder 'code'; 'slurmic import' makes it a snapshot again.
    The same files give the same archive, byte for byte (with the same version of zstandard).
    """
    from slurmic_store import write_archive

    to_stdout = output == "-"
    if not to_stdout and not output.endswith((".tar.zst", ".tzst", ".tar")):
        raise UsageError(
            f"{quoted(output)} does not end in .tar.zst, .tzst or .tar",
            hint="the ending says how the archive is written",
        )
    if to_stdout and sys.stdout.isatty():
        raise UsageError(
            "refusing to write an archive to a terminal",
            hint="write it to a file, or into a pipe",
        )
    tree = finder(store).find_tree(ref)
    if to_stdout:
        write_archive(tree.tree, tree.open, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        path = os.path.abspath(os.fsencode(output))
        # One file for all: where any is private, all of it is.
        mode = 0o600 if tree.tree.is_private else None
        with _new_file(path, replace=force, mode=mode) as out:
            compression: Compression = "none" if output.endswith(".tar") else "strong"
            write_archive(tree.tree, tree.open, out, compression=compression)
        write_paths([path], nul=False)
    files = len(tree.tree.entries)
    say(f"{counted(files, 'file')}, {size(tree.tree.size)}, of {tree.label}")
    return DONE


@contextlib.contextmanager
def _new_file(path: bytes, *, replace: bool, mode: int | None) -> Iterator[NewFile]:
    """A file to write, which gets its name when it is complete.

    Raises:
        SlurmicError: the name is taken, or the file cannot be written; nothing is left then.
    """
    from slurmic_store import replacing

    if os.path.lexists(path) and not replace:
        raise SlurmicError(
            f"{quoted(path)} already exists",
            hint="--force replaces it once the new one is complete",
        )
    try:
        with replacing(path, mode=mode) as out:
            yield out
    except OSError as error:
        raise SlurmicError(
            f"cannot write {quoted(path)}: {(error.strerror or str(error)).lower()}"
        ) from error

"""slurmic export: the files of a snapshot as one archive."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Annotated

import tyro

from slurmic.errors import SlurmicError

from .console import number, one_line, say, size, write_paths
from .exits import DONE, UsageError
from .references import Reference


@dataclass
class Export:
    """Write the files of a snapshot into an archive, to be kept or sent.

    'tar --zstd -xf' unpacks it, into a folder 'code'; 'slurmic import' makes it a snapshot again.
    The same files give the same archive, byte for byte (with the same version of zstandard)."""

    ref: Reference
    """the snapshot: see 'slurmic --help'; . is the working tree, as it would be packed now"""

    output: Annotated[str, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """where to, ending in .tar.zst (or .tzst), or in .tar for an uncompressed one; - writes a
    .tar.zst to standard output"""

    force: bool = False
    """replace FILE if it exists"""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default the one that a submission from here would use"""

    def run(self) -> int:
        """Write it; the path goes to standard output."""
        from slurmic.snapshot.codetree import snapshot_tree
        from slurmic.snapshot.references import WORKING_TREE
        from slurmic_store import write_archive

        from .references import find_snapshot
        from .trees import current_tree

        to_stdout = self.output == "-"
        if not to_stdout and not self.output.endswith((".tar.zst", ".tzst", ".tar")):
            raise UsageError(
                f"'{one_line(self.output)}' ends in none of .tar.zst, .tzst and .tar",
                hint="the ending says how the archive is written",
            )
        if to_stdout and sys.stdout.isatty():
            raise UsageError(
                "an archive is nothing for a terminal", hint="write it to a file, or into a pipe"
            )
        tree = (
            current_tree(self.store)
            if self.ref == WORKING_TREE
            else snapshot_tree(find_snapshot(self.ref, self.store))
        )
        if to_stdout:
            write_archive(tree.tree, tree.open, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            path = os.path.abspath(os.fsencode(self.output))
            with _new_file(path, replace=self.force) as out:
                write_archive(tree.tree, tree.open, out, compress=not self.output.endswith(".tar"))
            write_paths([path], nul=False)
        files = len(tree.tree.entries)
        say(f"{number(files, 'file')}, {size(tree.tree.size)}, of {tree.label}")
        return DONE


@contextlib.contextmanager
def _new_file(path: bytes, *, replace: bool) -> Iterator[IO[bytes]]:
    """A file to write, which gets its name when it is whole.

    Raises:
        SlurmicError: the name is taken, or the file cannot be written; nothing is left then.
    """
    if os.path.lexists(path) and not replace:
        raise SlurmicError(
            f"'{one_line(path)}' exists already", hint="--force replaces it, once all is written"
        )
    temporary = os.path.join(
        os.path.dirname(path), b".slurmic-export-" + secrets.token_hex(8).encode()
    )
    try:
        with open(temporary, "xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.rename(temporary, path)
    except OSError as error:
        raise SlurmicError(
            f"cannot write '{one_line(path)}': {(error.strerror or str(error)).lower()}"
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)

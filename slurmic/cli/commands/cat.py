"""slurmic cat: one file of a snapshot."""

from __future__ import annotations

import shutil
import sys
from typing import BinaryIO

from slurmic.cli.arguments.group import argument, command
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import store_option, tree_argument
from slurmic.cli.arguments.values import FILE
from slurmic.cli.exits import DONE
from slurmic.cli.output.console import printable_lines
from slurmic.errors import SlurmicError
from slurmic.text import quoted


@command("cat")
@tree_argument
@argument(
    "path",
    "PATH",
    "the file, relative to the tree, or its path in the code folder or the source tree",
    type=FILE,
)
@store_option
def cat(ref: str, path: str, store: str) -> int:
    """Write a file of a snapshot to standard output.

    Exactly its bytes are written, unless standard output is a terminal.

    The content comes from the store or, if it is lost there, from the code folder. What a job has
    changed in the code folder is never taken for what was packed.
    """
    from slurmic.inspect.treepaths import follow, path_in

    tree = finder(store).find_tree(ref)
    with tree.open(follow(tree, path_in(tree, path))) as stream:
        if sys.stdout.isatty():
            _show(stream, path)
        else:
            shutil.copyfileobj(stream, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    return DONE


def _show(stream: BinaryIO, name: str) -> None:
    """Write to a terminal, with control characters as escape sequences."""
    data = stream.read()
    if b"\0" in data:
        raise SlurmicError(
            f"{quoted(name)} is a binary file, and standard output is a terminal",
            hint="write it to a file: slurmic cat ... > FILE",
        )
    text = b"\t".join(printable_lines(part).encode() for part in data.split(b"\t"))
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()

"""One compressed file with a code folder's content, for nodes to unpack (``code_stage="node"``)."""

from __future__ import annotations

import contextlib
import os
import tarfile
from typing import IO, cast

import zstandard

from slurmic_store import CodeFolderName, Tree

_LEVEL = 3


def make_archive(folder: bytes, tree: Tree) -> str:
    """Write the archive beside a code folder, unless it is there; its path.

    A tar file (PAX), compressed with zstandard, of what was packed: not of bytecode, nor of what
    jobs have written into the folder.

    Args:
        folder: the code folder; its name is claimed by the caller.
        tree: what it holds.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    final = CodeFolderName(folder).archive
    if os.path.exists(final):
        return os.fsdecode(final)
    temporary = final + b".%d" % os.getpid()
    try:
        with open(temporary, "xb") as file:
            with (
                zstandard.ZstdCompressor(level=_LEVEL).stream_writer(file, closefd=False) as packed,
                tarfile.open(
                    fileobj=cast(IO[bytes], packed),
                    mode="w|",
                    bufsize=1 << 20,
                    format=tarfile.PAX_FORMAT,
                    encoding="utf-8",
                    errors="surrogateescape",
                ) as tar,
            ):
                for entry in tree.entries:
                    name = os.fsdecode(entry.path)
                    tar.add(os.path.join(os.fsdecode(folder), name), name, recursive=False)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, final)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return os.fsdecode(final)

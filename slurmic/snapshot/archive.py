"""The archive beside a code folder, for nodes to unpack (``code_stage="node"``)."""

from __future__ import annotations

import os

from slurmic_store import CodeFolderName, Store, Tree, TreeContent, replacing, write_archive


def make_archive(folder: bytes, tree: Tree, store: Store) -> str:
    """Write the archive beside a code folder, unless it exists; its path.

    It holds what was packed: no bytecode, and nothing that jobs have written into the folder.

    Args:
        folder: the code folder; its name is claimed by the caller.
        tree: what it was built from.
        store: where content is read from if the folder no longer has it.

    Raises:
        StoreError: the content of a file is lost; nothing is left of the archive.
        OSError: it cannot be written; nothing is left of it.
    """
    final = CodeFolderName(folder).archive
    if not os.path.exists(final):
        content = TreeContent(tree, store, [folder])
        with replacing(final, mode=0o600 if tree.is_private else None) as out:
            write_archive(tree, content.open, out, compression="fast")
    return os.fsdecode(final)

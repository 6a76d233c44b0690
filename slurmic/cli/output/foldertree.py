"""Drawing the folders of a selection, with what is in them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from slurmic.text import counted, printable, size

from .console import console


def draw_folders(root: bytes, sizes: Mapping[bytes, int]) -> None:
    """Draw each folder with the number and the bytes of the files in it and below it.

    Args:
        root: the source tree.
        sizes: size in bytes of each selected file, by its path below `root`.
    """
    from rich.text import Text
    from rich.tree import Tree

    counts: dict[bytes, int] = {b"": 0}
    bytes_: dict[bytes, int] = {b"": 0}
    for path, length in sizes.items():
        folder = os.path.dirname(path)
        while True:
            counts[folder] = counts.get(folder, 0) + 1
            bytes_[folder] = bytes_.get(folder, 0) + length
            if not folder:
                break
            folder = os.path.dirname(folder)
    branches: dict[bytes, Tree] = {}
    for folder in sorted(counts, key=lambda path: path.split(b"/")):
        name = printable(os.path.basename(folder) if folder else root)
        # Text, and not markup: a name may look like markup.
        label = Text(f"{name}  {counted(counts[folder], 'file')}, {size(bytes_[folder])}")
        if folder:
            branches[folder] = branches[os.path.dirname(folder)].add(label)
        else:
            branches[folder] = Tree(label)
    console().print(branches[b""])

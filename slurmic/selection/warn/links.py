"""Links whose targets will not be in the code folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from slurmic.selection.paths import contains, count_below, quoted_list
from slurmic.selection.warn.warning import SelectionWarning
from slurmic.text import counted


def link_warnings(
    root: bytes, paths: Sequence[bytes], symlinks: Sequence[bytes]
) -> Iterator[SelectionWarning]:
    """Warn of packed links whose targets will not be in the code folder.

    A target is judged by its path alone: of a link through another link, by where it seems to
    lead.

    Args:
        root: absolute.
        paths: the selection, sorted.
        symlinks: those of it that are links, sorted.
    """
    outside: list[bytes] = []
    dangling: list[bytes] = []
    for link in symlinks:
        try:
            target = os.readlink(os.path.join(root, link))
        except OSError:
            continue  # replaced since; packing it will tell
        resolved = os.path.normpath(os.path.join(os.path.dirname(link), target))
        if os.path.isabs(target) or resolved == b".." or resolved.startswith(b"../"):
            outside.append(link)
        elif resolved == b"." or contains(paths, resolved) or count_below(paths, resolved):
            continue
        else:
            dangling.append(link)
    if outside:
        yield SelectionWarning(
            "link_outside",
            f"{counted(len(outside), 'link')} out of the tree: {quoted_list(outside)}; "
            "what is there is not frozen",
            "copy the target into code_root, or leave it if the job needs it live",
            tuple(outside),
        )
    if dangling:
        yield SelectionWarning(
            "link_dangling",
            f"{counted(len(dangling), 'link')} to something that is not packed: "
            f"{quoted_list(dangling)}",
            "pack the target too (`slurmic why` says what keeps it out), or remove the link",
            tuple(dangling),
        )

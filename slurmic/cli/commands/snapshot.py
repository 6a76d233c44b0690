"""slurmic snapshot: store a snapshot without submitting anything."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from slurmic import environment
from slurmic.cli.arguments.group import command, option
from slurmic.cli.arguments.options import (
    exclude_option,
    source_argument,
    store_option,
    suffix_option,
)
from slurmic.cli.arguments.values import COUNT, FOLDER, choice_of
from slurmic.cli.exits import DONE
from slurmic.cli.output.console import say, warn
from slurmic.config import LinkMode
from slurmic.defaults import DEFAULT_EXCLUDED, DEFAULT_SUFFIXES, MAX_FILES, MAX_MB
from slurmic.text import counted, size


class Asked(NamedTuple):
    """What the command line says."""

    code_root: str
    output: str
    name: str
    store: str
    link_mode: LinkMode
    suffixes: tuple[str, ...]
    excluded: tuple[str, ...]
    max_code_files: int
    max_code_mb: int


@command("snapshot")
@source_argument
@option(
    "--output",
    metavar="DIR",
    type=FOLDER,
    default="",
    help="build DIR as its code folder; DIR must not exist",
)
@option("--name", metavar="NAME", default="", help="a name for the pin")
@store_option
@option(
    "--link-mode",
    type=choice_of(LinkMode),
    default="auto",
    show_default=True,
    help="how files get into DIR",
)
@suffix_option
@exclude_option
@option(
    "--max-code-files",
    metavar="N",
    type=COUNT,
    default=MAX_FILES,
    show_default=True,
    help="refuse more files than this; 0 for no limit",
)
@option(
    "--max-code-mb",
    metavar="N",
    type=COUNT,
    default=MAX_MB,
    show_default=True,
    help="refuse more megabytes (10^6 bytes) than this; 0 for no limit",
)
def snapshot(**options: Any) -> int:
    """Store a snapshot of a source tree.

    Its id goes to standard output. Without --output it is pinned, because no folder keeps it alive.
    """
    from slurmic.snapshot import PackRequest, SizeLimits, pack_code

    asked = Asked(**options)
    folder = os.path.abspath(asked.output) if asked.output else None
    packed = pack_code(
        PackRequest(
            code_root=asked.code_root,
            suffixes=asked.suffixes or DEFAULT_SUFFIXES,
            exclude_folders=asked.excluded or DEFAULT_EXCLUDED,
            output_path=os.path.dirname(folder) if folder else None,
            folder_name=os.path.basename(folder) if folder else None,
            link_mode=asked.link_mode,
            store_path=asked.store,
            store_setting=environment.store_setting(),
            home=environment.home_folder(),
            about=environment.about_process(),
            pin_name=asked.name,
            limits=SizeLimits(max_files=asked.max_code_files, max_mb=asked.max_code_mb),
        )
    )
    for message in packed.warnings:
        warn(message)
    stats = packed.snapshot.stats
    print(packed.record.id)
    say(
        f"{counted(stats.files, 'file')}, {size(stats.size)}; new to the store: "
        f"{counted(stats.stored, 'file')}, {size(stats.stored_size)}; "
        f"store: {packed.store.name} ({packed.location.reason})"
    )
    return DONE

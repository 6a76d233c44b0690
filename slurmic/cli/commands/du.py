"""slurmic du: what the code of each output folder takes, and what deleting it would free."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from slurmic.cli.arguments.group import command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import json_option, store_option
from slurmic.cli.exits import DONE, INCOMPLETE
from slurmic.cli.output.console import console, say, warn
from slurmic.text import counted, printable, size

if TYPE_CHECKING:
    from slurmic_store import FolderUsage, Store, StoreSharing

_BAR = 20
_MOST = 30


@command("du")
@store_option
@option(
    "-a",
    "--all",
    "show_all",
    is_flag=True,
    help=f"show all output folders, not only the {_MOST} that free most",
)
@json_option("one JSON object a line: the output folders and pins, then the store")
def du(store: str, show_all: bool, as_json: bool) -> int:
    """Show what each output folder takes, and what deleting it frees.

    \b
    apparent  as if its code folders were copies of their own
    shared    of files that other output folders or pinned snapshots have as well:
              they cost nothing more for being in this one, too
    frees     what you get back if you delete the output folder and run 'slurmic gc'
    inodes    how many files and folders fewer your quota counts then

    The bar is what it takes now: # its own, - shared. Only packed code is counted, not what jobs
    have written. Sizes are in allocated blocks.
    """
    from slurmic_store import measure_sharing, pinned_ids

    opened = finder(store).open_store()
    usage = measure_sharing(opened)
    pins = pinned_ids(opened)
    if as_json:
        for folder in usage.folders:
            print(json.dumps(_as_json(folder, pins)))
        print(json.dumps(_store_as_json(opened, usage)))
    else:
        shown = usage.folders if show_all else usage.folders[:_MOST]
        _draw(shown, pins)
        if len(shown) < len(usage.folders):
            say(f"and {len(usage.folders) - len(shown):,} more that free less: --all shows them")
        _say_sum(opened, usage)
    for problem in usage.problems:
        warn(problem)
    return INCOMPLETE if usage.problems else DONE


def _say_sum(store: Store, usage: StoreSharing) -> None:
    say(
        f"store {store.name}: {counted(usage.blobs, 'blob')}, {size(usage.size)}, for "
        f"{counted(usage.files, 'file')} of {size(usage.apparent_size)} in code folders"
    )
    if usage.unused:
        say(
            f"{size(usage.unused_size)} in {counted(usage.unused, 'blob')} that nothing uses: "
            "'slurmic gc' frees them"
        )


def _draw(folders: list[FolderUsage], pins: dict[str, str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    screen = console()
    # The name of the folder is what a narrow terminal must still have room for.
    is_narrow = screen.width < _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("files", "apparent", "shared", "frees", "inodes"):
        if not (is_narrow and heading in _FOR_WIDE):
            table.add_column(heading, justify="right", no_wrap=True)
    if not is_narrow:
        table.add_column("", no_wrap=True, min_width=_BAR)
    table.add_column("output folder", overflow="fold")
    most = max((folder.own_size + folder.shared_size for folder in folders), default=0)
    for folder in folders:
        cells: dict[str, str | Text] = {
            "files": f"{folder.files:,}",
            "apparent": size(folder.apparent_size),
            "shared": size(folder.shared_size),
            "frees": size(folder.own_size),
            "inodes": f"{folder.own_inodes:,}",
            "": _bar(folder, most),
            "output folder": Text(_named(folder, pins), overflow="fold"),
        }
        table.add_row(*(cells[str(column.header)] for column in table.columns))
    screen.print(table)


_WIDE = 100
_FOR_WIDE = ("files", "apparent")


def _bar(folder: FolderUsage, most: int) -> str:
    """A bar whose length is what it takes, against the one that takes most; for eyes only."""
    if not most:
        return ""
    own = round(_BAR * folder.own_size / most)
    whole = round(_BAR * (folder.own_size + folder.shared_size) / most)
    return "#" * own + "-" * (whole - own)


def _named(folder: FolderUsage, pins: dict[str, str]) -> str:
    if folder.output_folder is None:
        name = printable(pins.get(folder.snapshots[0], ""))
        return f"pinned {folder.snapshots[0]}" + (f" as '{name}'" if name else "")
    from slurmic.cluster import jobids

    jobs = jobids.in_short(folder.jobs)
    return printable(folder.output_folder) + (f" (job {printable(jobs)})" if jobs else "")


def _as_json(folder: FolderUsage, pins: dict[str, str]) -> dict[str, Any]:
    path = folder.output_folder
    return {
        "output_folder": None if path is None else os.fsdecode(path),
        "pin_name": pins.get(folder.snapshots[0]) if path is None else None,
        "snapshots": folder.snapshots,
        "jobs": folder.jobs,
        "files": folder.files,
        "apparent_size": folder.apparent_size,
        "shared_size": folder.shared_size,
        "own_size": folder.own_size,
        "own_inodes": folder.own_inodes,
    }


def _store_as_json(store: Store, usage: StoreSharing) -> dict[str, Any]:
    return {
        "store": os.fsdecode(store.path),
        "blobs": usage.blobs,
        "size": usage.size,
        "files": usage.files,
        "apparent_size": usage.apparent_size,
        "unused": usage.unused,
        "unused_size": usage.unused_size,
        "problems": usage.problems,
    }

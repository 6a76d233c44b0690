"""Bytes and inodes on the disk against number of jobs; one file is edited before each job.

All that a way of freezing code leaves behind is counted: code folders, their directories, stores
and repositories, but not the source tree. Stores without code folders (restic, borg) are measured
too: what they save, a job has to restore first.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import peers
from .harness import Settings, remove
from .report import Cell, Report
from .slurmic_now import Slurmic
from .trees import SourceTree, shaped_tree
from .usage import disk_usage

Pack = Callable[[Path], object]
"""Freezes the tree for the job with this folder, which does not exist yet."""


def run(settings: Settings, report: Report) -> None:
    """Measure it."""
    tree = shaped_tree(settings.pick(tiny=30, quick=300, full=3_000), settings)
    checkpoints = settings.pick(
        tiny=[1, 3], quick=[1, 2, 5, 10, 20], full=[1, 2, 5, 10, 20, 50, 100, 200]
    )
    edited = sorted(path for path in tree.root.rglob("*.py") if path.stat().st_size)
    contents = {path: path.read_bytes() for path in edited}
    inodes: dict[str, list[tuple[float, float]]] = {}
    megabytes: dict[str, list[tuple[float, float]]] = {}
    for name, prepare in ways(tree, settings).items():
        report.progress(name)
        place = settings.scratch / "place"
        place.mkdir()
        pack = prepare(place)
        for number in range(checkpoints[-1]):
            path = edited[number % len(edited)]
            path.write_bytes(b"# edit %06d\n" % number + contents[path])
            pack(place / f"job-{number}")
            if number + 1 in checkpoints:
                usage = disk_usage(place)
                inodes.setdefault(name, []).append((number + 1, usage.inodes))
                megabytes.setdefault(name, []).append((number + 1, usage.bytes / 1e6))
        remove(place)
        for path, content in contents.items():
            path.write_bytes(content)
    for what, curves, unit in (("inodes", inodes, "inodes"), ("bytes", megabytes, "MB")):
        rows: list[list[Cell]] = [
            [name, *(value for _, value in points)] for name, points in curves.items()
        ]
        columns = ["jobs", *(f"{number:,}" for number in checkpoints)]
        report.table(f"{unit} after so many jobs; {tree.described}", columns, rows)
        title = f"On the disk: one file edited before each job ({tree})"
        report.picture(what, title, ("jobs", unit), curves)


def ways(tree: SourceTree, settings: Settings) -> dict[str, Callable[[Path], Pack]]:
    """Ways to freeze the tree for each job; each is given a folder of its own."""
    chosen: dict[str, Callable[[Path], Pack]] = {
        "slurmic": lambda place: Slurmic(tree, place / "store").pack,
        "cp -a (as 0.2.1)": partial(by_itself, peers.cp(tree, "-a").run),
    }
    if shutil.which("rsync"):
        chosen["rsync --link-dest"] = lambda place: linked_to_the_last(tree)
    for candidate in peers.rsync_snapshot(tree):
        chosen[candidate.name] = partial(by_itself, candidate.run)
    for name, maker in peers.ARCHIVERS.items():
        if shutil.which(name):
            archiver = maker(tree, settings)
            label = name if archiver.checkout else f"{name}, no folders"
            chosen[label] = partial(archived, archiver)
    return chosen


def linked_to_the_last(tree: SourceTree) -> Pack:
    """rsync -a --link-dest with the folder of the job before."""
    last: list[Path] = []

    def pack(path: Path) -> None:
        options = [f"--link-dest={last.pop()}"] if last else []
        peers.run("rsync", "-a", "--exclude=/.git", *options, f"{tree.root}/", f"{path}/")
        last.append(path)

    return pack


def by_itself(pack: Pack, place: Path) -> Pack:
    """Each job's folder stands alone."""
    return pack


def archived(archiver: peers.Archiver, place: Path) -> Pack:
    """Stored by content; and where that is possible with links, a folder for the job."""
    store = place / "store"
    archiver.create(store)

    def pack(path: Path) -> None:
        archiver.store(store)
        if archiver.checkout is not None:
            archiver.checkout(store, path)

    return pack

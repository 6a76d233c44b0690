"""A sweep that packs the same tree again and again: the thousandth snapshot against the tenth.

Two stores: in one the tree has been packed ten times, in the other a thousand times, all code
folders still there. Then one more is packed into each, in turn. And what a thousand folders take.
"""

from __future__ import annotations

import time
from pathlib import Path

from . import peers
from .harness import Samples, Settings, alternate
from .report import Cell, Report
from .slurmic_now import Slurmic
from .trees import SourceTree, shaped_tree
from .usage import disk_usage

FEW, MANY = 10, 1_000


def run(settings: Settings, report: Report) -> None:
    """Measure it."""
    tree = shaped_tree(settings.pick(tiny=30, quick=300, full=3_000), settings)
    many = settings.pick(tiny=30, quick=MANY, full=MANY)
    young = Slurmic(tree, settings.scratch / "young")
    old = Slurmic(tree, settings.scratch / "old")
    for number in range(FEW):
        young.pack(settings.scratch / f"young-jobs/{number}")
    report.progress(f"{tree}: {many:,} snapshots")
    jobs = settings.scratch / "old-jobs"
    milliseconds: list[float] = []
    for number in range(many):
        began = time.perf_counter()
        old.pack(jobs / str(number))
        milliseconds.append((time.perf_counter() - began) * 1000)
    samples = growth(settings, report, tree, young, old, many)
    height = samples.median("cp -al") * 1000
    floor = [(1.0, height), (float(many), height)]
    report.picture(
        "snapshots",
        f"One more snapshot of an unchanged tree ({tree})",
        ("snapshots of this tree so far", "milliseconds"),
        {"slurmic": binned(milliseconds), "cp -al": floor},
    )
    space(report, tree, jobs, settings.scratch / "old", many)


def growth(
    settings: Settings, report: Report, tree: SourceTree, young: Slurmic, old: Slurmic, many: int
) -> Samples:
    """One more into each store, in turn."""
    tenth, last = f"snapshot {FEW + 1}", f"snapshot {many + 1:,}"
    link = peers.cp(tree.twin(settings.scratch / "twin"), "-al")
    candidates = [young.candidate(tenth), old.candidate(last), link]
    rounds = settings.pick(tiny=2, quick=25, full=25)
    samples = alternate(candidates, settings.scratch, rounds=rounds)
    report.compared(f"the same tree, packed often before; {tree}", samples, tenth)
    # "Costs what the tenth did", within what such a measurement can tell.
    report.ratio_bar(str(tree), samples, last, tenth, 1.1)
    return samples


def binned(milliseconds: list[float]) -> list[tuple[float, float]]:
    """Medians of growing groups of snapshots: the first, the next two, the next four, ..."""
    points = []
    start, width = 0, 1
    while start < len(milliseconds):
        group = sorted(milliseconds[start : start + width])
        points.append((start + (len(group) + 1) / 2, group[len(group) // 2]))
        start, width = start + width, width * 2
    return points


def space(report: Report, tree: SourceTree, jobs: Path, store: Path, many: int) -> None:
    """What the code folders of all jobs take on the disk, and what lies beside them."""
    folders = [job / "code" for job in jobs.iterdir()]
    one, all_of_them = disk_usage(folders[0]), disk_usage(*folders)
    everything = disk_usage(jobs, store)
    rows: list[list[Cell]] = [
        [name, usage.folders, usage.filled, usage.empty, usage.bytes / 1e6, usage.file_bytes / 1e6]
        for name, usage in (
            ("one code folder", one),
            (f"{many:,} code folders", all_of_them),
            ("with the records beside them, and the store", everything),
        )
    ]
    columns = ["", "folders", "files", "empty files", "MB", "MB without folders"]
    report.table(f"inodes, and what they take; {tree}", columns, rows)
    what = f"{many:,} code folders of {tree}"
    report.bar(f"{what}: inodes of files / those of one", all_of_them.filled / one.filled, 1)
    report.bar(
        f"{what}: bytes each, but for directories",
        (all_of_them.file_bytes - one.file_bytes) / many,
        0,
        note=f"empty files: {one.empty} inodes each; "
        f"records: {(everything.file_bytes - all_of_them.file_bytes) / many:,.0f} bytes each",
    )

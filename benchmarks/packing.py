"""What a submission does with the source tree: select, look up, record, build the code folder.

- an unchanged tree, against copies, hard links and packing tools of every kind
- one file edited
- stored only, without a code folder, against ``git add -A && git write-tree``
- the first snapshot, in an empty store, with what durability adds apart
- memory
- cost against number of files
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from . import peers
from .harness import Candidate, Samples, Settings, alternate, remove
from .report import Report
from .slurmic_now import Slurmic
from .trees import SourceTree, real_tree, shaped_tree

STORED = "slurmic, no folder"
LARGE = 10_000
"""Files from which a tree is a large one."""


@dataclass(frozen=True)
class Effort:
    """How often to measure on one tree.

    Attributes:
        rounds: of what is quick.
        slow_rounds: of slow peers.
        first_rounds: of first snapshots.
        all_peers: measure ostree, restic and borg, and the other peers as often as slurmic; if
            not, the latter are slow peers, but for cp -al.
    """

    rounds: int
    slow_rounds: int
    first_rounds: int
    all_peers: bool = True

    def eased(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The candidates, those that are not measured as often marked as slow."""
        often = ("slurmic", "cp -al")
        return [
            replace(
                candidate,
                slow=candidate.slow or not (self.all_peers or candidate.name.startswith(often)),
            )
            for candidate in candidates
        ]


def run(settings: Settings, report: Report) -> None:
    """Measure it all."""
    makers: list[Callable[[], SourceTree]] = settings.pick(
        tiny=[lambda: shaped_tree(60, settings)],
        quick=[lambda: real_tree("transformers", settings), lambda: real_tree("ansible", settings)],
        full=[
            lambda: real_tree("transformers", settings),
            lambda: real_tree("django", settings),
            lambda: shaped_tree(3_000, settings),
            lambda: real_tree("ansible", settings),
        ],
    )
    small = settings.pick(tiny=Effort(2, 1, 1), quick=Effort(7, 1, 3), full=Effort(15, 5, 5))
    large = settings.pick(tiny=small, quick=Effort(3, 1, 1, all_peers=False), full=Effort(7, 2, 3))
    for make in makers:
        report.progress("preparing a tree")
        tree = make()
        report.progress(str(tree))
        effort = large if tree.files > LARGE else small
        slurmic = Slurmic(tree, settings.scratch / f"store-{tree.root.name}")
        unchanged(tree, slurmic, settings, report, effort)
        edited(tree, slurmic, settings, report, effort)
        stored(tree, slurmic, settings, report, effort)
        first(tree, settings, report, effort)
        if effort is large:
            memory(tree, settings, report)
        for entry in settings.scratch.iterdir():
            remove(entry)
    against_files(settings, report)


def unchanged(
    tree: SourceTree,
    slurmic: Slurmic,
    settings: Settings,
    report: Report,
    effort: Effort,
) -> None:
    """The tree has been packed before; now again, into a new code folder."""
    candidates = [
        slurmic.candidate(),
        *peers.copies(tree, settings),
        *peers.git_folder(tree),
    ]
    samples = alternate(
        effort.eased(candidates),
        settings.scratch,
        rounds=effort.rounds,
        slow_rounds=effort.slow_rounds,
    )
    report.compared(f"unchanged, with a code folder; {tree.described}", samples, "slurmic")
    if tree.name == "shaped" and settings.size != "tiny":
        return
    what = f"unchanged, {tree}"
    report.ratio_bar(what, samples, "slurmic", "cp -al", 0.8)
    for peer, factor in (("rsync --link-dest", 3), ("slurmic 0.2.1", 15), ("RsyncSnapshot", 20)):
        report.ratio_bar(what, samples, peer, "slurmic", factor, at_least=True)


def edited(
    tree: SourceTree, slurmic: Slurmic, settings: Settings, report: Report, effort: Effort
) -> None:
    """One file has been edited since the last snapshot."""
    path = next(path for path in sorted(tree.root.rglob("*.py")) if path.stat().st_size > 200)
    content = path.read_bytes()
    numbers = itertools.count()

    def edit() -> None:
        path.write_bytes(b"# edit %012d\n" % next(numbers) + content)

    candidates = [slurmic.candidate(), slurmic.candidate("one edited", prepare=edit)]
    samples = alternate(candidates, settings.scratch, rounds=2 * effort.rounds)
    path.write_bytes(content)
    report.compared(f"one file edited; {tree}", samples, "slurmic")
    if tree.files > LARGE or settings.size == "tiny":
        report.ratio_bar(f"one file edited, {tree}", samples, "one edited", "slurmic", 1.1)


def stored(
    tree: SourceTree,
    slurmic: Slurmic,
    settings: Settings,
    report: Report,
    effort: Effort,
) -> None:
    """An unchanged tree, stored only."""
    candidates = [
        slurmic.candidate(STORED, folder=False),
        *peers.git_storing(tree),
        *(peers.archives(tree, settings) if effort.all_peers else ()),
    ]
    samples = alternate(
        candidates,
        settings.scratch,
        rounds=2 * effort.rounds,
        slow_rounds=effort.slow_rounds,
    )
    report.compared(f"unchanged, stored only; {tree}", samples, STORED)
    report.ratio_bar(f"unchanged, {tree}", samples, STORED, "git add, write-tree", 2)


def first(tree: SourceTree, settings: Settings, report: Report, effort: Effort) -> None:
    """Into an empty store; what was written before is on the disk by then."""

    def settle() -> None:
        subprocess.run(["sync", "-f", str(settings.scratch)], check=True)

    def fresh(name: str, *, folder: bool) -> Candidate:
        store = settings.scratch / "first-store"
        slurmic = Slurmic(tree, store)
        plain = slurmic.candidate(name, folder=folder, prepare=settle)

        def clean() -> None:
            plain.clean()
            remove(store)

        return Candidate(name, plain.run, plain.prepare, clean)

    # Making their repositories alone takes seconds.
    with_archives = effort.all_peers and settings.size != "tiny"
    others = [
        peers.cp(tree, "-a"),
        peers.cp_and_sync(tree),
        *peers.git_storing(tree, first=True),
        *(peers.archives(tree, settings, first=True) if with_archives else ()),
    ]
    candidates = [
        fresh("slurmic", folder=True),
        fresh(STORED, folder=False),
        *(
            Candidate(other.name, other.run, settle, other.clean, slow=other.slow)
            for other in others
        ),
    ]
    samples = alternate(
        candidates,
        settings.scratch,
        rounds=effort.first_rounds,
        slow_rounds=max(1, effort.first_rounds // 3),
        warm=False,
    )
    report.compared(f"the first snapshot, in an empty store; {tree}", samples, "slurmic", "busy")
    report.ratio_bar(f"first, sync aside, {tree}", samples, "slurmic", "cp -a", 1.3, kind="busy")
    share = durability_share(samples)
    report.note(
        f"The first snapshot of {tree}: waiting until the disk has it adds {share:.0%} to the "
        "time of slurmic (the column 'sync'). cp -a and git do not wait for the disk."
    )


def durability_share(samples: Samples) -> float:
    """Seconds of waiting for the disk per second of everything else."""
    return samples.median("slurmic", "waiting") / samples.median("slurmic", "busy")


_MEMORY = """
import re, sys
def peak():
    # Not ru_maxrss: that of a new process begins at what its parent had.
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", file.read())[1])
if len(sys.argv) > 1:
    from pathlib import Path
    from benchmarks.slurmic_now import Slurmic
    from benchmarks.trees import SourceTree
    imported = peak()
    tree = SourceTree("", Path(sys.argv[1]), 0, 0, 0)
    Slurmic(tree, Path(sys.argv[2])).pack(Path(sys.argv[3]))
    print(peak(), imported)
else:
    print(peak(), 0)
"""


def memory(tree: SourceTree, settings: Settings, report: Report) -> None:
    """The largest resident size of a process that packs the tree: first, and unchanged."""

    def peak(*arguments: Path) -> tuple[float, float]:
        """Megabytes: the most at any time, and after imports."""
        words = [sys.executable, "-c", _MEMORY, *map(str, arguments)]
        output = subprocess.run(
            words, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True
        ).stdout.split()
        return int(output[0]) / 1000, int(output[1]) / 1000

    store = settings.scratch / "memory-store"
    empty, _ = peak()
    rows: list[list[str | float]] = [["an empty Python", empty, 0.0]]
    for number, name in enumerate(("first snapshot", "unchanged")):
        used, imported = peak(tree.root, store, settings.scratch / f"memory-{number}")
        if number == 0:
            rows.append(["after imports", imported, imported - empty])
        rows.append([name, used, used - empty])
        what = f"memory, {name}, {tree}, MB above the interpreter"
        report.bar(what, used - empty, 100, note=f"imports {imported - empty:.0f} of it")
    report.table(f"memory; {tree}", ["", "MB", "above an empty Python"], rows)


def against_files(settings: Settings, report: Report) -> None:
    """Shaped trees of growing size, unchanged, with a code folder."""
    sizes = settings.pick(
        tiny=[20, 60],
        quick=[100, 300, 1_000, 3_000],
        full=[100, 300, 1_000, 3_000, 10_000, 30_000],
    )
    curves: dict[str, list[tuple[float, float]]] = {}
    for size in sizes:
        tree = shaped_tree(size, settings)
        report.progress(str(tree))
        slurmic = Slurmic(tree, settings.scratch / f"store-{size}")
        candidates = [
            slurmic.candidate(),
            slurmic.candidate(STORED, folder=False),
            *peers.copies(tree, settings),
            *peers.git_storing(tree),
            *peers.git_folder(tree),
        ]
        rounds = settings.pick(tiny=1, quick=3, full=7)
        samples = alternate(candidates, settings.scratch, rounds=rounds)
        for candidate in candidates:
            points = curves.setdefault(candidate.name, [])
            points.append((tree.files, samples.median(candidate.name) * 1000))
        for entry in settings.scratch.iterdir():
            remove(entry)
    rows: list[list[str | float]] = [
        [name, *(milliseconds for _, milliseconds in points)] for name, points in curves.items()
    ]
    columns = ["", *(f"{size:,}" for size in sizes)]
    report.table("unchanged shaped trees: ms against number of files", columns, rows)
    axes = ("files", "milliseconds for one more snapshot")
    report.picture("files", "An unchanged tree, packed again", axes, curves)

"""A filesystem on which every operation takes at least a millisecond.

It is a FUSE filesystem that sleeps (see :mod:`benchmarks.sleeping`). First store and code folders
lie there, and the source tree on the local disk; then it is the source tree that lies there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from slurmic.selection import SelectionRules, select
from slurmic_store import Store, build_folder

from . import peers
from .harness import Candidate, Settings, alternate, remove
from .report import Report
from .selection import EXCLUDES, GIT, GIT_LIST, LIST, OURS, SUFFIXES, ignore, list_of_paths
from .sleeping import sleeping_filesystem, why_impossible
from .slurmic_now import Slurmic
from .trees import SourceTree, shaped_tree

DELAY = 0.001
"""Seconds."""

LOOP = "one after another"
_REMEMBERED = 1.1
"""Seconds after which the kernel has forgotten what was removed behind its back."""


def run(settings: Settings, report: Report) -> None:
    """Measure it, if such a filesystem can be mounted."""
    reason = why_impossible()
    if reason:
        report.note(f"Left out: {reason}.")
        return
    tree = shaped_tree(settings.pick(tiny=60, quick=3_000, full=3_000), settings)
    behind = settings.scratch / "behind"
    (behind / "out").mkdir(parents=True)
    # What is there before is made behind the mount, where it takes no time.
    packed = Slurmic(tree, behind / "store").pack(behind / "earlier")
    name = packed.record.tree
    with sleeping_filesystem(behind, settings.scratch / "mnt", DELAY) as mounted:
        report.progress(f"{tree}: each operation takes {operation(mounted) * 1000:.1f} ms and more")
        slurmic = Slurmic(tree, mounted / "store")
        earlier = mounted / "earlier/code"

        def build(path: Path) -> None:
            build_folder(Store.open(str(mounted / "store")), name, str(path))

        def on_mount(
            name: str, make: Callable[[Path], object], clean: Callable[[], object] = lambda: None
        ) -> Candidate:
            made: list[Path] = []

            def make_there(path: Path) -> None:
                made.append(path)
                make(path)

            def clean_behind() -> None:
                clean()
                remove(behind / made.pop().relative_to(mounted))
                time.sleep(_REMEMBERED)

            return Candidate(name, make_there, clean=clean_behind)

        candidates = [
            on_mount("slurmic, folder", build),
            on_mount("slurmic, all", slurmic.pack, slurmic.forget),
            on_mount(LOOP, loop(behind / "earlier/code", earlier)),
            on_mount("cp -al", lambda path: peers.run("cp", "-al", earlier, path)),
        ]
        if settings.size == "full":
            candidates += [on_mount("rsync --link-dest", rsync(tree, earlier))]
        rounds = settings.pick(tiny=1, quick=1, full=3)
        samples = alternate(candidates, mounted / "out", rounds=rounds, warm=False)
    title = f"unchanged, on a filesystem with {DELAY * 1000:.0f} ms per operation; {tree}"
    report.compared(title, samples, "slurmic, folder")
    report.ratio_bar(f"latency, {tree}", samples, LOOP, "slurmic, folder", 5, at_least=True)
    report.note(
        "'folder' builds the folder from the stored tree; 'all' is a submission's whole work, from "
        f"a source tree on the local disk. '{LOOP}' is a loop of mkdir and link."
    )
    select_there(settings, report, tree)


def select_there(settings: Settings, report: Report, tree: SourceTree) -> None:
    """Measure selecting from the source tree on such a filesystem."""
    rules = SelectionRules(SUFFIXES, EXCLUDES)
    with sleeping_filesystem(tree.root, settings.scratch / "source", DELAY) as mounted:

        def forgotten() -> None:
            time.sleep(_REMEMBERED)

        candidates = [
            Candidate(OURS, lambda _: ignore(select(mounted, rules)), forgotten),
            Candidate(LIST, lambda _: ignore(list_of_paths(os.fsencode(mounted))), forgotten),
            Candidate(GIT, lambda _: ignore(peers.run(*GIT_LIST, cwd=mounted)), forgotten),
        ]
        samples = alternate(
            candidates,
            settings.scratch,
            rounds=settings.pick(tiny=1, quick=3, full=9),
            warm=False,
        )
    title = f"selecting on a filesystem with {DELAY * 1000:.0f} ms per operation; {tree}"
    report.compared(title, samples, OURS)
    if settings.size != "tiny":
        report.ratio_bar(f"latency, {tree}", samples, OURS, GIT, 1)


def operation(mounted: Path) -> float:
    """Seconds that one operation takes, as measured."""
    began = time.perf_counter()
    for number in range(20):
        (mounted / f"never-{number}").exists()
    return (time.perf_counter() - began) / 20


def loop(behind: Path, earlier: Path) -> Callable[[Path], None]:
    """Every folder made, then every file linked, in one thread."""
    folders: list[str] = []
    files: list[str] = []
    for folder, names, others in os.walk(behind):
        below = os.path.relpath(folder, behind)
        folders += [os.path.normpath(os.path.join(below, name)) for name in names]
        files += [os.path.normpath(os.path.join(below, name)) for name in others]

    def build(path: Path) -> None:
        os.mkdir(path)
        for name in folders:
            os.mkdir(f"{path}/{name}")
        for name in files:
            os.link(f"{earlier}/{name}", f"{path}/{name}", follow_symlinks=False)

    return build


def rsync(tree: SourceTree, earlier: Path) -> Callable[[Path], object]:
    """rsync -a --link-dest, with the earlier folder."""
    return lambda path: peers.run(
        "rsync", "-a", "--exclude=/.git", f"--link-dest={earlier}", f"{tree.root}/", f"{path}/"
    )

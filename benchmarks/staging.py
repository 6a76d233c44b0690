"""Importing from a filesystem on which every operation takes a millisecond, or from the node.

Several processes of one node import all modules of a package: from the shared code folder, with and
without the bytecode that earlier jobs have left there; and with ``code_stage="node"``, where the
first of them reads and unpacks one archive (which holds no bytecode) and all import from the copy.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from slurmic.snapshot.archive import make_archive
from slurmic_store import FolderOptions, Store, build_folder, decode_tree

from .harness import Candidate, Settings, alternate, remove
from .latency import DELAY, operation
from .report import Report
from .sleeping import sleeping_filesystem, why_impossible
from .slurmic_now import Slurmic
from .trees import as_repository

PROCESSES = 8

SHARED, FIRST, NODE = "shared", "shared, no bytecode yet", "node"

_REMEMBERED = 1.1
"""Seconds after which the kernel has forgotten names and attributes."""

_PER_FOLDER = 20

IMPORT = """
import importlib, sys
from slurmic.job.node_folder import node_folder

code, archive, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, node_folder(archive, "benchmark") if archive else code)
for number in range(count):
    importlib.import_module(f"package.part{number // 20}.module{number}")
"""


def run(settings: Settings, report: Report) -> None:
    """Measure it, if such a filesystem can be mounted."""
    reason = why_impossible()
    if reason:
        report.note(f"Left out: {reason}.")
        return
    count = settings.pick(tiny=10, quick=300, full=1_000)
    root = settings.scratch / "project"
    _write_package(root, count)
    behind = settings.scratch / "behind"
    (behind / "out").mkdir(parents=True)
    packed = Slurmic(as_repository("package", root), behind / "store").pack(behind / "earlier")
    store = Store.open(str(behind / "store"))
    tree = decode_tree(store.read_manifest(packed.record.tree))
    folder = Path(packed.code_folder)
    archive = Path(make_archive(str(folder).encode(), tree, store))
    compiled = behind / "compiled"
    build_folder(store, packed.record.tree, str(compiled), options=FolderOptions(link_mode="copy"))
    _import_in_processes(compiled, None, count, settings.scratch, processes=1)

    with (
        sleeping_filesystem(behind, settings.scratch / "mnt", DELAY) as mounted,
        tempfile.TemporaryDirectory(dir=settings.scratch) as temporary,
    ):
        report.progress(f"{count} modules: an operation takes {operation(mounted) * 1000:.1f} ms")

        def importing(source: Path, packed: Path | None = None) -> Callable[[Path], None]:
            there = mounted / source.relative_to(behind)
            packed_there = None if packed is None else mounted / packed.relative_to(behind)
            return lambda _: _import_in_processes(there, packed_there, count, Path(temporary))

        def forget() -> None:
            for bytecode in folder.rglob("__pycache__"):
                remove(bytecode)
            time.sleep(_REMEMBERED)

        candidates = [
            Candidate(NODE, importing(folder, archive), prepare=forget),
            Candidate(SHARED, importing(compiled), prepare=forget),
            Candidate(FIRST, importing(folder), prepare=forget),
        ]
        rounds = settings.pick(tiny=1, quick=3, full=5)
        samples = alternate(candidates, settings.scratch, rounds=rounds, warm=False)
    title = (
        f"{PROCESSES} processes of one node import {count} modules; {DELAY * 1000:.0f} ms for each "
        "operation of the shared filesystem"
    )
    report.compared(title, samples, NODE)
    report.ratio_bar("staging, no bytecode yet", samples, FIRST, NODE, 2, at_least=True)
    report.note(
        f"Archive: {archive.stat().st_size / 1000:.0f} kB for {tree.size / 1000:.0f} kB. '{NODE}' "
        "includes reading and unpacking it, and compiling all modules, as the copy is new."
    )


def _write_package(root: Path, count: int) -> None:
    for number in range(count):
        folder = root / f"package/part{number // _PER_FOLDER}"
        folder.mkdir(parents=True, exist_ok=True)
        body = "\n\n\n".join(
            f"def function{n}(a, b=({number}, {n})):\n    '''Number {n}.'''\n    return a, b"
            for n in range(20)
        )
        (folder / f"module{number}.py").write_text(body + "\n")
        (folder / "__init__.py").write_text("")
    (root / "package/__init__.py").write_text("")


def _import_in_processes(
    code: Path, archive: Path | None, count: int, temporary: Path, *, processes: int = PROCESSES
) -> None:
    command = [sys.executable, "-c", IMPORT, str(code), str(archive or ""), str(count)]
    environment = {"TMPDIR": str(temporary), "PATH": "/usr/bin:/bin"}
    started = [subprocess.Popen(command, env=environment) for _ in range(processes)]
    failed = [process.args for process in started if process.wait()]
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {processes} processes could not import {count} modules from {code}"
        )

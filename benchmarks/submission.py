"""What it costs to submit an array, and how much of that is submitit's own share.

On a real cluster on this machine (that of the tests; it needs root and Debian's Slurm packages),
whose queue is closed: tasks are accepted, and none starts. submitit submits what a cluster takes in
one array; slurmic splits what is longer.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .harness import Candidate, Settings, alternate
from .report import Cell, Report
from .trees import shaped_tree

TABLE = {"numbers": list(range(100))}


def square(number: int) -> tuple[int, dict[str, Any]]:
    """What is submitted; with a little that it refers to."""
    return number * number, TABLE


def run(settings: Settings, report: Report) -> None:
    """Measure it."""
    try:
        from tests.slurm.cluster import SlurmCluster, why_impossible
    except ImportError:
        report.note("Left out: it needs the cluster of the repository's tests.")
        return
    if reason := why_impossible():
        report.note(f"Left out: {reason}.")
        return
    tree = shaped_tree(settings.pick(tiny=30, quick=300, full=3_000), settings)
    with SlurmCluster() as cluster, _environment(cluster.environment), cluster.queue_closed():
        from slurmic.cluster.limits import longest_array

        longest = settings.pick(
            tiny=20, quick=longest_array() or 1000, full=longest_array() or 1000
        )
        rounds = settings.pick(tiny=2, quick=7, full=15)
        candidates = [
            _candidate("slurmic, frozen", longest, code_root=str(tree.root), pack_code=True),
            _candidate("slurmic, live tree", longest),
            Candidate("submitit", lambda path: _submitit(path, longest), clean=_cancel_all),
            Candidate("sbatch alone", lambda path: _sbatch(path, longest), clean=_cancel_all),
        ]
        samples = alternate(candidates, settings.scratch, rounds=rounds)
        report.compared(f"an array of {longest:,} tasks; {tree}", samples, "submitit")
        rows: list[list[Cell]] = []
        for count in settings.pick(tiny=[1, 40], quick=[1, 100, longest], full=[1, 100, 10_000]):
            frozen = _candidate("slurmic", count, code_root=str(tree.root), pack_code=True)
            took = alternate([frozen], settings.scratch, rounds=min(rounds, 5)).median("slurmic")
            rows.append([count, took * 1000, took * 1e6 / count])
        report.table(
            "slurmic, frozen code", ["tasks", "milliseconds", "microseconds for each"], rows
        )
        # No dearer than submitit alone, which packs nothing.
        report.ratio_bar(f"{longest:,} tasks, frozen", samples, "slurmic, frozen", "submitit", 1.0)


def _candidate(name: str, count: int, **fields: Any) -> Candidate:
    def submit(path: Path) -> None:
        import slurmic

        config = slurmic.SlurmConfig(
            mode="slurm", output_parent_path=str(path), timeout_min=10, mem="10M", **fields
        )
        function = slurmic.slurm_fn(square)[config]
        jobs = function.map_array(range(count)) if count > 1 else [function(1)]
        assert len(jobs) == count

    return Candidate(name, submit, clean=_cancel_all)


def _submitit(path: Path, count: int) -> None:
    import submitit

    executor = submitit.AutoExecutor(path / "slurm", cluster="slurm")
    executor.update_parameters(
        timeout_min=10, slurm_array_parallelism=count, slurm_additional_parameters={"mem": "10M"}
    )
    assert len(executor.map_array(square, range(count))) == count


def _sbatch(path: Path, count: int) -> None:
    path.mkdir()
    script = path / "script.sh"
    script.write_text("#!/bin/bash\ntrue\n")
    command = ["sbatch", f"--array=0-{count - 1}", "--mem=10M", "--time=10", str(script)]
    subprocess.run(command, cwd=path, check=True, stdout=subprocess.DEVNULL)


def _cancel_all() -> None:
    subprocess.run(["scancel", "--user", "root", "--state=PENDING"], check=True)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

"""Every benchmark runs, at a size at which figures mean nothing, with the peers there are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.run import BENCHMARKS
from benchmarks.sleeping import why_impossible

ROOT = Path(__file__).parents[2]
PICTURES = {
    "packing": {"packing-files.svg": "slurmic"},
    "repeated": {"repeated-snapshots.svg": "slurmic"},
    "disk": {"disk-inodes.svg": "slurmic", "disk-bytes.svg": "slurmic"},
}
# Where a peer's command line has changed, it would otherwise just be missing.
PEERS = {
    "": {"slurmic", "cp -al", "cp -a", "slurmic 0.2.1"},
    "rsync": {"rsync --link-dest", "RsyncSnapshot"},
    "git": {"git, checkout-index", "git add, write-tree"},
    "ostree": {"ostree"},
    "restic": {"restic"},
    "borg": {"borg"},
}


SBIN = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is fetched, once for all tests."""
    return tmp_path_factory.mktemp("benchmark-cache")


MARKS = {
    "submission": [pytest.mark.slurm],
    "latency": [pytest.mark.realfs],
    "staging": [pytest.mark.realfs],
}
"""Of the benchmarks that start a cluster, or mount a filesystem, where that is possible."""


def why_left_out(name: str) -> str:
    """Why a benchmark is left out on this machine; "" if it is not."""
    if name == "submission" and (os.geteuid() or not shutil.which("slurmctld", path=SBIN)):
        return "a Slurm cluster needs"
    return why_impossible() if name in ("latency", "staging") else ""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, ())) for name in BENCHMARKS]
)
def test_a_tiny_run(name: str, cache: Path, tmp_path: Path) -> None:
    results, scratch = tmp_path / "results", tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "benchmarks.run", "--size", "tiny", "--only", name]
    done = subprocess.run(
        [*command, "--results", str(results), "--scratch", str(scratch)],
        cwd=ROOT,
        env={**os.environ, "SLURMIC_BENCH_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(scratch.iterdir()) == [], "it cleans up"
    written = json.loads((results / f"{name}.json").read_text())
    if reason := why_left_out(name):
        assert written["notes"][0].startswith(f"Left out: {reason}")
        pytest.skip(reason)
    assert written["tables"]
    for table in written["tables"]:
        assert table["title"] in done.stdout
        assert table["rows"], table["title"]
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    for bar in written["bars"]:
        assert bar["what"] in done.stdout
        assert bar["met"] == (
            bar["value"] >= bar["limit"] if bar["at_least"] else bar["value"] <= bar["limit"]
        )
    for picture, curve in PICTURES.get(name, {}).items():
        drawing = (results / picture).read_text()
        ElementTree.fromstring(drawing)
        assert curve in drawing
    if name == "packing":
        rows = {row[0] for table in written["tables"] for row in table["rows"]}
        for program, peers in PEERS.items():
            if not program or shutil.which(program):
                assert rows >= peers

"""Arrays that are split, throttled, or refused half-way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slurmic_store import Store, read_records

from .cluster import SlurmCluster, until
from .project import Project

HEAD = """
import json
import os
import pickle
import sys
import time
from pathlib import Path

import slurmic

@slurmic.slurm_fn
def square(number):
    return number * number

def configured(**settings):
    values = {"mode": "slurm", "pack_code": True, "timeout_min": 10, "mem": "10M"}
    return slurmic.SlurmConfig(**{**values, **settings})
"""


@pytest.fixture
def submit_limit(cluster: SlurmCluster) -> Iterator[int]:
    """The user may have 1,500 tasks in the queue, those of this session included."""

    def limit(value: int) -> None:
        cluster.run("sacctmgr", "-i", "modify", "user", "root", "set", f"MaxSubmitJobs={value}")

    queued = len(cluster.run("squeue", "--noheader", "--array", "--format=%i").split())
    limit(queued + 1500)
    yield queued + 1500
    limit(-1)


def test_a_refusal_half_way_leaves_nothing(
    cluster: SlurmCluster, project: Project, submit_limit: int
) -> None:
    """The first array of 1,001 tasks is accepted, the second is one too many for the user's limit.
    Nothing has started, all is cancelled, no file is left, and the error says what may be done."""
    project.script(
        HEAD
        + """
try:
    square[configured()].map_array(range(2100))
except slurmic.SubmissionError as error:
    print("result", json.dumps(str(error)), flush=True)
print("result", json.dumps(sorted(map(str, Path("slurm").rglob("*")))), flush=True)
jobs = square[configured()].map_array(range(3))
print("result", json.dumps([jobs.results(), jobs[0].code_folder]), flush=True)
"""
    )
    before = cluster.jobs()
    script = project.run()
    said = script.result()
    assert "tasks 1,002 to 2,002 of 2,100" in said
    assert "AssocMaxSubmitJobLimit" in said
    assert "was held, and is cancelled: none of it has started" in said
    assert f"it is {submit_limit}" in said
    assert script.result() == []
    results, code = script.result()
    assert results == [0, 1, 4]
    assert code == str(project.root / "slurm/code")
    refused, *rest = [job for job in cluster.jobs() if job not in before]
    assert len(rest) == 1
    until(lambda: "CANCELLED" in cluster.state(refused), lambda: cluster.state(refused))
    [record] = read_records(Store.open(project.home / ".slurmic", create=False))
    assert record.jobs == (f"{rest[0]}_[0-2]",)


def test_array_parallelism_holds_across_split_arrays(
    cluster: SlurmCluster, project: Project
) -> None:
    """Three arrays share a limit of 5; with a limit of 2, the third one waits for the first."""
    project.script(
        HEAD
        + """
for limit in (0, 5, 2):
    jobs = square[configured(array_parallelism=limit)].map_array(range(2010))
    print("result", json.dumps([job.job_id.split("_")[0] for job in jobs[::1001]]), flush=True)
    assert all(job.done() is False for job in jobs[::500])
    jobs.cancel()
"""
    )
    with cluster.queue_closed():
        script = project.run()
        unlimited, five, two = (script.result() for _ in range(3))
    asked = {
        job_id: [
            line.removeprefix("#SBATCH --").replace("'", "")
            for line in (project.root / f"slurm/{job_id}_submission.sh").read_text().splitlines()
            if line.startswith(("#SBATCH --array", "#SBATCH --dependency"))
        ]
        for job_id in (*unlimited, *five, *two)
    }
    assert [asked[each] for each in unlimited] == [
        ["array=0-1000%1001"],
        ["array=0-1000%1001"],
        ["array=0-7%8"],
    ]
    assert [asked[each] for each in five] == [
        ["array=0-1000%2"],
        ["array=0-1000%2"],
        ["array=0-7%1"],
    ]
    assert [asked[each] for each in two] == [
        ["array=0-1000%1"],
        ["array=0-1000%1"],
        ["array=0-7%1", f"dependency=afterany:{two[0]}"],
    ]
    for job_id in (*unlimited, *five, *two):
        until(lambda job_id=job_id: "CANCELLED" in cluster.state(job_id), lambda: "not cancelled")


def test_tasks_share_one_function_and_keep_their_state(
    cluster: SlurmCluster, project: Project
) -> None:
    """A large closure is in the output folder once, not once for each task. What function and
    arguments both refer to is one object in the task. And an array on the live tree is the same."""
    project.script(
        HEAD
        + """
TABLE = {"numbers": list(range(10)), "large": os.urandom(3_000_000)}

@slurmic.slurm_fn
def shared(table, number):
    return table is TABLE, table["numbers"][number]

if __name__ == "__main__":
    tables = [TABLE] * 4
    jobs = shared[configured()].map_array(tables, range(4))
    print("result", json.dumps(jobs.results()), flush=True)
    live = shared[configured(pack_code=False)].map_array(tables, range(4))
    print("result", json.dumps(live.results()), flush=True)
    print("result", json.dumps([job.submission().args == () for job in (*jobs, *live)]), flush=True)
    sizes = {path.name: path.stat().st_size for path in Path("slurm").glob("*.[bp][ik][nl]")}
    print("result", json.dumps(sizes), flush=True)
"""
    )
    script = project.run()
    expected = [[True, number] for number in range(4)]
    assert script.result() == expected
    assert script.result() == expected
    assert script.result() == [True] * 4 + [False] * 4
    sizes = script.result()
    frozen, live = sorted(name.partition("_")[0] for name in sizes if name.endswith("_calls.bin"))
    assert sizes[f"{frozen}_calls.bin"] < 3_100_000
    assert all(sizes[f"{frozen}_{task}_submitted.pkl"] < 2_000 for task in range(4))
    assert sizes[f"{live}_calls.bin"] < 3_100_000

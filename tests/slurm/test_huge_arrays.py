"""Arrays longer than the cluster takes, from frozen code, while the tree is being rewritten."""

from __future__ import annotations

import itertools
import os
import time

from .cluster import ClusterError, SlurmCluster
from .project import Project

TASKS = int(os.environ.get("SLURMIC_ARRAY_TASKS", "1003"))
"""Above the cluster's MaxArraySize (1001, Slurm's default). Two processors do seven to twelve tasks
in a second; 10,000 are for an evening."""

HEAD = """
import json
import os
import pickle
import sys
import time
from pathlib import Path

import slurmic

def configured(**settings):
    values = {"mode": "slurm", "pack_code": True, "timeout_min": 120, "mem": "10M"}
    return slurmic.SlurmConfig(**{**values, **settings})
"""

SWEEP = (
    HEAD
    + """
import helper
import trainer

SCRIPT = "{VERSION}"

@slurmic.slurm_fn
def look(number, twice):
    import trainer.late

    config = Path("config.yaml").read_text().split()[1]
    seen = {SCRIPT, helper.VERSION, trainer.VERSION, trainer.late.VERSION, config}
    return number, twice, sorted(seen), os.getcwd()

if __name__ == "__main__":
    count = int(sys.argv[1])
    start = time.monotonic()
    jobs = look[configured(extra_submit_kwargs={"slurm_use_srun": False})].map_array(
        range(count), [str(2 * number) for number in range(count)]
    )
    print(f"submission of {count}: {time.monotonic() - start:.2f} s", flush=True)
    print("result", json.dumps([job.job_id for job in jobs]), flush=True)
    files = sorted(name for name in os.listdir("slurm") if name.endswith((".bin", ".sh")))
    print("result", json.dumps(files), flush=True)
    jobs.wait()
    start = time.monotonic()
    results = jobs.results()
    print(f"collecting: {time.monotonic() - start:.2f} s, "
          f"sacct was called {jobs[0].watcher.num_calls} times", flush=True)
    print("result", json.dumps(results), flush=True)
    print("result", jobs[0].watcher.num_calls, flush=True)
    print("result", json.dumps(list(jobs[0].snapshot.jobs)), flush=True)
"""
)


def test_a_huge_array_from_frozen_code_while_the_tree_is_rewritten(
    cluster: SlurmCluster, project: Project
) -> None:
    """The sweep of ten thousand tasks: several Slurm arrays with one snapshot, whose jobs are in
    order as if it was one; edited in a loop while they wait and run, and no task notices."""
    project.script(SWEEP)
    script = project.start(str(TASKS))
    ids: list[str] = script.result()
    arrays = list(dict.fromkeys(job_id.partition("_")[0] for job_id in ids))
    sizes = [min(1001, TASKS - start) for start in range(0, TASKS, 1001)]
    assert ids == [
        f"{array}_{number}" if size > 1 else array
        for array, size in zip(arrays, sizes, strict=True)
        for number in range(size)
    ]
    # A file of calls and a script for each array, not one for each task; submitit's link to it.
    files = script.result()
    assert len([name for name in files if name.endswith("_calls.bin")]) == len(arrays)
    assert len(files) == 3 * len(arrays)

    started = time.monotonic()
    words = itertools.cycle(["newer", "newest one", "the very newest"])
    edits = 0
    while script.running():
        project.set_version(next(words))
        edits += 1
        if time.monotonic() - started > 60 + 2 * TASKS:
            raise ClusterError(f"still running:\n{script.log[-2000:]}")
        time.sleep(0.05)
    print(f"{TASKS} tasks ran in {time.monotonic() - started:.0f} s, during {edits} edits")
    results = script.result()
    print(script.log[: script.log.index("result")])
    print([line for line in script.log.splitlines() if line.startswith("collecting")])
    code = str(project.root / "slurm/code")
    assert results == [[n, str(2 * n), ["one"], code] for n in range(TASKS)]
    assert edits > 5
    # Slurm is asked about all jobs in one call, at 0, 2, 4, 8, ... seconds.
    assert script.result() < 60
    assert script.result() == [
        f"{array}_[0-{size - 1}]" for array, size in zip(arrays, sizes, strict=True)
    ]

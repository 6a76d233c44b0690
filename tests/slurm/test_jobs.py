"""Jobs of every kind run from their snapshot: arrays, methods, requeued and checkpointed ones."""

from __future__ import annotations

import json
import subprocess

import pytest

from slurmic_store import Store, plan_gc, read_records

from .cluster import SlurmCluster, until
from .project import Project


def test_array_shares_one_snapshot(cluster: SlurmCluster, project: Project) -> None:
    """A sweep of 20 tasks: one array, one code folder, one record; edited while queued."""
    project.script(
        """
        import json
        import os

        import slurmic
        import trainer

        @slurmic.slurm_fn
        def task(a, b):
            from trainer import late

            return a + b, late.VERSION, trainer.VERSION, os.getcwd(), os.environ["SLURMIC_SNAPSHOT"]

        if __name__ == "__main__":
            config = slurmic.SlurmConfig(mode="slurm", pack_code=True)
            jobs = task[config].map_array(range(20), range(100, 120))
            print("submitted", json.dumps([job.job_id for job in jobs]), flush=True)
            print("result", json.dumps([job.result() for job in jobs]), flush=True)
        """
    )
    with cluster.queue_closed():
        script = project.start()
        ids = json.loads(script.line("submitted"))
        project.set_version("newer")
    results = script.result()
    code = str(project.root / "slurm/code")
    [snapshot] = {result[4] for result in results}
    assert results == [[100 + 2 * n, "one", "one", code, snapshot] for n in range(20)]
    array = ids[0].split("_")[0]
    assert ids == [f"{array}_{n}" for n in range(20)]
    assert sorted(path.name for path in (project.root / "slurm").glob("code*.json")) == [
        "code.json"
    ]
    assert not (project.root / "slurm/code-2").exists()


METHOD = """
    import json
    import sys

    import slurmic
    import trainer

    class Worker:
        def __init__(self, base):
            self.base = base

        @slurmic.slurm_fn
        def run(self, a, b):
            import trainer.late

            return self.base + a * b, self.helper(), trainer.late.__file__

        def helper(self):
            return trainer.VERSION

    if __name__ == "__main__":
        config = slurmic.SlurmConfig(mode=sys.argv[1], pack_code=True)
        worker = Worker(10)
        outcome = worker.run[config](worker, 2, 1)
        if sys.argv[1] != "run":
            outcome = outcome.result()
        jobs = worker.run[config].map_array([worker, Worker(20)], [1, 2], [3, 4])
        print("result", json.dumps([outcome, *(job.result() for job in jobs)]), flush=True)
    """


@pytest.mark.parametrize("mode", ["slurm", "local", "run"])
def test_methods_and_arrays_in_every_mode(
    cluster: SlurmCluster, project: Project, mode: str
) -> None:
    """A decorated method travels with its object, whose class holds the SlurmFunction itself. And
    map_array, which 0.2.1 refused outside mode "slurm", gives the same without a cluster."""
    project.script(METHOD)
    seen = project.run(mode).result()
    assert [values[:2] for values in seen] == [[12, "one"], [13, "one"], [28, "one"]]
    folders = {
        "slurm": [project.root / "slurm/code", project.root / "slurm/code-2"],
        "local": [project.root / "slurm_local/code", project.root / "slurm_local/code-2"],
        "run": [project.root, project.root],  # this process, the live tree: nothing is packed
    }[mode]
    expected = [str(folders[n] / "src/trainer/late.py") for n in (0, 1, 1)]
    assert [values[2] for values in seen] == expected


REQUEUE = """
    import json
    import os
    import sys
    import time
    from pathlib import Path

    import slurmic
    import trainer

    @slurmic.slurm_fn
    def work(notes):
        import trainer.late

        said = [os.getcwd(), trainer.VERSION, trainer.late.VERSION, os.environ["SLURMIC_SNAPSHOT"]]
        with Path(notes, "starts").open("a") as file:
            file.write(json.dumps(said) + "\\n")
        while not Path(notes, "go-on").exists():
            time.sleep(0.1)
        return Path(notes, "starts").read_text().splitlines()

    if __name__ == "__main__":
        job = work[slurmic.SlurmConfig(mode="slurm", pack_code=True)](sys.argv[1])
        print("submitted", job.job_id, flush=True)
        print("result", json.dumps(job.result()), flush=True)
    """


def test_requeued_job_runs_the_same_code(cluster: SlurmCluster, project: Project) -> None:
    """A preempted job starts again days later, after edits and other submissions: from the same
    folder, with the same versions (torchx#405, exca#111: it ran the edited code)."""
    notes, others = (project.root.parent / name for name in ("notes", "others"))
    notes.mkdir()
    others.mkdir()
    (others / "go-on").touch()
    project.script(REQUEUE)
    script = project.start(str(notes))
    job_id = script.line("submitted")
    until((notes / "starts").exists, lambda: f"not started: {cluster.show(job_id)}\n{script.log}")
    project.set_version("newer")
    [other] = project.run(str(others)).result()  # a submission into the same output folder
    cluster.run("scontrol", "requeue", job_id)
    project.set_version("newest")
    cluster.start_requeued(job_id)
    (notes / "go-on").touch()
    first, again = script.result()
    assert first == again
    assert json.loads(first)[:3] == [str(project.root / "slurm/code"), "one", "one"]
    assert json.loads(other)[:3] == [str(project.root / "slurm/code-2"), "newer", "newer"]
    assert cluster.show(job_id)["Restarts"] == "1"


CHECKPOINT_CLASS = """
import os
import time
from pathlib import Path

import submitit


class Training:
    def __init__(self):
        self.step = 0

    def __call__(self, notes):
        import trainer.late

        with Path(notes, "starts").open("a") as file:
            file.write(f"{self.step} {os.getcwd()} {trainer.late.VERSION}\\n")
        self.step += 1
        while self.step < 2:
            time.sleep(0.1)
        return Path(notes, "starts").read_text().splitlines()

    def checkpoint(self, notes):
        return submitit.helpers.DelayedSubmission(self, notes)
"""

CHECKPOINT_MAIN = """
import json
import os
import slurmic

if __name__ == "__main__":
    config = slurmic.SlurmConfig(mode="slurm", pack_code=True)
    job = slurmic.slurm_fn(Training())[config](os.getcwd() + "/../notes")
    print("submitted", job.job_id, flush=True)
    print("result", json.dumps(job.result()), flush=True)
"""


@pytest.mark.parametrize("place", ["script", "package"])
def test_checkpoint_resumes_from_the_same_folder(
    cluster: SlurmCluster, project: Project, place: str
) -> None:
    """submitit's protocol: on a preemption signal checkpoint() is asked for what is to be resumed,
    and the job is requeued with it. The resumed state, pickled in the job, loads from the frozen
    copy again, whether its class lives in the script or in the package."""
    notes = project.root.parent / "notes"
    notes.mkdir()
    if place == "script":
        project.script(CHECKPOINT_CLASS + CHECKPOINT_MAIN)
    else:
        project.write("src/trainer/training.py", CHECKPOINT_CLASS)
        project.script("from trainer.training import Training\n" + CHECKPOINT_MAIN)
    script = project.start()
    job_id = script.line("submitted")
    until((notes / "starts").exists, lambda: f"not started: {cluster.show(job_id)}\n{script.log}")
    project.set_version("newer")
    cluster.run("scancel", "--signal=USR2", job_id)
    cluster.start_requeued(job_id)
    code = project.root / "slurm/code"
    assert script.result() == [f"0 {code} one", f"1 {code} one"]
    assert cluster.show(job_id)["Restarts"] == "1"


def test_failing_job_reports_its_error(cluster: SlurmCluster, project: Project) -> None:
    """result() raises with the job's own traceback, which names files of the code folder, and the
    job counts as failed for Slurm, so that afterok and afternotok mean something."""
    project.script(
        """
        import json

        import slurmic

        @slurmic.slurm_fn
        def fail():
            import trainer.broken

        if __name__ == "__main__":
            job = fail[slurmic.SlurmConfig(mode="slurm", pack_code=True)]()
            print("submitted", job.job_id, flush=True)
            try:
                job.result()
            except Exception as error:
                print("result", json.dumps(str(error)), flush=True)
        """
    )
    project.write("src/trainer/broken.py", 'raise RuntimeError("broken on purpose")\n')
    script = project.start()
    job_id = script.line("submitted")
    said = script.result()
    assert "broken on purpose" in said
    assert str(project.root / "slurm/code/src/trainer/broken.py") in said
    assert cluster.wait_for(job_id) == "FAILED"


def test_gc_beside_queued_jobs(cluster: SlurmCluster, project: Project) -> None:
    """gc with no grace at all, while a job is queued: its code folder exists, so its snapshot is
    live. When the output folder is deleted, gc takes everything."""
    project.script(
        """
        import json
        import os

        import slurmic

        @slurmic.slurm_fn
        def work():
            import trainer.late

            return sorted(os.listdir("."))

        if __name__ == "__main__":
            job = work[slurmic.SlurmConfig(mode="slurm", pack_code=True)]()
            print("submitted", job.job_id, flush=True)
            print("result", json.dumps(job.result()), flush=True)
        """
    )
    with cluster.queue_closed():
        script = project.start()
        job_id = script.line("submitted")
        store = Store.open(project.home / ".slurmic", create=False)
        until(lambda: next(read_records(store)).jobs, lambda: "no job in the record")
        [record] = read_records(store)
        assert record.jobs == (job_id,)
        stats = plan_gc(store, grace=0).execute()
        assert (stats.records, stats.trees, stats.blobs) == (0, 0, 0)
    assert set(script.result()) >= {".gitignore", "config.yaml", "scripts", "src", "tools"}
    script.finish()
    subprocess.run(["rm", "-r", project.root / "slurm"], check=True)
    plan = plan_gc(store, grace=0)
    stats = plan.execute()
    assert plan.problems == []
    assert (stats.records, stats.trees) == (1, 1)
    assert not any((project.home / ".slurmic/blobs").glob("*/*"))

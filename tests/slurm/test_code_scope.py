"""Tasks with a code folder of their own, and code on the node's disk, on a real cluster."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from slurmic_store import Store, plan_gc

from .cluster import SlurmCluster, until
from .project import Project

SWEEP = """
    import json
    import os
    import subprocess
    import sys
    import time
    from pathlib import Path

    import slurmic
    import trainer

    def work(notes, number):
        from trainer import late

        runs = Path("runs.txt")  # in the task's own folder
        with runs.open("a") as file:
            file.write(f"{number}\\n")
        Path(notes, f"started-{number}").touch()
        while not Path(notes, "go-on").exists():
            time.sleep(0.1)
        child = subprocess.run(
            [sys.executable, "-c", "import trainer; print(trainer.VERSION, trainer.__file__)"],
            stdout=subprocess.PIPE, text=True, check=True,
        )
        versions = [trainer.VERSION, late.VERSION, *child.stdout.split()]
        return [os.getcwd(), trainer.__file__, *versions, runs.read_text().split()]

    if __name__ == "__main__":
        notes, fields = sys.argv[1], json.loads(sys.argv[2])
        config = slurmic.SlurmConfig(mode="slurm", pack_code=True, **fields)
        count = int(sys.argv[3])
        jobs = slurmic.slurm_fn(work)[config].map_array([notes] * count, range(count))
        print("submitted", json.dumps([job.job_id for job in jobs]), flush=True)
        print("result", json.dumps([job.results() for job in jobs]), flush=True)
    """


def started(notes: Path, count: int) -> bool:
    return len(list(notes.glob("started-*"))) == count


def wait_for_processes(cluster: SlurmCluster, job_id: str) -> None:
    """Wait until a job that has ended has no process any more: its steps have sockets."""
    number = cluster.show(job_id)["JobId"]
    until(
        lambda: not any((cluster.root / "spool").glob(f"*/*_{number}.*")),
        lambda: f"job {job_id} still has a step",
    )


def test_tasks_build_their_own_folders(
    cluster: SlurmCluster, project: Project, tmp_path: Path
) -> None:
    """Queued while the tree is edited and gc runs without any grace; built by ten tasks at once on
    three nodes; and found again by the one that is requeued, with what it had written there."""
    notes = tmp_path / "notes"
    notes.mkdir()
    project.script(SWEEP)
    with cluster.queue_closed():
        script = project.start(str(notes), json.dumps({"code_scope": "task"}), "10")
        ids = json.loads(script.line("submitted"))
        project.set_version("newer")
        stats = plan_gc(Store.open(project.home / ".slurmic", create=False), grace=0).execute()
        assert (stats.records, stats.trees, stats.blobs) == (0, 0, 0)
    until(lambda: started(notes, 10), lambda: f"{cluster.show(ids[0])}\n{script.log}")
    cluster.run("scontrol", "requeue", ids[3])
    cluster.start_requeued(ids[3])
    (notes / "go-on").touch()
    expected = []
    for number, job_id in enumerate(ids):
        folder = project.root / "slurm/code-tasks" / job_id
        file = str(folder / "src/trainer/__init__.py")
        runs = [str(number)] * (2 if number == 3 else 1)
        expected.append([[str(folder), file, "one", "one", "one", file, runs]])
    assert script.result() == expected
    logs = [path.read_text() for path in (project.root / "slurm").glob("*_log.err")]
    assert len(logs) == 10
    assert not any("live source tree" in log for log in logs)
    packed = project.root / "slurm/code/src/trainer/late.py"
    assert packed.samefile(project.root / f"slurm/code-tasks/{ids[0]}/src/trainer/late.py")


def test_code_on_the_nodes_own_disk(
    cluster: SlurmCluster, project: Project, tmp_path: Path
) -> None:
    """Two tasks on each of two nodes run from one unpacked copy (the nodes are one machine here),
    which goes away with the last of them; what a cancelled job has left goes with the next job.
    The shared code folder is gone meanwhile: nothing is read from it."""
    notes, temporary = tmp_path / "notes", tmp_path / "node"
    notes.mkdir()
    temporary.mkdir()
    top = temporary / f"slurmic-{os.geteuid()}"
    project.script(SWEEP)
    fields = {"code_stage": "node", "setup": [f"export TMPDIR={temporary}"]}
    cancelled = project.start(str(notes), json.dumps(fields), "2")
    ids = json.loads(cancelled.line("submitted"))
    until(lambda: started(notes, 2), lambda: f"{cluster.show(ids[0])}\n{cancelled.log}")
    [left] = top.iterdir()
    cluster.cancel(ids[0].split("_")[0])
    for each in ids:
        cluster.wait_for(each, "CANCELLED")
        wait_for_processes(cluster, each)
    assert left.exists()
    shutil.rmtree(notes)
    notes.mkdir()

    parallel = {**fields, "num_of_node": 2, "tasks_per_node": 2}
    script = project.start(str(notes), json.dumps(parallel), "1")
    job_id = script.line("submitted")
    until(lambda: started(notes, 1), lambda: f"{cluster.show(job_id)}\n{script.log}")
    [folder] = top.iterdir()
    assert folder != left
    project.set_version("newer")
    shutil.rmtree(project.root / "slurm/code-2/src")
    (notes / "go-on").touch()
    [results] = script.result()
    file = str(folder / "code/src/trainer/__init__.py")
    assert len(results) == 4
    for result in results:
        assert result[:6] == [str(folder / "code"), file, "one", "one", "one", file]
    until(lambda: not any(top.iterdir()), lambda: str(list(top.iterdir())))

"""Jobs that start again, on a real cluster: preempted, timed out, one task of an array."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from submitit.core import utils

from .cluster import SlurmCluster, until
from .project import Project

TRAINING = """
import os
import time
from pathlib import Path

import submitit


class Training(submitit.helpers.Checkpointable):
    def __init__(self, steps):
        self.left, self.seen = steps, []

    def __call__(self, notes):
        from trainer import late

        self.seen.append([os.getcwd(), late.VERSION, os.environ["SLURM_JOB_NODELIST"]])
        self.left -= 1
        while self.left:
            Path(notes, f"waiting-{len(self.seen)}").touch()
            time.sleep(0.1)
        return self.seen
"""

MAIN = """
    import json
    import sys

    import slurmic
    from trainer.training import Training

    if __name__ == "__main__":
        notes, fields = sys.argv[1], json.loads(sys.argv[2])
        config = slurmic.SlurmConfig(mode="slurm", pack_code=True, **fields)
        job = slurmic.slurm_fn(Training(2))[config](notes)
        print("submitted", job.job_id, flush=True)
        print("result", json.dumps(job.result()), flush=True)
    """


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder outside the tree, where jobs say how far they are."""
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def test_preempted_job_resumes(cluster: SlurmCluster, project: Project, notes: Path) -> None:
    """A job of a more urgent partition takes the node. Slurm sends the signal by itself, submitit
    asks for the checkpoint and requeues; the tree is edited before the job gets its node back."""
    project.write("src/trainer/training.py", TRAINING)
    project.script(MAIN)
    fields = {"partition": "spare", "cpus_per_task": 4}
    script = project.start(str(notes), json.dumps(fields))
    job_id = script.line("submitted")
    until((notes / "waiting-1").exists, lambda: f"{cluster.show(job_id)}\n{script.log}")
    urgent = ["--partition=urgent", "--cpus-per-task=4", "--output=/dev/null", "--wrap=sleep 2"]
    urgent_id = cluster.run("sbatch", "--parsable", *urgent).strip()
    cluster.wait_for(urgent_id, "COMPLETED")
    project.set_version("newer")
    cluster.start_requeued(job_id)
    assert script.result() == [[str(project.root / "slurm/code"), "one", "n3"]] * 2
    assert cluster.show(job_id)["Restarts"] == "1"


SLEEPER = """
    import json
    import sys
    import time
    from pathlib import Path

    import slurmic

    def work(note):
        Path(note).touch()
        time.sleep(600)

    if __name__ == "__main__":
        config = slurmic.SlurmConfig(mode="slurm", pack_code=True, partition="short")
        job = slurmic.slurm_fn(work)[config](sys.argv[1] + "/sleeping")
        print("submitted", job.job_id, flush=True)
        try:
            job.result()
        except Exception as error:
            print("result", json.dumps(str(error)), flush=True)
    """


def test_jobs_at_their_time_limit(cluster: SlurmCluster, project: Project, notes: Path) -> None:
    """No limit was asked for: the partition's applies, and its end is a time-out, not a preemption.
    A checkpointable job resumes, and one of its three time-outs is used up. A function without a
    checkpoint fails: it would start from the beginning, run into the limit, and so on for ever.

    The limits are brought down to one minute, so that the signal, due 90 seconds before, comes now.
    """
    project.write("src/trainer/training.py", TRAINING)
    project.script(MAIN)
    project.script(SLEEPER, "scripts/sleep.py")
    script = project.start(str(notes), json.dumps({"partition": "short"}))
    sleeper = project.start(str(notes), script="scripts/sleep.py")
    job_id, sleeping_id = script.line("submitted"), sleeper.line("submitted")
    until(
        lambda: (notes / "waiting-1").exists() and (notes / "sleeping").exists(),
        lambda: f"{cluster.show(job_id)}\n{script.log}\n{sleeper.log}",
    )
    for each in (job_id, sleeping_id):
        cluster.run("scontrol", "update", f"JobId={each}", "TimeLimit=1")
    cluster.wait_for(job_id, "PENDING")
    # Or the second run gets the signal, too, before it is over.
    cluster.run("scontrol", "update", f"JobId={job_id}", "TimeLimit=30")
    cluster.start_requeued(job_id)
    assert len(script.result()) == 2
    pickled = utils.DelayedSubmission.load(project.root / f"slurm/{job_id}_submitted.pkl")
    assert pickled._timeout_countdown == 2
    assert "timed-out and not checkpointable" in sleeper.result()
    assert cluster.wait_for(sleeping_id) == "FAILED"
    assert cluster.show(sleeping_id)["Restarts"] == "0"


def test_one_task_of_an_array_is_requeued(
    cluster: SlurmCluster, project: Project, notes: Path
) -> None:
    """The other tasks are left alone, and the one runs from the folder of its array."""
    project.script(
        """
        import json
        import os
        import sys
        import time
        from pathlib import Path

        import slurmic

        def work(notes, number):
            from trainer import late

            Path(notes, f"started-{number}").touch()
            while not Path(notes, "go-on").exists():
                time.sleep(0.1)
            return [number, os.environ.get("SLURM_RESTART_COUNT"), os.getcwd(), late.VERSION]

        if __name__ == "__main__":
            config = slurmic.SlurmConfig(mode="slurm", pack_code=True)
            jobs = slurmic.slurm_fn(work)[config].map_array([sys.argv[1]] * 3, range(3))
            print("submitted", jobs[1].job_id, flush=True)
            print("result", json.dumps([job.result() for job in jobs]), flush=True)
        """
    )
    script = project.start(str(notes))
    job_id = script.line("submitted")
    until(
        lambda: len(list(notes.glob("started-*"))) == 3,
        lambda: f"{cluster.show(job_id)}\n{script.log}",
    )
    cluster.run("scontrol", "requeue", job_id)
    project.set_version("newer")
    cluster.start_requeued(job_id)
    (notes / "go-on").touch()
    code = str(project.root / "slurm/code")
    restarts = [None, "1", None]
    assert script.result() == [[n, restarts[n], code, "one"] for n in range(3)]

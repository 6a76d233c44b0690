"""Batches, and what the jobs know of their code, on a cluster."""

from __future__ import annotations

from slurmic_store import Store, read_records

from .cluster import SlurmCluster
from .project import Project
from .test_arrays import HEAD

PIPELINE = (
    HEAD
    + """
import helper

@slurmic.slurm_fn
def double(number):
    return 2 * number, helper.VERSION, os.getcwd()

@slurmic.slurm_fn
def greet(name, *, sign="!"):
    import trainer

    return name + sign, trainer.VERSION, os.getcwd()
"""
)


def test_different_functions_and_configurations_with_one_snapshot(
    cluster: SlurmCluster, project: Project
) -> None:
    """Two functions with equal resources become one array, a third call asks for more, and a sweep
    stands between them; one code folder for all, and the edit after the block changes nothing."""
    project.script(
        PIPELINE
        + """
small, large = configured(), configured(cpus_per_task=2)
with slurmic.batch() as submitted:
    first = double[small](4)
    second = greet[large]("a")
    sweep = double[small].map_array([1, 2])
    third = greet[small]("b", sign="?")
    try:
        first.job_id
    except slurmic.SlurmicError as error:
        print("refused", str(error).replace("\\n", " "), flush=True)
print("result", json.dumps([job.job_id for job in submitted.jobs]), flush=True)
Path("pickled").write_bytes(pickle.dumps(submitted.jobs))
assert [first, second, *sweep, third] == list(submitted.jobs)
print("result", json.dumps(submitted.jobs.results()), flush=True)
"""
    )
    with cluster.queue_closed():
        script = project.start()
        assert "submitted when its batch ends" in script.line("refused")
        ids = script.result()
        project.set_version("edited")
    array, single = ids[0].partition("_")[0], ids[1]
    assert ids == [f"{array}_0", single, f"{array}_1", f"{array}_2", f"{array}_3"]
    code = str(project.root / "slurm/code")
    assert script.result() == [
        [8, "one", code],
        ["a!", "one", code],
        [2, "one", code],
        [4, "one", code],
        ["b?", "one", code],
    ]
    assert not (project.root / "slurm/code-2").exists()
    [record] = read_records(Store.open(project.home / ".slurmic", create=False))
    assert record.jobs == (f"{array}_[0-3]", single)

    # The jobs know their snapshot in another process, too.
    project.script(
        """
        import json, pickle, sys
        from pathlib import Path
        jobs = pickle.loads(Path("pickled").read_bytes())
        known = {(job.snapshot.id, job.code_folder, job.snapshot.jobs) for job in jobs}
        print("result", json.dumps([*known, jobs.results()[0]]), flush=True)
        Path("slurm/code.json").unlink()
        print("result", json.dumps(jobs[-1].snapshot.id), flush=True)
        """,
        "scripts/later.py",
    )
    later = project.run(script="scripts/later.py")
    assert later.result() == [[record.id, code, list(record.jobs)], [8, "one", code]]
    assert later.result() == record.id


def test_a_batch_that_fails_submits_nothing(cluster: SlurmCluster, project: Project) -> None:
    """An exception in the block; and a call that Slurm refuses, after others were accepted."""
    project.script(
        PIPELINE
        + """
try:
    with slurmic.batch():
        lost = double[configured()](1)
        raise KeyError("mine")
except KeyError as error:
    print("result", json.dumps(str(error)), flush=True)
try:
    lost.result()
except slurmic.SlurmicError as error:
    print("result", json.dumps(str(error)), flush=True)
try:
    with slurmic.batch():
        double[configured()](1)
        double[configured(output_parent_path="other")](2)
        greet[configured(partition="nowhere")]("a")
except slurmic.SubmissionError as error:
    print("result", json.dumps(str(error)), flush=True)
print("result", json.dumps([os.path.exists("slurm"), os.path.exists("other")]), flush=True)
"""
    )
    before = set(cluster.jobs())
    script = project.run()
    assert script.result() == "'mine'"
    assert "never submitted" in script.result()
    said = script.result()
    assert "task 3 of 3: Batch job submission failed: Invalid partition name" in said
    assert "none of it has started" in said
    assert script.result() == [False, False]
    states = {cluster.state(job) for job in set(cluster.jobs()) - before}
    assert states == {"CANCELLED"}

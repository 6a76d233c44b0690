"""What reaches sbatch: conditions, the default partition, limits, setup; and what if it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slurmic_store import Store, plan_gc, read_records

from .cluster import SlurmCluster
from .project import Project


def bytecode(paths: set[Path]) -> set[int]:
    """The inodes of files that Python itself has written beside packed ones."""
    return {path.stat().st_ino for path in paths if "__pycache__" in path.parts}


def json_line(text: str) -> list[str]:
    """The job ids that a script printed as a JSON list."""
    ids = json.loads(text)
    assert isinstance(ids, list)
    return ids


HEAD = """
import json
import os
import sys
import time
from pathlib import Path

import slurmic


@slurmic.slurm_fn
def add(a, b):
    return a + b


@slurmic.slurm_fn
def fail():
    raise ValueError("on purpose")


def configured(**settings):
    return slurmic.SlurmConfig(**{"mode": "slurm", "pack_code": True, **settings})

"""


def test_chained_conditions(cluster: SlurmCluster, project: Project) -> None:
    """0.2.1 joined chained conditions with ":" into "afterok:1:afterany:2", which sbatch refuses.

    Both ways of the published docs are used: the return value, and the statement.
    """
    project.script(
        HEAD
        + """
config = configured(partition="main")
good, bad = add[config](1, 2), fail[config]()
tasks = add[config].map_array([1, 2], [3, 4])
chained = add[config].afterok(good).afterany(bad).afterok(*tasks)
stated = add[config]
stated.on_condition(good)
stated.on_condition([bad], "afternotok")
jobs = [chained(10, 10), stated(20, 20), *chained.map_array([30, 40], [30, 40])]
print("submitted", json.dumps([good.job_id, bad.job_id] + [job.job_id for job in jobs]), flush=True)
print("result", json.dumps([job.result() for job in jobs]), flush=True)
"""
    )
    with cluster.queue_closed():
        script = project.start()
        good, bad, *ids = json_line(script.line("submitted"))
        seen = [cluster.show(job_id.split("_")[0])["Dependency"] for job_id in ids]
    for dependency in seen:
        assert f"afterok:{good}(unfulfilled)" in dependency
        assert f"{bad}(unfulfilled)" in dependency
        assert "," in dependency
    assert script.result() == [20, 40, 60, 80]
    assert cluster.wait_for(bad) == "FAILED"


def test_condition_that_cannot_be_met_is_reported(cluster: SlurmCluster, project: Project) -> None:
    """Slurm would keep such a job in the queue for ever, and result() would wait for it: for one
    after a job that fails, for one after that one, and for one after an array with a bad task."""
    project.script(
        HEAD
        + """
@slurmic.slurm_fn
def odd_fails(number):
    assert number % 2 == 0

config = configured()
bad, tasks = fail[config](), odd_fails[config].map_array([0, 1, 2])
after = add[config].afterok(bad)(1, 2)
jobs = [
    after,
    add[config].afterok(after)(1, 2),
    add[config].afterok(tasks)(1, 2),
    add[config].afterok(tasks[1])(1, 2),
    add[config].afternotok(tasks[2])(1, 2),
    *add[config].afterok(bad.job_id).map_array([1, 2], [1, 2]),
]
print("submitted", json.dumps([job.job_id for job in [bad, tasks[0], *jobs]]), flush=True)
said = []
for job in jobs:
    try:
        job.result()
    except slurmic.UnmetConditionError as error:
        said.append(error.message)
print("result", json.dumps(said), flush=True)
good = [add[config].afterok(tasks[2], tasks[0].job_id), add[config].afternotok(tasks[1], bad)]
good += [add[config].afterany(tasks), add[config].afternotok(tasks[0].job_id.split("_")[0])]
print("result", json.dumps([job(1, 2).result() for job in good]), flush=True)
"""
    )
    script = project.start()
    bad, task, *ids = json_line(script.line("submitted"))
    array = task.split("_")[0]
    said = script.result()
    reasons = [
        f"'afterok:{bad}' cannot be met: job {bad} is FAILED",
        f"'afterok:{ids[0]}' cannot be met: job {ids[0]} is CANCELLED",
        f"'afterok:{array}_0:{array}_1:{array}_2' cannot be met: job {array}_1 is FAILED",
        f"'afterok:{array}_1' cannot be met: job {array}_1 is FAILED",
        f"'afternotok:{array}_2' cannot be met: job {array}_2 is COMPLETED",
        *[f"'afterok:{bad}' cannot be met: job {bad} is FAILED"] * 2,
    ]
    assert said == [
        f"job {job_id} never started: its condition {reason}"
        for job_id, reason in zip(ids, reasons, strict=True)
    ]
    assert script.result() == [3, 3, 3, 3]


def test_condition_on_no_job_is_refused(cluster: SlurmCluster, project: Project) -> None:
    """Slurm takes a condition on a job that it does not know as met, and starts the job at once:
    a wrong digit would undo the order of a pipeline without a word."""
    project.script(
        HEAD
        + """
job = add[configured()](1, 2)
job.result()
for wrong in ("4000000", f"{job.job_id}_1"):
    try:
        add[configured()].afterok(wrong)(1, 2)
    except slurmic.SubmissionError as error:
        print("refused", error.message, flush=True)
print("result", json.dumps(sorted(os.listdir("slurm"))), flush=True)
"""
    )
    script = project.run()
    assert script.line("refused") == (
        "condition 'afterok:4000000' is on job 4000000, and Slurm knows no such job"
    )
    assert "and Slurm knows no such job" in script.line("refused")
    assert "code-2" not in script.result()


def test_default_partition_and_limits(cluster: SlurmCluster, project: Project) -> None:
    """0.2.1 demanded a partition, even for mode="run". And its default time limit, sys.maxsize
    minutes, is sent to sbatch as a number: on a partition with a limit of its own such a job is
    accepted and then stays queued for ever (PartitionTimeLimit)."""
    project.script(
        HEAD
        + """
assert add[slurmic.SlurmConfig()](1, 2) == 3
settings = [{}, {"partition": "short"}, {"partition": "short", "timeout_min": 7}]
jobs = [add[configured(**each)](1, 2) for each in settings]
print("submitted", json.dumps([job.job_id for job in jobs]), flush=True)
print("result", json.dumps([job.result() for job in jobs]), flush=True)
"""
    )
    script = project.start()
    jobs = [cluster.show(job_id) for job_id in json_line(script.line("submitted"))]
    assert [job["Partition"] for job in jobs] == ["main", "short", "short"]
    assert [job["TimeLimit"] for job in jobs] == ["UNLIMITED", "00:30:00", "00:07:00"]
    assert script.result() == [3, 3, 3]


def test_settings_reach_slurm(cluster: SlurmCluster, project: Project) -> None:
    """The names of 0.2.1's settings keep their meaning, the three escape hatches too."""
    project.script(
        HEAD
        + """
config = configured(
    job_name="named",
    node_list="n2,n3",
    node_list_exclude="n1",
    num_of_node=2,
    tasks_per_node=1,
    cpus_per_task=2,
    mem="100MB",
    stderr_to_stdout=True,
    extra_params_kwargs={"nice": "5"},
    extra_submit_kwargs={"slurm_comment": "by-submission"},
)
job = add[config](1, 2)
print("submitted", job.job_id, flush=True)
print("result", json.dumps(job.results()), flush=True)
"""
    )
    script = project.start()
    job = cluster.show(script.line("submitted"))
    assert script.result() == [3, 3]
    assert job["JobName"] == "named"
    assert job["ReqNodeList"] == "n[2-3]"
    assert job["ExcNodeList"] == "n1"
    assert (job["NumNodes"].split("-")[0], job["NumTasks"], job["CPUs/Task"]) == ("2", "2", "2")
    assert job["MinMemoryNode"] == "100M"
    assert job["StdErr"] == job["StdOut"]
    assert job["Nice"] == "5"
    assert job["Comment"] == "by-submission"


def test_setup_commands_reach_the_job(cluster: SlurmCluster, project: Project) -> None:
    """0.2.1 gave ``setup`` to local runs only: the module loads of a cluster's users never ran.

    They run before the job, see its directory, and what they export reaches it.
    """
    project.script(
        HEAD
        + """
@slurmic.slurm_fn
def look():
    return os.environ.get("FROM_SETUP"), Path("setup-ran").read_text().split()

config = configured(setup=['export FROM_SETUP="two words"', "pwd > setup-ran"])
print("result", json.dumps(look[config]().result()), flush=True)
"""
    )
    code = str(project.root / "slurm/code")
    assert project.run().result() == ["two words", [code]]


def test_setup_that_sets_pythonpath_does_not_unfreeze(
    cluster: SlurmCluster, project: Project
) -> None:
    """A setup line that users of src layouts really have, ``export PYTHONPATH=$PWD/src:…`` with the
    live path spelled out, must not bring the live tree back in front of the frozen one."""
    project.script(
        HEAD
        + """
import trainer

@slurmic.slurm_fn
def look():
    import trainer.late

    return trainer.late.__file__

config = configured(setup=[f"export PYTHONPATH={os.getcwd()}/src:$PYTHONPATH"])
print("result", json.dumps(look[config]().result()), flush=True)
"""
    )
    assert project.run().result() == str(project.root / "slurm/code/src/trainer/late.py")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('partition="no-such-partition"', "invalid partition"),
        ('extra_params_kwargs={"dependency": "afterok:1:afterany:2"}', "dependency"),
        ("gpus_per_node=8", "generic resource"),
    ],
    ids=["partition", "dependency", "gpus"],
)
@pytest.mark.parametrize("call", ["add[config](1, 2)", "add[config].map_array([1, 2], [3, 4])"])
def test_refused_submission_leaves_nothing(
    cluster: SlurmCluster, project: Project, settings: str, said: str, call: str
) -> None:
    """sbatch refuses after the code is packed. The code folder, its record, the pickles and the
    script go away again, and the name is free: the next submission's folder is code/."""
    project.script(
        HEAD
        + f"""
config = configured({settings})
try:
    {call}
except Exception as error:
    print("refused", type(error).__mro__, str(error).replace("\\n", " "), flush=True)
print("result", json.dumps(sorted(str(path) for path in Path("slurm").rglob("*"))), flush=True)
job = add[configured()](1, 2)
print("result", json.dumps([job.result(), job.job_id, os.path.isdir("slurm/code-2")]), flush=True)
"""
    )
    jobs = cluster.jobs()
    script = project.run()
    refused = script.line("refused")
    assert said in refused.lower()
    assert script.result() == []
    added, job_id, has_second = script.result()
    assert (added, has_second) == (3, False)
    assert set(cluster.jobs()) - set(jobs) == {job_id}
    store = Store.open(project.home / ".slurmic", create=False)
    [record] = read_records(store)
    assert record.jobs == (job_id,)
    plan = plan_gc(store, grace=0)
    plan.execute()
    assert (plan.problems, plan.dead, plan.leftovers) == ([], [], [])
    packed = {path for path in (project.root / "slurm/code").rglob("*") if path.is_file()}
    inodes = {path.stat().st_ino for path in packed if path.stat().st_size}
    blobs = {path.stat().st_ino for path in (project.home / ".slurmic/blobs").glob("*/*")}
    assert blobs == inodes - bytecode(packed)


def test_bad_configuration_is_refused_before_anything_is_written(project: Project) -> None:
    """Bad input gets a clear error before a file is written or sbatch is called."""
    project.script(
        HEAD
        + """
for settings in (
    {"code_root": "missing"},
    {"code_root": "config.yaml"},
    {"code_root": "empty"},
    {"output_parent_path": "config.yaml/below"},
    {"output_folder": "runs/%j"},
    {"code_file_suffixes": [".py", "*"]},
):
    try:
        add[configured(**settings)](1, 2)
    except Exception as error:
        said = f"{type(error).__module__.split('.')[0]}: {error}".replace("\\n", " ")
        print("refused", said, flush=True)
print("result", json.dumps(sorted(os.listdir("."))), flush=True)
"""
    )
    (project.root / "empty").mkdir()
    before = sorted(path.name for path in project.root.iterdir())
    script = project.run()
    for subject in ("missing", "config.yaml", "empty", "config.yaml/below", "%j", "*"):
        refused = script.line("refused")
        assert refused.startswith("slurmic")
        assert subject in refused
    assert script.result() == before


def test_output_path_is_created(cluster: SlurmCluster, project: Project, tmp_path: Path) -> None:
    """An absolute output path whose parents do not exist, outside the tree."""
    project.script(
        HEAD
        + """
job = add[configured(output_parent_path=sys.argv[1])](1, 2)
print("result", json.dumps(job.result()), flush=True)
"""
    )
    assert project.run(str(tmp_path / "a/b c/d")).result() == 3
    assert (tmp_path / "a/b c/d/slurm/code/config.yaml").exists()

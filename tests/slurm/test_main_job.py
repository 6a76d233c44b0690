"""The main job of slurmic, as one story: submit a pipeline, go on editing, submit it again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .cluster import SlurmCluster
from .project import REPORT, EditableKind, Project
from .test_frozen import assert_frozen

PIPELINE = (
    REPORT
    + """

def main():
    config = slurmic.SlurmConfig(
        mode="slurm",
        partition="main",
        job_name="pipeline",
        output_parent_path="./",
        output_folder="experiments",
        mem="1GB",
        cpus_per_task=1,
        pack_code=True,
        code_root=".",
    )
    prepared = report[config]("prepare")
    trained = report[config].on_condition(prepared).map_array(["train 1", "train 2"], [None, None])
    evaluated = report[config].afterok(*trained).afterany(prepared)("evaluate")
    failed = report[config]("fail", "an argument that report() does not take", 3)
    tidied = report[config]
    tidied.afternotok(failed)
    jobs = [prepared, *trained, evaluated, tidied("tidy")]
    print("submitted", json.dumps([job.job_id for job in jobs]), flush=True)
    print("result", json.dumps([job.result() for job in jobs]), flush=True)


if __name__ == "__main__":
    main()
"""
)


@pytest.mark.parametrize("kind", ["static", "finder"])
def test_pipeline_twice_with_an_edit_in_between(
    cluster: SlurmCluster, uninstalled_project: Project, setuptools: Any, kind: EditableKind
) -> None:
    """A script written for 0.2.1, with pack_code on, an editable src-layout package, an output
    folder inside the tree and a chain of conditions, runs twice; in between, while the first jobs
    are queued, everything is edited. Every job reports the version that it was submitted with.

    0.2.1 fails it five times over: live package (1), experiments/…/code packed into itself (2),
    the second run's files laid over the first's (3), jobs of one process sharing the first folder
    (4), and chained conditions refused by sbatch (5).
    """
    project = uninstalled_project
    project.install_editable(kind, setuptools)
    project.script(PIPELINE)
    with cluster.queue_closed():
        first = project.start()
        ids = json.loads(first.line("submitted"))
        project.set_version("newer")
        project.script(PIPELINE)
        second = project.start()
        ids += json.loads(second.line("submitted"))
        assert {cluster.state(job_id) for job_id in ids} == {"PENDING"}
        project.set_version("newest")

    labels = ["prepare", "train 1", "train 2", "evaluate", "tidy"]
    output = project.root / "experiments/slurm"
    folders = iter(output / ("code" if n == 1 else f"code-{n}") for n in range(1, 11))
    for script, version in ((first, "one"), (second, "newer")):
        results = script.result()
        assert [result["label"] for result in results] == labels
        prepared, trained, evaluated, _failed, tidied = (next(folders) for _ in range(5))
        for result, code in zip(
            results, (prepared, trained, trained, evaluated, tidied), strict=True
        ):
            assert_frozen(result, code, version)
        script.finish()
    for job_id in ids:
        assert cluster.wait_for(job_id) == "COMPLETED"

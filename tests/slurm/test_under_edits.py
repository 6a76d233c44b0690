"""The whole of it at once, while the source tree is rewritten without a pause."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import FINISHED, SlurmCluster, until
from .project import Project
from .test_requeue import MAIN, TRAINING
from .test_torchrun import TRAIN, arguments, expected, reports, without
from .torch_environment import torch_site_packages

CHAIN = """
    import json
    import os
    import subprocess
    import sys

    import slurmic
    import trainer

    @slurmic.slurm_fn
    def stage(label):
        from trainer import late

        ask = [sys.executable, "-c", "import tool, trainer; print(tool.VERSION, trainer.VERSION)"]
        child = subprocess.run(ask, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        if label == "broken":
            raise ValueError(label)
        return [label, os.path.basename(os.getcwd()), trainer.VERSION, late.VERSION, *child]

    if __name__ == "__main__":
        config = slurmic.SlurmConfig(mode="slurm", pack_code=True)
        prepared = stage[config]("prepare")
        swept = stage[config].afterok(prepared).map_array([f"task {n}" for n in range(12)])
        broken = stage[config].afterok(swept)("broken")
        tidied = stage[config].afterany(swept).afternotok(broken)("tidy")
        never = stage[config].afterok(broken)("never")
        print("submitted", flush=True)
        results = [job.result() for job in [prepared, *swept, tidied]]
        try:
            never.result()
        except slurmic.UnmetConditionError as error:
            results.append(f"'afterok:{broken.job_id}'" in str(error))
        print("result", json.dumps(results), flush=True)
    """


@contextlib.contextmanager
def rewritten(project: Project) -> Iterator[None]:
    """Within the block every file of the project is edited, deleted and written again, as fast as
    that goes."""
    done = threading.Event()
    scripts = sorted((project.root / "scripts").glob("*.py"))

    def rewrite() -> None:
        count = 0
        while not done.is_set():
            count += 1
            project.set_version("edited" * (1 + count % 3))
            for path in (project.root / "src/trainer/late.py", *scripts):
                path.unlink()
                path.write_text(f"raise SystemExit('edited {count} times')\n")

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_nothing_notices(cluster: SlurmCluster, project: Project, tmp_path: Path) -> None:
    """A training that is preempted and resumes, torchrun on two nodes, and a pipeline with an
    array, a failure and a job that can never start: submitted, then the tree goes to pieces, then
    they run. Each of them sees the tree as it was, in every process."""
    folder = torch_site_packages()
    if folder is None:
        pytest.skip("needs PyTorch (SLURMIC_TORCH_PYTHON names an interpreter that has it)")
    (project.site_packages / "torch-environment.pth").write_text(f"{folder}\n")
    notes = tmp_path / "notes"
    notes.mkdir()
    project.write("src/trainer/training.py", TRAINING)
    project.script(MAIN, "scripts/resume.py")
    project.script(CHAIN, "scripts/chain.py")
    project.script(TRAIN)

    with cluster.queue_closed():
        spare = json.dumps({"partition": "spare", "cpus_per_task": 4, "output_folder": "resumed"})
        training = project.start(str(notes), spare, script="scripts/resume.py")
        training_id = training.line("submitted")
        chain = project.start(script="scripts/chain.py")
        chain.line("submitted")
        launch = arguments(notes, "--slurm.output-folder", "launched")
        launched_id = project.run(*launch).line("submitted")
        edits = contextlib.ExitStack()
        edits.enter_context(rewritten(project))
    with edits:
        until((notes / "waiting-1").exists, lambda: f"{cluster.show(training_id)}\n{training.log}")
        urgent = ["--partition=urgent", "--cpus-per-task=4", "--output=/dev/null", "--wrap=true"]
        cluster.wait_for(cluster.run("sbatch", "--parsable", *urgent).strip(), "COMPLETED")
        cluster.start_requeued(training_id)

        code = project.root / "resumed/slurm/code"
        assert training.result() == [[str(code), "one", "n3"]] * 2
        assert cluster.show(training_id)["Restarts"] == "1"

        state = cluster.wait_for(launched_id, *FINISHED)
        assert state == "COMPLETED", Path(cluster.show(launched_id)["StdErr"]).read_text()
        found = without(reports(notes, launched_id), "node", "port", "restarts")
        assert found == expected(project.root / "launched/slurm/code", 4, 10, "")

        results = chain.result()
    labels = ["prepare", *(f"task {number}" for number in range(12)), "tidy"]
    folders = ["code", *["code-2"] * 12, "code-4"]
    assert results == [
        *([*each, "one", "one", "one", "one"] for each in zip(labels, folders, strict=True)),
        True,
    ]

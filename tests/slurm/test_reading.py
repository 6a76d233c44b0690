"""From a job id alone: what ran, what differs today, and the files back."""

from __future__ import annotations

import json
import subprocess
import sys
from subprocess import CompletedProcess

from .cluster import SlurmCluster, until
from .project import Project

SCRIPT = """
    import json

    import slurmic
    import trainer

    @slurmic.slurm_fn
    def task(number):
        if number == 2:
            raise ValueError("the second is bad")
        return trainer.VERSION

    if __name__ == "__main__":
        config = slurmic.SlurmConfig(mode="slurm", pack_code=True)
        jobs = task[config].map_array(range(4))
        for job in jobs:
            job.wait()
        print("result", json.dumps([job.job_id for job in jobs]), flush=True)
"""


def slurmic(project: Project, *arguments: str) -> CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "slurmic", *arguments],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_a_job_id(cluster: SlurmCluster, project: Project) -> None:
    """Somebody comes back with nothing but the number of a job whose third task failed."""
    project.script(SCRIPT)
    ids = project.start().result()
    array = ids[0].partition("_")[0]

    def states() -> dict[str, str]:
        record = json.loads(slurmic(project, "show", ids[2], "--json").stdout)
        assert record["jobs"] == [f"{array}_[0-3]"]
        assert record["slurm_note"] is None
        return {state["job"]: state["state"] for state in record["job_states"]}

    ended = dict.fromkeys(ids, "COMPLETED") | {ids[2]: "FAILED"}
    until(lambda: states() == ended, lambda: f"the jobs are {states()}")
    shown = slurmic(project, "show", array).stdout
    assert f"jobs       {array} (4 tasks)\n" in shown
    assert f"           FAILED 1  {array}_2\n" in shown
    assert f"           COMPLETED 3  {array}\n" in shown

    project.set_version("newer")
    listed = slurmic(project, "ls", "--job", array, "--json").stdout
    assert json.loads(listed)["code_folder"] == str(project.root / "slurm/code")
    changed = slurmic(project, "diff", array, "--path", "src/trainer/version.py", "--patch").stdout
    assert '-VERSION = "one"\n+VERSION = "newer"\n' in changed
    assert slurmic(project, "cat", ids[0], "src/trainer/version.py").stdout == 'VERSION = "one"\n'
    assert slurmic(project, "checkout", array, "../back").returncode == 0
    back = project.root.parent / "back"
    assert (back / "src/trainer/late.py").read_text() == 'VERSION = "one"\n'

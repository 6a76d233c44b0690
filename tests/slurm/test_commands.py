"""slurmic submit and slurmic rerun, on a cluster."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from slurmic_store import Store, read_records

from .cluster import SlurmCluster
from .project import Project
from .test_arrays import HEAD

SHOW = """
import json, os, sys
from pathlib import Path
import helper
import trainer.late

config = Path("config.yaml").read_text().split()[1]
print(json.dumps({
    "argv": [os.fsencode(word).decode("latin-1") for word in sys.argv[1:]],
    "versions": sorted({helper.VERSION, trainer.late.VERSION, config}),
    "cwd": os.getcwd(),
    "file": __file__,
    "task": os.environ.get("SLURM_ARRAY_TASK_ID"),
    "setup": os.environ.get("FROM_SETUP"),
}), flush=True)
sys.exit(int(os.environ.get("STATUS", "0")))
"""


def seen(project: Project, job_id: str) -> dict[str, object]:
    text = Path(project.root, f"slurm/{job_id}_0_log.out").read_text()
    found: dict[str, object] = json.loads(text)
    return found


def test_a_command_runs_from_frozen_code(cluster: SlurmCluster, project: Project) -> None:
    """Its words arrive as they are, also such as are no UTF-8; edited while it is queued; its exit
    code is the job's; a later one waits for it."""
    project.script(SHOW)
    words = [
        "two words",
        'quote"s',
        "it's",
        "$HOME `x` \\",
        "line\nbreak",
        "ünï",
        "--",
        "--mem",
        "",
    ]
    live = str(project.root / "scripts/train.py")
    with cluster.queue_closed():
        first = project.slurmic(
            "submit", "--mem", "10M", "--setup", "export FROM_SETUP='a b' STATUS=7", "--",
            "python", live, *words, "raw\udcff",
        )  # fmt: skip
        assert first.returncode == 0, first.stderr
        job_id = first.stdout.strip()
        assert first.stdout == f"{job_id}\n"
        second = project.slurmic(
            "submit", "--after", f"notok:{job_id}", "--array", "1-5:2%2", "--",
            "python", "scripts/train.py",
        )  # fmt: skip
        assert second.returncode == 0, second.stderr
        array = second.stdout.strip()
        project.set_version("edited")
    assert cluster.wait_for(job_id) == "FAILED"
    assert cluster.show(job_id)["ExitCode"] == "7:0"
    code = str(project.root / "slurm/code")
    assert seen(project, job_id) == {
        "argv": [word.encode().decode("latin-1") for word in words] + ["raw\xff"],
        "versions": ["one"],
        "cwd": code,
        "file": f"{code}/scripts/train.py",
        "task": None,
        "setup": "a b",
    }
    for task in ("1", "3", "5"):
        cluster.wait_for(f"{array}_{task}", "COMPLETED")
        found = seen(project, f"{array}_{task}")
        assert (found["task"], found["versions"], found["argv"]) == (task, ["one"], [])
        assert found["cwd"] == str(project.root / "slurm/code-2")
    script = (project.root / f"slurm/{array}_submission.sh").read_text()
    assert "#SBATCH --array=1-5:2%2" in script
    assert "--signal" not in script
    records = {r.jobs for r in read_records(Store.open(project.home / ".slurmic", create=False))}
    assert records == {(job_id,), (f"{array}_[1,3,5]",)}


def test_a_refused_command_leaves_nothing(cluster: SlurmCluster, project: Project) -> None:
    project.script(SHOW)
    for options in (["--partition", "nowhere"], ["--array", "0-5000"]):
        refused = project.slurmic("submit", *options, "--", "true")
        assert refused.returncode == 1
        assert refused.stdout == ""
        assert "slurmic: error: sbatch refused the command" in refused.stderr
        assert not (project.root / "slurm").exists()
    assert "at most 1001 tasks" in refused.stderr


def test_a_command_is_run_again(cluster: SlurmCluster, project: Project) -> None:
    """From its own frozen code after an edit, with other resources, and from today's."""
    project.script(SHOW)
    first = project.slurmic("submit", "--array", "0-2", "--", "python", "scripts/train.py", "a b")
    array = first.stdout.strip()
    for task in range(3):
        cluster.wait_for(f"{array}_{task}", "COMPLETED")
    project.set_version("edited")
    again = project.slurmic("rerun", f"{array}_1", "--cpus-per-task", "2")
    assert again.returncode == 0, again.stderr
    job_id = again.stdout.strip()
    today = project.slurmic("rerun", array, "--code", ".")
    assert today.returncode == 0, today.stderr
    cluster.wait_for(f"{job_id}_1", "COMPLETED")
    found = seen(project, f"{job_id}_1")
    code = str(project.root / "slurm/code")
    assert (found["versions"], found["argv"], found["cwd"]) == (["one"], ["a b"], code)
    assert cluster.show(f"{job_id}_1")["CPUs/Task"] == "2"
    for task in range(3):
        cluster.wait_for(f"{today.stdout.strip()}_{task}", "COMPLETED")
        found = seen(project, f"{today.stdout.strip()}_{task}")
        assert (found["versions"], found["task"]) == (["edited"], str(task))
    unknown = project.slurmic("rerun", "99999")
    assert unknown.returncode == 1
    assert "Traceback" not in unknown.stderr


def test_functions_are_run_again(cluster: SlurmCluster, project: Project) -> None:
    """A single job, an array, one task of it; the code folder was deleted meanwhile, and is built
    again from the store; and today's code with the arguments of then."""
    project.script(
        HEAD
        + """
from trainer import probe

jobs = [slurmic.slurm_fn(probe.package_version)[configured()]()]
jobs += slurmic.slurm_fn(probe.repeat)[configured()].map_array(["a", "b", "c"], [1, 2, 3])
print("result", json.dumps([job.job_id for job in jobs]), flush=True)
print("result", json.dumps([job.result() for job in jobs]), flush=True)
"""
    )
    probe = project.root / "src/trainer/probe.py"

    def write_repeat() -> None:
        body = "\n\ndef repeat(word, times):\n    return word * times, VERSION\n"
        probe.write_text(probe.read_text() + body)

    write_repeat()
    script = project.run()
    single, *tasks = script.result()
    assert script.result() == ["one", ["a", "one"], ["bb", "one"], ["ccc", "one"]]
    project.set_version("edited")
    write_repeat()
    array = tasks[0].partition("_")[0]
    project.script(
        """
        import json, sys
        from submitit import SlurmJob
        jobs = [SlurmJob("slurm", job_id) for job_id in sys.argv[1:]]
        print("result", json.dumps([job.result() for job in jobs]), flush=True)
        """,
        "scripts/collect.py",
    )

    def rerun(*arguments: str) -> str:
        done = project.slurmic("rerun", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def results(*ids: str) -> object:
        return project.run(*ids, script="scripts/collect.py").result()

    shutil.rmtree(project.root / "slurm/code")
    assert results(rerun(single)) == ["one"]
    again = rerun(array)
    assert results(*(f"{again}_{task}" for task in range(3))) == [
        ["a", "one"],
        ["bb", "one"],
        ["ccc", "one"],
    ]
    assert results(rerun(f"{array}_2")) == [["ccc", "one"]]
    assert results(rerun(f"{array}_1", "--code", ".")) == [["bb", "edited"]]
    # What ran again can be run again, and its record knows all of them.
    assert results(rerun(f"{again}_0")) == [["a", "one"]]

"""Every submission has a code folder of its own, and nothing that a job sees ever changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from .cluster import SlurmCluster
from .project import REPORT, Project
from .test_frozen import assert_frozen


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds: relative paths and bytes, links and folders left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


SUBMIT = (
    REPORT
    + """

if __name__ == "__main__":
    config = slurmic.SlurmConfig(mode="slurm", partition="main", pack_code=True)
    job = report[config](sys.argv[1])
    print("submitted", job.job_id, flush=True)
    print("result", json.dumps(job.result()), flush=True)
"""
)


def test_output_folder_inside_code_root(cluster: SlurmCluster, project: Project) -> None:
    """With the default output folder ./slurm, 0.2.1 packed code/ into code/: the second submission
    held code/slurm/code, the next ones failed with "File name too long"."""
    project.script(SUBMIT)
    expected = set(files(project.root))
    for number in (1, 2, 3):
        result = project.run(f"run {number}").result()
        code = project.root / "slurm" / ("code" if number == 1 else f"code-{number}")
        assert_frozen(result, code, "one")
        assert set(files(code)) == expected


def test_other_output_folders_inside_code_root(cluster: SlurmCluster, project: Project) -> None:
    """A sweep that gives every run its own folder, named by the run, next to plain results: only
    what a submission itself put there stays out, and a results folder of the user's is packed."""
    project.write("runs/notes.yaml", "mine: true\n")
    project.script(
        SUBMIT.replace("pack_code=True", 'pack_code=True, output_folder="runs/" + sys.argv[1]')
    )
    expected = set(files(project.root))
    for run in ("a", "b"):
        assert_frozen(project.run(run).result(), project.root / "runs" / run / "slurm/code", "one")
        assert set(files(project.root / "runs" / run / "slurm/code")) == expected


def test_second_submission_leaves_the_first_alone(cluster: SlurmCluster, project: Project) -> None:
    """0.2.1 laid every submission over the same code/: the files of a job that was still queued
    changed under it, and files deleted from the tree stayed in the folder for ever."""
    project.script(SUBMIT)
    project.write("src/trainer/old.py", "OLD = True\n")
    with cluster.queue_closed():
        first = project.start("first")
        first.line("submitted")
        before = files(project.root / "slurm/code")

        project.set_version("newer")
        project.script(SUBMIT)
        (project.root / "src/trainer/old.py").unlink()
        second = project.start("second")
        second.line("submitted")
        assert files(project.root / "slurm/code") == before
    assert_frozen(first.result(), project.root / "slurm/code", "one")
    assert_frozen(second.result(), project.root / "slurm/code-2", "newer")
    assert files(project.root / "slurm/code") == before
    assert "src/trainer/old.py" in before
    assert "src/trainer/old.py" not in files(project.root / "slurm/code-2")

    records = [json.loads((project.root / f"slurm/{name}").read_text()) for name in RECORDS]
    assert records[0] != records[1]


RECORDS = ("code.json", "code-2.json")

TWICE = """
    import json
    import os
    from pathlib import Path

    import slurmic
    import trainer

    @slurmic.slurm_fn
    def where():
        from trainer import late

        return os.getcwd(), late.VERSION, trainer.VERSION

    if __name__ == "__main__":
        config = slurmic.SlurmConfig(mode="slurm", pack_code=True)
        function = where[config]
        jobs = [function()]
        Path("src/trainer/late.py").write_text('VERSION = "edited"')
        jobs.append(function())          # the same configured function again
        jobs.append(where[config]())     # and one configured anew
        print("submitted", flush=True)
        print("result", json.dumps([job.result() for job in jobs]), flush=True)
    """


def test_two_submissions_of_one_process(cluster: SlurmCluster, project: Project) -> None:
    """After the first submission 0.2.1 set an environment variable that made every later one of the
    process reuse the first packed folder, even after an edit."""
    project.script(TWICE)
    with cluster.queue_closed():
        script = project.start()
        script.line("submitted")
    assert script.result() == [
        [str(project.root / "slurm/code"), "one", "one"],
        [str(project.root / "slurm/code-2"), "edited", "one"],
        [str(project.root / "slurm/code-3"), "edited", "one"],
    ]


def test_two_code_roots_of_one_process(cluster: SlurmCluster, project: Project) -> None:
    """The same variable made a submission for another code_root run in the first one's folder."""
    project.write("../other/config.yaml", "version: other\n")
    project.script(
        """
        import json
        import os
        from pathlib import Path

        import slurmic

        @slurmic.slurm_fn
        def where():
            return os.getcwd(), Path("config.yaml").read_text().split()[1]

        if __name__ == "__main__":
            jobs = []
            for root in (".", "../other"):
                config = slurmic.SlurmConfig(
                    mode="slurm", pack_code=True, code_root=root, output_parent_path=root
                )
                jobs.append(where[config]())
            print("result", json.dumps([job.result() for job in jobs]), flush=True)
        """
    )
    other = project.root.parent / "other"
    assert project.run().result() == [
        [str(project.root / "slurm/code"), "one"],
        [str(other / "slurm/code"), "other"],
    ]


def test_a_job_may_submit(cluster: SlurmCluster, project: Project) -> None:
    """A job that submits the next stage itself: it has SLURMIC_ variables in its environment, which
    must not make the second submission run anywhere but in a snapshot of its own."""
    project.script(
        """
        import json
        import os

        import slurmic
        import trainer

        @slurmic.slurm_fn
        def second():
            return os.getcwd(), trainer.__file__, os.environ["SLURMIC_CODE"]

        @slurmic.slurm_fn
        def first(parent):
            config = slurmic.SlurmConfig(mode="slurm", pack_code=True, output_parent_path=parent)
            return os.getcwd(), second[config]().result()

        if __name__ == "__main__":
            config = slurmic.SlurmConfig(mode="slurm", pack_code=True)
            job = first[config](os.path.abspath("second"))
            print("result", json.dumps(job.result()), flush=True)
        """
    )
    outer, (inner, file, variable) = project.run().result()
    assert outer == str(project.root / "slurm/code")
    assert inner == variable == str(project.root / "second/slurm/code")
    assert file == str(project.root / "second/slurm/code/src/trainer/__init__.py")


def test_folder_of_a_finished_job_can_be_removed(cluster: SlurmCluster, project: Project) -> None:
    """Read-only folders defeat ``rm -rf`` (go#27161); here files are read-only, folders are not.
    A job may write into its folder, and cannot change a packed file by accident."""
    project.script(
        """
        import json
        from pathlib import Path

        import slurmic

        @slurmic.slurm_fn
        def work():
            Path("result.txt").write_text("fine")
            Path("src/checkpoint.bin").write_bytes(b"fine")
            return oct(Path("config.yaml").stat().st_mode & 0o222)

        if __name__ == "__main__":
            job = work[slurmic.SlurmConfig(mode="slurm", pack_code=True)]()
            print("result", json.dumps(job.result()), flush=True)
        """
    )
    assert project.run().result() == "0o0"
    output = project.root / "slurm"
    assert (output / "code/result.txt").read_text() == "fine"
    folders = [path for path in output.rglob("*") if path.is_dir()]
    assert all(path.stat().st_mode & 0o300 == 0o300 for path in folders)
    subprocess.run(["rm", "-r", "--interactive=never", output], check=True)
    assert not output.exists()

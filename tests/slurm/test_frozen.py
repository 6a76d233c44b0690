"""A queued job runs the code as it was when it was submitted, whatever it imports and however."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cluster import SlurmCluster
from .project import REPORT, EditableKind, Project

SUBMIT = (
    REPORT
    + """

if __name__ == "__main__":
    config = slurmic.SlurmConfig(mode="slurm", partition="main", pack_code=True)
    job = report[config]("first")
    print("submitted", job.job_id, flush=True)
    print("result", json.dumps(job.result()), flush=True)
"""
)


def assert_frozen(
    result: dict[str, object], code: Path, version: str, package: str = "src/trainer"
) -> None:
    """The job ran in this code folder and saw nothing but this version."""
    assert result["cwd"] == str(code)
    assert result["file"] == str(code / package / "__init__.py")
    versions = result["versions"]
    assert isinstance(versions, dict)
    assert versions == dict.fromkeys(versions, version)


@pytest.mark.parametrize("kind", ["static", "finder", "renamed"])
def test_editable_install_edited_while_queued(
    cluster: SlurmCluster, uninstalled_project: Project, setuptools: Path, kind: EditableKind
) -> None:
    """0.2.1 only changed the job's directory, and a package installed with ``pip install -e`` does
    not care for directories: helper.py stayed at version one, the package ran version two.

    Now everything the job reaches is version one: the package (editable, of either kind), a module
    beside the script, one from a PYTHONPATH entry, one imported late, a child process, a worker
    that multiprocessing spawned, and a file opened by a relative path.
    """
    project = uninstalled_project
    project.install_editable(kind, setuptools)
    project.script(SUBMIT)
    with cluster.queue_closed():
        script = project.start()
        script.line("submitted")
        project.set_version("newer")
    assert_frozen(script.result(), project.root / "slurm/code", "one", project.package)
    script.finish()


def test_uninstalled_package_edited_while_queued(cluster: SlurmCluster, project: Project) -> None:
    """The same for a project that reaches its src/ by PYTHONPATH alone."""
    project.script(SUBMIT)
    with cluster.queue_closed():
        script = project.start()
        script.line("submitted")
        project.set_version("newer")
    assert_frozen(script.result(), project.root / "slurm/code", "one")


def test_script_started_from_its_own_folder(cluster: SlurmCluster, project: Project) -> None:
    """``cd scripts; python train.py`` with code_root="..": roots are not guessed from cwd."""
    text = SUBMIT.replace("pack_code=True", 'pack_code=True, code_root=".."')
    project.script(text.replace('Path("config.yaml")', 'Path("config.yaml").absolute()'))
    with cluster.queue_closed():
        script = project.start(script="train.py", folder="scripts")
        script.line("submitted")
        project.set_version("newer")
    assert_frozen(script.result(), project.root / "scripts/slurm/code", "one")


def test_source_tree_deleted_while_queued(cluster: SlurmCluster, project: Project) -> None:
    """A job needs nothing of the tree that it was submitted from, and nothing of the store."""
    text = SUBMIT.replace("pack_code=True", f'pack_code=True, output_parent_path="{project.home}"')
    project.script(text)
    store = project.home / "elsewhere"
    project.environment["SLURMIC_STORE"] = str(store)
    with cluster.queue_closed():
        script = project.start()
        script.line("submitted")
        assert (store / "FORMAT").exists()
        store.rename(project.home / "purged")
        project.root.rename(project.root.with_name("moved away"))
    assert_frozen(script.result(), project.home / "slurm/code", "one")


def test_job_knows_what_it_runs(cluster: SlurmCluster, project: Project) -> None:
    """The code folder has no .git, so scripts that log their commit find nothing there (users lost
    git metadata with other tools): the environment says it, and code.json beside the folder."""
    project.script(
        """
        import json
        import os

        import slurmic

        @slurmic.slurm_fn
        def about():
            return {name: os.environ.get(name) for name in os.environ if name.startswith("SLURMIC")}

        if __name__ == "__main__":
            job = about[slurmic.SlurmConfig(mode="slurm", pack_code=True)]()
            print("result", json.dumps(job.result()), flush=True)
        """
    )
    commit = project.commit()
    seen = project.run().result()
    code = project.root / "slurm/code"
    assert seen["SLURMIC_CODE"] == str(code)
    assert seen["SLURMIC_GIT_COMMIT"] == commit
    assert seen["SLURMIC_SNAPSHOT"]
    record = (project.root / "slurm/code.json").read_text()
    assert seen["SLURMIC_SNAPSHOT"] in record
    assert commit in record
    assert not (code / ".git").exists()


LIVE = """
    import json
    import sys

    import slurmic

    @slurmic.slurm_fn
    def imports_live(root):
        sys.path.insert(0, root + "/plugins")
        import straggler

        return straggler.__file__

    if __name__ == "__main__":
        config = slurmic.SlurmConfig(
            mode="slurm", pack_code=True, on_live_import=sys.argv[1], code_root="."
        )
        job = imports_live[config]({ROOT!r})
        print("submitted", job.job_id, flush=True)
        try:
            print("result", json.dumps(job.result()), flush=True)
        except Exception as error:
            print("error", str(error).replace("\\n", " "), flush=True)
    """


def job_log(cluster: SlurmCluster, job_id: str) -> str:
    """All that a job wrote to its log files."""
    shown = cluster.show(job_id)
    return "".join(Path(shown[name]).read_text() for name in {"StdOut", "StdErr"})


@pytest.mark.parametrize("policy", ["warn", "error", "ignore"])
def test_live_import_is_named_in_the_log(
    cluster: SlurmCluster, project: Project, policy: str
) -> None:
    """An absolute path in the user's code leads past the frozen copy (submitit#1763: snapshot
    taken, live tree imported anyway). That cannot be prevented, so it is said, or refused."""
    live = project.write("plugins/straggler.py", "")
    project.script(LIVE.replace("{ROOT!r}", repr(str(project.root))))
    script = project.start(policy)
    job_id = script.line("submitted")
    if policy == "error":
        assert "straggler" in script.line("error")
        assert cluster.wait_for(job_id) == "FAILED"
    else:
        assert script.result() == str(live)
        assert cluster.wait_for(job_id) == "COMPLETED"
    named = "straggler" in job_log(cluster, job_id)
    assert named == (policy != "ignore")


def test_module_left_out_is_named_at_submission(cluster: SlurmCluster, project: Project) -> None:
    """A job should not wait for hours to fail with ModuleNotFoundError: what this process has
    imported from code_root and the selection leaves out is named when the job is submitted."""
    project.write("outputs/generated.py", "VALUE = 1\n")  # "outputs" is excluded by default
    project.script(
        """
        import sys
        sys.path.insert(0, "outputs")
        import generated
        import slurmic

        @slurmic.slurm_fn
        def use():
            return generated.VALUE

        if __name__ == "__main__":
            use[slurmic.SlurmConfig(mode="slurm", pack_code=True)]()
        """
    )
    log = project.run().log
    assert "generated" in log
    assert "exclude_code_folders" in log


def test_local_mode_is_frozen_too(project: Project) -> None:
    """0.2.1 packed the code in mode "local" and then ran the job in the live tree.

    The call blocks, so the job itself makes the edit, before it imports anything late.
    """
    project.script(
        """
        import json
        import os
        from pathlib import Path

        import slurmic
        import trainer

        @slurmic.slurm_fn
        def late(root):
            for name in ("src/trainer/late.py", "tools/tool.py", "scripts/helper.py"):
                Path(root, name).write_text('VERSION = "edited"')
            Path(root, "config.yaml").write_text("version: edited")
            import helper
            import tool
            import trainer.late

            seen = [helper.VERSION, tool.VERSION, trainer.late.VERSION]
            return os.getcwd(), trainer.__file__, seen, Path("config.yaml").read_text()

        if __name__ == "__main__":
            config = slurmic.SlurmConfig(mode="local", pack_code=True)
            job = late[config](os.getcwd())
            print("result", json.dumps(job.result()), flush=True)
        """
    )
    cwd, file, seen, config = project.run().result()
    code = project.root / "slurm_local/code"
    assert cwd == str(code)
    assert file == str(code / "src/trainer/__init__.py")
    assert seen == ["one", "one", "one"]
    assert config == "version: one\n"


def test_secrets_and_modes(cluster: SlurmCluster, project: Project) -> None:
    """0.2.1 copied a 0600 file so that everybody could read it, and lost nothing else's mode by
    luck. In the job: executable stays executable, private stays private, nothing is writable."""
    (project.write("run.sh", "#!/bin/sh\necho ran\n")).chmod(0o755)
    (project.write(".env", "TOKEN=1\n")).chmod(0o600)
    project.script(
        """
        import json
        import os
        import subprocess

        import slurmic

        @slurmic.slurm_fn
        def look():
            names = (".env", "run.sh", "config.yaml")
            modes = {name: oct(os.stat(name).st_mode & 0o777) for name in names}
            return modes, subprocess.run(["./run.sh"], stdout=-1, text=True).stdout

        if __name__ == "__main__":
            job = look[slurmic.SlurmConfig(mode="slurm", pack_code=True)]()
            print("result", json.dumps(job.result()), flush=True)
        """
    )
    modes, said = project.run().result()
    assert modes == {".env": "0o400", "run.sh": "0o555", "config.yaml": "0o444"}
    assert said == "ran\n"

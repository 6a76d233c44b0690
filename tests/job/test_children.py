"""What a job starts imports the frozen code, too."""

from __future__ import annotations

from pathlib import Path

from projects import Project, site_packages

SCRIPT = """
import pathlib, subprocess, sys, submitting
import demo

def main():
{body}

submitting.submit(main)
"""


def editable_project(project: Project, body: str, **files: str) -> None:
    """A src layout with an editable install of the .pth kind, which every child reads again."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    project.write(
        {
            "src/demo/__init__.py": "VERSION = 'frozen'",
            "src/demo/cli.py": "import demo; print(demo.VERSION)",
            "src/demo/work.py": "import demo\ndef version(_): return demo.VERSION, demo.__file__",
            "scripts/worker.py": """
            import sys, demo, near
            sys.stdout.write(f"{demo.VERSION} {near.VERSION}\\n")
            """,
            "scripts/near.py": "VERSION = 'frozen'",
            "scripts/train.py": SCRIPT.format(body=lines),
            **files,
        }
    )
    (site_packages(project.environment) / "zzz_demo.pth").write_text(f"{project.root}/src\n")


def edit(project: Project) -> None:
    project.write(
        {
            "src/demo/__init__.py": "VERSION = 'live'",
            "src/demo/cli.py": "print('live')",
            "src/demo/work.py": "def version(_): return 'live', 'live'",
            "scripts/worker.py": "print('live')",
            "scripts/near.py": "VERSION = 'live'",
        }
    )


def test_subprocess_and_python_m(project: Project) -> None:
    """`python -m demo.cli` and `python scripts/worker.py` started by the job ran the live tree."""
    editable_project(
        project,
        "run = lambda *a, **k: subprocess.check_output([sys.executable, *a], text=True, **k)\n"
        "code = 'import demo, near; print(demo.VERSION, near.VERSION)'\n"
        "return [run('-m', 'demo.cli'), run('scripts/worker.py'), run('-c', code, cwd='/')]",
    )
    submission = project.submit("scripts/train.py")
    edit(project)
    for shell in ("", "sbatch", "local"):
        assert submission.run(shell).result() == [
            "frozen\n",
            "frozen frozen\n",
            "frozen frozen\n",
        ]


def test_multiprocessing_spawn(project: Project) -> None:
    """A spawned worker (data loaders) starts an interpreter with the live editable install."""
    editable_project(
        project,
        "import multiprocessing, demo.work\n"
        "with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "    return pool.map(demo.work.version, [0])[0]",
    )
    submission = project.submit("scripts/train.py")
    edit(project)
    version, file = submission.run().result()
    assert (version, file) == ("frozen", f"{submission.frozen.code_folder}/src/demo/__init__.py")


def test_launcher_of_workers(project: Project) -> None:
    """torchrun starts `python -u script.py` several times, from a process of its own."""
    editable_project(
        project,
        "command = [sys.executable, 'launcher.py', 'scripts/worker.py']\n"
        "return subprocess.check_output(command, text=True)",
        **{
            "launcher.py": """
            import subprocess, sys
            workers = [subprocess.Popen([sys.executable, "-u", *sys.argv[1:]]) for _ in range(2)]
            sys.exit(max(worker.wait() for worker in workers))
            """
        },
    )
    submission = project.submit("scripts/train.py")
    edit(project)
    assert submission.run().result() == "frozen frozen\n" * 2


def test_child_of_a_setuptools_hook(project: Project) -> None:
    """A finder hook in the child maps the package to the live tree; PYTHONPATH must win."""
    project.write(
        {
            "pyproject.toml": """
            [build-system]
            requires = ["setuptools"]
            build-backend = "setuptools.build_meta"
            [project]
            name = "demo"
            version = "1"
            [tool.setuptools]
            packages = ["demo"]
            """,
            "demo/__init__.py": "VERSION = 'frozen'",
            "scripts/train.py": """
            import subprocess, sys, submitting, demo

            def main():
                code = "import demo; print(demo.VERSION, end='')"
                return subprocess.check_output([sys.executable, "-c", code], text=True, cwd="/")

            submitting.submit(main)
            """,
        }
    )
    project.install_editable("setuptools.build_meta")
    submission = project.submit("scripts/train.py")
    project.write({"demo/__init__.py": "VERSION = 'live'"})
    assert submission.run().result() == "frozen"


def test_setup_that_exports_a_live_path(project: Project) -> None:
    """A setup command that puts the live tree on PYTHONPATH runs in the job, after submission."""
    editable_project(
        project,
        "code = 'import extra; print(extra.VERSION)'\n"
        "import extra\n"
        "return extra.VERSION, subprocess.check_output([sys.executable, '-c', code], text=True)",
        **{"more/extra.py": "VERSION = 'frozen'"},
    )
    submission = project.submit("scripts/train.py")
    project.write({"more/extra.py": "VERSION = 'live'"})
    outcome = submission.run(PYTHONPATH=f"{project.root}/more:/nowhere")
    assert outcome.result() == ("frozen", "frozen\n")


def test_folders_of_links_are_removed(project: Project, tmp_path: Path) -> None:
    """Links made for children would pile up in /tmp, one folder per job."""
    (tmp_path / "temporary").mkdir()
    project.write(
        {
            "random.py": "1/0",
            "scripts/train.py": """
            import os, submitting

            def main():
                return os.environ["PYTHONPATH"], os.listdir(os.environ["TMPDIR"])

            submitting.submit(main)
            """,
        }
    )
    (site_packages(project.environment) / "zzz_flat.pth").write_text(f"{project.root}\n")
    submission = project.submit("scripts/train.py")
    path, made = submission.run(TMPDIR=str(tmp_path / "temporary")).result()
    assert len(made) == 1
    assert made[0] in path
    assert list((tmp_path / "temporary").iterdir()) == []

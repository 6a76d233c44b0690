"""Whatever a project's layout, the job imports what was there when it was submitted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from projects import Project, assert_frozen, script_for, site_packages, version

from slurmic.job import FrozenCode


def test_script_in_a_subfolder(project: Project) -> None:
    """A script imports its neighbours: its folder is an import root that no configuration names."""
    project.write({"scripts/near.py": version("frozen"), "scripts/train.py": script_for("near")})
    assert_frozen(project, "scripts/near.py", "scripts/train.py")


def test_script_run_as_a_module(project: Project) -> None:
    """`python -m jobs.train` imports from the cwd."""
    project.write({"jobs/near.py": version("frozen"), "jobs/train.py": script_for("jobs.near")})
    assert_frozen(project, "jobs/near.py", "-m", "jobs.train")


@pytest.mark.parametrize("relative", [False, True])
def test_pythonpath_entry(project: Project, relative: bool) -> None:
    """PYTHONPATH reaches the job too, with its live paths."""
    project.write({"lib/near.py": version("frozen"), "scripts/train.py": script_for("near")})
    entry = "lib" if relative else str(project.root / "lib")
    assert_frozen(project, "lib/near.py", "scripts/train.py", pythonpath=entry)


def test_pythonpath_outside_the_tree_is_kept(project: Project, tmp_path: Path) -> None:
    """Shared code outside code_root is not packed; it must stay importable, also by children."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "common.py").write_text(version("shared"))
    project.write(
        {
            "scripts/train.py": """
            import os, subprocess, sys, submitting

            def main():
                import common
                code = "import common; print(common.VERSION, end='')"
                return common.VERSION, subprocess.check_output([sys.executable, "-c", code])

            submitting.submit(main)
            """
        }
    )
    submission = project.submit("scripts/train.py", pythonpath="../shared")
    for shell in ("", "sbatch", "local"):
        assert submission.run(shell).result() == ("shared", b"shared")


def test_namespace_packages(project: Project) -> None:
    """Two portions of a namespace in two roots, one of them never imported before the
    submission.
    """
    project.write(
        {
            "one/space/first.py": version("frozen"),
            "two/space/second.py": version("frozen"),
            "scripts/train.py": """
            import sys, pathlib
            here = pathlib.Path(__file__).resolve().parents[1]
            sys.path += [str(here / "one"), str(here / "two")]
            import submitting
            import space.first

            def main():
                import space.first, space.second
                return space.first.VERSION, space.second.VERSION, list(space.__path__)

            submitting.submit(main)
            """,
        }
    )
    submission = project.submit("scripts/train.py")
    project.write({"one/space/first.py": "1/0", "two/space/second.py": "1/0"})
    first, second, path = submission.run().result()
    assert (first, second) == ("frozen", "frozen")
    assert path == [f"{submission.frozen.code_folder}/{root}/space" for root in ("one", "two")]


def test_module_found_on_a_path_that_is_gone(project: Project) -> None:
    """sys.path changed for one import only: the loaded module tells where its root is."""
    project.write(
        {
            "hidden/near.py": version("frozen"),
            "scripts/train.py": """
            import sys, pathlib
            sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hidden"))
            import near
            del sys.path[0]
            import submitting

            def main():
                return near.VERSION, near.__file__

            submitting.submit(main)
            """,
        }
    )
    assert_frozen(project, "hidden/near.py", "scripts/train.py")


def test_code_root_reached_through_a_link(project: Project, tmp_path: Path) -> None:
    """A home that is automounted, or a link to a project: sys.path and code_root are spelled
    apart.
    """
    project.write({"src/near.py": version("frozen"), "scripts/train.py": script_for("near")})
    link = tmp_path / "link"
    link.symlink_to(project.root)
    assert_frozen(
        project,
        "src/near.py",
        "scripts/train.py",
        code_root=str(link),
        pythonpath=str(project.root / "src"),
    )


def test_tree_run_through_a_link(project: Project, tmp_path: Path) -> None:
    """The other way round: the script is run through the link, code_root is the real folder."""
    project.write({"src/near.py": version("frozen"), "scripts/train.py": script_for("near")})
    link = tmp_path / "link"
    link.symlink_to(project.root)
    assert_frozen(
        project, "src/near.py", str(link / "scripts/train.py"), pythonpath=str(link / "src")
    )


def test_environment_inside_the_tree(tmp_path: Path) -> None:
    """./.venv is below code_root but is no code: its packages must stay importable, unmapped."""
    project = Project(tmp_path / "project", tmp_path / "project" / ".venv")
    (site_packages(project.environment) / "installed.py").write_text(version("installed"))
    project.write(
        {
            "near.py": version("frozen"),
            "train.py": """
            import submitting, installed, near

            def main():
                return near.VERSION, near.__file__, installed.VERSION

            submitting.submit(main)
            """,
        }
    )
    submission = project.submit("train.py", on_live_import="error")
    assert submission.frozen.import_roots == (".",)
    project.write({"near.py": version("live")})
    near, file, installed = submission.run().result()
    assert (near, installed) == ("frozen", "installed")
    assert file == f"{submission.frozen.code_folder}/near.py"


def test_code_folder_outside_the_tree(project: Project, tmp_path: Path) -> None:
    """An output path on scratch: nothing about it may rest on being below code_root."""
    project.write({"near.py": version("frozen"), "train.py": script_for("near")})
    assert_frozen(project, "near.py", "train.py", code_folder=tmp_path / "scratch" / "code")


def test_files_named_like_the_standard_library(project: Project) -> None:
    """logging.py, random.py and submitit/ at the root broke the job's start: the cwd came first."""
    project.write(
        {
            "logging.py": "1/0",
            "random.py": "1/0",
            "submitit/__init__.py": "1/0",
            "scripts/near.py": version("frozen"),
            "scripts/train.py": """
            import subprocess, sys, submitting, near

            def main():
                import random
                child = subprocess.check_output([sys.executable, "tools/child.py"], text=True)
                return near.VERSION, near.__file__, random.__file__, child

            submitting.submit(main)
            """,
            "tools/child.py": "import logging, random, near; print(near.VERSION, end='')",
        }
    )
    submission = project.submit("scripts/train.py")
    project.write({"scripts/near.py": version("live")})
    for shell in ("", "sbatch", "local"):
        near, _, standard, child = submission.run(shell).result()
        assert (near, child) == ("frozen", "frozen")
        assert standard.startswith(os.path.realpath(os.path.dirname(os.__file__)))


def test_late_root_shadows_nothing(project: Project) -> None:
    """A flat project with an editable install stands last on sys.path; first on PYTHONPATH, its
    random.py would replace the standard library's in the job and in every child.
    """
    project.write(
        {
            "random.py": "1/0",
            "tomllib_like.py": version("frozen"),
            "pluggy.py": "1/0",
            "scripts/train.py": """
            import subprocess, sys, submitting, tomllib_like

            CODE = "import random, pluggy, tomllib_like; print(tomllib_like.VERSION, end='')"

            def main():
                import pluggy, random
                child = subprocess.check_output([sys.executable, "-c", CODE], text=True, cwd="/")
                return tomllib_like.VERSION, tomllib_like.__file__, child

            submitting.submit(main)
            """,
        }
    )
    (site_packages(project.environment) / "zzz_flat.pth").write_text(f"{project.root}\n")
    submission = project.submit("scripts/train.py")
    assert submission.frozen.late_roots == (".",)
    project.write({"tomllib_like.py": version("live")})
    for shell in ("", "sbatch"):
        outcome = submission.run(shell)
        top, file, child = outcome.result()
        assert (top, child) == ("frozen", "frozen"), outcome.stderr
        assert file == f"{submission.frozen.code_folder}/tomllib_like.py"


def test_early_root_does_not_break_children(project: Project) -> None:
    """sys.path.insert(0, ...) after the imports: the folder's random.py never got in the way, but
    on PYTHONPATH it would replace the standard library's in every child.
    """
    project.write(
        {
            "lib/random.py": "1/0",
            "lib/near.py": version("frozen"),
            "scripts/train.py": """
            import pathlib, random, subprocess, sys, submitting
            sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
            import near

            def main():
                code = "import random, near; print(near.VERSION, end='')"
                return near.VERSION, subprocess.check_output([sys.executable, "-c", code])

            submitting.submit(main)
            """,
        }
    )
    submission = project.submit("scripts/train.py")
    assert submission.frozen.late_roots == ()
    project.write({"lib/near.py": version("live")})
    for shell in ("", "sbatch"):
        assert submission.run(shell).result() == ("frozen", b"frozen")


def test_search_path(tmp_path: Path) -> None:
    """Entry by entry, in order; names that only an import hook answers to stay as they are."""
    from slurmic.job.freeze import frozen_search_path

    live, code = tmp_path / "live", tmp_path / "live/slurm/code"
    for folder in ("early", "late", "pth", "gone", "env/lib"):
        (live / folder).mkdir(parents=True)
    for folder in ("early", "late", "pth"):
        (code / folder).mkdir(parents=True)
    (live / "env/pyvenv.cfg").touch()
    frozen = FrozenCode(
        str(live), str(code), import_roots=("early", "late", "missing"), late_roots=("late",)
    )
    path = ["", "/lib", "__editable__.x.__path_hook__", f"{live}/gone", f"{live}/pth", "late"]
    assert frozen_search_path(
        frozen, frozen.live_tree(), [*path, f"{live}/env/lib", f"{live}/early"], str(live)
    ) == [
        f"{code}/early",
        "/lib",
        "__editable__.x.__path_hook__",
        f"{code}/pth",
        f"{code}/late",
        f"{live}/env/lib",
        str(code),
    ]


HOSTILE = [
    *("with space", "qu'o\"te", "ünï—cødé ✓", "new\nline", "$HOME `x` \\ ; &&", "co:lon", "-dash")
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_folder_names(tmp_path: Path, name: str) -> None:
    """Folder names go through pickles, sh, bash and PYTHONPATH: no quoting may break."""
    project = Project(tmp_path / name / "project", tmp_path / "environment")
    project.write(
        {
            "src/near.py": version("frozen"),
            "scripts/train.py": """
            import pathlib, subprocess, sys
            sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "src"))
            import submitting, near

            def main():
                code = "import near; print(near.VERSION, end='')"
                return near.VERSION, subprocess.check_output([sys.executable, "-c", code])

            submitting.submit(main)
            """,
        }
    )
    submission = project.submit("scripts/train.py")
    project.write({"src/near.py": version("live")})
    for shell in ("", "sbatch", "local"):
        outcome = submission.run(shell)
        assert outcome.result() == ("frozen", b"frozen"), outcome.stderr

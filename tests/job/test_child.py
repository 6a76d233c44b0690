"""What a Python process that the job starts does before its program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from projects import Project, make_environment, site_packages

import slurmic.job

TRAIN = """
import os, subprocess, sys, submitting
import demo

def python(*arguments, **options):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)
    return done.returncode, done.stdout, done.stderr

def main():
    {body}

submitting.submit(main)
"""


def editable_project(project: Project, body: str, **files: str) -> None:
    """A src layout, found through a .pth file, which every child reads again."""
    project.write(
        {
            "src/demo/__init__.py": "VERSION = 'frozen'",
            "src/unpacked.py": "VERSION = 'live'",
            "train.py": TRAIN.format(body=body),
            **files,
        }
    )
    (site_packages(project.environment) / "zzz_demo.pth").write_text(f"{project.root}/src\n")


@pytest.mark.parametrize("policy", ["warn", "error", "ignore"])
def test_a_child_does_not_find_what_was_not_packed(project: Project, policy: str) -> None:
    """An editable install gave children the live module, and nothing was said of it."""
    editable_project(project, "return python('-c', 'import demo, unpacked', cwd='/')")
    submission = project.submit("train.py", left_out=("unpacked.py",), on_live_import=policy)
    code, _, errors = submission.run().result()
    assert code == 1
    assert "No module named 'unpacked'" in errors


HOOK = """
import importlib.util, sys

class Hook:  # as meson-python and scikit-build-core install theirs: before everything else
    def find_spec(self, name, path=None, target=None):
        if name == "demo":
            return importlib.util.spec_from_file_location(name, {file!r})

sys.meta_path.insert(0, Hook())
"""


def test_a_hook_that_goes_first_does_not_win_in_a_child(project: Project) -> None:
    editable_project(project, "return python('-c', 'import demo; print(demo.VERSION)', cwd='/')")
    packages = site_packages(project.environment)
    live = str(project.root / "src/demo/__init__.py")
    (packages / "hook.py").write_text(HOOK.format(file=live))
    (packages / "zzz_hook.pth").write_text("import hook\n")
    submission = project.submit("train.py")
    project.write({"src/demo/__init__.py": "VERSION = 'live'"})
    assert submission.run().result() == (0, "frozen\n", "")


REACH = "import sys; sys.path.insert(0, {root!r}); import unpacked; print(unpacked.VERSION)"


@pytest.mark.parametrize("policy", ["warn", "error", "ignore"])
def test_live_imports_of_a_child_are_reported(project: Project, policy: str) -> None:
    """A program that puts the live tree on its path gets what it asked for, but not silently."""
    root = str(project.root / "src")
    code = REACH.format(root=root)
    editable_project(project, f"return python('-c', {code!r}, cwd='/')")
    submission = project.submit("train.py", left_out=("unpacked.py",), on_live_import=policy)
    code_, output, errors = submission.run().result()
    if policy == "error":
        assert code_ == 1 and "LiveImportError" in errors and f"{root}/unpacked.py" in errors
        return
    assert (code_, output) == (0, "live\n")
    if policy == "ignore":
        assert errors == ""
    else:
        assert (
            "imported from the live source tree by a Python process that the job started" in errors
        )
        assert f"unpacked: '{root}/unpacked.py'" in errors


SITE = "import sitecustomize as s, sys; print(getattr(s, 'MARK', s.__file__), {start} in sys.path)"
"""Which sitecustomize ran, and whether the folder of ours is out of the way."""

OURS = str(Path(slurmic.job.__file__).with_name("child_start"))


@pytest.mark.parametrize("by", ["environment", "PYTHONPATH"])
def test_the_sitecustomize_that_was_there_still_runs(
    project: Project, tmp_path: Path, by: str
) -> None:
    """Clusters and virtual environments have one of their own; so has Debian's Python."""
    code = SITE.format(start=repr(OURS))
    editable_project(project, f"return python('-c', {code!r})")
    folder = tmp_path / "site" if by == "PYTHONPATH" else site_packages(project.environment)
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text("MARK = 'the site'\n")
    pythonpath = str(folder) if by == "PYTHONPATH" else ""
    outside = project.outside(code, pythonpath)
    assert outside.endswith(" False\n") and (not pythonpath or "the site" in outside)
    submission = project.submit("train.py", pythonpath=pythonpath)
    assert submission.run().result() == (0, outside, "")


@pytest.mark.parametrize("by", ["editable install", "PYTHONPATH"])
def test_one_that_was_packed_runs_in_a_child(project: Project, by: str) -> None:
    """Where it would have run outside: one of Python's own goes before an editable install."""
    code = SITE.format(start=repr(OURS))
    editable_project(project, f"return python('-c', {code!r})")
    project.write({"src/sitecustomize.py": "MARK = 'frozen'"})
    pythonpath = str(project.root / "src") if by == "PYTHONPATH" else ""
    outside = project.outside(code, pythonpath)
    assert outside.endswith(" False\n") and (not pythonpath or "frozen" in outside)
    submission = project.submit("train.py", pythonpath=pythonpath)
    project.write({"src/sitecustomize.py": "MARK = 'live'"})
    assert submission.run().result() == (0, outside, "")


def test_grandchildren_and_spawned_workers(project: Project) -> None:
    grandchild = "import demo; print(demo.VERSION); import unpacked"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    editable_project(
        project,
        f"import multiprocessing; from worker import work\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        f"        return python('-c', {child!r}, cwd='/'), pool.map(work, [0])[0]",
        **{
            "worker.py": """
            def work(_):
                import demo
                try:
                    import unpacked
                except ImportError as error:
                    return demo.VERSION, str(error)
            """
        },
    )
    submission = project.submit("train.py", left_out=("unpacked.py",))
    project.write({"src/demo/__init__.py": "VERSION = 'live'"})
    (_, output, errors), worker = submission.run().result()
    assert output == "frozen\n" and "No module named 'unpacked'" in errors
    assert worker == ("frozen", "No module named 'unpacked'")


def test_another_environment_is_left_alone(project: Project, tmp_path: Path) -> None:
    """A tool with an environment of its own (another project's, say) imports what it always did."""
    other = make_environment(tmp_path / "other")
    packages = site_packages(tmp_path / "other")
    (packages / "unpacked.py").write_text("VERSION = 'its own'\n")
    code = "import sys, unpacked; print(unpacked.VERSION, 'slurmic' in sys.modules)"
    editable_project(
        project,
        f"done = subprocess.run([{str(other)!r}, '-c', {code!r}], capture_output=True, text=True)\n"
        "    return done.stdout, done.stderr",
    )
    submission = project.submit("train.py", left_out=("unpacked.py",))
    assert submission.run().result() == ("its own False\n", "")


def test_isolated_children_start(project: Project) -> None:
    editable_project(
        project, "return [python(flag, '-c', 'print(1)') for flag in ('-I', '-E', '-S')]"
    )
    assert project.submit("train.py").run().result() == [(0, "1\n", "")] * 3


def test_the_file_is_readable_for_the_oldest_python() -> None:
    """Python 2 on a cluster reads PYTHONPATH, too, and would complain about every start."""
    import ast

    source = Path(OURS, "sitecustomize.py")
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr))
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None and not node.args.kwonlyargs
    for python in (sys.executable, *python2s()):
        subprocess.run([python, str(source)], check=True, env={}, timeout=60)


def python2s() -> list[str]:
    """Interpreters of Python 2 on this machine."""
    found = [shutil.which("python2"), *map(str, Path.home().glob(".pyenv/versions/2.*/bin/python"))]
    return [
        python
        for python in found
        if python and not subprocess.run([python, "-c", ""], capture_output=True).returncode
    ]

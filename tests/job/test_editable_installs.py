"""Editable installs of all kinds know live paths; the job imports the frozen code all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project, assert_frozen, script_for, site_packages, version

SETUPTOOLS = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "demo"
version = "1"
"""


def test_setuptools_src_layout_static_pth(project: Project) -> None:
    """0.2.1, point 1: `pip install -e` with a src layout ran the live tree inside the job."""
    project.write(
        {
            "pyproject.toml": SETUPTOOLS + '[tool.setuptools.packages.find]\nwhere = ["src"]\n',
            "src/demo/__init__.py": version("frozen"),
            "scripts/train.py": script_for("demo"),
        }
    )
    project.install_editable("setuptools.build_meta")
    assert list(site_packages(project.environment).glob("__editable__*.pth"))
    assert_frozen(project, "src/demo/__init__.py", "scripts/train.py")


def test_setuptools_flat_layout_finder_hook(project: Project) -> None:
    """A finder hook knows live paths only: its package must not come from there."""
    project.write(
        {
            "pyproject.toml": SETUPTOOLS + '[tool.setuptools]\npackages = ["demo"]\n',
            "demo/__init__.py": version("frozen"),
            "other/thing.py": "",
            "scripts/train.py": script_for("demo"),
        }
    )
    project.install_editable("setuptools.build_meta")
    assert list(site_packages(project.environment).glob("__editable___demo*finder.py"))
    assert_frozen(project, "demo/__init__.py", "scripts/train.py")


def test_editable_package_in_a_folder_named_otherwise(project: Project) -> None:
    """package_dir maps a name to any folder: no import root can find it, neither in a child."""
    project.write(
        {
            "pyproject.toml": SETUPTOOLS
            + '[tool.setuptools]\npackages = ["demo", "demo.deep"]\npackage-dir = {demo = "lib"}\n',
            "lib/__init__.py": version("frozen"),
            "lib/deep/__init__.py": version("frozen"),
            "scripts/train.py": """
            import subprocess, sys, submitting, demo

            CHILD = "import demo.deep; print(demo.VERSION, demo.deep.VERSION, end='')"

            def main():
                import demo.deep
                child = subprocess.check_output([sys.executable, "-c", CHILD], text=True)
                return demo.VERSION, demo.deep.__file__, demo.deep.VERSION, child

            submitting.submit(main)
            """,
        }
    )
    project.install_editable("setuptools.build_meta")
    submission = project.submit("scripts/train.py")
    assert submission.frozen.packages == (("demo", "lib"),)
    project.write({"lib/__init__.py": version("live"), "lib/deep/__init__.py": version("live")})
    outcome = submission.run()
    top, file, deep, child = outcome.result()
    assert (top, deep, child) == ("frozen", "frozen", "frozen frozen")
    assert file == f"{submission.frozen.code_folder}/lib/deep/__init__.py"


def test_single_module_of_a_finder_hook(project: Project) -> None:
    """setuptools maps a py_module to its path without the suffix; it must be found all the same."""
    project.write(
        {
            "pyproject.toml": SETUPTOOLS
            + '[tool.setuptools]\npy-modules = ["demo"]\npackage-dir = {"" = "lib"}\n',
            "lib/demo.py": version("frozen"),
            "lib/unrelated.txt": "",
            "scripts/train.py": script_for("demo"),
        }
    )
    project.install_editable("setuptools.build_meta")
    assert_frozen(project, "lib/demo.py", "scripts/train.py")


@pytest.mark.parametrize("exact", [False, True])
def test_hatchling_editable(project: Project, exact: bool) -> None:
    """hatchling: a .pth file, or (dev-mode-exact) a redirecting hook of its own."""
    project.write(
        {
            "pyproject.toml": f"""
            [build-system]
            requires = ["hatchling"]
            build-backend = "hatchling.build"
            [project]
            name = "demo"
            version = "1"
            [tool.hatch.build]
            dev-mode-exact = {str(exact).lower()}
            [tool.hatch.build.targets.wheel]
            packages = ["src/demo"]
            """,
            "src/demo/__init__.py": version("frozen"),
            "scripts/train.py": script_for("demo"),
        }
    )
    project.install_editable("hatchling.build")
    assert_frozen(project, "src/demo/__init__.py", "scripts/train.py")


def test_hook_that_stands_before_everything(project: Project) -> None:
    """scikit-build-core's hook is first on sys.meta_path, and knows live paths of submodules
    too.
    """
    project.write(
        {
            "pyproject.toml": """
            [build-system]
            requires = ["scikit-build-core"]
            build-backend = "scikit_build_core.build"
            [project]
            name = "demo"
            version = "1"
            [tool.scikit-build]
            wheel.cmake = false
            wheel.packages = ["src/demo"]
            """,
            "src/demo/__init__.py": version("frozen"),
            "src/demo/sub.py": version("frozen"),
            "scripts/train.py": """
            import submitting

            def main():
                import demo.sub
                return demo.VERSION, demo.sub.__file__, demo.sub.VERSION

            submitting.submit(main)
            """,
        }
    )
    project.install_editable("scikit_build_core.build")
    submission = project.submit("scripts/train.py")
    project.write({"src/demo/__init__.py": version("live"), "src/demo/sub.py": version("live")})
    outcome = submission.run()
    top, file, sub = outcome.result()
    assert (top, sub) == ("frozen", "frozen")
    assert Path(file).is_relative_to(submission.frozen.code_folder)


def test_namespace_package_of_a_finder_hook(project: Project) -> None:
    """A package in a namespace that exists as no folder: its parent must be made up."""
    project.write(
        {
            "pyproject.toml": SETUPTOOLS
            + '[tool.setuptools]\npackages = ["space.demo"]\n'
            + 'package-dir = {"space.demo" = "lib"}\n',
            "lib/__init__.py": version("frozen"),
            "scripts/train.py": script_for("space.demo"),
        }
    )
    project.install_editable("setuptools.build_meta")
    assert_frozen(project, "lib/__init__.py", "scripts/train.py")

"""A module that comes from the live tree after all is named, or stops the job."""

from __future__ import annotations

import pytest
from projects import Project, site_packages

# An absolute path to the live tree, as people write them: the import goes around every mapping.
LIVE_IMPORT = """
import pathlib, sys, submitting
import near

ROOT = str(pathlib.Path(__file__).resolve().parents[1])

def main(fail=False):
    print("started", flush=True)
    sys.path.insert(0, ROOT + "/extra")
    import far
    if fail:
        raise RuntimeError("own error")
    return near.VERSION + far.VERSION

submitting.submit(main{arguments})
"""


def live_import_project(project: Project, arguments: str = "") -> None:
    project.write(
        {
            "scripts/near.py": "VERSION = ''",
            "extra/far.py": "VERSION = 'live'",
            "scripts/train.py": LIVE_IMPORT.format(arguments=arguments),
        }
    )


def test_warning_names_module_file_and_remedy(project: Project) -> None:
    """facts/users.md, 1: a live import went unnoticed until the results made no sense."""
    live_import_project(project)
    outcome = project.submit("scripts/train.py").run()
    assert outcome.result() == "live"
    message = outcome.stderr[outcome.stderr.index("slurmic: imported from the live") :]
    assert f"far: '{project.root}/extra/far.py'" in message
    assert "while the function ran" in message
    assert "near" not in message
    assert "on_live_import" in message


def test_error_stops_at_the_import(project: Project) -> None:
    """A job must fail at the import, not after six hours of work."""
    live_import_project(project)
    outcome = project.submit("scripts/train.py", on_live_import="error").run()
    assert "LiveImportError" in outcome.error()
    assert f"'{project.root}/extra/far.py'" in outcome.error()
    assert "import far" in outcome.error()  # the line of the traceback
    assert "refused to import" in outcome.stderr


def test_ignore_is_silent(project: Project) -> None:
    """Who knows what they do is not told."""
    live_import_project(project)
    outcome = project.submit("scripts/train.py", on_live_import="ignore").run()
    assert outcome.result() == "live"
    assert "slurmic:" not in outcome.stderr


def test_own_error_is_not_masked(project: Project) -> None:
    """The function's own exception is what the submitter must see; the audit still speaks."""
    live_import_project(project, ", fail=True")
    outcome = project.submit("scripts/train.py").run()
    assert "RuntimeError: own error" in outcome.error()
    assert "During handling" not in outcome.error()
    assert "far.py" in outcome.stderr


def test_import_that_leaves_no_trace_in_the_finder(project: Project) -> None:
    """A module loaded by its file goes around every hook: "error" must not report success."""
    project.write(
        {
            "extra/far.py": "VERSION = 'live'",
            "train.py": """
            import importlib.util, pathlib, sys, submitting
            FILE = str(pathlib.Path(__file__).resolve().parent / "extra/far.py")

            def main():
                spec = importlib.util.spec_from_file_location("far", FILE)
                module = importlib.util.module_from_spec(spec)
                sys.modules["far"] = module
                spec.loader.exec_module(module)
                return module.VERSION

            submitting.submit(main)
            """,
        }
    )
    outcome = project.submit("train.py", on_live_import="error").run()
    assert "LiveImportError" in outcome.error()


@pytest.mark.parametrize("policy", ["warn", "error"])
def test_link_that_leads_back_into_the_live_tree(project: Project, policy: str) -> None:
    """A packed absolute link is frozen by name only; the file that is read is live."""
    project.write(
        {
            "real/far.py": "VERSION = 'live'",
            "train.py": """
            import submitting

            def main():
                import linked
                return linked.VERSION

            submitting.submit(main)
            """,
        }
    )
    (project.root / "linked.py").symlink_to(project.root / "real" / "far.py")
    outcome = project.submit("train.py", on_live_import=policy).run()
    assert "linked:" in outcome.stderr
    if policy == "warn":
        assert outcome.result() == "live"
    else:
        assert "refused to import" in outcome.stderr
        assert "import linked" in outcome.error()


@pytest.mark.parametrize("policy", ["warn", "error"])
@pytest.mark.parametrize("statement", ["import data.secret", "from data import secret"])
def test_module_that_is_not_packed(project: Project, policy: str, statement: str) -> None:
    """A job waited for hours to fail with ModuleNotFoundError: named at submission, and explained
    in the job, with what would pack it.
    """
    project.write(
        {
            "data/secret.py": "VERSION = 'live'",
            "data/__init__.py": "",
            "near.py": f"{statement}\nVERSION = 1",
            "train.py": """
            import submitting, near

            def main():
                return near.VERSION

            submitting.submit(main)
            """,
        }
    )
    submission = project.submit("train.py", left_out=("secret.py",), on_live_import=policy)
    assert submission.unpacked == [["data.secret", "data/secret.py"]]
    outcome = submission.run()
    assert "ModuleNotFoundError" in outcome.error() or "cannot import" in outcome.error()
    assert "module 'data.secret' is not in the snapshot" in outcome.stderr
    assert f"exists in the live source tree: '{project.root}/data/secret.py'" in outcome.stderr
    assert "add '.py' to code_file_suffixes" in outcome.stderr


def test_live_modules_loaded_before_the_freeze(project: Project) -> None:
    """A .pth file that imports a live module when the interpreter starts: it must be forgotten."""
    project.write(
        {
            "near.py": "VERSION = 'frozen'",
            "scripts/train.py": """
            import submitting, near

            def main():
                return near.VERSION, near.__file__

            submitting.submit(main)
            """,
        }
    )
    folder = site_packages(project.environment)
    (folder / "zzz_flat.pth").write_text(f"{project.root}\nimport near\n")
    submission = project.submit("scripts/train.py")
    project.write({"near.py": "VERSION = 'live'"})
    version, file = submission.run().result()
    assert (version, file) == ("frozen", f"{submission.frozen.code_folder}/near.py")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("from near import nothing", "cannot import name 'nothing'"),
        ("raise ModuleNotFoundError('own', name='near')", "ModuleNotFoundError: own"),
    ],
)
def test_other_import_errors_are_not_explained(
    project: Project, statement: str, message: str
) -> None:
    """The module is packed; to speak of packing would mislead."""
    project.write(
        {
            "near.py": "",
            "train.py": f"""
            import submitting

            def main():
                {statement}

            submitting.submit(main)
            """,
        }
    )
    outcome = project.submit("train.py").run()
    assert message in outcome.error()
    assert "not in the snapshot" not in outcome.stderr


def test_hook_whose_package_is_not_packed(project: Project) -> None:
    """A finder hook must not bring in from the live tree what a .pth file would not: the same
    package would be missing with one kind of editable install, and live with the other.
    """
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
            "demo/__init__.py": "VERSION = 'live'",
            "scripts/train.py": """
            import submitting

            def main():
                import demo

            submitting.submit(main)
            """,
        }
    )
    project.install_editable("setuptools.build_meta")
    outcome = project.submit("scripts/train.py", left_out=("demo",)).run()
    assert "No module named 'demo'" in outcome.error()
    assert "module 'demo' is not in the snapshot" in outcome.stderr

"""What slurmic itself has built in the tree is never packed again, whatever is left of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from slurmic.selection import SelectionRules, explain, select

RULES = SelectionRules(suffixes=(".py", ".sh", ".json"), exclude_folders=())
RECORD = '{"slurmic_record": 1,\n "id": "x"}'


def packed(root: Path) -> list[str]:
    return [path.decode() for path in select(root, RULES).paths]


@pytest.fixture(params=["suffix", "gitignore"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project with an output folder of two submissions, and a snapshot built by name."""
    if request.param == "gitignore":
        (tmp_path / ".gitignore").write_text("*.log\n")
    for name in ("code", "code-2"):
        (tmp_path / "runs" / "slurm" / name).mkdir(parents=True)
        (tmp_path / "runs" / "slurm" / name / "a.py").touch()
        (tmp_path / "runs" / "slurm" / f"{name}.json").write_text(RECORD)
    (tmp_path / "runs" / "slurm" / "7_submission.sh").touch()
    (tmp_path / "frozen").mkdir()
    (tmp_path / "frozen" / "a.py").touch()
    (tmp_path / "frozen.json").write_text(RECORD)
    (tmp_path / "a.py").touch()
    return tmp_path


def test_an_output_folder_stays_out_after_its_first_code_folder_was_deleted(tree: Path) -> None:
    """gc takes code.json away when code/ is deleted; code-2/ was packed into the next snapshot."""
    expected = {"a.py", "frozen.json", ".gitignore"}
    assert set(packed(tree)) <= expected
    shutil.rmtree(tree / "runs" / "slurm" / "code")
    (tree / "runs" / "slurm" / "code.json").unlink()
    assert set(packed(tree)) <= expected
    for path in ("runs/slurm/7_submission.sh", "runs/slurm/code-2/a.py", "frozen/a.py"):
        (explanation,) = explain(tree, [path], RULES)
        assert (explanation.packed, explanation.reason) == (False, "output_folder"), path


def test_folders_that_only_look_alike_are_packed(tmp_path: Path) -> None:
    """A package called code with a code.json of its own is the user's."""
    (tmp_path / "src" / "code").mkdir(parents=True)
    (tmp_path / "src" / "code" / "a.py").touch()
    (tmp_path / "src" / "code.json").write_text("{}")
    assert packed(tmp_path) == ["src/code.json", "src/code/a.py"]

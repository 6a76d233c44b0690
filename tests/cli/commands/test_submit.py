"""slurmic submit in mode "local", and what submit and rerun refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slurmic.cli.main import main
from slurmic_store import Store, read_records

SHOW = """
import json, os, sys
from pathlib import Path

import helper

names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
print(json.dumps([sys.argv[1:], os.getcwd(), helper.VALUE, [os.environ.get(n) for n in names]]))
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def project(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    root: Path = write(tmp_path / "project", {"show.py": SHOW, "helper.py": "VALUE = 1\n"})
    monkeypatch.chdir(root)
    return root


def logs(project: Path, job_id: str) -> list[str]:
    paths = sorted((project / "slurm_local").glob(f"{job_id}*_log.out"))
    return [path.read_text().strip() for path in paths]


def submit(*arguments: str) -> int:
    return main(["submit", "--mode", "local", *arguments])


def test_a_command_runs_here(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit("--", "python3", "show.py", "0", "two words", "--", '"ü"') == 0
    job_id = capsys.readouterr().out.strip()
    code = str(project / "slurm_local/code")
    words = '["0", "two words", "--", "\\"\\u00fc\\""]'
    assert logs(project, job_id) == [f'[{words}, "{code}", 1, [null, null]]']
    [record] = read_records(Store.open(project.parent / "store", create=False))
    assert record.jobs == (job_id,)


def test_a_command_that_fails_is_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit("--array", "1,4", "--", "python3", "show.py", "7") == 1
    job_id, said = capsys.readouterr()
    job_id = job_id.strip()
    first, second = logs(project, job_id)
    assert first.endswith(', ["1", "2"]]')
    assert second.endswith(', ["4", "2"]]')
    assert f"slurmic: error: {job_id}_1 ended with status 7" in said
    assert f"the end of {project}/slurm_local/{job_id}_4_0_log.out:" in said
    assert submit("--", "no-such-program") == 1
    assert "ended with status 127" in capsys.readouterr().err


def test_setup_and_the_live_tree(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script of the live tree is replaced by its copy; without packing it runs where it is."""
    live = str(project / "show.py")
    setup = "export SLURM_ARRAY_TASK_ID='from setup'"
    assert submit("--setup", setup, "--", "python3", live, "0") == 0
    [text] = logs(project, capsys.readouterr().out.strip())
    assert f'"{project}/slurm_local/code", 1, ["from setup", null]]' in text
    assert submit("--no-pack-code", "--", "python3", live, "0") == 0
    [text] = logs(project, capsys.readouterr().out.strip())
    assert f'"{project}", 1,' in text


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["submit"], 2, "no command"),
        (["submit", "--", *[]], 2, "no command"),
        (["submit", "--mode", "run", "--", "true"], 2, "--mode: 'run' is not one of"),
        (["submit", "--mode", "local", "--array", "x", "--", "true"], 1, "'x' is not an array"),
        (["submit", "--after", "12", "--", "true"], 1, "'12' is not a condition"),
        (["submit", "--after", "ok:me", "--", "true"], 1, "is not a Slurm job"),
        (["submit", "--", "true"], 1, "Slurm's commands are not on PATH"),
        (["submit", "--mode", "local", "--code-root", "no", "--", "true"], 1, "no"),
    ],
)
def test_what_is_refused_leaves_nothing(
    arguments: list[str],
    status: int,
    said: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    before = sorted(project.iterdir())
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    assert sorted(project.iterdir()) == before


def test_a_local_job_cannot_be_run_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit("--", "true") == 0
    job_id = capsys.readouterr().out.strip()
    assert main(["rerun", job_id]) == 1
    assert "jobs of mode 'local' have no script" in capsys.readouterr().err

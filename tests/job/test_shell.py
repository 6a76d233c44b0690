"""The shell text of a frozen job, read by the shells that will read it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from slurmic.job import FrozenCode, job_command, shell_exports

HOSTILE = ["plain", "with space", "qu'o\"te", "new\nline", "$HOME `id` \\ ; && #", "ünï"]


@pytest.mark.parametrize("name", HOSTILE)
def test_job_command_is_read_alike(name: str) -> None:
    """submitit splits the command with shlex in a local run, bash reads it in a Slurm job."""
    command = job_command(shlex.quote(sys.executable), f"/jobs/{name}")
    script = f"for argument in {command}; do printf '%s\\0' \"$argument\"; done"
    read = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert read.decode().split("\0")[:-1] == shlex.split(command)
    assert shlex.split(command)[-1] == f"/jobs/{name}"


def test_job_command_keeps_a_container_prefix() -> None:
    """submitit's `python` may be a whole command line; quoting it again would break that."""
    words = shlex.split(job_command("singularity exec image.sif python3", "/jobs"))
    assert words[:5] == ["singularity", "exec", "image.sif", "python3", "-u"]


@pytest.mark.parametrize("shell", [["bash", "-eu"], ["sh", "-eu"], ["bash"], ["dash"]])
@pytest.mark.parametrize("joined", ["\n", " && "])
@pytest.mark.parametrize("name", HOSTILE)
def test_exports(tmp_path: Path, shell: list[str], joined: str, name: str) -> None:
    """One form for sbatch scripts (lines) and submitit's local setup (joined by &&, run by sh)."""
    code = tmp_path / name / "code"
    (code / "src").mkdir(parents=True)
    frozen = FrozenCode(
        str(tmp_path / name),
        str(code),
        snapshot="s",
        import_roots=("src", ".", "late"),
        late_roots=("late",),
    )
    show = 'printf "%s\\0" "$(pwd)" "$PYTHONPATH" "$SLURMIC_CODE" "$SLURMIC_SNAPSHOT"'
    script = joined.join([*shell_exports(frozen), show])
    for inherited, rest in (({}, ""), ({"PYTHONPATH": "/a:/b"}, ":/a:/b")):
        output = subprocess.run(
            [*shell, "-c", script], env={"PATH": "/usr/bin:/bin", **inherited}, capture_output=True
        )
        assert output.stderr == b""
        assert output.stdout.decode().split("\0")[:-1] == [
            str(code),
            f"{code}/src:{code}{rest}",
            str(code),
            "s",
        ]


def test_failed_setup_command_is_not_passed_over(tmp_path: Path) -> None:
    """Joined by &&, a line with a bare `;` would go on after the user's setup has failed."""
    lines = ["false", *shell_exports(FrozenCode(str(tmp_path), str(tmp_path))), "echo went on"]
    run = subprocess.run(["sh", "-c", " && ".join(lines)], capture_output=True)
    assert (run.returncode, run.stdout) == (1, b"")


def test_root_that_would_break_the_start_is_left_out(tmp_path: Path) -> None:
    """A logging.py in an import root would be imported by the job's own interpreter, by
    submitit.
    """
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "logging.py").touch()
    frozen = FrozenCode(str(tmp_path), str(tmp_path / "code"), import_roots=("src",))
    assert not any("PYTHONPATH" in line for line in shell_exports(frozen))

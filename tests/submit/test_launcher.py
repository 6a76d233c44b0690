"""slurm_launcher: programs started from a shell, with their options in a dataclass."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slurmic import ConfigError, SlurmConfig, slurm_launcher

PROGRAM = '''
import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import slurmic


@dataclass
class Args:
    """Train a model.

    Attributes:
        lr: how fast it learns.
        name: what the run is called.
    """

    lr: float = 1e-3
    name: str = ""
    slurm: slurmic.SlurmConfig = field(default_factory=slurmic.SlurmConfig)


def by_hand(kind, *arguments, **named):
    """A parser of the program's own: two words, then slurmic's mode."""
    parser = argparse.ArgumentParser(*arguments, **named)
    parser.add_argument("lr", type=float)
    parser.add_argument("name")
    parser.add_argument("mode", nargs="?", default="run")
    given = parser.parse_args()
    return kind(given.lr, given.name, slurmic.SlurmConfig(given.mode, pack_code=True))


PARSER = {"parser": by_hand, "description": "made by hand"} if "BY_HAND" in os.environ else {}


@slurmic.slurm_launcher(Args, **PARSER)
def main(args: Args):
    return [args.lr, args.name, os.getcwd(), __file__]


def entry_point():
    """What an installed program calls: this module is imported, and no __main__."""
    outcome = main()
    if hasattr(outcome, "result"):
        outcome = outcome.result()
    print(json.dumps(outcome))


if __name__ == "__main__":
    entry_point()
'''


@pytest.fixture
def project(tmp_path: Path, write: Any) -> Path:
    folder: Path = write(tmp_path / "project", {"train.py": PROGRAM, ".gitignore": "store/\n"})
    return folder


def run(project: Path, *arguments: str, start: str = "train.py", **env: str) -> Any:
    command = [sys.executable, *(["-c", start] if " " in start else [start]), *arguments]
    return subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "SLURMIC_STORE": str(project / "store"), "COLUMNS": "100", **env},
        capture_output=True,
        text=True,
        check=False,
    )


AWKWARD = 'it\'s "quoted" $HOME `date`\n* für'
IMPORTED = "import train; train.entry_point()"


@pytest.mark.parametrize("start", ["train.py", IMPORTED], ids=["script", "entry point"])
@pytest.mark.parametrize("mode", ["run", "debug", "local"])
def test_every_mode_and_way_to_start(project: Path, mode: str, start: str) -> None:
    """An installed program's module is imported in its job, where the command line is submitit's:
    the launcher must not parse that, and end the job with a message about unknown options."""
    done = run(
        project, "--lr", "0.5", "--name", AWKWARD, "--slurm.mode", mode, "--slurm.pack-code",
        start=start,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = project / "slurm_local/code" if mode == "local" else project
    file = folder / "train.py"
    lr, name, cwd, where = json.loads(done.stdout)
    assert (lr, name, cwd) == (0.5, AWKWARD, str(folder))
    assert os.path.join(cwd, where) == str(file)


@pytest.mark.parametrize("mode", ["run", "local"])
def test_a_parser_of_the_programs_own(project: Path, mode: str) -> None:
    """Any callable: it gets the type and what else the decorator was given."""
    done = run(project, "2.5", AWKWARD, mode, BY_HAND="1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[:2] == [2.5, AWKWARD]
    assert "made by hand" in run(project, "--help", BY_HAND="1").stdout


def test_help_describes_every_option(project: Path) -> None:
    """The program's own come first; each setting of slurmic's is there with its description, and
    the whole is shown without anything being packed or submitted."""
    done = run(project, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Train a model." in done.stdout
    assert "how fast it learns" in done.stdout
    assert done.stdout.index("--lr") < done.stdout.index("--slurm.mode")
    lines = [line.strip(" │") for line in done.stdout.splitlines()]
    for field in dataclasses.fields(SlurmConfig):
        option = "--slurm." + field.name.replace("_", "-")
        [at] = [
            number for number, line in enumerate(lines) if line.split(" ")[0].rstrip(",") == option
        ]
        assert lines[at + 1][:1].isalnum() or lines[at + 1].startswith('"'), lines[at : at + 2]
        assert not lines[at + 1].startswith("(default"), f"{option} has no description"
    assert sorted(os.listdir(project)) == [".gitignore", "train.py"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--slurm.mode", "slum"], "'slum'"),
        (["--slurm.code-scope", "job"], "'job'"),
        (["--lr", "fast"], "fast"),
        (["--unknown"], "--unknown"),
        (["--slurm.use-distributed-env"], "distributed_launch_command is empty"),
    ],
)
def test_bad_options_are_named_without_a_traceback(
    project: Path, arguments: list[str], said: str
) -> None:
    done = run(project, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@dataclasses.dataclass
class Other:
    """Options whose configuration has another name."""

    cluster: SlurmConfig


def test_a_field_of_another_name() -> None:
    made = Other(SlurmConfig())
    main = slurm_launcher(Other, parser=lambda kind: made, slurm_key="cluster")(lambda args: args)
    assert main() is made
    with pytest.raises(ConfigError, match="no SlurmConfig in a field 'slurm'"):
        slurm_launcher(Other, parser=lambda kind: made)
    with pytest.raises(ConfigError, match="unknown parser 'click'"):
        slurm_launcher(Other, parser="click")

"""Small projects in a folder, submitted by a real script and run by the real job command.

Everything happens in subprocesses with a virtual environment of their own: what is tested is how an
interpreter starts and imports.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import shlex
import subprocess
import sys
import sysconfig
import textwrap
import venv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slurmic.job import FrozenCode, job_command, shell_exports

SUPPORT = Path(__file__).with_name("support")
_SLURMIC_PATHS = {
    str(Path(folder).parent)
    for name in ("slurmic", "slurmic_store")
    for folder in getattr(importlib.util.find_spec(name), "submodule_search_locations", None) or ()
}


def make_environment(folder: Path) -> Path:
    """A virtual environment that sees the packages of the running one, and slurmic; its python."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *_SLURMIC_PATHS}
    (site_packages(folder) / "zz_outer.pth").write_text("\n".join(sorted(paths)) + "\n")
    return folder / "bin" / "python"


def site_packages(environment: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return environment / "lib" / version / "site-packages"


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's environment without what would steer a Python, or tell it of a job."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "SUBMITIT", "SLURM", "SUBMITTING"))
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **variables}


@dataclass(frozen=True)
class Outcome:
    """What a job left behind."""

    state: str  # "success", "error", or "none" when it did not even start
    value: Any  # the result, or the traceback
    stdout: str
    stderr: str
    exit_code: int

    def result(self) -> Any:
        assert self.state == "success", f"{self.value}\n{self.stderr}"
        return self.value

    def error(self) -> str:
        assert self.state == "error", f"{self.state}: {self.value}\n{self.stderr}"
        return str(self.value)


@dataclass
class Submission:
    """A submitted job, to be run as often as one likes."""

    project: Project
    frozen: FrozenCode
    unpacked: list[list[str]]
    job_folder: Path
    environment: dict[str, str]

    @property
    def command(self) -> str:
        return job_command(shlex.quote(str(self.project.python)), str(self.job_folder))

    def run(self, shell: str = "", **variables: str) -> Outcome:
        """Run the job; ``shell`` "" as submitit's local controller does (in the live tree's root),
        "sbatch" as a batch script in bash, "local" as submitit's local setup, joined by && in sh.
        """
        lines = shell_exports(self.frozen)
        arguments = {
            "": shlex.split(self.command),
            "sbatch": ["bash", "-c", "\n".join(["set -eu", *lines, self.command])],
            "local": ["sh", "-c", " && ".join(["true", *lines, self.command])],
        }[shell]
        process = subprocess.run(
            arguments,
            env={
                **self.environment,
                "SUBMITIT_EXECUTOR": "local",
                "SUBMITIT_LOCAL_JOB_ID": "42",
                "SUBMITIT_LOCAL_NTASKS": "1",
                "SUBMITIT_LOCAL_JOB_NUM_NODES": "1",
                "SUBMITIT_LOCAL_NODEID": "0",
                "SUBMITIT_LOCAL_GLOBALID": "0",
                "SUBMITIT_LOCAL_LOCALID": "0",
                **variables,
            },
            cwd=self.project.root,
            capture_output=True,
            text=True,
            timeout=120,
        )
        result = self.job_folder / "42_0_result.pkl"
        state, value = "none", None
        if result.exists():
            state, value = pickle.loads(result.read_bytes())
            result.unlink()
        return Outcome(state, value, process.stdout, process.stderr, process.returncode)


@dataclass
class Project:
    """A live tree with an environment to run it in."""

    root: Path
    environment: Path
    python: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.python = make_environment(self.environment)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def install_editable(self, backend: str) -> None:
        """Build the editable wheel with the backend's own hook, and unpack it: what pip does."""
        wheels = self.environment / "wheels"
        wheels.mkdir()
        subprocess.run(
            [
                sys.executable,
                "-c",
                f"import sys, {backend} as backend; backend.build_editable(sys.argv[1])",
                str(wheels),
            ],
            cwd=self.root,
            env=clean_environment(),
            check=True,
            capture_output=True,
            timeout=120,
        )
        (wheel,) = wheels.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site_packages(self.environment))

    def outside(self, code: str, pythonpath: str = "") -> str:
        """What a process of the environment prints that no job has started."""
        variables = {"PYTHONPATH": pythonpath} if pythonpath else {}
        return subprocess.run(
            [str(self.python), "-c", code],
            env=clean_environment(**variables),
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    def submit(
        self,
        *script: str,
        cwd: Path | None = None,
        code_root: str = "",
        code_folder: Path | None = None,
        on_live_import: str = "warn",
        left_out: tuple[str, ...] = (),
        pythonpath: str = "",
        wait_seconds: float = 1.0,
    ) -> Submission:
        """Run ``python *script`` in ``cwd`` (the tree's root), which submits itself."""
        output = self.root / "slurm"
        job_folder = output / "jobs"
        support = f"{pythonpath}{os.pathsep}{SUPPORT}" if pythonpath else str(SUPPORT)
        settings = {
            "code_root": code_root or str(self.root),
            "code_folder": str(code_folder or output / "code"),
            "job_folder": str(job_folder),
            "on_live_import": on_live_import,
            "left_out": left_out,
            "wait_seconds": wait_seconds,
        }
        process = subprocess.run(
            [str(self.python), *script],
            cwd=cwd or self.root,
            env=clean_environment(PYTHONPATH=support, SUBMITTING=json.dumps(settings)),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.returncode == 0, process.stderr
        record = json.loads((job_folder / "frozen.json").read_text())
        environment = clean_environment(**({"PYTHONPATH": pythonpath} if pythonpath else {}))
        frozen = FrozenCode.from_dict(record["frozen"])
        return Submission(self, frozen, record["unpacked"], job_folder, environment)


SCRIPT = """
import submitting
import {module}

def main():
    return {module}.VERSION, {module}.__file__

if __name__ == "__main__":
    submitting.submit(main)
"""


def script_for(module: str) -> str:
    return SCRIPT.format(module=module)


def version(text: str) -> str:
    return f"VERSION = {text!r}\n"


def assert_frozen(project: Project, module_file: str, *script: str, **options: object) -> None:
    """Submit, edit ``module_file`` while the job waits, and see which version it ran."""
    submission = project.submit(*script, **options)  # type: ignore[arg-type]
    project.write({module_file: version("live")})
    outcome = submission.run()
    assert outcome.result()[0] == "frozen", outcome.stderr
    assert Path(outcome.result()[1]).is_relative_to(submission.frozen.code_folder)
    assert "live source tree" not in outcome.stderr

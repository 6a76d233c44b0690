"""A researcher's project, as the tests' user scripts see it: src layout, scripts, an own venv.

    project/
      pyproject.toml  .gitignore  config.yaml
      src/trainer/    the package: __init__, version, late, probe
      scripts/        helper.py, and the test's own script
      tools/tool.py   on PYTHONPATH

Every one of these carries the word of :attr:`Project.version`, so that a job can say which version
of each it has seen.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .cluster import WAIT, ClusterError

PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "trainer"
version = "1"

[tool.setuptools]
packages = ["trainer"]
package-dir = {PACKAGE_DIR}
"""

EditableKind = Literal["static", "finder", "renamed"]

REPORT = '''
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import helper
import slurmic
import tool
import trainer
from trainer.probe import package_version

SCRIPT = "{VERSION}"


@slurmic.slurm_fn
def report(label="", wait_for=None):
    """The version of everything that the job can reach."""
    import trainer.late  # first imported inside the job

    ask = "import tool, trainer; print(trainer.VERSION, tool.VERSION)"
    child = subprocess.run([sys.executable, "-c", ask], stdout=-1, text=True, check=True)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        spawned = pool.apply(package_version)
    seen = {
        "script": SCRIPT,
        "helper": helper.VERSION,
        "tool": tool.VERSION,
        "package": trainer.VERSION,
        "by name": package_version(),
        "late": trainer.late.VERSION,
        "child": " ".join(sorted(set(child.stdout.split()))),
        "spawned": spawned,
        "config": Path("config.yaml").read_text().split()[1],
    }
    return {"label": label, "cwd": os.getcwd(), "file": trainer.__file__, "versions": seen}
'''
"""The head of a user script: a decorated function ``report`` that says which versions it sees."""


class Project:
    """A source tree that the tests edit, with a Python environment to run its scripts in.

    Attributes:
        root: the project's folder (the code_root of its scripts).
        package: the folder of the package trainer, relative to the root.
        environment: what its scripts are run with.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.root = folder / "project"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.python = folder / "venv" / "bin" / "python"
        self._make_venv(folder / "venv")
        self.environment = {
            **environment,
            "HOME": str(self.home),  # the store's default place
            "PATH": f"{self.python.parent}:{Path(sys.executable).parent}:{environment['PATH']}",
        }
        for name in ("SLURMIC_STORE", "PYTHONDONTWRITEBYTECODE"):
            self.environment.pop(name, None)  # as a user's shell has it
        # An empty entry would be the current directory, which xdist puts there.
        inherited = filter(None, self.environment.get("PYTHONPATH", "").split(":"))
        self.environment["PYTHONPATH"] = ":".join([*inherited, str(self.root / "tools")])
        self.write(".gitignore", "__pycache__/\n*.egg-info/\n*.log\n")
        self._scripts: list[Script] = []
        self.package = "src/trainer"
        self.version = "one"
        self.set_version("one")

    def _make_venv(self, folder: Path) -> None:
        """A venv that sees all that the tests' own interpreter sees, and can install more."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
        self.site_packages = next((folder / "lib").glob("python3*/site-packages"))
        (self.site_packages / "_tests_environment.pth").write_text("\n".join(lines) + "\n")

    def set_version(self, version: str) -> None:
        """Edit every part of the project, as a researcher goes on working.

        Use words of different lengths: bytecode of an edit that keeps the size within the same
        second counts as up to date for Python, and a job would seem frozen that is not.
        """
        assert len(version) != len(self.version) or version == self.version
        self.version = version
        constant = f'VERSION = "{version}"\n'
        package = self.package
        self.write(f"{package}/__init__.py", "from trainer.version import VERSION as VERSION\n")
        self.write(f"{package}/version.py", constant)
        self.write(f"{package}/late.py", constant)
        self.write(
            f"{package}/probe.py",
            f'{constant}\n\ndef package_version():\n    return "{version}"\n',
        )
        self.write("scripts/helper.py", constant)
        self.write("tools/tool.py", constant)
        self.write("config.yaml", f"version: {version}\n")

    def install_editable(self, kind: EditableKind, setuptools: Path) -> None:
        """``pip install -e .``, with setuptools from a folder that has it (no network).

        "static" makes a .pth file that names src/; "finder" a .pth file that hooks the import
        system, as setuptools does for packages that are mapped one by one; "renamed" is such a
        one whose folder has another name (lib/core), which no path entry can express.
        """
        if kind == "renamed":
            (self.root / "lib").mkdir()
            (self.root / self.package).rename(self.root / "lib/core")
            self.package = "lib/core"
        package_dir = '{"" = "src"}' if kind == "static" else f'{{trainer = "{self.package}"}}'
        self.write("pyproject.toml", PYPROJECT.replace("{PACKAGE_DIR}", package_dir))
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        subprocess.run(
            [*command, "--no-deps", "--no-index", "--no-build-isolation", "--editable", self.root],
            env={**self.environment, "PYTHONPATH": str(setuptools)},
            check=True,
        )
        finder = self.site_packages / "__editable___trainer_1_finder.py"
        assert finder.exists() == (kind != "static"), sorted(self.site_packages.iterdir())

    def use_src_by_path(self) -> None:
        """Put src/ on PYTHONPATH, for a project that is not installed."""
        self.environment["PYTHONPATH"] += f":{self.root}/src"

    def write(self, path: str, text: str) -> Path:
        """Write one file of the project, with its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def script(self, text: str, path: str = "scripts/train.py") -> Path:
        """Write a user script; ``{VERSION}`` in it is replaced by the project's version."""
        return self.write(path, textwrap.dedent(text).replace("{VERSION}", self.version))

    def commit(self) -> str:
        """Put the project as it is into a git repository; return the commit's id."""
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "work"]):
            subprocess.run(["git", *who, *command], cwd=self.root, check=True)
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=self.root, check=True, stdout=-1, text=True
        )
        return asked.stdout.strip()

    def start(self, *arguments: str, script: str = "scripts/train.py", folder: str = ".") -> Script:
        """Run a script in the project, or in a folder of it, and go on while it runs."""
        command = [str(self.python), script, *arguments]
        self._scripts.append(Script(command, self.root / folder, self.environment))
        return self._scripts[-1]

    def end_scripts(self) -> None:
        """End the scripts that a failed test has left waiting for their jobs."""
        for script in self._scripts:
            script.close()

    def run(self, *arguments: str, script: str = "scripts/train.py") -> Script:
        """Run a script to its end.

        Raises:
            ClusterError: it failed; with what it printed.
        """
        return self.start(*arguments, script=script).finish()

    def slurmic(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line ``slurmic`` in the project's folder."""
        return subprocess.run(
            [self.python, "-m", "slurmic", *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


class Script:
    """A user's script while it runs. What it prints is read line by line, in order."""

    def __init__(self, command: list[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._read = 0
        read, write = os.pipe()
        os.set_blocking(read, False)
        self._output = read
        self._bytes = b""
        try:
            self._process = subprocess.Popen(
                # Ends with the test process, however that ends.
                ["setpriv", "--pdeathsig", "KILL", *command],
                cwd=cwd,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                start_new_session=True,
            )
        finally:
            os.close(write)

    @property
    def log(self) -> str:
        """All that the script has printed so far, errors included."""
        while True:
            try:
                chunk = os.read(self._output, 65536)
            except BlockingIOError:
                break
            if not chunk:
                break
            self._bytes += chunk
        return self._bytes.decode(errors="replace")

    def running(self) -> bool:
        """Whether the script has not ended; reads what it has printed."""
        self.log  # noqa: B018  keep the pipe from filling up
        return self._process.poll() is None

    def line(self, start: str) -> str:
        """The rest of the next line that begins with ``start``; waits for it.

        Raises:
            ClusterError: the script ended without it, or did not print it in time.
        """
        deadline = time.monotonic() + WAIT
        while True:
            ended = self._process.poll() is not None
            text = self.log
            while (end := text.find("\n", self._read)) >= 0:
                line, self._read = text[self._read : end], end + 1
                if line.startswith(start):
                    return line.removeprefix(start).strip()
            if ended or time.monotonic() > deadline:
                self._kill()
                raise ClusterError(f"no line {start!r} in what the script printed:\n{text}")
            time.sleep(0.05)

    def result(self) -> Any:
        """The JSON value of the next line that begins with "result"."""
        return json.loads(self.line("result"))

    def finish(self) -> Script:
        """Wait for the script's end.

        Raises:
            ClusterError: it failed, or did not end in time; with what it printed.
        """
        deadline = time.monotonic() + WAIT
        while self._process.poll() is None and time.monotonic() < deadline:
            self.log  # noqa: B018  keep the pipe from filling up
            time.sleep(0.05)
        if self._process.poll() != 0:
            self._kill()
            raise ClusterError(f"script ended with {self._process.poll()}:\n{self.log}")
        return self

    def close(self) -> None:
        """End the script, if it still runs; what it printed can't be asked for any more."""
        self._kill()
        os.close(self._output)

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

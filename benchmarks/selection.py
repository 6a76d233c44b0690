"""How long does selecting files take, against the floor of the filesystem and against its peers?

    python benchmarks/selection.py [--rounds 9] [--json RESULTS.json] [--shape plain]

Three source trees are generated in a temporary folder:

    plain   a project of about 3,000 files
    mono    a monorepo of about 25,000 files in 6,800 folders, with 41 ignore files
    venv    the plain project with an ignored virtual environment of 40,000 files and node_modules
            of 50,000

and selected from, in one process, in turn and in changing order, by

    floor       os.scandir over the whole tree, asking each entry for its type; no selection
    ours        slurmic, the tree being in no repository
    ours+git    slurmic, the tree being a repository with everything in the index
    0.2.1       the published slurmic 0.2.1 (fetched with pip; without a network it is left out)
    ls-files    git ls-files -co --exclude-standard, which knows no add-back
    rg          rg --files, which knows no add-back either and skips hidden files

What is compared is the median, over the rounds, of the ratio within a round, so that a machine
that is busy for a while does not favour one of them. The page cache is warm. Processor time, child
processes included, is given beside the time on the clock: on a machine that is busy all the time
only it means something.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from slurmic.selection import SelectionRules, select

SUFFIXES = (".py", ".sh", ".yaml", ".toml")
EXCLUDES = (".git", "wandb", "outputs", "datasets")
# As long as those of real projects, which mostly begin as a template for Python.
PATTERNS = """
__pycache__/ *.py[cod] *$py.class *.so .Python build/ develop-eggs/ dist/ downloads/ eggs/
.eggs/ parts/ sdist/ wheels/ share/python-wheels/ *.egg-info/ .installed.cfg *.egg MANIFEST
*.manifest pip-log.txt pip-delete-this-directory.txt htmlcov/ .tox/ .nox/ .coverage
.coverage.* .cache nosetests.xml coverage.xml *.cover .hypothesis/ .pytest_cache/
.mypy_cache/ .ruff_cache/ .pytype/ .pyre/ cython_debug/ cover/ *.py.cover .ipynb_checkpoints
profile_default/ celerybeat-schedule *.sage.py .sass-cache .scrapy .webassets-cache
instance/ local_settings.py db.sqlite3 db.sqlite3-journal .pybuilder/ target/ .pdm.toml
.pdm-python .pdm-build/ __pypackages__/ celerybeat.pid .ropeproject .spyproject .dmypy.json
dmypy.json ipython_config.py *.mo *.pot *.log /docs/_build/ /site .env .venv env/ venv/ ENV/
env.bak/ node_modules/ .idea .vscode .spyderproject *.sw[a-p] *~ .DS_Store ._* *.ckpt
*.safetensors !tests/**/*.safetensors /results*/ tensorboard/ serialization_dir /models
/data /runs /wandb /logs tags *.lock !/uv.lock *.pt *.onnx *.h5 *.zip .ctags .history *.bak
*.tmp *.orig *.rej *.prof Thumbs.db events.out.tfevents.*
"""
GITIGNORE = "\n".join(PATTERNS.split()) + "\n"


def touch(folder: str, *names: str) -> int:
    """Make empty files; how many."""
    os.makedirs(folder, exist_ok=True)
    for name in names:
        with open(f"{folder}/{name}", "w", encoding="utf-8"):
            pass
    return len(names)


def make_plain(root: str) -> int:
    """A library: packages with subpackages, tests that mirror them, docs, some data."""
    count = 0
    for package in range(20):
        for part in range(9):
            names = [f"module_{number}.py" for number in range(8)]
            count += touch(f"{root}/src/library/p{package}/part{part}", *names, "__init__.py")
        for part in range(9):
            names = [f"test_{number}.py" for number in range(3)]
            count += touch(f"{root}/tests/p{package}/part{part}", *names, "data.json")
        names = [f"page{number}.md" for number in range(16)]
        count += touch(f"{root}/docs/p{package}", *names, "figure.png", "run.sh", "conf.yaml")
    with open(f"{root}/.gitignore", "w", encoding="utf-8") as file:
        file.write(GITIGNORE)
    return count + 1


def make_mono(root: str) -> int:
    """Many small packages of several languages; every team has an ignore file."""
    count = 0
    for team in range(40):
        for part in range(13):
            for unit in range(12):
                count += touch(
                    f"{root}/packages/team{team}/part{part}/unit{unit}",
                    *("index.ts", "types.ts", "main.py", "README.md"),
                )
        with open(f"{root}/packages/team{team}/.gitignore", "w", encoding="utf-8") as file:
            file.write(f"/dist\n*.generated.ts\n!keep.generated.ts\nout{team}/\n/part*/cache\n")
    with open(f"{root}/.gitignore", "w", encoding="utf-8") as file:
        file.write(GITIGNORE + "/packages/*/coverage\n**/tmp/*.bin\n")
    return count + 41


def make_venv(root: str) -> int:
    """The plain project after `pip install` and `npm install`."""
    count = make_plain(root)
    site = f"{root}/.venv/lib/python3.11/site-packages"
    count += touch(f"{root}/.venv", "pyvenv.cfg")
    for package in range(200):
        for part in range(10):
            folder = f"{site}/package{package}/part{part}"
            count += touch(folder, *(f"m{number}.py" for number in range(10)))
            compiled = (f"m{number}.cpython-311.pyc" for number in range(10))
            count += touch(f"{folder}/__pycache__", *compiled)
    for package in range(1250):
        for part in range(4):
            names = [f"f{number}.js" for number in range(8)]
            folder = f"{root}/node_modules/package{package}/lib{part}"
            count += touch(folder, *names, "package.json", "README.md")
    return count


SHAPES: dict[str, Callable[[str], int]] = {
    "plain": make_plain,
    "mono": make_mono,
    "venv": make_venv,
}


def floor(root: bytes) -> int:
    """List the tree (but for .git) and ask for types; how many files."""
    count = 0
    stack = [root]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    count += 1
                elif entry.name != b".git":
                    stack.append(entry.path)
    return count


def published(folder: Path) -> ModuleType | None:
    """slurmic.utils of the published 0.2.1, under another name; None if it cannot be fetched."""
    command = (
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)),
        "slurmic==0.2.1",
    )
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        print(f"slurmic 0.2.1 cannot be fetched: {result.stderr.strip()}", file=sys.stderr)
        return None
    spec = importlib.util.spec_from_file_location(
        "published_slurmic_utils", folder / "slurmic/utils.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published_selection(utils: ModuleType, root: str) -> int:
    """What 0.2.1 does before it copies; how many files."""
    spec = utils.load_gitignore_spec(root)

    def include(path: str, base: str) -> bool:
        return not utils.is_gitignored(spec, path, base) or utils.include_code_files(
            path, base, list(SUFFIXES)
        )

    def exclude(path: str, base: str) -> bool:
        return bool(utils.exclude_code_folders(path, base, list(EXCLUDES)))

    return sum(1 for _ in utils.filtered_dir(root, include, exclude))


class Sample(NamedTuple):
    """Seconds that one run took."""

    clock: float
    processor: float


def processor_time() -> float:
    """Seconds of processor time that this process and its ended children have used."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Bench:
    """One shape, ready to be selected from by each of the candidates."""

    def __init__(self, base: Path, shape: str, utils: ModuleType | None) -> None:
        self.root = base / shape
        self.root.mkdir()
        self.files = SHAPES[shape](str(self.root))
        self._hidden = base / f"{shape}.git"
        home = base / "home"
        home.mkdir(exist_ok=True)
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GIT_CONFIG_SYSTEM": os.devnull,
            # The temporary folder may itself be in a repository.
            "GIT_CEILING_DIRECTORIES": str(base),
        }
        self._run("git", "init", "-q", ".")
        self._run("git", "add", "-A")
        self._run("git", "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "all")
        rules = SelectionRules(SUFFIXES, EXCLUDES)

        def ours() -> int:
            return len(select(self.root, rules, environ=self._environ).paths)

        self.candidates: dict[str, Callable[[], int]] = {
            "floor": lambda: floor(os.fsencode(self.root)),
            "ours": ours,
            "ours+git": ours,
            "ls-files": lambda: self._run("git", "ls-files", "-co", "--exclude-standard"),
        }
        if shutil.which("rg"):
            self.candidates["rg"] = lambda: self._run("rg", "--files")
        if utils is not None:
            self.candidates["0.2.1"] = lambda: published_selection(utils, str(self.root))

    def measure(self, name: str) -> tuple[Sample, int]:
        """What one candidate takes, and how many files it found."""
        without_repository = name in ("floor", "ours")
        if without_repository:
            (self.root / ".git").rename(self._hidden)
        gc.collect()
        try:
            started, used = time.perf_counter(), processor_time()
            count = self.candidates[name]()
            return Sample(time.perf_counter() - started, processor_time() - used), count
        finally:
            if without_repository:
                self._hidden.rename(self.root / ".git")

    def _run(self, *command: str) -> int:
        result = subprocess.run(
            command, cwd=self.root, env=self._environ, capture_output=True, check=True
        )
        return result.stdout.count(b"\n")


RATIOS = (("ours", "floor"), ("ours+git", "ls-files"), ("ours+git", "rg"), ("0.2.1", "ours+git"))

#: For each shape and title of a table: column to value.
Tables = dict[str, dict[str, float]]


def run(bench: Bench, rounds: int, slow_rounds: int) -> tuple[Tables, dict[str, int]]:
    """Measure all candidates in turn: medians in milliseconds, ratios; how many each found."""
    samples: dict[str, list[Sample]] = {name: [] for name in bench.candidates}
    counts = {name: bench.measure(name)[1] for name in bench.candidates if name != "0.2.1"}
    names = list(bench.candidates)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name == "0.2.1" and number >= slow_rounds:
                continue
            sample, counts[name] = bench.measure(name)
            samples[name].append(sample)
    tables: Tables = {}
    for index, kind in enumerate(("clock", "processor")):
        seconds = {name: [sample[index] for sample in taken] for name, taken in samples.items()}
        tables[f"{kind}, ms"] = {
            name: round(statistics.median(taken) * 1000, 2) for name, taken in seconds.items()
        }
        tables[f"{kind}, ratio"] = {
            f"{one} / {other}": round(
                statistics.median(
                    first / second
                    for first, second in zip(seconds[one], seconds[other], strict=False)
                ),
                2,
            )
            for one, other in RATIOS
            if one in seconds and other in seconds
        }
    return tables, counts


def show(results: dict[str, Tables]) -> None:
    """Print the tables, one line for each shape."""
    for title in next(iter(results.values())):
        columns = list(dict.fromkeys(name for tables in results.values() for name in tables[title]))
        widths = [max(8, len(column)) for column in columns]
        heads = (f"{column:>{width}}" for column, width in zip(columns, widths, strict=True))
        print("  ".join([f"{title:16}", *heads]))
        for shape, tables in results.items():
            cells = (
                f"{tables[title].get(column, math.nan):>{width}.2f}"
                for column, width in zip(columns, widths, strict=True)
            )
            print("  ".join([f"{shape:16}", *cells]))
        print()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Measure the selection against its peers.")
    parser.add_argument("--rounds", type=int, default=9, help="rounds for each shape")
    parser.add_argument(
        "--slow-rounds", type=int, default=3, help="rounds that 0.2.1 takes part in"
    )
    parser.add_argument("--shape", choices=SHAPES, action="append", help="only this shape")
    parser.add_argument("--json", type=Path, help="write the results here too")
    arguments = parser.parse_args()
    results: dict[str, Tables] = {}
    counts: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory(prefix="selection-benchmark-") as folder:
        base = Path(os.path.realpath(folder))
        utils = published(base / "published")
        for shape in arguments.shape or SHAPES:
            bench = Bench(base, shape, utils)
            print(f"{shape}: {bench.files:,} files", file=sys.stderr)
            results[shape], counts[shape] = run(bench, arguments.rounds, arguments.slow_rounds)
            shutil.rmtree(bench.root)
    show(results)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        written = {"results": results, "files_found": counts}
        arguments.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

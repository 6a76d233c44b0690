"""Selecting files, against the floor of the filesystem and against programs that list files.

Three source trees are generated:

    plain   a project of about 3,000 files
    mono    a monorepo of about 25,000 files in 6,800 folders, with 41 ignore files
    venv    the plain project with an ignored virtual environment of 40,000 files and node_modules
            of 50,000

and a fourth, "used": the plain project after its tests have run, so that each package has an
ignored ``__pycache__``. The first three are repositories with everything but what is ignored in
the index. In each select:

    slurmic         as in a submission
    without .git    the same where there is no repository
    floor           os.scandir over the whole tree, asking each entry for its type; no selection
    list of paths   the least that a selection in Python does: the floor's walk, and a sorted list
                    of all paths; no rules
    git ls-files    git ls-files -co --exclude-standard, which knows no add-back
    rg --files      which knows no add-back either, and skips hidden files
    slurmic 0.2.1   what the published version did before it copied

The page cache is warm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from slurmic.selection import SelectionRules, select

from . import peers
from .harness import Candidate, Samples, Settings, alternate, remove
from .report import Report

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


def make_plain(root: str, share: float = 1.0) -> int:
    """A library: packages with subpackages, tests that mirror them, docs, some data."""
    count = 0
    for package in range(_scaled(20, share)):
        for part in range(9):
            names = [f"module_{number}.py" for number in range(8)]
            count += touch(f"{root}/src/library/p{package}/part{part}", *names, "__init__.py")
        for part in range(9):
            names = [f"test_{number}.py" for number in range(3)]
            count += touch(f"{root}/tests/p{package}/part{part}", *names, "data.json")
        names = [f"page{number}.md" for number in range(16)]
        count += touch(f"{root}/docs/p{package}", *names, "figure.png", "run.sh", "conf.yaml")
    Path(root, ".gitignore").write_text(GITIGNORE, encoding="utf-8")
    return count + 1


def make_used(root: str, share: float = 1.0) -> int:
    """The plain project after its tests have run."""
    count = make_plain(root, share)
    for folder, _, names in list(os.walk(root)):
        compiled = [name[:-3] + ".cpython-311.pyc" for name in names if name.endswith(".py")]
        if compiled:
            count += touch(f"{folder}/__pycache__", *compiled)
    return count


def make_mono(root: str, share: float = 1.0) -> int:
    """Many small packages of several languages; every team has an ignore file."""
    count = 0
    teams = _scaled(40, share)
    for team in range(teams):
        for part in range(13):
            for unit in range(12):
                count += touch(
                    f"{root}/packages/team{team}/part{part}/unit{unit}",
                    *("index.ts", "types.ts", "main.py", "README.md"),
                )
        Path(root, f"packages/team{team}/.gitignore").write_text(
            f"/dist\n*.generated.ts\n!keep.generated.ts\nout{team}/\n/part*/cache\n",
            encoding="utf-8",
        )
    ignored = GITIGNORE + "/packages/*/coverage\n**/tmp/*.bin\n"
    Path(root, ".gitignore").write_text(ignored, encoding="utf-8")
    return count + teams + 1


def make_venv(root: str, share: float = 1.0) -> int:
    """The plain project after `pip install` and `npm install`."""
    count = make_plain(root, share)
    site = f"{root}/.venv/lib/python3.11/site-packages"
    count += touch(f"{root}/.venv", "pyvenv.cfg")
    for package in range(_scaled(200, share)):
        for part in range(10):
            folder = f"{site}/package{package}/part{part}"
            count += touch(folder, *(f"m{number}.py" for number in range(10)))
            compiled = (f"m{number}.cpython-311.pyc" for number in range(10))
            count += touch(f"{folder}/__pycache__", *compiled)
    for package in range(_scaled(1250, share)):
        for part in range(4):
            names = [f"f{number}.js" for number in range(8)]
            folder = f"{root}/node_modules/package{package}/lib{part}"
            count += touch(folder, *names, "package.json", "README.md")
    return count


def _scaled(number: int, share: float) -> int:
    return max(1, round(number * share))


class Shape(NamedTuple):
    """A generated tree, and what is promised for it.

    Attributes:
        make: writes it to a path; how many files.
        under_git: whether git is the bar within a repository.
        promised: whether anything is.
    """

    make: Callable[[str, float], int]
    under_git: bool
    promised: bool = True


SHAPES = {
    "plain": Shape(make_plain, under_git=True),
    "mono": Shape(make_mono, under_git=True),
    "venv": Shape(make_venv, under_git=False),
    "used": Shape(make_used, under_git=False, promised=False),
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


def list_of_paths(root: bytes) -> int:
    """The fastest that we know in Python for a sorted list of all paths; how many files."""
    paths: list[bytes] = []
    stack = [b""]
    while stack:
        folder = stack.pop()
        entries = list(os.scandir(root + b"/" + folder))
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        paths += [folder + name for name in names]
        if len(names) < len(entries):
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            stack += [folder + name + b"/" for name in folders if name != b".git"]
    paths.sort()
    return len(paths)


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


OURS, WITHOUT = "slurmic", "slurmic, without .git"
FLOOR, LIST = "floor: scandir", "list of paths"
GIT, RIPGREP, OLD = "git ls-files -co", "rg --files", "slurmic 0.2.1"
GIT_LIST = ("git", "ls-files", "-co", "--exclude-standard")


def run(settings: Settings, report: Report) -> None:
    """Measure it all."""
    utils = published(settings, report)
    share = settings.pick(tiny=0.01, quick=1.0, full=1.0)
    for name, shape in SHAPES.items():
        root = settings.scratch / name
        samples, files = measured(root, shape, share, settings, utils)
        remove(root)
        report.compared(f"selecting from '{name}', {files:,} files", samples, OURS)
        if not shape.promised or settings.size == "tiny":
            continue
        report.ratio_bar(name, samples, WITHOUT, FLOOR, 2)
        if shape.under_git:
            report.ratio_bar(name, samples, OURS, GIT, 1)
        report.ratio_bar(name, samples, OLD, OURS, 10, at_least=True)
        if name == "mono" and GIT in samples:
            bare = samples.ratio(LIST, GIT, "processor")
            rules = samples.ratio(OURS, LIST, "processor")
            report.note(
                f"On 'mono' listing the folders is most of the work: '{LIST}', which knows no "
                f"rules, takes {bare:.2f} times the processor time of git, and slurmic "
                f"{rules:.2f} times that of '{LIST}', on two processors."
            )
    against_files(settings, report)


def published(settings: Settings, report: Report) -> ModuleType | None:
    """slurmic.utils of 0.2.1, if it can be fetched."""
    try:
        return peers.published_utils(settings)
    except subprocess.CalledProcessError as error:
        report.note(f"slurmic 0.2.1 is left out: it cannot be fetched ({error}).")
        return None


def measured(
    root: Path, shape: Shape, share: float, settings: Settings, utils: ModuleType | None
) -> tuple[Samples, int]:
    """What all candidates take, in a tree made at `root`; its number of files."""
    root.mkdir()
    files = shape.make(str(root), share)
    hidden = root.with_name(f"{root.name}.git")
    has_git = shutil.which("git") is not None
    if has_git:
        for command in (("init", "-q", "."), ("add", "-A"), (*_IDENTITY, "commit", "-qm", "all")):
            peers.run("git", *command, cwd=root)
    rules = SelectionRules(SUFFIXES, EXCLUDES)
    raw = os.fsencode(root)

    def ours(_: Path) -> None:
        select(root, rules)

    def hide() -> None:
        if has_git:
            (root / ".git").rename(hidden)

    def show() -> None:
        if has_git:
            hidden.rename(root / ".git")

    candidates = [
        Candidate(FLOOR, lambda _: ignore(floor(raw))),
        Candidate(LIST, lambda _: ignore(list_of_paths(raw))),
        Candidate(WITHOUT, ours, hide, show),
        Candidate(OURS, ours),
    ]
    if has_git:
        candidates.append(Candidate(GIT, lambda _: ignore(peers.run(*GIT_LIST, cwd=root))))
    if shutil.which("rg"):
        candidates.append(
            Candidate(RIPGREP, lambda _: ignore(peers.run("rg", "--files", cwd=root)))
        )
    if utils is not None:
        candidates.append(
            Candidate(OLD, lambda _: ignore(published_selection(utils, str(root))), slow=True)
        )
    large = files > 10_000
    samples = alternate(
        candidates,
        settings.scratch,
        rounds=settings.pick(tiny=2, quick=9 if large else 25, full=31 if large else 101),
        slow_rounds=settings.pick(tiny=1, quick=1 if large else 3, full=3 if large else 9),
    )
    return samples, files


_IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0")


def against_files(settings: Settings, report: Report) -> None:
    """Draw the time against the number of files."""
    teams = settings.pick(tiny=(1,), quick=(1, 5, 20, 80), full=(1, 2, 5, 10, 20, 40, 80, 160))
    curves: dict[str, list[tuple[float, float]]] = {}
    for number in teams:
        root = settings.scratch / f"mono-{number}"
        samples, files = measured(root, SHAPES["mono"], number / 40, settings, None)
        remove(root)
        for name in samples.taken:
            curves.setdefault(name, []).append((files, samples.median(name) * 1000))
    report.picture(
        "files",
        "Selecting from a monorepo with an ignore file for each 625 files",
        ("files", "milliseconds"),
        curves,
    )


def ignore(_: object) -> None:
    """What a candidate returns says how long it waited; a selection is no such thing."""

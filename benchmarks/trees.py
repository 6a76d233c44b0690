"""Source trees to measure on: real ones, from PyPI, and shaped ones, generated.

Each is a git repository with everything committed and a small .gitignore, so that slurmic, git and
RsyncSnapshot find the same files as the peers that know no selection; those are told to leave out
``.git``.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from .harness import Settings, remove

# One version each, so that two runs measure the same files.
PROJECTS = {
    "transformers": ("transformers==5.23.0",),
    "django": ("django==5.2.19",),
    "ansible": ("ansible==12.3.0", "transformers==5.23.0", "networkx==3.4.2"),
}
"""Requirements of a real tree: 3,000 files in 600 folders; 3,700 in 2,500; 25,000 in 3,700."""

_GITIGNORE = "__pycache__/\n*.py[co]\n/build/\n/dist/\n*.egg-info/\n.venv/\n"
_COMMIT = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0")
_WORDS = (
    "def",
    "return",
    "import",
    "class",
    "self",
    "for",
    "if",
    "None",
    "value",
    "model",
    "= (",
    ")",
)


@dataclass(frozen=True)
class SourceTree:
    """A source tree that is a git repository, clean.

    Attributes:
        name: as tables show it.
        root: the folder.
        files: all files and links, without those of git.
        folders: all folders below the root, without those of git.
        size: bytes of content.
    """

    name: str
    root: Path
    files: int
    folders: int
    size: int

    @property
    def entries(self) -> list[str]:
        """What is in the root, without ``.git``."""
        return sorted(name for name in os.listdir(self.root) if name != ".git")

    def twin(self, root: Path) -> SourceTree:
        """A copy of the same files, without the repository; made if it is not there yet."""
        if not root.exists():
            root.mkdir()
            command = ["cp", "-a", "--", *self.entries, str(root)]
            subprocess.run(command, cwd=self.root, check=True)
        return replace(self, root=root)

    def __str__(self) -> str:
        return f"{self.name}, {self.files:,} files"

    @property
    def described(self) -> str:
        """Its name and its size."""
        return (
            f"{self.name}: {self.files:,} files in {self.folders:,} folders, "
            f"{self.size / 1e6:,.0f} MB"
        )


def real_tree(name: str, settings: Settings) -> SourceTree:
    """Installed packages of public projects, copied to the scratch folder.

    Raises:
        subprocess.CalledProcessError: pip could not fetch them.
    """
    kept = settings.cache / "trees" / "-".join([name, *sorted(PROJECTS[name])]).replace("==", "-")
    if not kept.exists():
        install(PROJECTS[name], kept)
    root = settings.scratch / f"tree-{name}"
    subprocess.run(["cp", "-a", str(kept), str(root)], check=True)
    return as_repository(name, root)


def install(requirements: tuple[str, ...], folder: Path) -> None:
    """Install packages, without what they depend on, into a folder of their own; all or nothing."""
    print(f"fetching {' '.join(requirements)} ...", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    command += [
        "--no-deps",
        "--no-compile",
        "--ignore-requires-python",
        "--target",
        str(unfinished),
        *requirements,
    ]
    try:
        subprocess.run(command, check=True)
        unfinished.rename(folder)
    finally:
        remove(unfinished)


def shaped_tree(files: int, settings: Settings, *, per_folder: int = 10) -> SourceTree:
    """A generated project: text of 200 bytes to 60 kB, folders up to five deep; always the same."""
    root = settings.scratch / f"tree-shaped-{files}-{per_folder}"
    chance = random.Random(files * 1009 + per_folder)
    folders = [root]
    for number in range(max(1, files // per_folder)):
        # Below one of the last few or anywhere: some chains are long, some folders are wide.
        parents = [folder for folder in folders[-8:] if len(folder.parts) - len(root.parts) < 5]
        parent = chance.choice(parents) if parents else chance.choice(folders[: len(folders) // 2])
        folders.append(parent / f"{chance.choice(('pkg', 'tests', 'conf', 'tools'))}_{number}")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(files - 1):
        suffix = chance.choices((".py", ".yaml", ".sh", ".md"), (80, 10, 5, 5))[0]
        path = folders[1 + number % (len(folders) - 1)] / f"file_{number}{suffix}"
        size = min(60_000, max(200, int(chance.lognormvariate(8.0, 1.1))))
        words = chance.choices(_WORDS, k=min(size, 400))
        text = (" ".join(words) + f"  # {number}\n") * (1 + size // 1500)
        path.write_text(text[:size], encoding="utf-8")
        if suffix == ".sh":
            path.chmod(0o755)
    return as_repository("shaped", root)


def as_repository(name: str, root: Path) -> SourceTree:
    """Commit everything below `root` to a new repository there."""
    (root / ".gitignore").write_text(_GITIGNORE, encoding="utf-8")
    if shutil.which("git"):
        for command in (("init", "-q", "."), ("add", "-A"), (*_COMMIT, "commit", "-qm", "all")):
            subprocess.run(["git", *command], cwd=root, check=True)
    files = folders = size = 0
    for folder, names, others in os.walk(root):
        if folder == str(root) and ".git" in names:
            names.remove(".git")
        links = [entry for entry in names if os.path.islink(os.path.join(folder, entry))]
        files += len(others) + len(links)
        folders += len(names) - len(links)
        size += sum(os.lstat(os.path.join(folder, entry)).st_size for entry in others)
    return SourceTree(name, root, files, folders, size)

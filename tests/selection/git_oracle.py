"""The oracle: what git on this machine answers, composed with the specification's formula.

Written without any of slurmic's code, and the slow and obvious way.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings

SUPPRESSED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile(
    "selection-default", max_examples=60, deadline=None, suppress_health_check=SUPPRESSED
)
settings.register_profile(
    "selection-ci", max_examples=600, deadline=None, suppress_health_check=SUPPRESSED
)
settings.register_profile(
    "selection-deep", max_examples=10_000, deadline=None, suppress_health_check=SUPPRESSED
)

#: A decorator for property tests: how many examples HYPOTHESIS_PROFILE asks for.
examples = settings.get_profile(f"selection-{os.environ.get('HYPOTHESIS_PROFILE', 'default')}")

DEFAULT_SUFFIXES = (".py", ".sh", ".yaml", ".toml")
DEFAULT_EXCLUDES = (".git", "wandb", "outputs", "datasets")


@dataclass(frozen=True)
class Verdict:
    """What ``git check-ignore -v -n --no-index`` says of one path; empty if no pattern matches."""

    source: bytes
    line: bytes
    pattern: bytes

    @property
    def ignored(self) -> bool:
        return bool(self.source) and not self.pattern.startswith(b"!")


class Sandbox:
    """A folder with a home, a configuration and a source tree of its own.

    Attributes:
        base: the folder.
        root: the source tree.
        environ: for git and for slurmic.
    """

    def __init__(self, base: Path) -> None:
        self.base = Path(os.path.realpath(base))
        self.root = self.base / "root"
        self.root.mkdir()
        (self.base / "home").mkdir()
        (self.base / "gitconfig").touch()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.base / "home"),
            "GIT_CONFIG_GLOBAL": str(self.base / "gitconfig"),
            "GIT_CONFIG_SYSTEM": os.devnull,
            "LC_ALL": "C",
        }

    def reset(self) -> None:
        """Empty the folder again, for the next example."""
        for entry in list(self.base.iterdir()):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        Sandbox.__init__(self, self.base)

    def put_in_front_of_git(self, script: str) -> None:
        """Let `script`, of the shell, run in the place of git."""
        folder = self.base / "bin"
        folder.mkdir()
        (folder / "git").write_text("#!/bin/sh\n" + script)
        (folder / "git").chmod(0o755)
        self.environ["PATH"] = f"{folder}:{self.environ['PATH']}"

    def git(
        self,
        *arguments: str | bytes,
        cwd: Path | None = None,
        input: bytes = b"",
        fine: Collection[int] = (0,),
    ) -> bytes:
        """Run git in the tree; its standard output."""
        result = subprocess.run(
            ("git", *arguments),
            cwd=cwd or self.root,
            env=self.environ,
            input=input,
            capture_output=True,
            check=False,
        )
        assert result.returncode in fine, result.stderr
        return result.stdout

    def init(self, where: Path | None = None) -> None:
        """Make a repository of the tree (or of `where`)."""
        self.git("init", "-q", ".", cwd=where)

    def write(
        self, path: str | bytes, content: str | bytes = b"", *, below: Path | None = None
    ) -> None:
        """Write a file of the tree, and the folders above it."""
        absolute = os.path.join(os.fsencode(below or self.root), os.fsencode(path))
        os.makedirs(os.path.dirname(absolute), exist_ok=True)
        with open(absolute, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def track(self, *paths: str | bytes) -> None:
        """Put paths of the tree into the index, ignored or not."""
        self.git("--literal-pathspecs", "add", "-f", "--", *paths)

    def configure(self, text: str) -> None:
        """Add to the global configuration."""
        with open(self.base / "gitconfig", "a", encoding="utf-8") as file:
            file.write(text + "\n")

    def verdicts(self, paths: Iterable[bytes], *, cwd: Path | None = None) -> dict[bytes, Verdict]:
        """What git's patterns say of each path, whether tracked or not."""
        paths = list(paths)
        if not paths:
            return {}
        # "./" keeps a leading ":" from being read as pathspec magic.
        answer = self.git(
            *("check-ignore", "--no-index", "-v", "-n", "-z", "--stdin"),
            cwd=cwd,
            input=b"".join(b"./" + path + b"\0" for path in paths),
            fine=(0, 1),
        ).split(b"\0")[:-1]
        assert len(answer) == 4 * len(paths)
        return {
            answer[index + 3][2:]: Verdict(*answer[index : index + 3])
            for index in range(0, len(answer), 4)
        }

    def in_index(self) -> set[bytes]:
        """The tracked paths below the tree."""
        return set(self.git("ls-files", "-z").split(b"\0")[:-1])

    def candidates(self) -> Iterator[bytes]:
        """All regular files and links below the tree, but for what is in a .git."""
        root = os.fsencode(self.root)
        stack = [b""]
        while stack:
            directory = stack.pop()
            for entry in os.scandir(os.path.join(root, directory)):
                if entry.name == b".git":
                    continue
                path = os.path.join(directory, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    stack.append(path)
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    yield path

    def expected(
        self, suffixes: Iterable[str], excluded: Iterable[str], *, in_repository: bool
    ) -> list[bytes]:
        """The selection by the specification's formula. `excluded` are plain paths."""
        suffixes, excluded = tuple(suffixes), frozenset(excluded)
        paths = list(self.candidates())
        gitignore = self.root / ".gitignore"
        discovering = gitignore.is_file() and not gitignore.is_symlink()
        verdicts: Mapping[bytes, Verdict] = {}
        tracked: set[bytes] = set()
        if discovering and in_repository:
            verdicts, tracked = self.verdicts(paths), self.in_index()
        elif discovering:
            verdicts = self.verdicts_without_repository(paths)
        return sorted(
            path
            for path in paths
            if not _in_excluded(path, excluded)
            and (
                _has_suffix(os.path.basename(path), suffixes)
                or (discovering and (path in tracked or not verdicts[path].ignored))
            )
        )

    def verdicts_without_repository(self, paths: Iterable[bytes]) -> dict[bytes, Verdict]:
        """What git would say if the tree were the top of a new repository, unconfigured."""
        home, self.environ["HOME"] = self.environ["HOME"], os.devnull
        self.git("init", "-q", ".")
        (self.root / ".git/info/exclude").unlink(missing_ok=True)
        try:
            return self.verdicts(paths)
        finally:
            shutil.rmtree(self.root / ".git")
            self.environ["HOME"] = home


def _has_suffix(name: bytes, suffixes: Iterable[str]) -> bool:
    for suffix in suffixes:
        raw = suffix.encode()
        if (
            name.endswith(raw)
            if raw.startswith(b".")
            else (name == raw or name.endswith(b"." + raw))
        ):
            return True
    return False


def _in_excluded(path: bytes, excluded: Collection[str]) -> bool:
    segments = os.fsdecode(path).split("/")
    return any("/".join(segments[:count]) in excluded for count in range(1, len(segments)))

"""Finding the git repository that a folder belongs to, as git would from there.

Done here and not by asking git, because the walk cannot start before the repository's ignore files
are known, and starting a process takes as long as walking a thousand files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """A working tree of git.

    Attributes:
        top: the physical path of its topmost folder.
        directory: its git directory, which holds the index (for linked worktrees and submodules
            not ``<top>/.git``).
        common: the git directory that holds config and info/; another one for linked worktrees.
    """

    top: bytes
    directory: bytes
    common: bytes

    @property
    def may_skip_files(self) -> bool:
        """Whether the index may have files that git leaves out of the working tree.

        ``git sparse-checkout`` and ``git update-index --skip-worktree`` mark them so, for which
        version 2 of the format, the usual one, has no room.
        """
        try:
            if any(name.startswith(b"sharedindex.") for name in os.listdir(self.directory)):
                return True
        except OSError:
            return False
        header = _small_file(os.path.join(self.directory, b"index"), 8)
        return header[:4] == b"DIRC" and int.from_bytes(header[4:], "big") > 2


def find_repository(directory: bytes, environ: Mapping[str, str]) -> Repository | None:
    """The repository whose working tree holds `directory`, or None.

    Args:
        directory: a physical path (no symlinks in it).
        environ: ``GIT_CEILING_DIRECTORIES`` and ``GIT_DISCOVERY_ACROSS_FILESYSTEM`` limit the
            search; everything else, ``GIT_DIR`` too, is about another tree and is not looked at.
    """
    ceilings = _ceilings(environ.get("GIT_CEILING_DIRECTORIES", ""))
    cross = environ.get("GIT_DISCOVERY_ACROSS_FILESYSTEM", "").lower() in ("1", "true", "yes", "on")
    try:
        device = os.stat(directory).st_dev
        while True:
            git_directory = _git_directory(directory)
            if git_directory is not None:
                return Repository(directory, git_directory, _common_directory(git_directory))
            if _is_git_directory(directory):
                return None  # inside a bare repository or a .git: there is no working tree
            parent = os.path.dirname(directory)
            if parent == directory or parent in ceilings:
                return None
            if not cross and os.stat(parent).st_dev != device:
                return None
            directory = parent
    except OSError:
        return None


def _ceilings(setting: str) -> set[bytes]:
    ceilings: set[bytes] = set()
    resolve = True
    for entry in setting.split(os.pathsep):
        if not entry:
            resolve = False  # git's way to say that what follows has no symlinks
        elif os.path.isabs(entry):
            ceilings.add(os.fsencode(os.path.realpath(entry) if resolve else entry.rstrip("/")))
    return ceilings


def _git_directory(directory: bytes) -> bytes | None:
    """Where the ``.git`` of `directory` is or points to; None if it has none that git accepts."""
    candidate = os.path.join(directory, b".git")
    try:
        mode = os.stat(candidate).st_mode
    except OSError:
        return None
    if stat.S_ISREG(mode):
        content = _small_file(candidate)
        if not content.startswith(b"gitdir: "):
            return None
        # Even if nothing is there: git fails then, and goes no further up either.
        return os.path.join(directory, content[len(b"gitdir: ") :].rstrip(b"\r\n"))
    return candidate if _is_git_directory(candidate) else None


def _is_git_directory(directory: bytes) -> bool:
    try:
        mode = os.lstat(os.path.join(directory, b"HEAD")).st_mode
    except OSError:
        return False
    if not stat.S_ISLNK(mode):
        head = _small_file(os.path.join(directory, b"HEAD"))
        if not head.startswith(b"ref:") and len(head.strip()) not in (40, 64):
            return False
    common = _common_directory(directory)
    return all(os.path.isdir(os.path.join(common, name)) for name in (b"objects", b"refs"))


def _common_directory(git_directory: bytes) -> bytes:
    content = _small_file(os.path.join(git_directory, b"commondir")).rstrip(b"\r\n")
    return os.path.join(git_directory, content) if content else git_directory


def _small_file(path: bytes, size: int = 65536) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""

"""Where a snapshot came from: from which commit, and what differs from it.

Git is asked while files are selected and copied, so it costs a submission next to nothing; and for
a limited time: if git is slow, missing or broken, the record says so, and nothing fails.

What is packed differs from the commit in two ways: tracked files that have been changed, and files
that git does not track at all. The first are asked of ``git status``, without its search for
untracked files, which would walk the tree a second time, data folders included. The second are the
selected paths that are not in git's index.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from slurmic.git.asking import Asked, Git

NAMED_FILES = 100
"""How many of the files that differ from the commit are named in a record."""


@dataclass(frozen=True)
class Difference:
    """A file that is not as the commit has it.

    Attributes:
        path: relative to the source tree; bytes that are not UTF-8 as lone surrogates.
        change: "modified", "added" (to git's index, but not committed), "deleted", "conflicting",
            or "untracked". A submodule is one path.
    """

    path: str
    change: str


@dataclass(frozen=True)
class Provenance:
    """What git says of a source tree.

    Attributes:
        commit: the commit that is checked out, 40 or 64 hexadecimal digits; "" if there is none.
        branch: its branch; "" if none is.
        remote: the URL of the branch's remote, else of "origin", else of the only one there is;
            without credentials; "" if there is none.
        dirty: whether files below the source tree differ from the commit, or are packed without
            being in it; None if that is not known.
        differing: the first of those files, `NAMED_FILES` at most, by their paths.
        differing_files: how many there are.
        note: why something is not known; "" if all is.
    """

    commit: str = ""
    branch: str = ""
    remote: str = ""
    dirty: bool | None = None
    differing: tuple[Difference, ...] = ()
    differing_files: int = 0
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "differing": [asdict(entry) for entry in self.differing]}


def ask_git(root: str, packed: Iterable[bytes] = ()) -> Provenance:
    """What git says of the source tree at `root`, of which `packed` are packed; never raises."""
    with Git(os.fsencode(root), os.environ) as git:
        return GitQuestion(git).answer(packed)


class GitQuestion:
    """Questions to git that are answered beside what the caller does, as a record needs them.

    Args:
        git: what is asked, about the source tree; open until the answer is fetched.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._asked: tuple[Asked, Asked] | None = None
        if git.repository is None:
            return
        below = os.path.relpath(os.path.realpath(git.root), git.repository.top)
        self._prefix = b"" if below == b"." else below + b"/"
        # Paths are relative to the top of the repository here, to the source tree in the index.
        status = git.start(*_STATUS)
        git.ask_index()
        self._asked = status, git.start(*_REMOTES)

    def answer(self, packed: Iterable[bytes] = ()) -> Provenance:
        """Wait for the answers, at most as long as git may take.

        Args:
            packed: the paths that are packed, relative to the source tree.
        """
        if self._asked is None:
            return Provenance(note="not a git repository")
        status, remotes = self._answers
        self._git.index()
        if self._git.problem is not None:
            return Provenance(note=self._git.problem.message)
        commit, branch, changes = self._parse(status.split(b"\0"))
        changes.update((path, "untracked") for path in packed if not self._git.tracks(path))
        return Provenance(
            commit=commit,
            branch=branch,
            remote=_remote(remotes.split(b"\0")[:-1], branch),
            dirty=bool(changes),
            differing=tuple(
                Difference(os.fsdecode(path), change)
                for path, change in sorted(changes.items())[:NAMED_FILES]
            ),
            differing_files=len(changes),
        )

    @cached_property
    def _answers(self) -> tuple[bytes, bytes]:
        """What git says of the tree and of its remotes; empty where it does not answer."""
        assert self._asked is not None
        status, remotes = self._asked
        return self._git.answer(status) or b"", self._git.answer(remotes, fine=(0, 1)) or b""

    def _parse(self, status: Iterable[bytes]) -> tuple[str, str, dict[bytes, str]]:
        """Commit, branch, and the tracked files below the source tree that have changed."""
        commit = branch = ""
        changes: dict[bytes, str] = {}
        for line in status:
            if line.startswith(b"# branch.oid "):
                commit = line[13:].decode()
            elif line.startswith(b"# branch.head "):
                branch = os.fsdecode(line[14:])
            elif line[:2] in _FIELDS_BEFORE_PATH:
                # "1 XY sub mH mI mW hH hI path" and, for a conflict, "u XY sub m1 … h3 path".
                path = line.split(b" ", _FIELDS_BEFORE_PATH[line[:2]])[-1]
                if path.startswith(self._prefix):
                    changes[path[len(self._prefix) :]] = _change(line[:1], line[2:4])
        return (
            "" if commit == "(initial)" else commit,
            "" if branch == "(detached)" else branch,
            changes,
        )


_STATUS = (
    *("status", "--porcelain=v2", "-z", "--branch", "--no-renames", "--untracked-files=no"),
    *("--ignore-submodules=untracked", "--", "."),
)
_REMOTES = ("config", "-z", "--get-regexp", r"^(remote\..*\.url|branch\..*\.remote)$")

_FIELDS_BEFORE_PATH = {b"1 ": 8, b"u ": 10}


def _change(kind: bytes, states: bytes) -> str:
    if kind == b"u":
        return "conflicting"
    if b"D" in states:
        return "deleted"
    return "added" if states[:1] == b"A" else "modified"


def _remote(settings: Iterable[bytes], branch: str) -> str:
    """The URL that a branch's remote has, by what ``git config`` lists."""
    urls: dict[str, str] = {}
    name = ""
    for item in settings:
        key, _, value = os.fsdecode(item).partition("\n")
        if key == f"branch.{branch}.remote":
            name = value
        elif key.startswith("remote.") and key.endswith(".url"):
            urls.setdefault(key[len("remote.") : -len(".url")], value)
    only = next(iter(urls.values())) if len(urls) == 1 else ""
    return without_credentials(urls.get(name) or urls.get("origin") or only)


def without_credentials(url: str) -> str:
    """A remote's URL without what could be a secret in it.

    User name and password are left out, and so are the query and the fragment; the user name of
    ssh stays, which is the same for everybody ("git"). A path and ``git@host:path`` stay as they
    are.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        before, at, after = url.partition("@")
        # "user:password@host:path" is not valid, but somebody may have written it.
        return after if at and ":" in before and "/" not in before else url
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    if "@" not in authority and re.search(r":(?!\d*$)", authority) and "@" in path:
        # What follows the colon is not a port, so it is a password with a slash in it.
        authority, path = rest.rpartition("@")[0] + "@", rest.rpartition("@")[2]
        slash = ""
    user, at, host = authority.rpartition("@")
    if at and scheme.rpartition("+")[2] == "ssh" and ":" not in user:
        host = authority
    return f"{scheme}://{host}{slash}{path}"

"""Where a snapshot came from: from which commit, and what differs from it.

Git is asked while files are selected and copied, so it costs a submission next to nothing; and for
a limited time: a slow, a missing or a broken git is noted, never fatal.

What is packed differs from the commit in two ways: tracked files that have been changed, and files
that git does not track at all. The first are asked of ``git status``, without its search for
untracked files, which would walk the tree a second time, data folders included. The second are the
selected paths that are not in git's index.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from slurmic.selection.repository import find_repository

GIT_TIMEOUT = 10.0
"""Seconds that git may take for all its answers."""

NAMED_FILES = 100
"""How many of the files that differ from the commit are named in a record."""


@dataclass(frozen=True)
class Difference:
    """A file that is not as the commit has it.

    Attributes:
        path: relative to the source tree; bytes that are no UTF-8 as lone surrogates.
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
    with GitQuestion(root) as git:
        return git.answer(packed)


class _NoAnswerError(Exception):
    """Git did not answer; the text says why."""


class GitQuestion:
    """Questions to git that are being answered by a process of their own; a context manager.

    On leaving, what still runs is ended.

    Args:
        root: the source tree, absolute.
    """

    def __init__(self, root: str) -> None:
        self._deadline = time.monotonic() + GIT_TIMEOUT
        self._failure = ""
        self._process: subprocess.Popen[bytes] | None = None
        physical = os.path.realpath(os.fsencode(root))
        # Its own limits to the search for a repository are git's to apply.
        repository = find_repository(physical, {"GIT_DISCOVERY_ACROSS_FILESYSTEM": "1"})
        if repository is None:
            self._failure = "not a git repository"
            return
        below = os.path.relpath(physical, repository.top)
        self._prefix = b"" if below == b"." else below + b"/"
        # Not pipes: git would wait for us to empty them, and we are busy.
        self._output = os.fdopen(os.memfd_create("git-output"), "r+b")
        self._errors = os.fdopen(os.memfd_create("git-errors"), "r+b")
        try:
            # A session of its own, so that a git that takes too long ends with all it has started.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "sh", physical],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._failure = f"git cannot be run: {error.strerror}"
            self._output.close()
            self._errors.close()

    def __enter__(self) -> GitQuestion:
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._output.close()
        self._errors.close()

    def answer(self, packed: Iterable[bytes] = ()) -> Provenance:
        """Wait for the answers: at most as long as git may take.

        Args:
            packed: the paths that are packed, relative to the source tree.
        """
        if self._failure:
            return Provenance(note=self._failure)
        try:
            status, tracked, remotes = self._answers()
        except _NoAnswerError as failure:
            return Provenance(note=str(failure))
        commit, branch, changes = self._parse(status)
        known = set(tracked)
        changes.update((path, "untracked") for path in packed if path not in known)
        return Provenance(
            commit=commit,
            branch=branch,
            remote=_remote(remotes, branch),
            dirty=bool(changes),
            differing=tuple(
                Difference(os.fsdecode(path), change)
                for path, change in sorted(changes.items())[:NAMED_FILES]
            ),
            differing_files=len(changes),
        )

    def _answers(self) -> list[list[bytes]]:
        """What git has said to each question, item by item."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout=max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise _NoAnswerError(f"git took more than {GIT_TIMEOUT:.0f} s") from None
        if code == _NO_SUCH_PROGRAM:
            raise _NoAnswerError("git is not installed")
        if code:
            self._errors.seek(0)
            lines = self._errors.read(4096).decode(errors="replace").strip().splitlines()
            raise _NoAnswerError(lines[0] if lines else f"git failed with exit code {code}")
        self._output.seek(0)
        answers: list[list[bytes]] = [[]]
        for item in self._output.read().split(b"\0")[:-1]:
            if item == _NEXT:
                answers.append([])
            else:
                answers[-1].append(item)
        return answers

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


_NO_SUCH_PROGRAM = 127
"""The exit code of a shell for a command that there is not."""

_NEXT = b"//"
"""Stands between two answers: no path and no setting is like that."""

# One shell, because starting a process costs the submission more than waiting for it.
# - GIT_DIR and its like lead to another repository: a submission from a git hook has them set.
# - No optional locks: asking must not write into the user's repository. No lazy fetch: nor must it
#   wait for the network. No file system monitor: it would be a daemon that outlives us.
# - Paths are relative to the top of the repository in the first answer, to the source tree in the
#   second.
_SCRIPT = r"""
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_NAMESPACE
unset GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_PREFIX GIT_LITERAL_PATHSPECS
export GIT_OPTIONAL_LOCKS=0 GIT_NO_LAZY_FETCH=1 LC_ALL=C
cd "$1" || exit
ask() { git -c core.fsmonitor=false "$@"; }
ask status --porcelain=v2 -z --branch --no-renames --untracked-files=no \
    --ignore-submodules=untracked -- . || exit
printf '//\0'
ask ls-files -z --cached --recurse-submodules || exit
printf '//\0'
ask config -z --get-regexp '^(remote\..*\.url|branch\..*\.remote)$' || [ $? = 1 ]
"""

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

    User name and password go, and so do the query and the fragment; the user name of ssh stays,
    which is the same for everybody ("git"). A path, and ``git@host:path``, stay as they are.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        before, at, after = url.partition("@")
        # "user:password@host:path" is no way to write it, but somebody may have.
        return after if at and ":" in before and "/" not in before else url
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    if "@" not in authority and re.search(r":(?!\d*$)", authority) and "@" in path:
        # A password with a slash in it: no port is like that.
        authority, path = rest.rpartition("@")[0] + "@", rest.rpartition("@")[2]
        slash = ""
    user, at, host = authority.rpartition("@")
    if at and scheme.rpartition("+")[2] == "ssh" and ":" not in user:
        host = authority
    return f"{scheme}://{host}{slash}{path}"

"""Asking git: one environment, one time limit, and each index listed once.

All questions about one source tree go through one :class:`Git`: a submission asks the questions of
the selection and of the record of the same one, and of those that it hands out for repositories
within the tree. Answers are fetched when they are needed; until then git works beside us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from slurmic_store import quoted

from .beside import keep_apart
from .repository import Repository, find_repository

if TYPE_CHECKING:
    import subprocess  # where git is asked: it takes longer to import than a small tree to list

#: How long git is waited for, in seconds, for all answers together. A big index on a slow network
#: filesystem takes some; a stale mount takes forever. Time in which nobody waits does not count.
PATIENCE_SECONDS: Final = 30.0
#: For one answer, at least: to take that of a process which has ended.
_AT_LEAST_SECONDS: Final = 1.0

# Variables that tell git where its configuration is, or hold it (`git -c` in a parent, a CI job's
# safe.directory). All others with GIT_ in front are about some other repository, as in a hook.
_KEPT = frozenset(
    {
        "GIT_CEILING_DIRECTORIES",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_SYSTEM",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM",
        "GIT_EXEC_PATH",
    }
)
_KEPT_STARTS = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
# A file system monitor would be a daemon that outlives us.
_GIT: Final = ("git", "-c", "core.fsmonitor=false")


@dataclass(frozen=True)
class GitProblem:
    """Why git did not answer.

    Attributes:
        message: one line, lower case.
        hint: what to do about it.
    """

    message: str
    hint: str


class Asked(NamedTuple):
    """A question under way, or why it could not be asked."""

    process: subprocess.Popen[bytes] | None
    output: BinaryIO
    problem: GitProblem | None = None


class Git:
    """Questions to git about one source tree, answered by processes of their own.

    Use as a context manager: on leaving, processes whose answers nobody fetched are ended. What is
    asked later is answered all the same.

    Args:
        root: the folder that is asked about, absolute.
        environ: the environment, of which git gets what does not mislead it.

    Attributes:
        problem: why the first question that got no answer got none; None if all were answered.
    """

    def __init__(self, root: bytes, environ: Mapping[str, str]) -> None:
        self.root = root
        self.environ = environ
        self.problem: GitProblem | None = None
        self._patience = PATIENCE_SECONDS
        self._running: dict[int, Asked] = {}
        self._listing: Asked | None = None
        self._within: dict[bytes, Git] = {}

    @cached_property
    def repository(self) -> Repository | None:
        """The repository whose working tree holds the root, or None."""
        return find_repository(os.path.realpath(self.root), self.environ)

    def __enter__(self) -> Git:
        return self

    def __exit__(self, *_: object) -> None:
        for git in self._within.values():
            git.__exit__()
        for asked in list(self._running.values()):
            self._end(asked)
        self._listing = None

    def ask_index(self) -> None:
        """Start to list the index, unless that was done; answered beside what the caller does."""
        # All of it, and not with --ignored: that makes git match each path against all patterns,
        # which takes as long as the walk; what the walk left out is soon told from the rest.
        if self._listing is None and "_index" not in vars(self):
            self._listing = self.start("ls-files", "-c", "-z")

    def index(self) -> list[bytes]:
        """The paths below the root, relative to it, that are in git's index; listed once.

        Empty if git does not answer (see `problem`). The paths need not exist any more; those of
        submodules are folders.
        """
        return self._index

    @cached_property
    def _index(self) -> list[bytes]:
        self.ask_index()
        assert self._listing is not None
        return (self.answer(self._listing) or b"").split(b"\0")[:-1]

    @cached_property
    def _tracked(self) -> frozenset[bytes]:
        return frozenset(self.index())

    def tracks(self, path: bytes) -> bool:
        """Whether `path` (relative to the root) is in the index, or in that of its submodule."""
        if path in self._tracked:
            return True
        submodule = os.path.dirname(path)
        while submodule and submodule not in self._tracked:
            submodule = os.path.dirname(submodule)
        return bool(submodule) and self.within(submodule).tracks(path[len(submodule) + 1 :])

    def within(self, folder: bytes) -> Git:
        """What is asked about a repository in `folder` (relative to the root); always the same one.

        Its problems are its own: git answers about this tree even if a repository in it is broken.
        """
        git = self._within.get(folder)
        if git is None:
            git = self._within[folder] = Git(os.path.join(self.root, folder), self.environ)
        return git

    def start(
        self,
        *arguments: str,
        at: bytes | None = None,
        said: bytes = b"",
        may_fetch: bool = False,
    ) -> Asked:
        """Start a question.

        Args:
            arguments: git's.
            at: the folder that git is run in; None for the root.
            said: its standard input.
            may_fetch: the answer is needed even if git has to get it from a remote (in a partial
                clone).

        Returns:
            what :meth:`answer` takes. If git cannot be run, that is said there: nobody may ever
            want the answer.
        """
        import subprocess

        # Not a pipe: git would wait for us to empty it, and we are busy walking.
        output = _in_memory(b"")
        questions = _in_memory(said) if said else None
        try:
            process = subprocess.Popen(
                (*_GIT, *arguments),
                cwd=at or self.root,
                env=git_environment(self.environ, may_fetch=may_fetch),
                stdin=questions or subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            output.close()
            missing = isinstance(error, FileNotFoundError)
            reason = "it is not installed, or not on PATH" if missing else error.strerror
            hint = "install git, or put it on PATH"
            return Asked(None, output, GitProblem(f"git cannot be run: {reason}", hint))
        finally:
            if questions is not None:
                questions.close()
        keep_apart(process.pid)
        asked = Asked(process, output)
        self._running[process.pid] = asked
        return asked

    def answer(self, asked: Asked, fine: tuple[int, ...] = (0,)) -> bytes | None:
        """Wait for the answer to a question. It is given once.

        Args:
            asked: as :meth:`start` gave it.
            fine: exit codes that mean an answer.

        Returns:
            what git has printed; None if it failed, or took too long (see `problem`).
        """
        import subprocess

        process = asked.process
        if process is None:
            self.problem = self.problem or asked.problem
            return None
        began = time.monotonic()
        try:
            _, errors = process.communicate(timeout=max(_AT_LEAST_SECONDS, self._patience))
            if process.returncode in fine:
                asked.output.seek(0)
                return asked.output.read()
        except subprocess.TimeoutExpired:
            self._note_problem(
                f"git did not answer within {PATIENCE_SECONDS:g} seconds",
                f"see whether `git status` works in {quoted(self.root)}",
            )
            return None
        finally:
            self._patience -= time.monotonic() - began
            self._end(asked)
        said = errors.decode("utf-8", "replace").strip()
        if "dubious ownership" in said and self.repository is not None:
            top = os.fsdecode(self.repository.top)
            self._note_problem(
                f"git refuses to look at {quoted(self.repository.top)}, "
                "because another user owns it",
                f"run: git config --global --add safe.directory '{top}'",
            )
        else:
            self._note_problem(
                f"git failed: {said.splitlines()[0] if said else 'no message'}",
                f"see whether `git status` works in {quoted(self.root)}",
            )
        return None

    def _note_problem(self, message: str, hint: str) -> None:
        self.problem = self.problem or GitProblem(message, hint)

    def _end(self, asked: Asked) -> None:
        process = asked.process
        if process is None or self._running.pop(process.pid, None) is None:
            return
        if process.poll() is None:
            # With all that it has started, for instance for submodules.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stderr is not None:
            process.stderr.close()
        asked.output.close()


def _in_memory(content: bytes) -> BinaryIO:
    file = open(os.memfd_create("git"), "r+b", buffering=0)  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


def git_environment(environ: Mapping[str, str], *, may_fetch: bool = False) -> dict[str, str]:
    """`environ` without what would lead git to another repository, index or language.

    Asking must not write into the user's repository (optional locks), nor wait for the network
    (lazy fetch), unless it `may_fetch`.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("GIT_") or name in _KEPT or name.startswith(_KEPT_STARTS)
    }
    if not may_fetch:
        kept["GIT_NO_LAZY_FETCH"] = "1"
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}

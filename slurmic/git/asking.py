"""Asking git: one environment, one time limit, and the index listed once.

All questions about one source tree go through one :class:`Git`: a submission asks the questions of
the selection and of the record of the same one. Answers are fetched when they are needed; until
then git works beside us.
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

    Use as a context manager: on leaving, processes that still run are ended.

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
        self.is_open = True
        self._patience = PATIENCE_SECONDS
        self._running: list[Asked] = []
        self._listing: Asked | None = None
        self._index: list[bytes] | None = None

    @cached_property
    def repository(self) -> Repository | None:
        """The repository whose working tree holds the root, or None."""
        return find_repository(os.path.realpath(self.root), self.environ)

    def __enter__(self) -> Git:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False
        for process, output, _problem in self._running:
            if process is None:
                continue
            if process.poll() is None:
                # With all that it has started, for instance for submodules.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stderr is not None:
                process.stderr.close()
            output.close()

    def ask_index(self) -> None:
        """Start to list the index, unless that was done; answered beside what the caller does."""
        # All of it, and not with --ignored: that makes git match each path against all patterns,
        # which takes as long as the walk; what the walk left out is soon told from the rest.
        if self._listing is None and self._index is None:
            self._listing = self.start("ls-files", "-c", "-z")

    def index(self) -> list[bytes]:
        """The paths below the root, relative to it, that are in git's index; listed once.

        Empty if git does not answer (see `problem`). The paths need not exist any more; those of
        submodules are folders.
        """
        if self._index is None:
            self.ask_index()
            assert self._listing is not None
            self._index = (self.answer(self._listing) or b"").split(b"\0")[:-1]
        return self._index

    def start(self, *arguments: str, at: bytes | None = None, said: bytes = b"") -> Asked:
        """Start a question.

        Args:
            arguments: git's.
            at: the folder that git is run in; None for the root.
            said: its standard input.

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
                env=git_environment(self.environ),
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
        self._running.append(asked)
        return asked

    def answer(self, asked: Asked, fine: tuple[int, ...] = (0,)) -> bytes | None:
        """Wait for the answer to a question.

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
        except subprocess.TimeoutExpired:
            self._note_problem(
                f"git did not answer within {PATIENCE_SECONDS:g} seconds",
                f"see whether `git status` works in {quoted(self.root)}",
            )
            return None
        finally:
            self._patience -= time.monotonic() - began
        if process.returncode in fine:
            asked.output.seek(0)
            return asked.output.read()
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


def tracked_in(folder: bytes, environ: Mapping[str, str]) -> list[bytes]:
    """The paths in the index of the repository at `folder`, below it and relative to it,
    submodules in it included.

    Empty if git does not answer.
    """
    import subprocess

    try:
        done = subprocess.run(
            (*_GIT, "ls-files", "-c", "-z", "--recurse-submodules"),
            cwd=folder,
            env=git_environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split(b"\0")[:-1] if done.returncode == 0 else []


def _in_memory(content: bytes) -> BinaryIO:
    file = open(os.memfd_create("git"), "r+b", buffering=0)  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


def git_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without what would lead git to another repository, index or language.

    Asking must not write into the user's repository (optional locks), nor wait for the network
    (lazy fetch).
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("GIT_") or name in _KEPT or name.startswith(_KEPT_STARTS)
    }
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}

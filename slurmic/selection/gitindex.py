"""What only git itself knows: the tracked files, and its configuration.

The tracked files are asked for beside the walk. The configuration is needed before it, though, and
waiting for a process to say that nothing is set would be a good part of the time that a selection
takes. So the files that git reads are searched for the names of the settings first; only if one of
them comes up, or git's environment sets something, git is asked what it makes of them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from .display import shown
from .processors import keep_apart
from .repository import Repository

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
_SETTINGS: Final = (b"excludesfile", b"ignorecase", b"[include")


@dataclass(frozen=True)
class GitSettings:
    """The settings of git that decide what is ignored.

    Attributes:
        excludes_file: core.excludesFile or its default; None if it is set to nothing. It need not
            exist.
        fold: core.ignoreCase.
    """

    excludes_file: bytes | None
    fold: bool = False


@dataclass(frozen=True)
class GitProblem:
    """Why git did not answer.

    Attributes:
        message: one line, lower case.
        hint: what to do about it.
    """

    message: str
    hint: str


class _Asked(NamedTuple):
    """A question under way."""

    process: subprocess.Popen[bytes]
    output: BinaryIO


class GitQuery:
    """Questions to git about one working tree, answered by processes of their own.

    Use as a context manager: on leaving, processes that still run are ended.

    Args:
        root: the directory asked about, absolute.
        repository: the one that holds it.
        environ: the environment, of which git gets what does not mislead it.
    """

    def __init__(self, root: bytes, repository: Repository, environ: Mapping[str, str]) -> None:
        self._root = root
        self._repository = repository
        self._environ = environ
        self._patience = PATIENCE_SECONDS
        self._running: list[_Asked] = []
        self.problem: GitProblem | None = None
        self._tracked: _Asked | None = None

    def __enter__(self) -> GitQuery:
        return self

    def __exit__(self, *_: object) -> None:
        for process, output in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stderr is not None:
                process.stderr.close()
            output.close()

    def settings(self) -> GitSettings:
        """The settings as git reads them; the defaults if it does not answer (see `problem`)."""
        excludes_file, fold = self._default_excludes_file(), False
        if self._may_be_set():
            pattern = r"^core\.(excludesfile|ignorecase)$"
            asked = self._start("config", "-z", "--get-regexp", pattern)
            for item in self._answer(asked, fine=(0, 1)).split(b"\0")[:-1]:
                key, has_value, value = item.partition(b"\n")
                if key == b"core.excludesfile":
                    excludes_file = self._expanded(value)
                elif key == b"core.ignorecase":
                    fold = not has_value or _is_true(value)
        return GitSettings(excludes_file, fold)

    def _may_be_set(self) -> bool:
        """Whether git's configuration may say anything about the settings that matter."""
        if "GIT_CONFIG_COUNT" in self._environ or "GIT_CONFIG_PARAMETERS" in self._environ:
            return True
        for path in self._configuration_files():
            try:
                with open(path, "rb") as file:
                    content = file.read().lower()
            except OSError:
                continue
            if any(setting in content for setting in _SETTINGS):
                return True
        return False

    def hidden_ignore_files(self) -> dict[bytes, bytes]:
        """The .gitignore files that git reads from its index, by their paths from the top.

        These are files that a sparse checkout leaves out of the working tree. git looks into the
        index only for those that it cannot open there.
        """
        if not self._repository.may_skip_files:
            return {}
        top = self._repository.top
        listing = self._start(
            "ls-files", "-t", "-s", "-z", "--", ":(top,glob)**/.gitignore", at=top
        )
        objects: dict[bytes, bytes] = {}
        for entry in self._answer(listing, fine=(0,)).split(b"\0")[:-1]:
            fields, _, path = entry.partition(b"\t")
            tag, _, objects[path], _ = fields.split(b" ")
            if tag != b"S":
                del objects[path]
        if not objects:
            return {}
        asked = self._start("cat-file", "--batch", at=top, said=b"\n".join(objects.values()))
        answer = self._answer(asked, fine=(0,))
        contents: dict[bytes, bytes] = {}
        for path in objects:
            head, _, answer = answer.partition(b"\n")
            if head.split(b" ")[1:2] == [b"blob"]:
                size = int(head.split(b" ")[2])
                contents[path], answer = answer[:size], answer[size + 1 :]
        return contents

    def ask_tracked(self) -> None:
        """Start to ask for the tracked files, to be answered beside what the caller does."""
        # All of them, and not with --ignored: that makes git match each against all patterns,
        # which takes as long as the walk; what the walk left out is soon told from the rest.
        self._tracked = self._start("ls-files", "-c", "-z")

    def tracked(self) -> list[bytes]:
        """The paths below the root, relative to it, that are in the index.

        Call `ask_tracked` first. Empty if git does not answer (see `problem`). The paths need not
        exist any more; those of submodules are directories.
        """
        return self._answer(self._tracked, fine=(0,)).split(b"\0")[:-1]

    def _start(self, *arguments: str, at: bytes | None = None, said: bytes = b"") -> _Asked | None:
        import subprocess

        # Not a pipe: git would wait for us to empty it, and we are busy walking.
        output = _in_memory(b"")
        questions = _in_memory(said) if said else None
        try:
            process = subprocess.Popen(
                (*_GIT, *arguments),
                cwd=at or self._root,
                env=git_environment(self._environ),
                stdin=questions or subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            output.close()
            self._note(f"git cannot be run ({error.strerror})", "install git, or put it on PATH")
            return None
        finally:
            if questions is not None:
                questions.close()
        keep_apart(process.pid)
        asked = _Asked(process, output)
        self._running.append(asked)
        return asked

    def _answer(self, asked: _Asked | None, fine: tuple[int, ...]) -> bytes:
        if asked is None:
            return b""
        import subprocess

        process = asked.process
        began = time.monotonic()
        try:
            _, errors = process.communicate(timeout=max(_AT_LEAST_SECONDS, self._patience))
        except subprocess.TimeoutExpired:
            self._note(
                f"git did not answer within {PATIENCE_SECONDS:g} seconds",
                f"see whether `git status` works in {shown(self._root)}",
            )
            return b""
        finally:
            self._patience -= time.monotonic() - began
        if process.returncode in fine:
            asked.output.seek(0)
            return asked.output.read()
        said = errors.decode("utf-8", "replace").strip()
        if "dubious ownership" in said:
            top = os.fsdecode(self._repository.top)
            self._note(
                f"git refuses to look at {shown(self._repository.top)}, "
                "because another user owns it",
                f"run: git config --global --add safe.directory '{top}'",
            )
        else:
            self._note(
                f"git failed: {said.splitlines()[0] if said else 'no message'}",
                f"see whether `git status` works in {shown(self._root)}",
            )
        return b""

    def _note(self, message: str, hint: str) -> None:
        self.problem = self.problem or GitProblem(message, hint)

    def _configuration_files(self) -> list[bytes]:
        """All files that git may read configuration from, but for those that they include."""
        environ = self._environ
        if "GIT_CONFIG_SYSTEM" in environ:
            files = [environ["GIT_CONFIG_SYSTEM"]]
        else:
            import shutil

            files = ["/etc/gitconfig"]
            git = shutil.which("git", path=environ.get("PATH"))
            if git is not None:
                # Where git's Makefile puts it for any prefix but /usr: conda, modules, spack.
                prefix = os.path.dirname(os.path.dirname(os.path.realpath(git)))
                files.append(os.path.join(prefix, "etc", "gitconfig"))
        if "GIT_CONFIG_GLOBAL" in environ:
            files.append(environ["GIT_CONFIG_GLOBAL"])
        else:
            files.append(os.path.join(environ.get("HOME", "/"), ".gitconfig"))
            files.append(os.path.join(self._user_folder(), "config"))
        return [
            *(os.fsencode(file) for file in files),
            os.path.join(self._repository.common, b"config"),
            os.path.join(self._repository.directory, b"config.worktree"),
        ]

    def _user_folder(self) -> str:
        configured = self._environ.get("XDG_CONFIG_HOME")
        home = self._environ.get("HOME", "/")
        return os.path.join(configured or os.path.join(home, ".config"), "git")

    def _default_excludes_file(self) -> bytes | None:
        if not self._environ.get("XDG_CONFIG_HOME") and not self._environ.get("HOME"):
            return None
        return os.fsencode(os.path.join(self._user_folder(), "ignore"))

    def _expanded(self, value: bytes) -> bytes | None:
        """The path that core.excludesFile names."""
        if value.startswith((b"~", b"%", b":")):
            asked = self._start("config", "-z", "--type=path", "--get", "core.excludesfile")
            value = self._answer(asked, fine=(0, 1)).removesuffix(b"\0")
        return os.path.join(self._repository.top, value) if value else None


def tracked_in(directory: bytes, environ: Mapping[str, str]) -> list[bytes]:
    """The paths in the index of the repository at `directory`, below it and relative to it.

    Empty if git does not answer.
    """
    import subprocess

    try:
        done = subprocess.run(
            (*_GIT, "ls-files", "-c", "-z"),
            cwd=directory,
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
    """`environ` without what would lead git to another repository, index or language."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("GIT_") or name in _KEPT or name.startswith(_KEPT_STARTS)
    }
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _is_true(value: bytes) -> bool:
    """Whether git takes a value for true (config.c); one that it refuses is not."""
    word = value.strip().lower()
    if word in (b"true", b"yes", b"on"):
        return True
    number = re.fullmatch(rb"[+-]?(0x[0-9a-f]+|[0-9]+)[kmg]?", word)
    return number is not None and number[1].strip(b"0x") != b""

"""Where a snapshot came from: who packed it, on which host, from which commit.

Git is asked while files are selected and copied, so it costs a submission nothing; and for a
limited time: a slow, a missing or a broken git is noted, never fatal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

GIT_TIMEOUT = 10.0
"""Seconds that git may take for all its answers."""


@dataclass(frozen=True)
class Provenance:
    """What git says of a source tree.

    Attributes:
        commit: the commit that is checked out, 40 or 64 hexadecimal digits; "" if there is none.
        branch: its branch; "" if none is.
        dirty: whether files differ from the commit; None if that is not known.
        note: why something is not known; "" if all is.
    """

    commit: str = ""
    branch: str = ""
    dirty: bool | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def ask_git(root: str) -> Provenance:
    """What git says of the source tree at `root`; never raises."""
    try:
        status = _git(root, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    except FileNotFoundError:
        return Provenance(note="git is not installed")
    except subprocess.TimeoutExpired:
        return Provenance(note=f"git took more than {GIT_TIMEOUT:.0f} s")
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        return Provenance(note=lines[0] if lines else "not a git repository")
    except OSError as error:
        return Provenance(note=f"git cannot be run: {error.strerror}")
    commit = branch = ""
    dirty = False
    for line in status.decode(errors="surrogateescape").splitlines():
        if line.startswith("# branch.oid "):
            commit = line.removeprefix("# branch.oid ")
        elif line.startswith("# branch.head "):
            branch = line.removeprefix("# branch.head ")
        elif not line.startswith("#"):
            dirty = True
    return Provenance(
        commit="" if commit == "(initial)" else commit,
        branch="" if branch == "(detached)" else branch,
        dirty=dirty,
    )


def _git(root: str, *arguments: str) -> bytes:
    # No optional locks: asking must not write into the user's repository. The environment's
    # GIT_DIR and its like would lead to another repository.
    command = ["env", "-u", "GIT_DIR", "-u", "GIT_WORK_TREE", "-u", "GIT_INDEX_FILE"]
    # A file system monitor would be a daemon that outlives us.
    command += ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", root, *arguments]
    # A session of its own, so that a git that takes too long ends with all that it has started.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=GIT_TIMEOUT)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output, errors)
    return output


class GitQuestion:
    """A question to git that is being answered in another thread; a context manager."""

    def __init__(self, root: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slurmic-git")
        self._answer: Future[Provenance] = self._pool.submit(ask_git, root)

    def __enter__(self) -> GitQuestion:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):
            self._pool.shutdown(wait=False, cancel_futures=True)

    def answer(self) -> Provenance:
        """Wait for the answer: at most as long as git may take."""
        return self._answer.result()

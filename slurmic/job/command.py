"""A command in a job: what ``slurmic submit -- COMMAND`` runs on the node.

The process is frozen as a Python job is (the cwd, PYTHONPATH, what Python children import), then
runs the command and ends as it ends. Slurm sends a job's signals to all its processes, so the
command gets them from there; this process outlives them, to pass on how the command ended.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence

from slurmic.job.freeze import freeze_process
from slurmic.job.frozen_code import FrozenCode
from slurmic.job.own_folder import own_code

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""A shell's exit codes for a command that does not exist, or is not a program."""

_START = (
    "import sys; sys.path[:] = [entry for entry in sys.path if entry]; "
    "from slurmic.job.command import main; main()"
)
_OUTLIVED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT")


def command_line(python: str, frozen: FrozenCode | None, argv: Sequence[str]) -> str:
    """The shell command that runs a command from frozen code, or as it is on the live tree.

    Args:
        python: the interpreter, as shell text.
        frozen: the code; None for the live tree.
        argv: the command's words; file names in them need not be UTF-8.
    """
    words = " ".join(map(shell_word, argv))
    if frozen is None:
        return words
    code = json.dumps(frozen.to_dict())
    return f"{python} -u -c {shlex.quote(_START)} {shlex.quote(code)} {words}"


def shell_word(word: str) -> str:
    """A word as bash reads it, in text that can be written as UTF-8."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return "$'" + "".join(f"\\x{byte:02x}" for byte in os.fsencode(word)) + "'"
    return shlex.quote(word)


def main() -> None:
    """Run the command of this process's arguments: the code as JSON, then its words."""
    code, *argv = sys.argv[1:]
    frozen = FrozenCode.from_dict(json.loads(code))
    own = own_code(frozen)
    freeze_process(own)
    if own.code_folder != frozen.code_folder:  # this task's, or this node's
        argv = [_moved(word, frozen.code_folder, own.code_folder) for word in argv]
    for name in _OUTLIVED:
        # A handler, not SIG_IGN: that would be inherited by the command.
        signal.signal(getattr(signal, name), lambda *_: None)
    try:
        status = subprocess.Popen(argv).wait()
    except OSError as error:
        print(f"slurmic: cannot run '{argv[0]}': {error.strerror}", file=sys.stderr, flush=True)
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    sys.exit(128 - status if status < 0 else status)  # as a shell says which signal it was


def _moved(word: str, old: str, new: str) -> str:
    return new + word[len(old) :] if word.startswith(old + os.sep) else word

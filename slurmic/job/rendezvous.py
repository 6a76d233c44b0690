"""The port at which the processes of a distributed job meet.

The job's script chooses it: the script runs on the first of the job's nodes, where the process that
listens will run, and srun takes its environment to all of them. So nothing has to travel through a
shared filesystem, which may show a new file to another node only after a while.

The search starts at a number made from the job's id, so that two jobs on one node do not choose the
same free port before either of them listens at it; and it stays below the ports that the kernel
hands out for outgoing connections (from 32768 on), which come and go. Between the choice and the
launch command's listening, another program may still take the port; the command then fails, and
says so.
"""

from __future__ import annotations

import shlex
import subprocess
import sys

_LOWEST, _COUNT = 12_000, 20_000

# For the job's interpreter, which need not have slurmic in it yet: the setup lines may bring it.
_CHOOSE = f"""\
import os, socket
number = int(os.environ.get("SLURM_JOB_ID") or os.getppid())
for step in range({_COUNT}):
    port = {_LOWEST} + (number + step) % {_COUNT}
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            continue
    print(port)
    break
"""


def shell_port(python: str) -> list[str]:
    """Lines for the script of a distributed job, after the user's own: they export MASTER_PORT.

    One that the user has set stays; not one that a distributed job hands down which submits this
    one. Without a working `python` there is none, and submitit makes one from the job's id.

    Args:
        python: the job's interpreter, as shell text.
    """
    return [
        '[ "${MASTER_PORT:-}" != "${slurmic_main_process_port:-}" ] || unset MASTER_PORT',
        f'export MASTER_PORT="${{MASTER_PORT:-$({python} -S -c {shlex.quote(_CHOOSE)})}}"',
        '[ -n "$MASTER_PORT" ] || unset MASTER_PORT',
    ]


def free_port() -> int:
    """A port at which no process on this machine listens.

    Raises:
        OSError: all of them are in use.
    """
    answer = subprocess.run(
        [sys.executable, "-S", "-c", _CHOOSE], capture_output=True, text=True, check=False
    )
    if not answer.stdout.strip():
        raise OSError(f"no free port from {_LOWEST} to {_LOWEST + _COUNT - 1} on this machine")
    return int(answer.stdout)

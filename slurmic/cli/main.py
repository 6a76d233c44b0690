"""The entry point: which command, and what happens when it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .exits import DONE, FAILED, INTERRUPTED, TABLE

DESCRIPTION = f"""\
Frozen copies of source trees for Slurm jobs: list what would be packed, store it, see what is
stored, and let go what nothing uses.

{TABLE}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.

    Args:
        arguments: the command line without the program's name; the process's own if None.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) in (["--version"], ["-V"]):
        # Before the heavy imports.
        from slurmic.version import installed_version

        print(f"slurmic {installed_version()}")
        return DONE
    from slurmic.errors import SlurmicError
    from slurmic_store import StoreError

    from .console import say

    try:
        return _parse_and_run(arguments)
    except (SlurmicError, StoreError) as error:
        say(f"slurmic: error: {error}")
        return FAILED
    except BrokenPipeError:
        # The reader has seen enough; closing standard output again would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        say("slurmic: interrupted")
        return INTERRUPTED


def _parse_and_run(arguments: Sequence[str]) -> int:
    from typing import Annotated

    import tyro

    from .files import Files
    from .gc import Gc
    from .ls import Ls
    from .snapshot import Snapshot
    from .verify import Verify
    from .why import Why

    subcommand = tyro.conf.subcommand
    command = tyro.cli(
        Annotated[Files, subcommand("files")]
        | Annotated[Why, subcommand("why")]
        | Annotated[Snapshot, subcommand("snapshot")]
        | Annotated[Ls, subcommand("ls")]
        | Annotated[Gc, subcommand("gc")]
        | Annotated[Verify, subcommand("verify")],
        prog="slurmic",
        description=DESCRIPTION,
        args=list(arguments),
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )
    return command.run()

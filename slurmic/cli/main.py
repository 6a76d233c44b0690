"""The entry point: which command, and what happens when it fails."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.

    Args:
        arguments: the command line without the program's name; the process's own if None.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # A start makes many objects that stay; looking for cycles among them takes a tenth of it.
    gc.set_threshold(100_000, 50, 100)
    from .exits import DONE, FAILED, INTERRUPTED
    from .output.console import say
    from .output.streams import OutputError, ReaderGoneError, discard_output, guarded_streams

    with guarded_streams():
        try:
            try:
                return _reported(arguments)
            finally:
                # When the interpreter does it, it is too late to say what failed.
                sys.stdout.flush()
        except ReaderGoneError:
            # The reader has seen enough.
            discard_output()
            return DONE
        except OutputError as error:
            discard_output()
            say(f"slurmic: error: {error}")
            return FAILED
        except KeyboardInterrupt:
            say("slurmic: interrupted")
            return INTERRUPTED


def program() -> None:
    """The installed program: run a command, and end this process.

    It ends without taking the interpreter apart, which would take as long as a fifth of a command:
    main has flushed what was written, and files and processes are closed by those who opened them.
    Where other threads still run, they are waited for as usual.
    """
    code = main()
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        os._exit(code)
    sys.exit(code)


def _reported(arguments: list[str]) -> int:
    """Run a command, and say what fails; not what is wrong with standard output."""
    try:
        return _run(arguments)
    except Exception as error:
        from slurmic.errors import SlurmicError
        from slurmic_store import StoreError

        from .exits import FAILED, USAGE, UsageError
        from .output.console import say
        from .output.streams import OutputError

        if isinstance(error, FileNotFoundError) and not _has_current_folder():
            say("slurmic: error: the current folder was deleted\n  change to another one")
            return FAILED
        if isinstance(error, OutputError) or not isinstance(error, (SlurmicError, StoreError)):
            raise
        say(f"slurmic: error: {error}")
        return USAGE if isinstance(error, UsageError) else FAILED


def _has_current_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _run(arguments: list[str]) -> int:
    """Run a command; what needs no parser is answered without one."""
    from .exits import DONE, USAGE
    from .table import COMMANDS, COMPLETE, overview, unknown_command

    if COMPLETE in os.environ:
        from .arguments.shells import complete

        return complete(os.environ[COMPLETE])
    if arguments in (["--version"], ["-V"]):
        from slurmic.version import installed_version

        print(f"slurmic {installed_version()}")
        return DONE
    if arguments and arguments[0] in ("-h", "--help"):
        print(overview(), end="")
        return DONE
    if not arguments:
        print(overview(), end="", file=sys.stderr)
        return USAGE
    if arguments[0] not in COMMANDS:
        raise unknown_command(arguments[0])
    from .arguments.group import run

    if not sys.stderr.isatty():
        return run(arguments)
    from slurmic.progress import shown_progress

    with shown_progress():
        return run(arguments)

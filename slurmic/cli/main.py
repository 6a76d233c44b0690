"""The entry point: which command, and what happens when it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.

    Args:
        arguments: the command line without the program's name; the process's own if None.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    from .console import say
    from .exits import DONE, FAILED, INTERRUPTED
    from .streams import OutputError, ReaderGoneError, discard_output, guarded_streams

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


def _reported(arguments: list[str]) -> int:
    """Run a command, and say what fails; not what is wrong with standard output."""
    try:
        return _run(arguments)
    except Exception as error:
        from slurmic.errors import SlurmicError
        from slurmic_store import StoreError

        from .console import say
        from .exits import FAILED, USAGE, UsageError
        from .streams import OutputError

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
    from .exits import DONE, USAGE

    if arguments in (["--version"], ["-V"]):
        # Before the heavy imports.
        from slurmic.version import installed_version

        print(f"slurmic {installed_version()}")
        return DONE
    from .commands import COMMANDS, overview, unknown_command
    from .console import say

    if arguments and arguments[0] in ("-h", "--help"):
        print(overview(), end="")
        return DONE
    if not arguments:
        print(overview(), end="", file=sys.stderr)
        return USAGE
    if arguments[0] == "complete-names" and len(arguments) == 2:
        from .names import complete_names

        return complete_names(arguments[1])
    if arguments[0] not in COMMANDS:
        say(f"slurmic: error: {unknown_command(arguments[0])}")
        return USAGE
    import tyro

    from slurmic.progress import shown_progress

    from .parsing import spare_typeguard

    chosen, rest, words = COMMANDS[arguments[0]], arguments[1:], None
    if chosen.takes_words and "--" in rest:
        # Not by tyro: the words are somebody else's options, and may have a "--" of their own.
        place = rest.index("--")
        rest, words = rest[:place], tuple(rest[place + 1 :])
    spare_typeguard()
    kind = chosen.load()
    if not {"-h", "--help"}.isdisjoint(rest):
        from .fieldhelp import tidy_help

        tidy_help(kind)
    # One command's parser is built, not all of them: most of the time goes into that.
    command = tyro.cli(
        kind,
        prog=f"slurmic {chosen.name}",
        args=rest,
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )
    if words is not None:
        command.words = words
    with shown_progress():
        exit_code: int = command.run()
    return exit_code

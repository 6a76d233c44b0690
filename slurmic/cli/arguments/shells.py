"""Completion in shells: click's scripts and answers, with a script of our own for bash.

click's for bash needs bash 4.4, and offers folders only if nothing else fits: a REF may be either.
"""

from __future__ import annotations

import os
from typing import Literal

from click.shell_completion import (
    BashComplete,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    shell_complete,
)

from slurmic.cli.table import COMPLETE

from .group import SLURMIC

SHELLS = ("bash", "zsh", "fish")


@add_completion_class
class _Bash(BashComplete):
    # The names come as they are: readline quotes those of files, and the others need no quotes.
    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' kind value
    local -a found
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case "$kind" in
            dir) mapfile -t found < <(compgen -d -- "$value") ;;
            file) mapfile -t found < <(compgen -f -- "$value") ;;
            *) COMPREPLY+=("$value"); continue ;;
        esac
        [ "${#found[@]}" -eq 0 ] || COMPREPLY+=("${found[@]}")
        compopt -o filenames 2>/dev/null
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -F %(complete_func)s %(prog_name)s
"""

    def source(self) -> str:
        """The script; click would start a bash to ask for its version, which need not be 4.4."""
        return ShellComplete.source(self)


def script(shell: Literal["bash", "zsh", "fish"]) -> str:
    """The script that makes a shell complete."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(SLURMIC, {}, "slurmic", COMPLETE).source()


def complete(instruction: str) -> int:
    """Answer a shell's script; the exit code.

    Args:
        instruction: what the script has put into the variable.
    """
    # Programs that this one starts must not take themselves for asked.
    os.environ.pop(COMPLETE, None)
    return shell_complete(SLURMIC, {}, "slurmic", COMPLETE, instruction)

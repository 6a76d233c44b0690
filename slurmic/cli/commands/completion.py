"""slurmic completion: a script by which a shell completes slurmic's commands and names."""

from __future__ import annotations

from typing import Literal

import click

from slurmic.cli.arguments.group import argument, command
from slurmic.cli.exits import DONE


@command("completion")
@argument("shell", "SHELL", "bash, zsh or fish", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: Literal["bash", "zsh", "fish"]) -> int:
    """Make your shell complete all of this.

    It prints a script for commands, options and the names of snapshots. To use it now and later:

    \b
    bash:  echo 'source <(slurmic completion bash)' >> ~/.bashrc
    zsh:   echo 'source <(slurmic completion zsh)' >> ~/.zshrc   (after compinit)
    fish:  slurmic completion fish > ~/.config/fish/completions/slurmic.fish
    """
    from slurmic.cli.arguments.shells import script

    print(script(shell), end="")
    return DONE

"""The table of commands: what there is, in which module, and the help above them all."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .exits import TABLE


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        name: what the user types.
        target: ``module:class`` in this package; the class is a dataclass whose fields are the
            command's arguments, with a method ``run`` that gives the exit code.
        summary: one line for the list of commands.
        takes_words: whether what stands behind ``--`` is a command for it, in ``words``.
    """

    name: str
    target: str
    summary: str
    takes_words: bool = False

    def load(self) -> type[Any]:
        """The command's class; its module is imported only now."""
        module, _, name = self.target.partition(":")
        found: type[Any] = getattr(import_module(f"{__package__}.{module}"), name)
        return found


GROUPS: dict[str, tuple[Command, ...]] = {
    "before you submit": (
        Command("files", "files:Files", "list the files of a source tree that would be packed"),
        Command("why", "why:Why", "say which rule decides whether a path is packed"),
        Command("snapshot", "snapshot:Snapshot", "store a snapshot of a source tree"),
    ),
    "to run": (
        Command("submit", "submit:Submit", "run a command from a frozen copy", takes_words=True),
        Command("rerun", "rerun:Rerun", "submit again what a job ran, from its own frozen code"),
    ),
    "what ran": (
        Command("ls", "ls:Ls", "list the snapshots, newest first"),
        Command("show", "show:Show", "all that is known of a snapshot and its jobs"),
        Command("diff", "diff:Diff", "compare two snapshots, or one with the working tree"),
        Command("cat", "cat:Cat", "write a file of a snapshot to standard output"),
        Command("checkout", "checkout:Checkout", "copy the files of a snapshot into a new folder"),
        Command("export", "export:Export", "write the files of a snapshot into an archive"),
        Command("import", "importing:Import", "store what an archive holds, as a snapshot"),
    ),
    "space and health": (
        Command("du", "du:Du", "show what each output folder takes, and what deleting it frees"),
        Command("gc", "gc:Gc", "delete what no code folder and no pinned snapshot uses"),
        Command("pin", "pin:Pin", "keep a snapshot, whatever becomes of its folder"),
        Command("unpin", "pin:Unpin", "let gc have a snapshot that was pinned"),
        Command("verify", "verify:Verify", "compare what is stored with its digests; repair it"),
    ),
    "setting up": (
        Command("doctor", "doctor:Doctor", "look for what would go wrong here, and say what to do"),
        Command("completion", "completion:Completion", "make your shell complete all of this"),
    ),
}
"""All commands, under the headings of ``slurmic --help``."""

COMMANDS: dict[str, Command] = {
    command.name: command for group in GROUPS.values() for command in group
}


REFERENCES = """\
what REF may be:
  1234, 1234_7          a Slurm job that runs from the snapshot
  261122-174000-3f9a1c  its id, a unique beginning of it, or of its last part (3f9a)
  baseline              the name of its pin
  5be1c2                its tree, or a unique beginning with six digits or more
  runs/a, runs/a/code   its output folder (the newest snapshot in it) or its code folder, or any
                        path in them; also where they were moved to, and when they are gone
  .                     the working tree, as it would be packed now (show, diff, cat, checkout,
                        export)
  In doubt it is a job, a pin, an id, a tree, a path, in this order; ./1234 is always a path.
"""


def overview() -> str:
    """The text of ``slurmic --help``."""
    width = max(map(len, [*COMMANDS, "--version"])) + 2
    lines = [
        "usage: slurmic COMMAND [arguments]    (slurmic COMMAND --help says more)",
        "",
        "Runs jobs on Slurm from frozen copies of source trees, and keeps the records of what ran.",
    ]
    for heading, commands in GROUPS.items():
        lines += ["", f"{heading}:"]
        lines += [f"  {command.name:{width}}{command.summary}" for command in commands]
    lines += ["", "options:", f"  {'--version':{width}}print the version", "", REFERENCES, TABLE]
    return "\n".join(lines)


def unknown_command(name: str) -> str:
    """What is said of a word that is no command."""
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"no command '{name}': {hint}'slurmic --help' lists them"

"""The table of commands: what there is, in which module, and the help above them all.

It is read without importing a command, or click.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .exits import TABLE, UsageError

COMPLETE = "_SLURMIC_COMPLETE"
"""The variable by which a shell's script asks for completions."""


class Entry(NamedTuple):
    """One command of the command line.

    Attributes:
        name: what the user types.
        target: ``module:name`` in :mod:`slurmic.cli.commands`.
        summary: one line; the first of the command's own help as well.
    """

    name: str
    target: str
    summary: str


GROUPS: dict[str, tuple[Entry, ...]] = {
    "before you submit": (
        Entry("files", "files:files", "list the files of a source tree that would be packed"),
        Entry("why", "why:why", "say which rule decides whether a path is packed"),
        Entry("snapshot", "snapshot:snapshot", "store a snapshot of a source tree"),
    ),
    "to run": (
        Entry("submit", "submit:submit", "run a command from a frozen copy of the source tree"),
        Entry("rerun", "rerun:rerun", "submit again what a job ran, from its own frozen code"),
    ),
    "what ran": (
        Entry("ls", "ls:ls", "list the snapshots in the store, newest first"),
        Entry("show", "show:show", "show all that is known of a snapshot and its jobs"),
        Entry("diff", "diff:diff", "compare two snapshots, or one with the working tree"),
        Entry("cat", "cat:cat", "write a file of a snapshot to standard output"),
        Entry("checkout", "checkout:checkout", "copy the files of a snapshot into a new folder"),
        Entry("export", "export:export", "write the files of a snapshot into an archive"),
        Entry("import", "importing:import_snapshot", "store the files of an archive as a snapshot"),
    ),
    "space and health": (
        Entry("du", "du:du", "show what each output folder takes, and what deleting it frees"),
        Entry("gc", "gc:gc", "delete what no code folder and no pinned snapshot uses"),
        Entry("pin", "pin:pin", "keep a snapshot, whatever happens to its code folder"),
        Entry("unpin", "unpin:unpin", "remove the pin of a snapshot"),
        Entry("verify", "verify:verify", "compare what is stored with its digests, and repair it"),
    ),
    "setting up": (
        Entry("doctor", "doctor:doctor", "look for what would go wrong here, and say what to do"),
        Entry("completion", "completion:completion", "make your shell complete all of this"),
    ),
}
"""All commands, under the headings of ``slurmic --help``."""

COMMANDS: dict[str, Entry] = {entry.name: entry for group in GROUPS.values() for entry in group}


def load(name: str) -> Any:
    """The command of this name; its module is imported only now."""
    from importlib import import_module

    module, _, attribute = COMMANDS[name].target.partition(":")
    return getattr(import_module(f"{__package__}.commands.{module}"), attribute)


REFERENCES = """\
what REF may be:
  1234, 1234_7          a Slurm job that runs from the snapshot
  261122-174000-3f9a1c  its id, a unique beginning of it, or of its last part (3f9a)
  baseline              the name of its pin
  5be1c2                its tree, or a unique beginning with six digits or more
  runs/a, runs/a/code   its output folder (the newest snapshot in it) or its code folder, or any
                        path in them, even if they were moved or deleted
  .                     the working tree, as it would be packed now (show, diff, cat, checkout,
                        export)
  A REF that could be several of these is a job, else a pin, an id, a tree, a path, in this
  order; ./1234 is always a path.
"""


def overview() -> str:
    """The text of ``slurmic --help``."""
    width = max(map(len, [*COMMANDS, "--version"])) + 2
    lines = [
        "usage: slurmic COMMAND [arguments]    (slurmic COMMAND --help says more)",
        "",
        "Runs jobs on Slurm from frozen copies of source trees, and keeps the records of what ran.",
    ]
    for heading, entries in GROUPS.items():
        lines += ["", f"{heading}:"]
        lines += [f"  {entry.name:{width}}{entry.summary}" for entry in entries]
    lines += ["", "options:", f"  {'--version':{width}}print the version", "", REFERENCES, TABLE]
    return "\n".join(lines)


_MEANT = {
    "checkout": "restore extract get clone copy recover",
    "cat": "print view less head",
    "completion": "complete complete-names autocomplete",
    "diff": "compare changes",
    "doctor": "check init setup test health config",
    "du": "size usage space quota df",
    "export": "archive tar zip save download",
    "files": "tree selection packed",
    "gc": "delete prune clean cleanup rm remove purge collect",
    "import": "unpack untar load upload",
    "ls": "list history jobs runs snapshots queue dir",
    "ls show": "status stat info state",
    "pin": "keep tag protect hold",
    "rerun": "resubmit retry again restart repeat requeue",
    "show": "log logs describe inspect details",
    "snapshot": "pack freeze store commit create add",
    "submit": "run sbatch srun start launch exec array",
    "unpin": "untag release",
    "verify": "fsck repair fix validate scrub",
    "why": "explain reason ignored check-ignore",
}
"""Words of other programs, by the commands of ours that come nearest."""


def unknown_command(name: str) -> UsageError:
    """The error for a word that is not a command; its hint has what may have been meant."""
    found = next((names.split() for names, words in _MEANT.items() if name in words.split()), [])
    if not found:
        import difflib

        found = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
    names = " or ".join(f"'slurmic {each}'" for each in found)
    hint = f"did you mean {names}? " if names else _OUTSIDE.get(name, "")
    if name.startswith("-"):
        return UsageError(
            f"'{name}' is not an option of 'slurmic'",
            hint="options of a command come after its name; 'slurmic --help' lists the commands",
        )
    return UsageError(f"no command '{name}'", hint=f"{hint}'slurmic --help' lists them")


_OUTSIDE = dict.fromkeys(("cancel", "kill", "stop"), "'scancel JOB' of Slurm ends a job; ")

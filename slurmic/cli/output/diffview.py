"""Writing differences: names, line counts, patches. Raw bytes where it is data; for a person, safe.

In colours as git's: added green, removed red, the rest quiet.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from slurmic.inspect.changes import Change
from slurmic.inspect.codetree import CodeTree
from slurmic.inspect.patch import LineKind, PatchLine, count_lines, patch_lines
from slurmic.text import counted, printable
from slurmic_store import TreeEntry

from .console import say, terminal_width

_BOLD, _RED, _GREEN, _YELLOW, _CYAN, _PLAIN = (
    f"\x1b[{code}m".encode() for code in (1, 31, 32, 33, 36, 0)
)

_LINE_COLOURS: dict[LineKind, bytes] = {
    "header": _BOLD,
    "hunk": _CYAN,
    "removed": _RED,
    "added": _GREEN,
}

_KIND_COLOURS = {"added": _GREEN, "removed": _RED}


def write_names(changes: Sequence[Change], *, name_only: bool, null: bool, colour: bool) -> None:
    """Write what happened to each file, and its name.

    On a terminal with what else a person may want to know; otherwise the word and the name with a
    tab between, and the name as it is.

    Args:
        changes: what differs.
        name_only: leave out the words.
        null: end words and names with NUL bytes, whatever standard output is.
        colour: whether to colour it.
    """
    out = sys.stdout.buffer
    person = sys.stdout.isatty() and not null
    for change in changes:
        words = [] if name_only else [change.kind.encode()]
        if null:
            out.write(b"".join(word + b"\0" for word in (*words, change.path)))
        elif not person:
            out.write(_painted(b"\t".join((*words, change.path)), change, colour) + b"\n")
        elif name_only:
            out.write(printable(change.path).encode() + b"\n")
        else:
            line = f"{change.kind:8} {printable(change.path)}{_remark(change)}"
            out.write(_painted(line.encode(), change, colour) + b"\n")
    out.flush()


def _painted(line: bytes, change: Change, colour: bool) -> bytes:
    paint = _KIND_COLOURS.get(change.kind, _YELLOW)
    return paint + line + _PLAIN if colour else line


def _remark(change: Change) -> str:
    """In brackets, what the kind of a change does not say."""
    old, new = change.old, change.new
    if old is None or new is None:
        return ""
    if change.kind == "type":
        return f"  ({_what(old)} to {_what(new)})"
    if old.mode == new.mode:
        return ""
    if bool(old.mode & 0o100) != bool(new.mode & 0o100):
        return "  (now executable)" if new.mode & 0o100 else "  (no longer executable)"
    return f"  (permissions {old.mode:03o} to {new.mode:03o})"


def _what(entry: TreeEntry) -> str:
    return "file" if entry.target is None else "symbolic link"


def write_stat(changes: Sequence[Change], old: CodeTree, new: CodeTree, *, colour: bool) -> None:
    """Write how many lines each file gained and lost, with bars, as ``git diff --stat``.

    Raises:
        StoreError: a content cannot be had.
    """
    counts = [count_lines(change, old, new) for change in changes]
    names = [printable(change.path) for change in changes]
    width = terminal_width() if sys.stdout.isatty() else 80
    longest = max((sum(count) for count in counts if count), default=0)
    digits = max(len(str(longest)), 3 if None in counts else 0)
    column = min(max(map(len, names), default=0), max(20, width - digits - 24))
    room = max(10, width - column - digits - 6)
    scale = min(1.0, room / longest) if longest else 1.0
    for name, count in zip(names, counts, strict=True):
        shown = name if len(name) <= column else "..." + name[len(name) - column + 3 :]
        if count is None:
            print(f" {shown:{column}} | {'Bin':>{digits}}")
            continue
        plus, minus = (_bar(lines, scale) for lines in count)
        bar = f"{'+' * plus}{'-' * minus}"
        if colour:
            bar = "".join(
                f"{paint.decode()}{sign * length}{_PLAIN.decode()}" if length else ""
                for paint, sign, length in ((_GREEN, "+", plus), (_RED, "-", minus))
            )
        print(f" {shown:{column}} | {sum(count):>{digits}} {bar}".rstrip())
    added = sum(count[0] for count in counts if count)
    removed = sum(count[1] for count in counts if count)
    print(
        f" {counted(len(changes), 'file')} changed, {counted(added, 'insertion')}(+), "
        f"{counted(removed, 'deletion')}(-)"
    )


def _bar(lines: int, scale: float) -> int:
    return max(1, round(lines * scale)) if lines else 0


def write_patch(
    changes: Sequence[Change], old: CodeTree, new: CodeTree, *, binary: bool, colour: bool
) -> None:
    """Write the patch; what it cannot carry goes to standard error.

    Raises:
        StoreError: a content cannot be had.
    """
    out = sys.stdout.buffer
    person = sys.stdout.isatty()
    without = 0
    for change in changes:
        line = None
        for line in patch_lines(change, old, new, binary=binary):
            out.write(_as_shown(line, person, colour) + b"\n")
        without += line is None
    out.flush()
    if without:
        say(
            f"{counted(without, 'file')} not in the patch: of permissions it keeps only the "
            "owner's to execute"
        )


def _as_shown(line: PatchLine, person: bool, colour: bool) -> bytes:
    text = line.text
    if person:
        text = b"\t".join(printable(part).encode() for part in text.split(b"\t"))
    paint = _LINE_COLOURS.get(line.kind, b"") if colour else b""
    return paint + text + _PLAIN if paint else text

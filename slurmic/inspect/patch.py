"""Patches as git writes them: ``git apply`` takes them, and people can read them."""

from __future__ import annotations

import base64
import difflib
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from slurmic.inspect.changes import Change
from slurmic.inspect.codetree import CodeTree
from slurmic_store import TreeEntry

LineKind = Literal["header", "hunk", "context", "removed", "added", "note"]

CONTEXT = 3
"""How many lines are shown around a change."""

TOO_LARGE = 8_000_000
"""A file of more bytes is compared as a whole, as a binary file is: finding its changed lines would
take minutes."""

_BINARY_PROBE = 8000
"""How many bytes git looks at: a file is binary if one of them is NUL."""

_HEADING = 80
_NO_NEWLINE = b"\\ No newline at end of file"
_NO_BLOB = "0" * 40


@dataclass(frozen=True)
class PatchLine:
    """A line of a patch.

    Attributes:
        kind: what it is.
        text: without its newline.
    """

    kind: LineKind
    text: bytes


@dataclass(frozen=True)
class _Side:
    """A file on one side of a change; `entry` is None if there is none there."""

    entry: TreeEntry | None
    content: bytes

    @property
    def mode(self) -> str:
        """The mode as git has it, which only keeps whether the owner may execute the file."""
        if self.entry is None:
            return ""
        if self.entry.target is not None:
            return "120000"
        return "100755" if self.entry.mode & 0o100 else "100644"

    @property
    def blob(self) -> str:
        """Git's name of the content."""
        if self.entry is None:
            return _NO_BLOB
        header = b"blob %d\0" % len(self.content)
        return hashlib.sha1(header + self.content, usedforsecurity=False).hexdigest()

    @property
    def is_binary(self) -> bool:
        return len(self.content) > TOO_LARGE or b"\0" in self.content[:_BINARY_PROBE]


_NOTHING = _Side(None, b"")


def patch_lines(
    change: Change, old: CodeTree, new: CodeTree, *, binary: bool
) -> Iterator[PatchLine]:
    """The patch for one file; no lines if only something differs that git does not keep.

    Args:
        change: what differs.
        old: the tree that it leads from.
        new: the tree that it leads to.
        binary: write binary files out as well, so that ``git apply`` can create them.

    Raises:
        StoreError: the content of a file cannot be read.
    """
    first, second = _sides(change, old, new)
    if change.kind == "type":
        # As git does: one file is deleted, another is created.
        yield from _file_patch(change.path, first, _NOTHING, binary)
        yield from _file_patch(change.path, _NOTHING, second, binary)
    else:
        yield from _file_patch(change.path, first, second, binary)


def count_lines(change: Change, old: CodeTree, new: CodeTree) -> tuple[int, int] | None:
    """How many lines a change adds and removes; None for a binary file.

    Raises:
        StoreError: the content of a file cannot be read.
    """
    first, second = _sides(change, old, new)
    if first.is_binary or second.is_binary:
        return None
    before, after = _split(first.content), _split(second.content)
    if change.kind == "type":
        return len(after), len(before)
    added = removed = 0
    for tag, low, high, other_low, other_high in _matcher(before, after).get_opcodes():
        if tag != "equal":
            removed += high - low
            added += other_high - other_low
    return added, removed


def _sides(change: Change, old: CodeTree, new: CodeTree) -> tuple[_Side, _Side]:
    first = _NOTHING if change.old is None else _Side(change.old, old.read(change.old))
    second = _NOTHING if change.new is None else _Side(change.new, new.read(change.new))
    return first, second


def _file_patch(path: bytes, old: _Side, new: _Side, binary: bool) -> Iterator[PatchLine]:
    if old.mode == new.mode and old.content == new.content:
        return
    before, after = quoted_for_git(b"a/" + path), quoted_for_git(b"b/" + path)
    yield PatchLine("header", b"diff --git %s %s" % (before, after))
    if old.entry is None:
        yield PatchLine("header", b"new file mode %s" % new.mode.encode())
    elif new.entry is None:
        yield PatchLine("header", b"deleted file mode %s" % old.mode.encode())
    elif old.mode != new.mode:
        yield PatchLine("header", b"old mode %s" % old.mode.encode())
        yield PatchLine("header", b"new mode %s" % new.mode.encode())
    same_mode = old.mode if old.mode == new.mode else ""
    if old.entry is None or new.entry is None or old.content != new.content:
        is_binary = old.is_binary or new.is_binary
        digits = 40 if is_binary and binary else 7
        index = f"index {old.blob[:digits]}..{new.blob[:digits]} {same_mode}".rstrip()
        yield PatchLine("header", index.encode())
    if old.content == new.content:
        return  # or an empty file was created or deleted
    before = b"/dev/null" if old.entry is None else before
    after = b"/dev/null" if new.entry is None else after
    if not is_binary:
        yield PatchLine("header", b"--- " + before + _end_of_name(before))
        yield PatchLine("header", b"+++ " + after + _end_of_name(after))
        yield from _hunks(_split(old.content), _split(new.content))
    elif binary:
        yield PatchLine("header", b"GIT binary patch")
        for content in (new.content, old.content):
            yield from _literal(content)
    else:
        yield PatchLine("note", b"Binary files %s and %s differ" % (before, after))


def _end_of_name(name: bytes) -> bytes:
    """A tab after a name that has a space in it: there the name ends."""
    return b"\t" if b" " in name and not name.startswith(b'"') else b""


def quoted_for_git(name: bytes) -> bytes:
    """A name as git writes it: in quotes with escapes if it has unusual characters."""
    try:
        strange = not name.decode().isprintable()
    except UnicodeDecodeError:
        strange = True
    if not strange and not {*b'"\\'}.intersection(name):
        return name
    escapes = {ord(char): b"\\" + letter for char, letter in _ESCAPES.items()}
    return b'"%s"' % b"".join(
        escapes.get(byte, bytes((byte,)) if 0x20 <= byte < 0x7F else b"\\%03o" % byte)
        for byte in name
    )


_ESCAPES = {
    b"\a": b"a",
    b"\b": b"b",
    b"\t": b"t",
    b"\n": b"n",
    b"\v": b"v",
    b"\f": b"f",
    b"\r": b"r",
    b'"': b'"',
    b"\\": b"\\",
}


def _split(content: bytes) -> list[bytes]:
    """The lines, with their newlines; the last may have none."""
    lines = content.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _matcher(old: Sequence[bytes], new: Sequence[bytes]) -> difflib.SequenceMatcher[bytes]:
    return difflib.SequenceMatcher(None, old, new)


def _hunks(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[PatchLine]:
    for group in _matcher(old, new).get_grouped_opcodes(CONTEXT):
        low, high = group[0][1], group[-1][2]
        ranges = (_range(low, high), _range(group[0][3], group[-1][4]))
        heading = _heading(old, low)
        yield PatchLine("hunk", b"@@ -%s +%s @@%s" % (*ranges, heading))
        for tag, first, last, other_first, other_last in group:
            if tag == "equal":
                yield from _lines("context", b" ", old[first:last])
            else:
                yield from _lines("removed", b"-", old[first:last])
                yield from _lines("added", b"+", new[other_first:other_last])


def _lines(kind: LineKind, mark: bytes, lines: Sequence[bytes]) -> Iterator[PatchLine]:
    for line in lines:
        yield PatchLine(kind, mark + line.removesuffix(b"\n"))
        if not line.endswith(b"\n"):
            yield PatchLine("note", _NO_NEWLINE)


def _range(low: int, high: int) -> bytes:
    length = high - low
    if length == 1:
        return b"%d" % (low + 1)
    return b"%d,%d" % (low + 1 if length else low, length)


def _heading(lines: Sequence[bytes], start: int) -> bytes:
    """What a hunk is in: the nearest line above it that begins like a definition."""
    for line in reversed(lines[:start]):
        if line[:1].isalpha() or line[:1] in (b"_", b"$"):
            return b" " + line[:_HEADING].rstrip()
    return b""


def _literal(content: bytes) -> Iterator[PatchLine]:
    """Content in git's form for binary files: deflated, in base 85, 52 bytes a line."""
    yield PatchLine("note", b"literal %d" % len(content))
    data = zlib.compress(content)
    for start in range(0, len(data), 52):
        piece = data[start : start + 52]
        length = len(piece)
        letter = b"%c" % (length + ord("A") - 1 if length <= 26 else length - 27 + ord("a"))
        yield PatchLine("note", letter + base64.b85encode(piece.ljust(-(-length // 4) * 4, b"\0")))
    yield PatchLine("note", b"")

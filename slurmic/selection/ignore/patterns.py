"""One line of an ignore file, as git reads it.

A line becomes an :class:`IgnoreRule`: a flag or two and one or more *routes*. A route is a tuple
of steps, one for each path segment; a step is a :class:`NamePattern` (matches one name) or
:data:`ANY_DEPTH` (matches any number of segments, none included; at the end of a route at least
one). So a path is matched segment by segment while the walk descends, and no pattern ever sees a
whole path.

That this is exact rests on three properties of git's matcher (dir.c and wildmatch.c):

* in a pattern with a slash no wildcard but ``**`` matches ``/``, so everything else can be cut at
  the slashes;
* a pattern without one is matched against the name alone, at any depth: ``foo`` is ``**/foo``;
* ``**`` that does not stand alone in its segment is ``*``, with two exceptions that follow from
  how the code is written: the wildcard-free head of a pattern is cut off before matching, so in
  ``src/a**/b`` the stars stand at the start and do cross slashes; and ``**\\/`` crosses slashes
  too, but not none. Both are unions of ordinary routes.

Matching is bytewise, as git's is, and takes time linear in the name for every pattern: between two
stars the leftmost match of a chunk is as good as any other, so it is never given up again.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

SLASH: Final = ord("/")
STAR: Final = ord("*")
BACKSLASH: Final = ord("\\")
EXCLAMATION: Final = ord("!")
GLOB_SPECIAL: Final = frozenset(b"*?[\\")
_special: Final = re.compile(rb"[*?\[\\]").search

#: A product of small character sets is written out up to this many literals (``*.py[cod]``),
#: because comparing literals is several times faster than a regular expression.
LITERALS_AT_MOST: Final = 16

# git's own character classes (ctype.c), not the C library's: bytes above 127 are in none,
# and [:space:] knows neither vertical tab nor form feed.
_DIGIT = frozenset(b"0123456789")
_LOWER = frozenset(range(ord("a"), ord("z") + 1))
_UPPER = frozenset(range(ord("A"), ord("Z") + 1))
_GRAPH = frozenset(range(33, 127))
_CLASSES: Final = {
    b"alnum": _DIGIT | _LOWER | _UPPER,
    b"alpha": _LOWER | _UPPER,
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset(range(32)) | {127},
    b"digit": _DIGIT,
    b"graph": _GRAPH,
    b"lower": _LOWER,
    b"print": _GRAPH | {32},
    b"punct": _GRAPH - _DIGIT - _LOWER - _UPPER,
    b"space": frozenset(b" \t\n\r"),
    b"upper": _UPPER,
    b"xdigit": _DIGIT | frozenset(b"abcdefABCDEF"),
}

_group_numbers = itertools.count()


class NamePattern(NamedTuple):
    """What one name must look like; exactly one of the fields is filled.

    Attributes:
        literals: the name is one of these.
        ends: the name ends with one of these (``*`` is the empty ending).
        starts: the name starts with one of these.
        regex: source of a bytes regular expression for the whole name. Its group names are unique
            in this process, so that several can be joined by ``|``.
    """

    literals: tuple[bytes, ...] = ()
    ends: tuple[bytes, ...] = ()
    starts: tuple[bytes, ...] = ()
    regex: bytes = b""

    def matches(self, name: bytes) -> bool:
        """Whether `name`, one path segment, matches."""
        if self.regex:
            return _compiled(self.regex).fullmatch(name) is not None
        return name in self.literals or name.endswith(self.ends) or name.startswith(self.starts)


# The cache of `re` holds 512, and thousands of patterns would be compiled for each name again.
@functools.lru_cache(maxsize=100_000)
def _compiled(regex: bytes) -> re.Pattern[bytes]:
    return re.compile(regex, re.DOTALL)


#: The step that matches any number of segments. Compared by identity.
ANY_DEPTH: Final = NamePattern()
ANY_NAME: Final = NamePattern(ends=(b"",))

Route = tuple[NamePattern, ...]


class IgnoreRule(NamedTuple):
    """One effective line of an ignore file.

    Attributes:
        source: the file it stands in, as ``git check-ignore -v`` names it: relative to the top of
            the repository (or to code_root where there is none), or as configured.
        line: its line number, from 1.
        text: the pattern as git prints it: without trailing blanks and line ending.
        negated: it re-includes (``!``).
        directory_only: it matches folders only (a trailing slash).
        routes: ways to match, relative to the folder of the file; none if nothing can match.
        rank: its place among all rules that apply to one path; the highest that matches decides.
    """

    source: bytes
    line: int
    text: bytes
    negated: bool
    directory_only: bool
    routes: tuple[Route, ...]
    rank: int


def parse_rule(text: bytes, *, source: bytes, line: int, rank: int, fold: bool) -> IgnoreRule:
    """Read one line, already freed of its ending and its trailing blanks.

    Args:
        text: the line; neither empty nor a comment.
        source, line, rank: see :class:`IgnoreRule`.
        fold: match without regard to (ASCII) case, as under ``core.ignoreCase``; the names to be
            matched must then be given in lower case.
    """
    negated = text[0] == EXCLAMATION
    body = text[1:] if negated else text
    directory_only = body.endswith(b"/")
    if directory_only:
        body = body[:-1]
    routes = _routes(body, fold)
    return IgnoreRule(source, line, text, negated, directory_only, routes, rank)


# A pattern is first read into tokens: a byte, a set of bytes, or a run of stars.
@dataclass(frozen=True, slots=True)
class _Stars:
    """A run of stars, which matches slashes if `crosses`.

    Stars that cross are followed by the end or by a slash; that slash may vanish together with
    them (``a/**/b`` matches ``a/b``), unless it is escaped in the pattern.
    """

    crosses: bool = False
    slash_stays: bool = False


_Token = int | frozenset[int] | _Stars
_ANY_BYTE: Final = frozenset(range(256)) - {SLASH}


class _UnmatchableError(Exception):
    """A pattern that git accepts and that matches nothing."""


def _routes(body: bytes, fold: bool) -> tuple[Route, ...]:
    anchored = SLASH in body
    starred = not anchored and body.startswith(b"*")
    if _special(body, 1 if starred else 0) is None:
        # Nearly all lines: a plain name or path, or a star and a plain ending.
        if fold:
            body = body.lower()
        if starred:
            return ((ANY_DEPTH, NamePattern(ends=(body[1:],))),)
        if not anchored:
            return ((ANY_DEPTH, NamePattern((body,))),) if body else ()
        segments = body.removeprefix(b"/").split(b"/")
        if not all(segments):
            return ()
        return (tuple([NamePattern((segment,)) for segment in segments]),)
    try:
        tokens = list(_tokens(body[1:] if body.startswith(b"/") else body, anchored, fold))
    except _UnmatchableError:
        return ()
    routes: list[Route] = []
    for variant in _variants(tokens):
        try:
            steps = tuple(_steps(variant))
        except _UnmatchableError:
            continue
        routes.append(steps if anchored else (ANY_DEPTH, *steps))
    return tuple(routes)


def _tokens(body: bytes, anchored: bool, fold: bool) -> Iterator[_Token]:
    position = 0
    wildcard_free = True
    while position < len(body):
        byte = body[position]
        if byte == STAR:
            after = position
            while after < len(body) and body[after] == STAR:
                after += 1
            stands_alone = wildcard_free or body[position - 1] == SLASH
            slash_stays = body[after : after + 2] == b"\\/"
            yield _Stars(
                crosses=anchored
                and after - position > 1
                and stands_alone
                and (after == len(body) or body[after] == SLASH or slash_stays),
                slash_stays=slash_stays,
            )
            position = after
        elif byte == BACKSLASH:
            if position + 1 == len(body):
                raise _UnmatchableError
            # Under core.ignoreCase git does not lower an escaped byte, so that an escaped capital
            # matches nothing; left as it is, it does the same here.
            yield body[position + 1]
            position += 2
        elif byte == ord("?"):
            yield _ANY_BYTE
            position += 1
        elif byte == ord("["):
            members, position = _byte_set(body, position, fold)
            yield members
        else:
            yield body[position : position + 1].lower()[0] if fold else byte
            position += 1
        wildcard_free = wildcard_free and byte not in GLOB_SPECIAL


def _byte_set(body: bytes, start: int, fold: bool) -> tuple[frozenset[int], int]:
    """Read the bracket expression at `start`: its bytes and where it ends.

    Follows wildmatch.c step by step: ``]`` is literal in the first place, a backslash escapes, a
    range may begin and end with escaped bytes, ``[:`` without ``:]`` is literal, and an unknown
    class or a missing ``]`` makes the whole pattern match nothing.
    """

    def at(index: int) -> int:
        if index >= len(body):
            raise _UnmatchableError
        return body[index]

    position = start + 1
    negated = body[position : position + 1] in (b"!", b"^")
    if negated:
        position += 1
    members: set[int] = set()
    first = position
    previous: int | None = None
    while at(position) != ord("]") or position == first:
        byte = at(position)
        if byte == BACKSLASH:
            position += 1
            previous = at(position)
            members.add(previous)
        elif (
            byte == ord("-")
            and previous is not None
            and body[position + 1 : position + 2] not in (b"", b"]")
        ):
            position += 1
            if at(position) == BACKSLASH:
                position += 1
            span = range(previous, at(position) + 1)
            members.update(span)
            if fold:
                members.update(byte + 32 for byte in _UPPER.intersection(span))
            previous = None
        elif body[position : position + 2] == b"[:":
            closing = body.find(b"]", position + 2)
            if closing < 0:
                raise _UnmatchableError
            if closing == position + 2 or body[closing - 1] != ord(":"):
                previous = byte
                members.add(byte)
            else:
                name = body[position + 2 : closing - 1]
                if name not in _CLASSES:
                    raise _UnmatchableError
                members |= _LOWER | _UPPER if fold and name == b"upper" else _CLASSES[name]
                previous = None
                position = closing
        else:
            previous = byte
            members.add(byte)
        position += 1
    chosen = frozenset(range(256)) - members if negated else frozenset(members)
    return chosen - {SLASH}, position + 1


def _variants(tokens: list[_Token]) -> Iterator[list[_Token]]:
    """Rewrite stars that cross slashes from within a segment as a union of patterns without them.

    ``a**/b`` is ``ab`` or ``a*/**/b``; ``a**`` is ``a*`` or ``a*/**``.
    """
    for index, token in enumerate(tokens):
        if not isinstance(token, _Stars) or not token.crosses:
            continue
        if index == 0 or tokens[index - 1] == SLASH:
            continue
        head, rest = tokens[:index], tokens[index + 1 :]
        yield [*head, _Stars(), SLASH, _Stars(crosses=True), *rest]
        if not rest:
            yield [*head, _Stars()]
        elif not token.slash_stays:
            yield from _variants(head + rest[1:])
        return
    yield tokens


def _steps(tokens: list[_Token]) -> Iterator[NamePattern]:
    segments: list[list[_Token]] = [[]]
    for token in tokens:
        if token == SLASH:
            segments.append([])
        else:
            segments[-1].append(token)
    for segment in segments:
        if not segment:
            raise _UnmatchableError  # no path has an empty segment
        first = segment[0]
        if isinstance(first, _Stars) and first.crosses:
            if first.slash_stays:
                yield ANY_NAME
            yield ANY_DEPTH
        else:
            yield _name_pattern(segment)


def _name_pattern(tokens: list[_Token]) -> NamePattern:
    chunks: list[list[int | frozenset[int]]] = [[]]
    for token in tokens:
        if isinstance(token, _Stars):
            chunks.append([])
        else:
            chunks[-1].append(token)
    if len(chunks) == 1:
        literals = _written_out(chunks[0])
        if literals:
            return NamePattern(literals=literals)
    elif len(chunks) == 2 and not chunks[0]:
        ends = _written_out(chunks[1])
        if ends:
            return NamePattern(ends=ends)
    elif len(chunks) == 2 and not chunks[1]:
        starts = _written_out(chunks[0])
        if starts:
            return NamePattern(starts=starts)
    return NamePattern(regex=_regex(chunks))


def _written_out(chunk: list[int | frozenset[int]]) -> tuple[bytes, ...]:
    """All byte strings that `chunk` matches, or () if they are too many."""
    choices = [(token,) if isinstance(token, int) else tuple(token) for token in chunk]
    count = 1
    for choice in choices:
        if not choice:
            raise _UnmatchableError
        count *= len(choice)
        if count > LITERALS_AT_MOST:
            return ()
    return tuple(bytes(product) for product in itertools.product(*choices))


def _regex(chunks: list[list[int | frozenset[int]]]) -> bytes:
    sources = [b"".join(_token_regex(token) for token in chunk) for chunk in chunks]
    if len(sources) == 1:
        return sources[0]
    result = sources[0]
    for source in sources[1:-1]:
        # An atomic group in a form that Python 3.10 has too: without it, n stars against a long
        # name would take time of the order of its length to the power of n.
        group = b"g%d" % next(_group_numbers)
        result += b"(?=(?P<%b>.*?%b))(?P=%b)" % (group, source, group)
    return result + b".*" + sources[-1]


def _token_regex(token: int | frozenset[int]) -> bytes:
    if isinstance(token, int):
        return b"\\x%02x" % token
    if token == _ANY_BYTE:
        return b"."
    if not token:
        raise _UnmatchableError
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(token)) + b"]"

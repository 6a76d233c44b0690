"""Which names does git ignore in one folder, given all ignore files that apply there?

A :class:`FolderRules` answers for one folder: it holds the rules of every file that applies, and
how far each rule's route has been matched by the path so far. Entering a folder gives the rules of
that folder, so a rule is advanced once per folder and never sees a whole path. They are shared:
most folders of a tree have the same rules in the same state.

For speed the rules of one file are merged into four filters (ignoring and re-including rules, for
files and for folders). A name that no ignoring filter hits is not ignored; one that is hit by an
ignoring filter and by no re-including one is. Only names hit by both are decided rule by rule, the
last one first, as git does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from slurmic.selection.ignore.lines import pattern_lines
from slurmic.selection.ignore.patterns import (
    ANY_DEPTH,
    ANY_NAME,
    IgnoreRule,
    NamePattern,
    Route,
    parse_rule,
)

#: This many ignore files stay parsed from one selection to the next.
FILES_AT_MOST: Final = 256


class _Filter(NamedTuple):
    """Several name patterns merged: a name is hit if any of them matches it.

    Attributes:
        literals: whole names.
        extensions: ends that are a dot and no other; one lookup for any number of them.
        ends: the other ends.
        starts: beginnings.
        regexes: tests of the whole name, for everything else.
    """

    literals: frozenset[bytes] = frozenset()
    extensions: frozenset[bytes] = frozenset()
    ends: tuple[bytes, ...] = ()
    starts: tuple[bytes, ...] = ()
    regexes: tuple[Callable[[bytes], object], ...] = ()

    @classmethod
    def of(cls, patterns: Sequence[NamePattern]) -> _Filter:
        if not patterns:
            return _EMPTY
        literals: set[bytes] = set()
        ends: set[bytes] = set()
        starts: set[bytes] = set()
        sources: set[bytes] = set()
        for pattern in patterns:
            literals.update(pattern.literals)
            ends.update(pattern.ends)
            starts.update(pattern.starts)
            if pattern.regex:
                sources.add(b"(?:%b)" % pattern.regex)
        extensions = frozenset(end for end in ends if end.rfind(b".") == 0)
        joined = b"|".join(sources)
        return cls(
            frozenset(literals),
            extensions,
            tuple(ends - extensions),
            tuple(starts),
            (re.compile(joined, re.DOTALL).fullmatch,) if joined else (),
        )

    def union(self, other: _Filter) -> _Filter:
        if self is _EMPTY:
            return other
        if other is _EMPTY:
            return self
        return _Filter(
            self.literals | other.literals,
            self.extensions | other.extensions,
            (*self.ends, *other.ends),
            (*self.starts, *other.starts),
            (*self.regexes, *other.regexes),
        )

    def hits(self, name: bytes) -> bool:
        return not self.missed([name])

    def missed(self, names: list[bytes]) -> list[bytes]:
        """Those of `names` that are not hit."""
        literals, extensions, ends, starts, regexes = self
        if self is _EMPTY:
            return names
        names = [
            name
            for name in names
            if name not in literals
            # Without a dot in it this looks up its last byte, which is not an extension.
            and name[name.rfind(b".") :] not in extensions
            and not name.endswith(ends)
            and not name.startswith(starts)
        ]
        for regex in regexes:
            names = [name for name in names if regex(name) is None]
        return names


_EMPTY: Final = _Filter()


class _NameRules:
    """Rules that look at the name alone, in ascending order of rank.

    The filters are those of the rules and of all `outer` ones.
    """

    def __init__(
        self, rules: Sequence[tuple[IgnoreRule, NamePattern]], outer: _NameRules | None = None
    ) -> None:
        self.rules = rules
        self._outer = outer

    def _own(self, *, negated: bool, for_files: bool) -> _Filter:
        return _Filter.of(
            [
                pattern
                for rule, pattern in self.rules
                if rule.negated is negated and not (for_files and rule.directory_only)
            ]
        )

    @cached_property
    def ignoring_files(self) -> _Filter:
        own = self._own(negated=False, for_files=True)
        return own if self._outer is None else own.union(self._outer.ignoring_files)

    @cached_property
    def ignoring_directories(self) -> _Filter:
        own = self._own(negated=False, for_files=False)
        return own if self._outer is None else own.union(self._outer.ignoring_directories)

    @cached_property
    def including_files(self) -> _Filter:
        own = self._own(negated=True, for_files=True)
        return own if self._outer is None else own.union(self._outer.including_files)

    @cached_property
    def including_directories(self) -> _Filter:
        own = self._own(negated=True, for_files=False)
        return own if self._outer is None else own.union(self._outer.including_directories)


@dataclass(frozen=True, eq=False, slots=True)
class _Routed:
    """A rule on one of its routes."""

    rule: IgnoreRule
    route: Route


#: A routed rule and the step of the route that the next name must match.
_Position = tuple[_Routed, int]


def _reachable(routed: _Routed, step: int) -> Iterable[_Position]:
    """The position itself and those that ANY_DEPTH reaches by matching no segment."""
    yield routed, step
    while routed.route[step] is ANY_DEPTH and step + 1 < len(routed.route):
        step += 1
        yield routed, step


class _Scope:
    """What all folders share that are below the same ignore files: name rules, rules of folders.

    Attributes:
        blocks: the name rules, a block for each file; the filters of the last one cover all.
        next_rank: that the next rule gets.
        fold: match without regard to case.
    """

    def __init__(self, blocks: tuple[_NameRules, ...], next_rank: int, fold: bool) -> None:
        self.blocks = blocks
        self.next_rank = next_rank
        self.fold = fold
        self._levels: dict[tuple[_Position, ...], FolderRules] = {}

    def level(self, positions: tuple[_Position, ...]) -> FolderRules:
        level = self._levels.get(positions)
        if level is None:
            level = self._levels[positions] = FolderRules(self, positions)
        return level


class FolderRules:
    """What is ignored in one folder, which is itself not ignored."""

    def __init__(self, scope: _Scope, positions: tuple[_Position, ...]) -> None:
        self._scope = scope
        #: In ascending order of rank, as the rules of a block must be.
        self._positions = positions
        here = [
            (routed.rule, ANY_NAME if routed.route[step] is ANY_DEPTH else routed.route[step])
            for routed, step in positions
            if step + 1 == len(routed.route)
        ]
        self._blocks = (*scope.blocks, _NameRules(here)) if here else scope.blocks
        #: Blocks whose filters cover all rules.
        self._covering = (*scope.blocks[-1:], *self._blocks[len(scope.blocks) :])
        self._moved: dict[tuple[_Position, ...], FolderRules] = {}

    @staticmethod
    def top(*, fold: bool) -> FolderRules:
        """The rules of a top folder before any ignore file is read.

        Args:
            fold: match without regard to case (git's ``core.ignoreCase``).
        """
        return _top(fold)

    def with_file(self, content: bytes, source: bytes) -> FolderRules:
        """The rules of the same folder when one more ignore file applies from here down.

        Args:
            content: of the file; it takes precedence over all files so far.
            source: how to name it (see :class:`IgnoreRule`).
        """
        return _with_file(self, content, source)

    def kept_files(self, names: list[bytes]) -> list[bytes]:
        """Those of `names`, files or links in this folder, that are not ignored.

        In no particular order.
        """
        if self._scope.fold:
            return [name for name in names if not self._ignored(name, directory=False)]
        kept = names
        for block in self._covering:
            kept = block.ignoring_files.missed(kept)
        if len(kept) < len(names):
            hit = set(names).difference(kept)
            ignored = list(hit)
            for block in self._covering:
                ignored = block.including_files.missed(ignored)
            # Those hit by both are decided rule by rule.
            if len(ignored) < len(hit):
                twice = hit.difference(ignored)
                kept += [name for name in twice if not self._ignored(name, directory=False)]
        return kept

    def enter(self, name: bytes) -> FolderRules | None:
        """The rules of the folder `name` in this one, or None if it is ignored.

        Its own .gitignore is not in it yet (see `with_file`).
        """
        return None if self._ignored(name, directory=True) else self._descend(name)

    def enter_all(self, names: list[bytes]) -> Iterator[tuple[bytes, FolderRules | None]]:
        """`enter` for several folders, in no particular order."""
        kept = [] if self._scope.fold else names
        for block in self._covering:
            kept = block.ignoring_directories.missed(kept)
        unmoved = self._advancing.missed(kept) if self._waiting else kept
        for name in unmoved:
            yield name, self._default
        if len(unmoved) < len(kept):
            for name in set(kept).difference(unmoved):
                yield name, self._descend(name)
        if len(kept) < len(names):
            for name in set(names).difference(kept):
                yield name, self.enter(name)

    def deciding_rule(self, name: bytes, *, directory: bool) -> IgnoreRule | None:
        """The rule that decides about the entry `name` of this folder, or None."""
        if self._scope.fold:
            name = name.lower()
        best: IgnoreRule | None = None
        for block in self._blocks:
            for rule, pattern in reversed(block.rules):
                if (
                    (best is None or rule.rank > best.rank)
                    and (directory or not rule.directory_only)
                    and pattern.matches(name)
                ):
                    best = rule
                    break
        return best

    def _ignored(self, name: bytes, *, directory: bool) -> bool:
        folded = name.lower() if self._scope.fold else name
        blocks = self._covering
        if not any(
            (block.ignoring_directories if directory else block.ignoring_files).hits(folded)
            for block in blocks
        ):
            return False
        if not any(
            (block.including_directories if directory else block.including_files).hits(folded)
            for block in blocks
        ):
            return True
        rule = self.deciding_rule(name, directory=directory)
        return rule is not None and not rule.negated

    def _descend(self, name: bytes) -> FolderRules:
        if not self._waiting:
            return self._default
        if self._scope.fold:
            name = name.lower()
        advanced: tuple[_Position, ...] = ()
        for pattern, routed, step in self._waiting:
            if pattern.matches(name):
                advanced = (*advanced, *_reachable(routed, step + 1))
        if not advanced:
            return self._default
        level = self._moved.get(advanced)
        if level is None:
            positions = dict.fromkeys((*self._lasting, *advanced))
            level = self._scope.level(tuple(sorted(positions, key=lambda item: item[0].rule.rank)))
            self._moved[advanced] = level
        return level

    @cached_property
    def _lasting(self) -> tuple[_Position, ...]:
        """The positions that hold in every folder below."""
        lasting: dict[_Position, None] = {}
        for routed, step in self._positions:
            if routed.route[step] is ANY_DEPTH:
                lasting.update(dict.fromkeys(_reachable(routed, step)))
        return tuple(lasting)

    @cached_property
    def _waiting(self) -> list[tuple[NamePattern, _Routed, int]]:
        """The positions that the name of a folder can advance."""
        return [
            (routed.route[step], routed, step)
            for routed, step in self._positions
            if step + 1 < len(routed.route) and routed.route[step] is not ANY_DEPTH
        ]

    @cached_property
    def _advancing(self) -> _Filter:
        """What hits the names of folders that advance a position."""
        return _Filter.of([pattern for pattern, _, _ in self._waiting])

    @cached_property
    def _default(self) -> FolderRules:
        """The rules of folders that advance nothing: most of them."""
        return self if self._lasting == self._positions else self._scope.level(self._lasting)


# A process that submits again and again, or plans a sweep, meets the same files each time.
@lru_cache(2)
def _top(fold: bool) -> FolderRules:
    return _Scope((), 0, fold).level(())


@lru_cache(FILES_AT_MOST)
def _with_file(level: FolderRules, content: bytes, source: bytes) -> FolderRules:
    scope = level._scope
    rules = [
        parse_rule(text, source=source, line=line, rank=rank, fold=scope.fold)
        for rank, (line, text) in enumerate(pattern_lines(content), scope.next_rank)
    ]
    by_name: list[tuple[IgnoreRule, NamePattern]] = []
    positions = list(level._positions)
    for rule in rules:
        for route in rule.routes:
            if len(route) == 2 and route[0] is ANY_DEPTH and route[1] is not ANY_DEPTH:
                by_name.append((rule, route[1]))
            else:
                positions.extend(_reachable(_Routed(rule, route), 0))
    blocks = scope.blocks
    if by_name:
        blocks = (*blocks, _NameRules(by_name, blocks[-1] if blocks else None))
    return _Scope(blocks, scope.next_rank + len(rules), scope.fold).level(tuple(positions))

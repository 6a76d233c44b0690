"""Which names does git ignore in one directory, given all ignore files that apply there?

A :class:`Level` answers for one directory: it holds the rules of every file that applies, and how
far each rule's route has been matched by the path so far. Entering a directory gives the Level of
that directory, so a rule is advanced once per directory and never sees a whole path. Levels are
shared: most directories of a tree have the same rules in the same state.

For speed the rules of one file are merged into four filters (ignoring and re-including rules, for
files and for directories). A name that no ignoring filter hits is not ignored; one that is hit by
no re-including filter either is. Only names hit by both are decided rule by rule, the last one
first, as git does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .ignorefile import pattern_lines
from .patterns import ANY_DEPTH, ANY_NAME, IgnoreRule, NamePattern, Route, parse_rule


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
    def of(cls, patterns: Iterable[NamePattern]) -> _Filter:
        patterns = tuple(patterns)
        ends = {end for pattern in patterns for end in pattern.ends}
        extensions = frozenset(end for end in ends if end.rfind(b".") == 0)
        sources = {pattern.regex for pattern in patterns if pattern.regex}
        joined = b"|".join(b"(?:%b)" % source for source in sources)
        return cls(
            frozenset(literal for pattern in patterns for literal in pattern.literals),
            extensions,
            tuple(ends - extensions),
            tuple({start for pattern in patterns for start in pattern.starts}),
            (re.compile(joined, re.DOTALL).fullmatch,) if joined else (),
        )

    @classmethod
    def union(cls, filters: Sequence[_Filter]) -> _Filter:
        if len(filters) == 1:
            return filters[0]
        return cls(
            frozenset().union(*(merged.literals for merged in filters)),
            frozenset().union(*(merged.extensions for merged in filters)),
            tuple({end for merged in filters for end in merged.ends}),
            tuple({start for merged in filters for start in merged.starts}),
            tuple(regex for merged in filters for regex in merged.regexes),
        )

    def __bool__(self) -> bool:
        return any(self[:])

    def hits(self, name: bytes) -> bool:
        return not self.missed([name])

    def missed(self, names: list[bytes]) -> list[bytes]:
        """Those of `names` that are not hit."""
        literals, extensions, ends, starts, regexes = self
        names = [
            name
            for name in names
            if name not in literals
            # Without a dot in it this looks up its last byte, which is no extension.
            and name[name.rfind(b".") :] not in extensions
            and not name.endswith(ends)
            and not name.startswith(starts)
        ]
        for regex in regexes:
            names = [name for name in names if regex(name) is None]
        return names


@dataclass(frozen=True)
class _NameRules:
    """Rules that look at the name alone, in ascending order of rank."""

    rules: tuple[tuple[IgnoreRule, NamePattern], ...]

    def _filter(self, *, negated: bool, for_files: bool) -> _Filter:
        return _Filter.of(
            pattern
            for rule, pattern in self.rules
            if rule.negated is negated and not (for_files and rule.directory_only)
        )

    @cached_property
    def ignoring_files(self) -> _Filter:
        return self._filter(negated=False, for_files=True)

    @cached_property
    def ignoring_directories(self) -> _Filter:
        return self._filter(negated=False, for_files=False)

    @cached_property
    def including_files(self) -> _Filter:
        return self._filter(negated=True, for_files=True)

    @cached_property
    def including_directories(self) -> _Filter:
        return self._filter(negated=True, for_files=False)


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
    """What all directories share that are below the same ignore files: name rules and levels."""

    def __init__(self, blocks: tuple[_NameRules, ...], next_rank: int, fold: bool) -> None:
        self.blocks = blocks
        self.next_rank = next_rank
        self.fold = fold
        self._levels: dict[tuple[_Position, ...], Level] = {}

    def level(self, positions: tuple[_Position, ...]) -> Level:
        level = self._levels.get(positions)
        if level is None:
            level = self._levels[positions] = Level(self, positions)
        return level


class Level:
    """What is ignored in one directory, which is itself not ignored."""

    def __init__(self, scope: _Scope, positions: tuple[_Position, ...]) -> None:
        self._scope = scope
        #: In ascending order of rank, as the rules of a block must be.
        self._positions = positions
        self._entered: dict[bytes, Level | None] = {}
        here = tuple(
            (routed.rule, ANY_NAME if routed.route[step] is ANY_DEPTH else routed.route[step])
            for routed, step in positions
            if step + 1 == len(routed.route)
        )
        self._blocks = (*scope.blocks, _NameRules(here)) if here else scope.blocks

    @staticmethod
    def top(*, fold: bool) -> Level:
        """The level of a top directory before any ignore file is read.

        Args:
            fold: match without regard to case (git's ``core.ignoreCase``).
        """
        return _Scope((), 0, fold).level(())

    def with_file(self, content: bytes, source: bytes) -> Level:
        """The level of the same directory when one more ignore file applies from here down.

        Args:
            content: of the file; it takes precedence over all files so far.
            source: how to name it (see :class:`IgnoreRule`).
        """
        scope = self._scope
        rules = [
            parse_rule(
                text, source=source, line=line, rank=scope.next_rank + index, fold=scope.fold
            )
            for index, (line, text) in enumerate(pattern_lines(content))
        ]
        by_name: list[tuple[IgnoreRule, NamePattern]] = []
        positions = list(self._positions)
        for rule in rules:
            for route in rule.routes:
                if len(route) == 2 and route[0] is ANY_DEPTH and route[1] is not ANY_DEPTH:
                    by_name.append((rule, route[1]))
                else:
                    positions.extend(_reachable(_Routed(rule, route), 0))
        blocks = (*scope.blocks, _NameRules(tuple(by_name))) if by_name else scope.blocks
        return _Scope(blocks, scope.next_rank + len(rules), scope.fold).level(tuple(positions))

    @cached_property
    def _ignoring_files(self) -> _Filter:
        return _Filter.union([block.ignoring_files for block in self._blocks])

    @cached_property
    def _ignoring_directories(self) -> _Filter:
        return _Filter.union([block.ignoring_directories for block in self._blocks])

    @cached_property
    def _including_files(self) -> _Filter:
        return _Filter.union([block.including_files for block in self._blocks])

    @cached_property
    def _including_directories(self) -> _Filter:
        return _Filter.union([block.including_directories for block in self._blocks])

    def kept_files(self, names: list[bytes]) -> list[bytes]:
        """Those of `names`, files or links in this directory, that are not ignored.

        In no particular order.
        """
        if self._scope.fold:
            return [name for name in names if not self._ignored(name, directory=False)]
        kept = self._ignoring_files.missed(names)
        if len(kept) < len(names) and self._including_files:
            hit = set(names).difference(kept)
            kept += [name for name in hit if not self._ignored(name, directory=False)]
        return kept

    def enter(self, name: bytes) -> Level | None:
        """The level of the directory `name` in this one, or None if it is ignored.

        Its own .gitignore is not in it yet (see `with_file`).
        """
        try:
            return self._entered[name]
        except KeyError:
            pass
        level = None if self._ignored(name, directory=True) else self._descend(name)
        self._entered[name] = level
        return level

    def deciding_rule(self, name: bytes, *, directory: bool) -> IgnoreRule | None:
        """The rule that decides about the entry `name` of this directory, or None."""
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
        if not (self._ignoring_directories if directory else self._ignoring_files).hits(folded):
            return False
        if not (self._including_directories if directory else self._including_files).hits(folded):
            return True
        rule = self.deciding_rule(name, directory=directory)
        return rule is not None and not rule.negated

    def _descend(self, name: bytes) -> Level:
        if not self._positions:
            return self
        if self._scope.fold:
            name = name.lower()
        advanced: list[_Position] = []
        for pattern, routed, step in self._waiting:
            if pattern.matches(name):
                advanced.extend(_reachable(routed, step + 1))
        if not advanced:
            return self._default
        positions = dict.fromkeys((*self._lasting, *advanced))
        return self._scope.level(tuple(sorted(positions, key=lambda item: item[0].rule.rank)))

    @cached_property
    def _lasting(self) -> tuple[_Position, ...]:
        """The positions that hold in every directory below."""
        lasting: dict[_Position, None] = {}
        for routed, step in self._positions:
            if routed.route[step] is ANY_DEPTH:
                lasting.update(dict.fromkeys(_reachable(routed, step)))
        return tuple(lasting)

    @cached_property
    def _waiting(self) -> list[tuple[NamePattern, _Routed, int]]:
        """The positions that the name of a directory can advance."""
        return [
            (routed.route[step], routed, step)
            for routed, step in self._positions
            if step + 1 < len(routed.route) and routed.route[step] is not ANY_DEPTH
        ]

    @cached_property
    def _default(self) -> Level:
        """The level of directories that advance nothing: most of them."""
        return self if self._lasting == self._positions else self._scope.level(self._lasting)

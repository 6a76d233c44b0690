"""Warnings about whole folders that nobody meant to pack, and how to leave those out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from slurmic.selection.paths import NAMED_AT_MOST, count_below, quoted_list, range_below
from slurmic.selection.rules import INCLUDE_FUNCTION, WILDCARDS, SelectionRules
from slurmic.selection.walk.environments import Environments
from slurmic.selection.warn.addback import AddedFiles
from slurmic.selection.warn.warning import SelectionWarning
from slurmic.text import counted, in_megabytes, quoted

#: So many folders are named where it is said what to do about them.
HINTED_AT_MOST: Final = 20

#: Files that are only there to keep a folder in git, or what is in it out.
_KEEPERS: Final = frozenset({b".gitignore", b".gitkeep", b".keep"})


def environment_warnings(
    paths: Sequence[bytes], environments: Environments
) -> Iterator[SelectionWarning]:
    """Warn of environments of Python.

    Args:
        paths: the selection, sorted.
        environments: those that some of it is in.
    """
    folders = environments.folders
    if not folders:
        return
    if environments.root:
        what = f"code_root itself is a virtual environment, packed with {quoted_list(folders)}"
    elif len(folders) == 1:
        what = f"the virtual environment {quoted(folders[0])} is packed"
    else:
        what = f"{len(folders):,} virtual environments are packed, {quoted_list(folders)}"
    total = sum(count_below(paths, folder) for folder in folders)
    yield SelectionWarning(
        "virtual_environment",
        f"{what}: {counted(total, 'file')}",
        f"{_to_exclude(folders)}; .gitignore does not keep code_file_suffixes out",
        folders,
    )


class Measure(NamedTuple):
    """How it is told what is much.

    Attributes:
        setting: the one that says how much is too much.
        limit: its value.
        amount: of files.
        text: of an amount.
    """

    setting: str
    limit: int
    amount: Callable[[Sequence[bytes]], int]
    text: Callable[[int], str]

    @classmethod
    def number(cls, limit: int) -> Measure:
        """By the number of files."""
        return cls("warn_added_files", limit, len, "{:,}".format)

    @classmethod
    def size(cls, sizes: Mapping[bytes, int], megabytes: int) -> Measure:
        """By bytes; `sizes` has those of each file."""
        return cls(
            "warn_added_mb",
            megabytes * 1_000_000,
            lambda files: sum(sizes[path] for path in files),
            in_megabytes,
        )


class _Share(NamedTuple):
    """What is added back in one folder.

    Attributes:
        folder: b"" for code_root.
        files: that are added back.
        amount: of them.
        alone: nothing else is packed from the folder, so it may be excluded.
    """

    folder: bytes
    files: list[bytes]
    amount: int
    alone: bool


def add_back_warning(
    found: AddedFiles,
    paths: Sequence[bytes],
    environments: Environments,
    rules: SelectionRules,
    measure: Measure,
) -> SelectionWarning:
    """The warning that many files are added back.

    Args:
        found: these; not none.
        paths: the selection, sorted.
        environments: those that some of it is in.
        rules: that it was selected by.
        measure: by which they are many.
    """
    shares = _shares(found, paths, environments, measure)
    files = counted(sum(len(share.files) for share in shares), "file")
    if measure.amount is not len:
        files += f", {measure.text(sum(share.amount for share in shares))},"
    where = _named(shares[0].folder)
    if len(shares) > 1:
        where = f"{len(shares):,} folders, " + ", ".join(
            f"{_named(share.folder)} ({measure.text(share.amount)})"
            for share in shares[:NAMED_AT_MOST]
        )
        if len(shares) > NAMED_AT_MOST:
            where += f" and {len(shares) - NAMED_AT_MOST:,} more"
    who = "code_file_suffixes" if rules.include is None else INCLUDE_FUNCTION
    named = _worth_naming(shares, measure.limit)
    return SelectionWarning(
        "large_add_back",
        f"{who} adds back {files} that git ignores, from {where}",
        f"{_remedy(named, paths, rules)}, or raise {measure.setting}",
        tuple(share.folder for share in named),
    )


def _shares(
    found: AddedFiles, paths: Sequence[bytes], environments: Environments, measure: Measure
) -> list[_Share]:
    """The folders that files are added back in, biggest first.

    Several that nothing else is packed beside are one: with ``data/*`` ignored, each folder in
    ``data`` is, but it is ``data`` that a user would leave out.
    """
    unwanted = set(chain.from_iterable(found.values()))
    unwanted.update(path for path in paths if os.path.basename(path) in _KEEPERS)
    for folder in environments.folders:
        first, end = range_below(paths, folder)
        unwanted.update(paths[first:end])
    in_vain = sorted(unwanted)

    @cache
    def alone(folder: bytes) -> bool:
        return bool(folder) and count_below(paths, folder) == count_below(in_vain, folder)

    together: dict[bytes, list[bytes]] = {}
    for folder in found:
        top = folder
        while alone(above := os.path.dirname(top)):
            top = above
        together.setdefault(top, []).append(folder)
    shares = []
    for folders in together.values():
        folder = os.path.commonpath(folders)
        files = list(chain.from_iterable(found[inner] for inner in folders))
        shares.append(_Share(folder, files, measure.amount(files), alone(folder)))
    return sorted(shares, key=lambda share: (-share.amount, share.folder))


def _worth_naming(shares: Sequence[_Share], limit: int) -> list[_Share]:
    """The first of `shares`: those without which the rest is not too much, and is little of it."""
    rest = sum(share.amount for share in shares)
    for index, share in enumerate(shares):
        if rest <= limit and 10 * share.amount < shares[0].amount:
            return list(shares[:index])
        rest -= share.amount
    return list(shares)


def _remedy(shares: Sequence[_Share], paths: Sequence[bytes], rules: SelectionRules) -> str:
    """How to leave these files out without leaving out others."""
    folders = [share.folder for share in shares if share.alone]
    mixed = [share for share in shares if not share.alone]
    steps = []
    if folders:
        glob = _glob_for_all(folders, paths)
        steps.append(f"add {glob} to exclude_code_folders" if glob else _to_exclude(folders))
    if mixed:
        beside = f"for {_listed([_named(share.folder) for share in mixed])} " if folders else ""
        endings = _suffixes(mixed, rules)
        steps.append(
            f"{beside}take {endings} out of code_file_suffixes "
            "(what git does not ignore is packed anyway)"
            if endings
            else f"{beside}make {INCLUDE_FUNCTION} refuse them"
        )
    return ", ".join(steps)


def _suffixes(shares: Sequence[_Share], rules: SelectionRules) -> str:
    """The entries of code_file_suffixes that take most of the files, commonest first."""
    if rules.include is not None:
        return ""
    taking = Counter(
        rules.matching_suffix(os.path.basename(path)) for share in shares for path in share.files
    )
    entries = [entry for entry, count in taking.most_common() if 10 * count >= max(taking.values())]
    return _listed([f"'{entry}'" for entry in entries if entry is not None])


def _glob_for_all(folders: Sequence[bytes], paths: Sequence[bytes]) -> str:
    """One entry for all `folders`, if they are too many to be named and have a name in common."""
    names = {os.path.basename(folder) for folder in folders}
    if len(folders) <= HINTED_AT_MOST or len(names) > 1:
        return ""
    name = names.pop()
    concerned = sum(b"/" + name + b"/" in b"/" + path for path in paths)
    if concerned > sum(count_below(paths, folder) for folder in folders):
        return ""
    return _quoted(b"**/" + _escaped(name))


def _to_exclude(folders: Sequence[bytes]) -> str:
    return f"add {_listed([entry_for(folder) for folder in folders])} to exclude_code_folders"


def _listed(texts: Sequence[str]) -> str:
    named = ", ".join(texts[:HINTED_AT_MOST])
    more = len(texts) - HINTED_AT_MOST
    return f"{named} and {more:,} more (see `slurmic files --tree`)" if more > 0 else named


def _named(folder: bytes) -> str:
    return quoted(folder) if folder else "code_root itself"


def entry_for(folder: bytes) -> str:
    """The entry of exclude_code_folders that names `folder`, as it is written in Python.

    Not for names with bytes that are not UTF-8, or with quotes or control characters.
    """
    has_wildcard = not WILDCARDS.isdisjoint(os.fsdecode(folder))
    return _quoted(_escaped(folder) if has_wildcard else folder)


def _quoted(entry: bytes) -> str:
    if entry.endswith(b"\\"):  # which a raw string cannot
        return quoted(entry.replace(b"\\", b"\\\\"))
    return ("r" if b"\\" in entry else "") + quoted(entry)


def _escaped(name: bytes) -> bytes:
    """`name` for a glob, which would otherwise take its wildcards for such."""
    return b"".join(b"\\%c" % byte if byte in b"*?[]\\ " else b"%c" % byte for byte in name)

"""The settings that say what is packed, checked and made ready for use.

The formula itself is in :func:`packed`, and nowhere else in words; the walk is its fast form, and
the tests hold the two against each other.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from slurmic.errors import ConfigError
from slurmic.text import quoted

#: Called with an absolute path and the absolute code_root (0.2.1's signature).
PathTest = Callable[[str, str], bool]

WILDCARDS: Final = frozenset("*?[")

# What is named in the place of an entry where a function has replaced the setting.
INCLUDE_FUNCTION: Final = "the include function"
EXCLUDE_FUNCTION: Final = "the exclude function"


def packed(*, excluded: bool, suffix_matches: bool, discovering: bool, ignored: bool) -> bool:
    """The specification's formula, highest priority first.

    Args:
        excluded: the file is in an excluded folder (or in one that is never packed: ``.git``, an
            output folder, a store).
        suffix_matches: ``code_file_suffixes`` takes it (or the function given in its place).
        discovering: code_root has a .gitignore.
        ignored: git ignores it; files in git's index never are.
    """
    if excluded:
        return False
    if suffix_matches:
        return True
    return discovering and not ignored


@dataclass(frozen=True)
class SelectionRules:
    """Which files of a source tree are packed.

    Attributes:
        suffixes: ``code_file_suffixes``. An entry with a leading dot matches the end of a file's
            name, case-sensitive (".py", ".tar.gz"). One without matches a file of exactly that
            name or with that extension ("py" takes "a.py", not "happy"; "Dockerfile" takes
            "Dockerfile" and "app.Dockerfile").
        exclude_folders: ``exclude_code_folders``. Folders relative to code_root; "wandb" is
            ``./wandb`` alone. An entry with a wildcard is a glob relative to code_root in the
            syntax of .gitignore: "**/wandb" excludes at any depth, "run*" in code_root only.
            Files of such a name are not excluded.
        never: folders never entered, relative to code_root: this submission's output folder,
            the store. b"" (code_root itself) has no effect.
        include: replaces the test of the suffixes; called with (absolute path, absolute root).
        exclude_directory: replaces the test of the excluded folders; called for each directory
            below code_root with (absolute path, absolute root). A folder for which it is true
            is not entered.

    Raises:
        ConfigError: an entry means nothing, or something else than it looks like.
    """

    suffixes: tuple[str, ...]
    exclude_folders: tuple[str, ...]
    never: tuple[bytes, ...] = ()
    include: PathTest | None = None
    exclude_directory: PathTest | None = None

    def __post_init__(self) -> None:
        for suffix in _entries("code_file_suffixes", self.suffixes, '[".py"]'):
            _check_suffix(suffix)
        for folder in _entries("exclude_code_folders", self.exclude_folders, '["wandb"]'):
            _check_folder(folder)
        if self.glob_folders:
            glob_test(self.glob_folders)

    @classmethod
    def from_settings(
        cls,
        code_file_suffixes: Iterable[str],
        exclude_code_folders: Iterable[str],
        *,
        never: Iterable[bytes] = (),
        include: PathTest | None = None,
        exclude_directory: PathTest | None = None,
    ) -> SelectionRules:
        """The rules for the settings of a SlurmConfig, which may be lists.

        Raises:
            ConfigError: see the class; also for a plain string where a list belongs.
        """
        return cls(
            suffixes=_as_tuple("code_file_suffixes", code_file_suffixes, '[".py"]'),
            exclude_folders=_as_tuple("exclude_code_folders", exclude_code_folders, '["wandb"]'),
            never=tuple(never),
            include=include,
            exclude_directory=exclude_directory,
        )

    def matching_suffix(self, name: bytes) -> str | None:
        """The entry of `suffixes` that takes a file called `name`, or None."""
        for entry in self.suffixes:
            raw = os.fsencode(entry)
            if name.endswith(raw if raw.startswith(b".") else b"." + raw) or (
                name == raw and not raw.startswith(b".")
            ):
                return entry
        return None

    def taking_entry(self, root: bytes, path: bytes) -> str | None:
        """What takes the file at `path` (relative to `root`, which is absolute), or None.

        An entry of `suffixes`, or INCLUDE_FUNCTION.
        """
        if self.include is None:
            return self.matching_suffix(os.path.basename(path))
        text_root = os.fsdecode(root)
        taken = self.include(os.path.join(text_root, os.fsdecode(path)), text_root)
        return INCLUDE_FUNCTION if taken else None

    def excluding_entry(self, directory: bytes) -> str | None:
        """The entry of `exclude_folders` that names `directory` (relative), or None.

        Says nothing about the folders above it.
        """
        for entry in self.exclude_folders:
            if _is_glob(entry):
                if glob_test((entry,))(directory):
                    return entry
            elif _normal(entry) == directory:
                return entry
        return None

    @cached_property
    def endings(self) -> tuple[bytes, ...]:
        """What the suffix test looks for at the end of a name."""
        return tuple(
            os.fsencode(entry if entry.startswith(".") else "." + entry) for entry in self.suffixes
        )

    @cached_property
    def exact_names(self) -> frozenset[bytes]:
        """What the suffix test takes as a whole name."""
        return frozenset(os.fsencode(entry) for entry in self.suffixes if entry[0] != ".")

    @cached_property
    def literal_folders(self) -> frozenset[bytes]:
        """The excluded folders that are plain paths, and those never entered."""
        never = (os.path.normpath(path) for path in self.never if path)
        if self.exclude_directory is not None:
            return frozenset(never)
        plain = (_normal(entry) for entry in self.exclude_folders if not _is_glob(entry))
        return frozenset((*never, *plain))

    @cached_property
    def glob_folders(self) -> tuple[str, ...]:
        """The excluded folders that are globs."""
        if self.exclude_directory is not None:
            return ()
        return tuple(entry for entry in self.exclude_folders if _is_glob(entry))

    def __str__(self) -> str:
        suffixes = INCLUDE_FUNCTION if self.include else _listed(self.suffixes)
        folders = EXCLUDE_FUNCTION if self.exclude_directory else _listed(self.exclude_folders)
        return f"code_file_suffixes = {suffixes}, exclude_code_folders = {folders}"


@lru_cache
def glob_test(entries: tuple[str, ...]) -> Callable[[bytes], bool]:
    """A test whether a folder, relative to code_root, matches one of the globs `entries`.

    Raises:
        ConfigError: one is not a pattern.
    """
    # Here and not above: importing it takes longer than selecting from a project of 3,000 files.
    import pathspec

    patterns: list[pathspec.Pattern] = []
    for entry in entries:
        try:
            with _quietly():
                # The backend is named because the others fail on names that are not UTF-8.
                spec = pathspec.PathSpec.from_lines(
                    "gitignore", [_anchored(entry)], backend="simple"
                )
        except (ValueError, re.error) as error:
            raise ConfigError(
                f"exclude_code_folders has the entry '{entry}', which is not a pattern ({error})",
                hint="write it as in a .gitignore: '**/wandb', 'run*', 'run[0-9]'; "
                "a backslash takes its meaning from the character after it",
            ) from error
        patterns.extend(spec.patterns)
    whole = pathspec.PathSpec(patterns, backend="simple")
    # Its wildcards stop at a newline, which a name may have; a NUL it cannot have.
    return lambda directory: whole.match_file(os.fsdecode(directory).replace("\n", "\0") + "/")


def _anchored(entry: str) -> str:
    """The glob `entry` as a line of a .gitignore in code_root."""
    path = posixpath.normpath(entry).replace("\n", "\0")
    bare = path.rstrip()
    if not bare.endswith("\\"):
        # White space at the end belongs to the name, and would be dropped.
        path = bare + "".join(f"[{blank}]" for blank in path[len(bare) :])
    # The slash anchors a glob without one at code_root, and takes "!" and "#" their meaning.
    return "/" + path


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the warnings of `re` on brackets that it may read in another way some day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _as_tuple(setting: str, entries: Iterable[str], example: str) -> tuple[str, ...]:
    if isinstance(entries, (str, bytes)):
        raise ConfigError(
            f"{setting} is the string {entries!r}, not a list", hint=f"write {setting}={example}"
        )
    return tuple(entries)


def _entries(setting: str, entries: tuple[str, ...], example: str) -> tuple[str, ...]:
    for entry in _as_tuple(setting, entries, example):
        if not isinstance(entry, str):
            raise ConfigError(
                f"{setting} has the entry {entry!r}, which is not a string",
                hint=f"write {setting}={example}",
            )
        if "\0" in entry:
            raise ConfigError(f"{setting} has the entry {entry!r}, which no file name can contain")
    return entries


def _check_suffix(entry: str) -> None:
    if entry in ("", "."):
        raise ConfigError(
            f"code_file_suffixes has the entry '{entry}', which would take any file",
            hint="name the endings, such as '.py', or whole names, such as 'Makefile'",
        )
    if "*" in entry:
        bare = entry.replace("*", "")
        instead = f"write '{bare}'" if bare.strip("./") and "/" not in bare else "name the endings"
        raise ConfigError(
            f"code_file_suffixes has the entry '{entry}', but its entries are endings, not globs",
            hint=f"{instead}, such as '.py'" if instead == "name the endings" else instead,
        )
    if "/" in entry:
        raise ConfigError(
            f"code_file_suffixes has the entry '{entry}', but its entries match file names, "
            "not paths",
            hint=f"write {quoted(posixpath.basename(entry) or '.py')}, or re-include it in "
            ".gitignore",
        )


def _check_folder(entry: str) -> None:
    if entry.startswith("/"):
        raise ConfigError(
            f"exclude_code_folders has the entry '{entry}', but entries are relative to code_root",
            hint=f"write {quoted(entry.strip('/') or 'wandb')}, if that is the path below "
            "code_root",
        )
    if ".." in entry.split("/"):
        raise ConfigError(
            f"exclude_code_folders has the entry '{entry}', but its entries are below code_root",
            hint="leave it out (what is outside code_root is never packed), or write it without ..",
        )
    if posixpath.normpath(entry) == ".":
        raise ConfigError(
            f"exclude_code_folders has the entry '{entry}', which would exclude all of code_root",
            hint="name folders below it, such as 'wandb'",
        )


def _is_glob(entry: str) -> bool:
    return not WILDCARDS.isdisjoint(entry)


def _normal(entry: str) -> bytes:
    return os.fsencode(posixpath.normpath(entry))


def _listed(entries: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{entry}'" for entry in entries) + "]"

"""Which paths belong to the live tree, and which of those are code.

Two spellings of one folder are common (a symbolic link to a project, an automounted home), so paths
are compared by their real path. The interpreter's own folders (a ``./.venv``, a conda environment)
may stand inside the tree: they are never code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import all_suffixes
from types import ModuleType

# They run the job itself, so they are in use before anything can be frozen: importing a second
# copy would give one class two identities.
OWN_MODULES = frozenset({"slurmic", "slurmic_store", "submitit", "cloudpickle"})

_INSTALL_FOLDERS = frozenset({"site-packages", "dist-packages"})
_SUFFIXES = sorted(all_suffixes(), key=len, reverse=True)


def path_below(path: str, folder: str) -> str | None:
    """``path`` relative to ``folder`` ("." for the folder itself), or None when it is not below.

    Purely textual: both must be absolute and normalised.
    """
    if path == folder:
        return "."
    prefix = folder if folder.endswith(os.sep) else folder + os.sep
    return path[len(prefix) :] if path.startswith(prefix) else None


def join_below(folder: str, relative: str) -> str:
    """The path ``relative`` (as :func:`path_below` gives it) inside ``folder``."""
    return folder if relative == "." else os.path.join(folder, relative)


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def real_file(path: str) -> str:
    """The real path of a file, remembering the folders: a process has thousands of modules."""
    folder, name = os.path.split(os.path.abspath(path))
    real = os.path.join(_real_folder(folder), name)
    return os.path.realpath(real) if os.path.islink(real) else real


@lru_cache(maxsize=4096)
def _holds_environment(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg")) or os.path.isdir(
        os.path.join(folder, "conda-meta")
    )


@dataclass(frozen=True)
class SourceTree:
    """The live tree, for questions about paths. Made by :meth:`at`.

    Attributes:
        root: absolute path, spelled as the user did.
        real_root: the same with all symbolic links resolved.
        environments: folders below it (relative) that belong to the running interpreter.
    """

    root: str
    real_root: str
    environments: tuple[str, ...]

    @classmethod
    def at(cls, root: str, prefixes: Iterable[str] = ()) -> SourceTree:
        """The tree at ``root``; ``prefixes`` are sys.prefix and its like.

        A prefix strictly inside the tree is not code. Of a prefix that is the tree itself (a
        virtual environment made in the project's folder), only the library folder is not. A tree
        inside a prefix (``/usr/src/app`` below ``/usr``) is not touched by it.
        """
        root = os.path.abspath(root)
        real_root = os.path.realpath(root)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        environments: list[str] = []
        for prefix in prefixes:
            for below in (
                path_below(os.path.realpath(prefix), real_root),
                path_below(os.path.abspath(prefix), root),
            ):
                if below == ".":
                    environments += [f"lib/{version}", f"lib64/{version}"]
                elif below is not None:
                    environments.append(below)
        return cls(root, real_root, tuple(dict.fromkeys(environments)))

    def relative(self, path: str) -> str | None:
        """``path`` relative to the tree, or None when it is outside or in an environment.

        By real path, so that a link inside the tree is followed to the place that is packed. Else
        by its spelling: a link that leads out of the tree is packed as a link.
        """
        real = path_below(real_file(path), self.real_root)
        spelled = path_below(os.path.abspath(path), self.root)
        if (real is not None and self._in_environment(real)) or (
            spelled is not None and self._in_environment(spelled)
        ):
            return None
        return spelled if real is None else real

    def holds(self, path: str) -> bool:
        """Whether the file or folder really is (links resolved) code of this tree."""
        return (
            path_below(real_file(path), self.real_root) is not None
            and self.relative(path) is not None
        )

    def _in_environment(self, relative: str) -> bool:
        if any(path_below(relative, folder) is not None for folder in self.environments):
            return True
        folder = self.real_root
        for part in relative.split(os.sep):
            if part in _INSTALL_FOLDERS:
                return True
            folder = os.path.join(folder, part)
            if part != "." and _holds_environment(folder):
                return True
        return False


def interpreter_prefixes() -> tuple[str, ...]:
    """The folders that the running interpreter and its packages are installed in."""
    return tuple(
        dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix))
    )


def module_name(file_name: str) -> str | None:
    """The module that a file of this name holds, or None if no module has that name."""
    for suffix in _SUFFIXES:
        if file_name.endswith(suffix):
            return file_name[: -len(suffix)] or None
    return None


def module_locations(module: ModuleType) -> list[str]:
    """Where a module came from: its file, or the folders of a namespace package; never fails.

    Modules may be lazy proxies that import, or raise, when they are asked for an attribute
    (six.moves, transformers), so only their dictionary is read.
    """
    attributes = getattr(module, "__dict__", {})
    file = attributes.get("__file__")
    if isinstance(file, str):
        return [file]
    if file is not None:
        return []
    try:
        return [entry for entry in attributes.get("__path__") or () if isinstance(entry, str)]
    except Exception:  # a computed __path__ may fail in any way; then nothing is known of it
        return []

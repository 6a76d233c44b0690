"""What the processes that a job starts import from: their PYTHONPATH.

A child interpreter reads the same installed packages again, with the paths of editable installs
pointing to the live tree, so the frozen import roots must stand before them: on PYTHONPATH. But
that is before the standard library too, where a late root did not stand. So a root that would
shadow something there is given as a folder of links, without the names in question.

Before all that stands the folder ``child_start``: its ``sitecustomize`` does the rest, in the child
(see :mod:`slurmic.job.child`).
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
from importlib.machinery import PathFinder

from slurmic.job.frozen_code import FrozenCode
from slurmic.job.paths import SourceTree, join_below, module_name

_LINKS_PREFIX = "slurmic-imports-"

_LONGEST_VARIABLE = 100_000
"""Bytes of an environment variable: Linux refuses to start a program with one over 128 KiB."""


def child_start(frozen: FrozenCode) -> list[str]:
    """The folder whose ``sitecustomize`` freezes the Python processes that this one starts.

    Sets ``SLURMIC_CHILD``, for which interpreter and which code that is. Empty, and the variable
    not set, where the folder cannot be on a PYTHONPATH, or there is too much to say for an
    environment variable.
    """
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child_start")
    interpreter = f"{sys.prefix} {sys.version_info[0]} {sys.version_info[1]}"
    text = f"{interpreter} {frozen.on_live_import}\n{json.dumps(frozen.to_dict())}"
    if os.pathsep in folder or "\n" in sys.prefix or len(text) > _LONGEST_VARIABLE:
        os.environ.pop("SLURMIC_CHILD", None)
        return []
    os.environ["SLURMIC_CHILD"] = text
    return [folder]


def package_links(frozen: FrozenCode) -> list[str]:
    """A folder where each package of ``frozen.packages`` has the name that it is imported by.

    Empty if there are no such packages. It belongs on sys.path as well as on PYTHONPATH:
    multiprocessing's spawn gives its children this process's sys.path in place of their own.
    """
    return LINKS.of_packages(frozen) if frozen.packages else []


def child_search_path(frozen: FrozenCode, tree: SourceTree, inherited: str) -> list[str]:
    """Entries of PYTHONPATH: the frozen import roots, then what was inherited, without live ones.

    Called after sys.path has been rewritten. Folders of links, where some are needed, are made
    below the temporary directory and removed when this process ends.
    """
    entries: list[str] = []
    for root in frozen.import_roots:
        folder = join_below(frozen.code_folder, root)
        if not os.path.isdir(folder):
            if os.path.exists(folder):
                entries.append(folder)  # a zip archive
            continue
        hidden = shadowing_names(folder)
        if root in frozen.late_roots:
            hidden |= _provided_elsewhere(folder, frozen)
        if hidden or os.pathsep in folder:
            entries.append(LINKS.of_folder(folder, hidden))
        else:
            entries.append(folder)
    for entry in inherited.split(os.pathsep):
        kept = _inherited_entry(entry, frozen, tree)
        if kept is not None:
            entries.append(kept)
    return list(dict.fromkeys(entries))


def regular_modules(folder: str) -> set[str]:
    """Names of the modules and regular packages directly in ``folder``; empty if it can't be read.

    Namespace packages (folders without ``__init__.py``) are left out: they shadow nothing.
    """
    names: set[str] = set()
    try:
        entries = os.listdir(folder)
    except OSError:
        return names
    for entry in entries:
        name = module_name(entry)
        if name is not None:
            names.add(name)
        elif os.path.exists(os.path.join(folder, entry, "__init__.py")):
            names.add(entry)
    return names


def shadowing_names(folder: str) -> set[str]:
    """Modules directly in ``folder`` that are named like one of the standard library."""
    return regular_modules(folder) & sys.stdlib_module_names


def _provided_elsewhere(folder: str, frozen: FrozenCode) -> set[str]:
    ahead = [entry for entry in sys.path if not frozen.is_frozen(entry)]
    provided = set()
    for name in regular_modules(folder):
        spec = PathFinder.find_spec(name, ahead)
        if spec is not None and spec.loader is not None:
            provided.add(name)
    return provided


def _inherited_entry(entry: str, frozen: FrozenCode, tree: SourceTree) -> str | None:
    if not entry:
        return None  # the cwd: of the submitting process, whose entry is an import root by now
    base = frozen.working_directory or frozen.code_root
    path = os.path.normpath(os.path.join(base, entry))
    if frozen.is_frozen(path) or not tree.holds(path):
        return path
    if tree.relative(path) in frozen.import_roots:
        return None  # given already, perhaps as a folder of links
    counterpart = frozen.frozen_path(path, tree)
    return counterpart if counterpart is None or os.pathsep not in counterpart else None


class _LinkFolder:
    """Folders of links, made when the first is asked for."""

    def __init__(self) -> None:
        self._folder = ""
        self._count = 0

    def of_folder(self, folder: str, hidden: set[str]) -> str:
        """A folder with a link to each entry of ``folder`` but the modules in ``hidden``."""
        target = self._new_folder()
        for entry in os.listdir(folder):
            if entry not in hidden and module_name(entry) not in hidden:
                os.symlink(os.path.join(folder, entry), os.path.join(target, entry))
        return target

    def of_packages(self, frozen: FrozenCode) -> list[str]:
        """See :func:`package_links`."""
        target = self._new_folder()
        for name, relative in sorted(frozen.packages):
            source = join_below(frozen.code_folder, relative)
            if not os.path.exists(source):
                continue
            suffix = "" if os.path.isdir(source) else _suffix(source)
            link = os.path.join(target, *name.split(".")) + suffix
            try:
                os.makedirs(os.path.dirname(link), exist_ok=True)
                os.symlink(source, link)
            except OSError:
                continue  # below another mapped package, where it cannot be added
        return [target]

    def _new_folder(self) -> str:
        if not self._folder:
            import tempfile  # rarely needed, and slow to import

            self._folder = tempfile.mkdtemp(prefix=_LINKS_PREFIX)
            atexit.register(_remove_links, self._folder, os.getpid())
        self._count += 1
        folder = os.path.join(self._folder, str(self._count))
        os.mkdir(folder)
        return folder


def _suffix(path: str) -> str:
    name = os.path.basename(path)
    return name[len(module_name(name) or name) :]


def _remove_links(folder: str, owner: int) -> None:
    # A forked child runs the same exit handlers; the folder is not its own.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


LINKS = _LinkFolder()
"""This process's; nothing is made before it is needed."""

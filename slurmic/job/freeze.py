"""Turn a process that has just started into one that imports from the code folder only.

In order, because each step relies on the one before: wait for the folder, go there, set the
environment for child processes, rewrite ``sys.path`` and the maps of editable installs in place,
forget live modules that are loaded already, put the import hook in front.

``sys.path`` keeps its order: what stood before the standard library in the submitting process comes
first, the rest stays where it was or goes to the end. So a name means in the job what it meant
there, and a ``logging.py`` in a flat project with an editable install shadows nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from types import ModuleType

from slurmic.errors import SlurmicError
from slurmic.job.children import child_search_path, child_start, package_links
from slurmic.job.finder import FrozenFinder
from slurmic.job.frozen_code import FrozenCode
from slurmic.job.paths import OWN_MODULES, SourceTree, join_below, module_locations

_LONGEST_SLEEP = 8.0  # seconds between two looks


class CodeFolderMissingError(SlurmicError):
    """The code folder did not appear on this node in time."""


def freeze_process(frozen: FrozenCode) -> FrozenFinder:
    """Make this process, and those it starts, import from the code folder.

    Modules loaded from the live tree are forgotten, to be imported again from the frozen copy. That
    is safe because the process has just started: submitit, slurmic and the hooks of editable
    installs are loaded, none of which holds on to a module of the user's. (slurmic and submitit
    themselves are never forgotten, even where they are the packed project.) To call it again does
    no harm.

    Returns:
        the import hook, for what it has refused.

    Raises:
        CodeFolderMissingError: the folder did not appear within ``frozen.wait_seconds``.
    """
    tree = frozen.live_tree()
    # Relative entries mean the folder that the process started in, which is about to change.
    started_in = _current_folder()
    _enter_code_folder(frozen)
    os.environ.update(frozen.environment())
    inherited = os.environ.pop("PYTHONPATH", "")
    relocated = _relocate(sys.path, inherited, started_in, frozen)
    sys.path[:] = frozen_search_path(frozen, tree, relocated, started_in)
    renamed = package_links(frozen)
    sys.path[:0] = renamed
    children = [*child_start(frozen), *renamed, *child_search_path(frozen, tree, inherited)]
    if children:
        os.environ["PYTHONPATH"] = os.pathsep.join(children)
    return freeze_imports(frozen, tree)


def freeze_imports(frozen: FrozenCode, tree: SourceTree) -> FrozenFinder:
    """Rewrite the maps of editable installs, forget live modules, put the import hook in front.

    Called after ``sys.path`` has been rewritten.
    """
    _remap_editable_installs(frozen, tree)
    _forget_live_modules(frozen, tree)
    sys.meta_path[:] = [hook for hook in sys.meta_path if not isinstance(hook, FrozenFinder)]
    finder = FrozenFinder(frozen)
    sys.meta_path.insert(0, finder)
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    return finder


def frozen_search_path(
    frozen: FrozenCode, tree: SourceTree, search_path: list[str], started_in: str
) -> list[str]:
    """``sys.path`` without the live tree.

    Early import roots first, in their order; every live entry replaced by its place in the code
    folder, or dropped when there is none; late roots that are missing then, and last the code
    folder itself (0.2.1 had it on the path as the job's cwd; at the end it shadows nothing).
    """
    early = [root for root in frozen.import_roots if root not in frozen.late_roots]
    late = [root for root in frozen.import_roots if root in frozen.late_roots]
    first = [join_below(frozen.code_folder, root) for root in early]
    kept = without_live_entries(frozen, tree, search_path, started_in)
    last = [join_below(frozen.code_folder, root) for root in late]
    roots = {path for path in (*first, *last) if not os.path.exists(path)}
    entries = [*first, *kept, *last, frozen.code_folder]
    return [entry for entry in dict.fromkeys(entries) if entry not in roots]


def without_live_entries(
    frozen: FrozenCode, tree: SourceTree, search_path: list[str], started_in: str
) -> list[str]:
    """A search path whose live entries are replaced by their place in the code folder, or dropped
    when there is none.
    """
    kept: list[str] = []
    for entry in search_path:
        # "" is the folder the process started in: the live tree, or the code folder by chance.
        path = os.path.join(started_in, entry)
        if entry and not os.path.isabs(entry) and not os.path.exists(path):
            kept.append(entry)  # no folder: the name that some import hook answers to
        elif frozen.is_frozen(path) or not tree.holds(path):
            if entry:
                kept.append(path)
        else:
            counterpart = frozen.frozen_path(path, tree)
            if counterpart is not None and entry:
                kept.append(counterpart)
    return kept


def _relocate(
    search_path: list[str], inherited: str, started_in: str, frozen: FrozenCode
) -> list[str]:
    """Relative entries of PYTHONPATH, which this interpreter has resolved where it started,
    resolved where the job was submitted from.
    """
    base = frozen.working_directory or frozen.code_root
    meant = {
        os.path.normpath(os.path.join(started_in, entry)): os.path.normpath(
            os.path.join(base, entry)
        )
        for entry in inherited.split(os.pathsep)
        if entry and not os.path.isabs(entry)
    }
    return [meant.get(entry, entry) for entry in search_path]


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # the folder that the job was submitted from is gone, or not on this node
        return os.sep


def _enter_code_folder(frozen: FrozenCode) -> None:
    # A network filesystem may show a new folder to another node only after a while, and remembers
    # that a name did not exist; to list the parent makes it look again.
    folder = frozen.code_folder
    deadline = time.monotonic() + frozen.wait_seconds
    sleep = 0.05
    while True:
        try:
            os.chdir(folder)
            break
        except OSError as error:
            if time.monotonic() >= deadline:
                raise CodeFolderMissingError(
                    f"code folder '{folder}' cannot be entered on this node after "
                    f"{frozen.wait_seconds:g} seconds: {error.strerror}",
                    hint="was it deleted, or is its filesystem not mounted here? "
                    f"it holds snapshot '{frozen.snapshot}'",
                ) from error
        with contextlib.suppress(OSError):  # the chdir above reports it
            os.listdir(os.path.dirname(folder))
        time.sleep(max(0.0, min(sleep, deadline - time.monotonic())))
        sleep = min(2 * sleep, _LONGEST_SLEEP)
    os.environ["PWD"] = folder


def _remap_editable_installs(frozen: FrozenCode, tree: SourceTree) -> None:
    """Rewrite, in place, the maps of the hooks that setuptools and hatchling (editables)
    install.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("__editable___") and name.endswith("_finder"):
            _remap_names(getattr(module, "MAPPING", None), frozen, tree)
            namespaces = getattr(module, "NAMESPACES", None)
            if isinstance(namespaces, dict):
                for namespace, folders in namespaces.items():
                    namespaces[namespace] = _remap_folders(list(folders), frozen, tree)
    redirector = getattr(sys.modules.get("editables.redirector"), "RedirectingFinder", None)
    _remap_names(getattr(redirector, "_redirections", None), frozen, tree)


def _remap_names(mapping: object, frozen: FrozenCode, tree: SourceTree) -> None:
    if not isinstance(mapping, dict):
        return
    for name, location in list(mapping.items()):
        if not isinstance(location, str) or not tree.holds(location) or frozen.is_frozen(location):
            continue
        below = tree.relative(location)
        counterpart = join_below(frozen.code_folder, below or ".")
        # setuptools maps a single-file module to its path without ".py".
        if any(os.path.exists(counterpart + suffix) for suffix in ("", ".py")):
            mapping[name] = counterpart
        else:
            del mapping[name]


def _remap_folders(folders: list[str], frozen: FrozenCode, tree: SourceTree) -> list[str]:
    remapped = []
    for folder in folders:
        if not tree.holds(folder) or frozen.is_frozen(folder):
            remapped.append(folder)
        else:
            counterpart = frozen.frozen_path(folder, tree)
            if counterpart is not None:
                remapped.append(counterpart)
    return remapped


def _forget_live_modules(frozen: FrozenCode, tree: SourceTree) -> None:
    loaded: list[tuple[str, object]] = list(sys.modules.items())  # not all of them are modules
    for name, module in loaded:
        if name == "__main__" or name.partition(".")[0] in OWN_MODULES:
            continue
        if not isinstance(module, ModuleType):
            continue
        if module.__dict__.get("__file__") is None:
            # A namespace package: others may have modules in it, so it stays. Where its path is not
            # computed from sys.path (an old -nspkg.pth), it is rewritten.
            path = module.__dict__.get("__path__")
            if isinstance(path, list):
                path[:] = _remap_folders([str(entry) for entry in path], frozen, tree)
            continue
        if any(frozen.is_live(location, tree) for location in module_locations(module)):
            del sys.modules[name]

"""Where the submitting process imports its code from, so that the job can do the same elsewhere.

Looked at, in order: ``sys.path``; PYTHONPATH, which child processes will read; the maps of editable
installs that work by an import hook (setuptools, hatchling's exact mode, scikit-build-core); and
the modules that are loaded already, however they were found. (Editable installs of the other kind,
a ``.pth`` file with a folder, are entries of ``sys.path``.)

Everything is a value here: the caller passes ``sys.path`` and its like, as one :class:`Imports`.

Limit: a package that only meson-python's hook knows is found when it is loaded, not before; the
hook's list would have to be built by a compilation.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from slurmic.job.paths import (
    OWN_MODULES,
    SourceTree,
    module_locations,
    module_name,
    path_below,
)

_MAIN_MODULES = ("__main__", "__mp_main__")


@dataclass(frozen=True)
class Imports:
    """How a process imports, and what it has imported.

    Attributes:
        cwd: what "" and relative entries mean.
        modules: sys.modules.
        sys_path: sys.path. Entries before the standard library's folder give early roots.
        pythonpath: the value of PYTHONPATH, or "".
        prefixes: sys.prefix, sys.exec_prefix, sys.base_prefix; see :meth:`SourceTree.at`.
        meta_path: sys.meta_path.
        frozen_folder: the code folder that the process itself runs from, if it is a job of the same
            code_root (SLURMIC_CODE_ROOT says so) that submits another one; paths in it count as the
            live ones. Otherwise "": another project's paths would be taken for this one's.
    """

    cwd: str
    modules: Mapping[str, ModuleType]
    sys_path: Sequence[str] = ()
    pythonpath: str = ""
    prefixes: Sequence[str] = ()
    meta_path: Sequence[object] = ()
    frozen_folder: str = ""


@dataclass(frozen=True)
class ImportRoots:
    """Folders that modules under a code_root are imported from. All paths are relative to it.

    Attributes:
        roots: the folders, "." for code_root itself, in the order of the search.
        late_roots: those of them behind the standard library on sys.path, or not on it at all.
        packages: (dotted module name, path of its folder or file), where the path does not end like
            the name, so that no root would find it.
    """

    roots: tuple[str, ...]
    late_roots: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class UnpackedModule:
    """A module that the submitting process has imported from code_root, but that is not packed.

    Attributes:
        name: as in sys.modules.
        path: its file, relative to code_root.
    """

    name: str
    path: str


def find_import_roots(code_root: str, imports: Imports) -> ImportRoots:
    """Every folder under ``code_root`` that a process imports from.

    Args:
        code_root: the live tree, perhaps reached through a link.
        imports: the process.
    """
    search = _Search(_Trees(code_root, imports))
    late = False
    library = os.path.realpath(os.path.dirname(os.__file__))
    for entry in imports.sys_path:
        path = os.path.join(imports.cwd, entry)
        late = late or os.path.realpath(path) == library
        # An entry that does not exist is a name that an import hook answers to, not a folder.
        if os.path.exists(path):
            search.add_root(path, late)
    for entry in imports.pythonpath.split(os.pathsep) if imports.pythonpath else ():
        search.add_root(os.path.join(imports.cwd, entry), late=False)
    for name, location in _mapped_modules(imports.modules, imports.meta_path):
        search.add_module(name, location, mapped=True)
    for name, module in list(imports.modules.items()):
        if module is None or name.partition(".")[0] in OWN_MODULES:
            continue
        if name in _MAIN_MODULES:
            search.add_main(module, imports.cwd)
        elif not name.startswith("__editable__"):
            for location in module_locations(module):
                search.add_module(name, os.path.join(imports.cwd, location))
    return search.result()


def unpacked_modules(
    code_root: str,
    packed: Container[bytes],
    imports: Imports,
) -> list[UnpackedModule]:
    """Modules imported from ``code_root`` whose file is not packed, by name.

    Args:
        packed: paths of the packed files and links relative to code_root, as bytes (os.fsencode).
            A module below a packed link to a folder counts as packed.
        imports: the process.

    The main script is left out (its functions travel by value), and so are slurmic and submitit.
    """
    trees = _Trees(code_root, imports)
    found = []
    for name, module in sorted(imports.modules.items()):
        if module is None or name in _MAIN_MODULES or name.partition(".")[0] in OWN_MODULES:
            continue
        if not isinstance(getattr(module, "__dict__", {}).get("__file__"), str):
            continue  # a namespace package has no file of its own
        for location in module_locations(module):
            path = os.path.join(imports.cwd, location)
            spellings = [below for below in trees.spellings(path) if "__pycache__" not in below]
            if spellings and not any(_is_packed(below, packed) for below in spellings):
                found.append(UnpackedModule(name, spellings[0]))
    return found


def _is_packed(relative: str, packed: Container[bytes]) -> bool:
    path = relative
    while path:
        if os.fsencode(path) in packed:
            return True
        path = os.path.dirname(path)
    return False


class _Trees:
    """The live tree, and the code folder that stands for it in this process."""

    def __init__(self, code_root: str, imports: Imports) -> None:
        self._live = SourceTree.at(code_root, imports.prefixes)
        self._all = [self._live]
        if imports.frozen_folder:
            self._all.insert(0, SourceTree.at(imports.frozen_folder, imports.prefixes))

    def relative(self, path: str) -> str | None:
        """The path relative to code_root; None when it is not its code."""
        for tree in self._all:
            below = tree.relative(path)
            if below is not None:
                return below
        return None

    def spellings(self, path: str) -> list[str]:
        """The relative path, with links resolved and as it is spelled."""
        below = self.relative(path)
        if below is None:
            return []
        spelled = path_below(os.path.abspath(path), self._live.root)
        return list(dict.fromkeys([below] if spelled is None else [below, spelled]))


class _Search:
    """Collects roots and packages in the order in which they are found."""

    def __init__(self, trees: _Trees) -> None:
        self._trees = trees
        self._roots: dict[str, bool] = {}  # root -> late
        self._packages: dict[str, str] = {}

    def add_root(self, path: str, late: bool) -> None:
        below = self._trees.relative(path)
        if below is not None:
            self._roots.setdefault(below, late)

    def add_main(self, module: ModuleType, cwd: str) -> None:
        """The script's folder; for ``python -m a.b``, the folder that ``a`` is in."""
        attributes = getattr(module, "__dict__", {})
        file = attributes.get("__file__")
        if not isinstance(file, str):
            return
        path = os.path.join(cwd, file)
        name = getattr(attributes.get("__spec__"), "name", None)
        root = _root_of(name, path) if isinstance(name, str) else None
        self.add_root(os.path.dirname(path) if root is None else root, late=True)

    def add_module(self, name: str, location: str, *, mapped: bool = False) -> None:
        """A module ``name`` at ``location``: its file, or the folder of a package.

        Args:
            mapped: it is an entry of an editable install's map, so that a dotted name with a path
                of another kind needs an entry of its own. (The submodules of a loaded package do
                not: the package's path leads to them.)
        """
        if self._trees.relative(location) is None:
            return
        root = _root_of(name, location)
        if root is not None and self._trees.relative(root) is not None:
            self.add_root(root, late=True)
            return
        # A module that was run in an unusual way ("<run_path>") cannot be imported by anybody.
        parts = name.split(".")
        if (len(parts) > 1 and not mapped) or not all(part.isidentifier() for part in parts):
            return
        below = self._trees.relative(_package_folder(_existing(location)))
        if below is not None:
            self._packages.setdefault(name, below)

    def result(self) -> ImportRoots:
        return ImportRoots(
            roots=tuple(self._roots),
            late_roots=tuple(root for root, late in self._roots.items() if late),
            packages=tuple(self._packages.items()),
        )


def _mapped_modules(
    modules: Mapping[str, ModuleType], meta_path: Sequence[object]
) -> Iterator[tuple[str, str]]:
    """(name, location) of what the import hooks of editable installs answer for.

    Names inside a package that is mapped as well are left out.
    """
    maps: list[Mapping[object, object]] = []
    for name, module in list(modules.items()):
        if name.startswith("__editable___") and name.endswith("_finder"):  # setuptools
            maps.append(_mapping(getattr(module, "MAPPING", None)))
            namespaces = _mapping(getattr(module, "NAMESPACES", None))
            for namespace, folders in namespaces.items():
                if isinstance(folders, (list, tuple)):
                    maps += [{namespace: folder} for folder in folders]
    redirector = modules.get("editables.redirector")  # hatchling, dev-mode-exact
    maps.append(
        _mapping(getattr(getattr(redirector, "RedirectingFinder", None), "_redirections", None))
    )
    for finder in meta_path:  # scikit-build-core
        if type(finder).__name__ == "ScikitBuildRedirectingFinder":
            maps.append(_mapping(getattr(finder, "known_source_files", None)))
    for mapping in maps:
        for mapped, location in mapping.items():
            if isinstance(mapped, str) and isinstance(location, str):
                parents = [
                    mapped.rsplit(".", count)[0] for count in range(1, mapped.count(".") + 1)
                ]
                if not any(parent in mapping for parent in parents):
                    yield mapped, location


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, dict) else {}


def _root_of(name: str, location: str) -> str | None:
    """The folder that ``name`` is imported from, when ``location`` ends like the name."""
    path = _package_folder(os.path.abspath(location))
    *parents, last = name.split(".")
    folder, base = os.path.split(path)
    # A map may give a module's path without its suffix; a package's folder may contain a dot.
    if last not in (base, module_name(base)):
        return None
    for part in reversed(parents):
        folder, base = os.path.split(folder)
        if base != part:
            return None
    return folder


def _package_folder(location: str) -> str:
    folder, base = os.path.split(location)
    return folder if module_name(base) == "__init__" else location


def _existing(location: str) -> str:
    """setuptools maps a single-file module to its path without the suffix."""
    if not os.path.exists(location) and os.path.exists(location + ".py"):
        return location + ".py"
    return location

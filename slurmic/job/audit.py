"""Which modules a job took from the live tree after all, and the message that says so."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import TextIO

from slurmic.errors import LiveImportError
from slurmic.job.finder import FrozenFinder
from slurmic.job.frozen_code import FrozenCode
from slurmic.job.paths import OWN_MODULES, join_below, module_locations, module_name


@dataclass(frozen=True)
class LiveModule:
    """A module that was imported from the live tree.

    Attributes:
        name: as in sys.modules.
        file: its file, or a folder of a namespace package, as the module names it.
    """

    name: str
    file: str


def live_modules(frozen: FrozenCode) -> list[LiveModule]:
    """Loaded modules whose file really lies in the live tree, by name.

    Not those of the code folder (which may stand inside the live tree), of the interpreter's
    environment (likewise), or of slurmic and submitit themselves. Code that was read in another way
    (``exec``, ``runpy``) leaves no module and is not seen.
    """
    tree = frozen.live_tree()
    found = []
    for name, module in sorted(sys.modules.items()):
        if not isinstance(module, ModuleType) or name.partition(".")[0] in OWN_MODULES:
            continue
        for location in module_locations(module):
            if frozen.is_live(location, tree):
                found.append(LiveModule(name, location))
                break
    return found


class Audit:
    """Reports each live module once, as ``frozen.on_live_import`` says."""

    def __init__(
        self, frozen: FrozenCode, finder: FrozenFinder | None = None, stream: TextIO | None = None
    ) -> None:
        self._frozen = frozen
        self._finder = finder
        self._stream = stream
        self._known: set[str] = set()

    def report(self, moment: str) -> list[LiveModule]:
        """Name the live modules that are new since the last report. Never fails.

        Args:
            moment: when they were imported: "while the function was loaded".
        """
        if self._frozen.on_live_import == "ignore":
            return []
        found = [module for module in live_modules(self._frozen) if module.name not in self._known]
        self._known.update(module.name for module in found)
        if found:
            self._say(
                f"slurmic: imported from the live source tree {moment}, not from the code folder:",
                _lines(found),
                f"  the job runs from '{self._frozen.code_folder}', and these files may have been "
                "edited since it was submitted",
                "  pack them (they are ignored or excluded), or take absolute paths to "
                f"'{self._frozen.code_root}' out of sys.path; on_live_import='error' stops a job "
                "at such an import",
            )
        refused = self._finder.refused if self._finder is not None else {}
        new = [LiveModule(name, file) for name, file in refused.items() if name not in self._known]
        self._known.update(module.name for module in new)
        if new:
            self._say(
                f"slurmic: refused to import from the live source tree {moment} "
                "(on_live_import='error'):",
                _lines(new),
                "  if the program went on, it caught the ImportError",
            )
        return found

    def check(self, moment: str) -> None:
        """:meth:`report`, and fail if the policy is "error".

        Raises:
            LiveImportError: a new live module was found.
        """
        found = self.report(moment)
        if found and self._frozen.on_live_import == "error":
            raise LiveImportError(
                f"module '{found[0].name}' was imported from the live source tree {moment}: "
                f"'{found[0].file}'",
                hint=f"the job runs from '{self._frozen.code_folder}'",
            )

    def close(self, moment: str, error: BaseException) -> None:
        """Explain an import that failed, and :meth:`report`; whatever happens, ``error`` stands."""
        with contextlib.suppress(Exception):
            self._explain(error)
            self.report(moment)

    def _explain(self, error: BaseException) -> None:
        """Say why an import failed, when the module exists in the live tree but was not packed."""
        for name in _missing_names(error):
            file = _live_file(self._frozen, name)
            if file is None or self._frozen.frozen_path(file) is not None:
                continue
            suffix = os.path.splitext(file)[1]
            lines = (
                f"slurmic: module '{name}' is not in the snapshot, but exists in the live source "
                f"tree: '{file}'",
                "  to pack it, "
                + (f"un-ignore it or add '{suffix}' to code_file_suffixes, and " if suffix else "")
                + "see that none of its folders is in exclude_code_folders",
            )
            self._say(*lines)
            if hasattr(error, "add_note"):  # Python 3.11: shown with the traceback it is sent with
                error.add_note("\n".join(lines))

    def _say(self, *lines: str) -> None:
        stream = self._stream or sys.stderr
        # The job may have closed its standard error; then there is nowhere to say it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(*lines, sep="\n", file=stream, flush=True)


def _lines(modules: Iterable[LiveModule]) -> str:
    return "\n".join(f"    {module.name}: '{module.file}'" for module in modules)


def _missing_names(error: BaseException) -> list[str]:
    """The modules that an ImportError may be about: ``from a import b`` names only ``a``."""
    if not isinstance(error, ImportError) or not error.name:
        return []
    if isinstance(error, ModuleNotFoundError):
        return [error.name]
    attribute = re.match(r"cannot import name '(\w+)'", str(error))
    return [f"{error.name}.{attribute.group(1)}"] if attribute else []


def _live_file(frozen: FrozenCode, name: str) -> str | None:
    """The file in the live tree that ``name`` would be imported from, if any."""
    parts = name.split(".")
    mapped = dict(frozen.packages).get(parts[0])
    candidates = [] if mapped is None else [(join_below(frozen.code_root, mapped), parts[1:])]
    roots = [*frozen.import_roots, *([] if "." in frozen.import_roots else ["."])]
    candidates += [(join_below(frozen.code_root, root), parts) for root in roots]
    for folder, names in candidates:
        *parents, last = names or [""]
        parent = os.path.join(folder, *parents)
        if last and os.path.isfile(os.path.join(parent, last, "__init__.py")):
            return os.path.join(parent, last, "__init__.py")
        try:
            entries = sorted(os.listdir(parent))
        except OSError:
            continue
        for entry in entries:
            if last and module_name(entry) == last and os.path.isfile(os.path.join(parent, entry)):
                return os.path.join(parent, entry)
        if last in entries and os.path.isdir(os.path.join(parent, last)):
            return os.path.join(parent, last)
    return None

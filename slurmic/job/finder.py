"""The import hook that keeps a job on its frozen code.

``sys.path`` is already free of the live tree when it is installed. Two things remain: hooks of
editable installs, which stand before the path-based finder (meson-python and scikit-build-core put
theirs at position 0) and know live paths only; and ``on_live_import="error"``, which must stop at
the import, not after it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import FrozenImporter, ModuleSpec, PathFinder
from types import ModuleType

from slurmic.errors import LiveImportError
from slurmic.job.frozen_code import FrozenCode
from slurmic.job.paths import OWN_MODULES, join_below


class FrozenFinder:
    """Answers first, but only for what the code folder holds.

    What it answers is what ``sys.path`` gives anyway, in the same order: a module of a late root
    does not shadow an installed one. It merely gets ahead of the hooks.
    """

    def __init__(self, frozen: FrozenCode) -> None:
        self._frozen = frozen
        self._tree = frozen.live_tree()
        self._packages = dict(frozen.packages)
        self._asking = threading.local()
        #: live modules whose import was refused: name -> file
        self.refused: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The protocol of sys.meta_path.

        Raises:
            LiveImportError: the module would come from the live tree, and the policy is "error".
        """
        if fullname.partition(".")[0] in OWN_MODULES or getattr(self._asking, "busy", False):
            return None
        spec = self._frozen_spec(fullname, path)
        if spec is not None:
            return spec
        if self._frozen.on_live_import != "error":
            return None
        spec = self._ask_others(fullname, path, target)
        live = self._live_location(spec)
        if live is not None:
            self.refused[fullname] = live
            raise LiveImportError(
                f"module '{fullname}' would be imported from the live source tree: '{live}'",
                hint=f"the job runs from '{self._frozen.code_folder}'; pack the file, or import it "
                "in another way, or set on_live_import to 'warn'",
            )
        return spec

    def _frozen_spec(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
        if fullname in self._packages:
            return self._mapped_spec(fullname)
        if path is None:
            # These two stand before the path-based finder in every interpreter.
            if fullname in sys.builtin_module_names or FrozenImporter.find_spec(fullname):
                return None
        elif not any(isinstance(entry, str) and self._frozen.is_frozen(entry) for entry in path):
            return None
        spec = PathFinder.find_spec(fullname, path)
        # A namespace package (no origin) is left to the usual order: any regular package beats it.
        if spec is None or not spec.has_location or spec.origin is None:
            return None
        if self._frozen.is_frozen(spec.origin) and not self._frozen.is_live(
            spec.origin, self._tree
        ):
            return spec
        return None

    def _mapped_spec(self, fullname: str) -> ModuleSpec | None:
        location = join_below(self._frozen.code_folder, self._packages[fullname])
        if not os.path.isdir(location):
            if not os.path.exists(location):
                return None
            return importlib.util.spec_from_file_location(fullname, location)
        start = os.path.join(location, "__init__.py")
        if os.path.exists(start):
            return importlib.util.spec_from_file_location(
                fullname, start, submodule_search_locations=[location]
            )
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [location]
        return spec

    def _ask_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        # Their answer is taken as the import system would; this one is asked too, by finders that
        # delegate (six, pytest), and must then keep silent.
        self._asking.busy = True
        try:
            for finder in list(sys.meta_path):
                find_spec = getattr(finder, "find_spec", None)
                if finder is self or find_spec is None:
                    continue
                spec: ModuleSpec | None = find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        finally:
            self._asking.busy = False
        return None

    def _live_location(self, spec: ModuleSpec | None) -> str | None:
        if spec is None:
            return None
        if spec.has_location and spec.origin is not None:
            candidates = [spec.origin]
        else:
            candidates = [entry for entry in spec.submodule_search_locations or () if entry]
        return next(
            (entry for entry in candidates if self._frozen.is_live(entry, self._tree)), None
        )

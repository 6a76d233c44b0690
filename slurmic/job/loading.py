"""Load the submitted function so that it, too, belongs to the code folder.

A function of the script that was run (``__main__``), or a decorated one, is pickled by value: its
code comes with the bytes, frozen by nature. But it still names the live script, as ``__file__``
among its globals and as the file of its code. ``Path(__file__).parent / "config.yaml"`` would read
the live tree, and a traceback would show lines of a file edited since. So both are mapped to the
code folder while loading, where the file is there.

It rests on two private functions of cloudpickle (there from 3.0 to 3.1.3), by name. If they are
gone, or take other arguments, the function is loaded as it was sent.

Limit: other globals are values. ``HERE = Path(__file__).parent`` at the head of a script is a live
path, because the data that it leads to may be there only.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from types import CodeType
from typing import Any

from slurmic.job.frozen_code import FrozenCode
from slurmic.job.payload import load_payload

_PATH_GLOBALS = ("__file__", "__cached__")


def load_frozen(payload: bytes, frozen: FrozenCode) -> Any:
    """What was pickled, with the live paths of functions mapped into the code folder.

    Raises:
        whatever unpickling raises, ImportError foremost.
    """
    return load_payload(lambda stream: _FrozenUnpickler(stream, frozen), payload)


class _FrozenUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, frozen: FrozenCode) -> None:
        super().__init__(file)
        self._paths = _PathMap(frozen)

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        if module.partition(".")[0] == "cloudpickle":
            if name == "_make_function":
                return _making_frozen_functions(found, self._paths)
            if name == "_function_setstate":
                return _keeping_frozen_globals(found, self._paths)
        return found


class _PathMap:
    """Live path to frozen path, each looked up once."""

    def __init__(self, frozen: FrozenCode) -> None:
        self._frozen = frozen
        self._tree = frozen.live_tree()
        self._known: dict[str, str] = {}

    def __call__(self, path: str) -> str:
        if path not in self._known:
            frozen = None
            if os.path.isabs(path) or not path.startswith("<"):
                # Relative where a loader made it so: the __file__ of what runpy.run_path runs.
                base = self._frozen.working_directory or self._frozen.code_root
                frozen = self._frozen.frozen_path(os.path.join(base, path), self._tree)
            self._known[path] = path if frozen is None else frozen
        return self._known[path]

    def code(self, code: CodeType) -> CodeType:
        """The same code, and that of the functions inside it, with its file mapped."""
        return code.replace(
            co_filename=self(code.co_filename),
            co_consts=tuple(
                self.code(constant) if isinstance(constant, CodeType) else constant
                for constant in code.co_consts
            ),
        )

    def globals(self, names: dict[str, Any]) -> None:
        """Map the path globals of a module's namespace, in place."""
        for name in _PATH_GLOBALS:
            if isinstance(names.get(name), str):
                names[name] = self(names[name])


def _making_frozen_functions(make: Callable[..., Any], paths: _PathMap) -> Callable[..., Any]:
    def make_function(*arguments: Any) -> Any:
        if arguments and isinstance(arguments[0], CodeType):
            arguments = (paths.code(arguments[0]), *arguments[1:])
        return make(*arguments)

    return make_function


def _keeping_frozen_globals(setstate: Callable[..., Any], paths: _PathMap) -> Callable[..., Any]:
    def function_setstate(function: Any, state: Any) -> Any:
        # Every function has its state set after it is made; only then its globals are complete.
        result = setstate(function, state)
        namespace = getattr(function, "__globals__", None)
        if isinstance(namespace, dict):
            paths.globals(namespace)
        return result

    return function_setstate

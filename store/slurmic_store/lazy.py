"""Packages whose modules are imported when one of their names is first used.

A command, or a job, needs a few of a package's modules; to import them all takes longer than what
many commands do.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the module typing takes longer to import than all that is needed here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def lazy_names(package: str, homes: dict[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for the module `package`.

    Args:
        package: the package's ``__name__``.
        homes: for each module, relative as in ".config", the names that it defines, with spaces in
            between.
    """
    found_in = {name: module for module, names in homes.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in found_in:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        import sys
        from importlib import import_module

        module = import_module(found_in[name], package)
        # From now on they are found without this function; and a function that is called like its
        # module is found, not the module, which the import has just put there.
        for known in homes[found_in[name]].split():
            setattr(sys.modules[package], known, getattr(module, known))
        return getattr(module, name)

    return load

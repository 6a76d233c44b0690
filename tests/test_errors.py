"""The heads of the two modules ``errors`` draw every error that there is."""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType

import pytest

import slurmic.errors
import slurmic_store.errors

DRAWN = re.compile(r"^ {4}((?:│   |    )*)[├└]── (\w+) ", re.MULTILINE)


def drawn_tree(module: ModuleType, root: str) -> dict[str, str]:
    """Error → the one above it, as the head of a module draws them."""
    parents: dict[str, str] = {}
    above = [root]
    for indent, name in DRAWN.findall(module.__doc__ or ""):
        depth = len(indent) // 4
        above[depth + 1 :] = [name]
        parents[name] = above[depth]
    return parents


def defined_tree(package: str, root: type[Exception]) -> dict[str, str]:
    """Error → the one that it is derived from, of all the public ones in a package."""
    top = importlib.import_module(package)
    for module in pkgutil.walk_packages(top.__path__, f"{package}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    parents: dict[str, str] = {}
    todo = [(root, root.__name__)]
    while todo:
        parent, name = todo.pop()
        for child in parent.__subclasses__():
            private = child.__name__.startswith("_")
            if not child.__module__.startswith(f"{package}."):
                continue
            if not private:
                parents[child.__name__] = name
            todo.append((child, name if private else child.__name__))
    return parents


@pytest.mark.parametrize("module", [slurmic.errors, slurmic_store.errors])
def test_the_map_has_every_error_in_its_place(module: ModuleType) -> None:
    package = module.__name__.partition(".")[0]
    root = {"slurmic": "SlurmicError", "slurmic_store": "StoreError"}[package]
    assert drawn_tree(module, root) == defined_tree(package, getattr(module, root))

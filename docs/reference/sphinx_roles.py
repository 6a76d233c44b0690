"""Links in docstrings: :class:`Store` becomes a link of the API reference.

The docstrings name other objects by Sphinx's roles, which mkdocstrings does not know. This
extension of griffe, its reader of source code, puts what it does know in their place: a
cross-reference for an object that a public package offers, and plain code for any other.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

PACKAGES = ("slurmic", "slurmic_store")
_ROLE = re.compile(r":(?:class|func|meth|attr|data|exc|mod|ref):`~?(?P<name>[\w.]+)`")


class SphinxRoles(griffe.Extension):
    """Replaces the roles in all docstrings of a package when it has been read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        if pkg.path in PACKAGES:
            _replace_roles(pkg, _public_names(pkg))


def _public_names(package: griffe.Module) -> dict[str, str]:
    """Objects in a package's ``__all__``: where each is defined, and the name it is offered as."""
    found = {}
    for name in package.exports or ():
        member = package.members.get(str(name))
        if member is not None:
            found[member.canonical_path] = f"{package.path}.{name}"
    return found


def _replace_roles(scope: griffe.Object, public: dict[str, str]) -> None:
    if scope.docstring is not None:

        def instead(match: re.Match[str]) -> str:
            name = match["name"]
            target = _reference(scope, name, public)
            return f"[`{name}`][{target}]" if target else f"`{name}`"

        scope.docstring.value = _ROLE.sub(instead, scope.docstring.value)
    for member in scope.members.values():
        if isinstance(member, griffe.Object):  # and not what is imported from elsewhere
            _replace_roles(member, public)


def _reference(scope: griffe.Object, name: str, public: dict[str, str]) -> str | None:
    """The identifier in the reference of what `name` means in `scope`; None if it is not there."""
    first, *members = name.removeprefix("slurmic_store.").split(".")
    try:
        found = scope.modules_collection[scope.resolve(first)]
        for member in members:
            found = found[member]
        path = found.canonical_path
    except (griffe.GriffeError, KeyError):
        return None
    if path in public:
        return public[path]
    owner, _, member = path.rpartition(".")
    return f"{public[owner]}.{member}" if owner in public and found.has_docstring else None

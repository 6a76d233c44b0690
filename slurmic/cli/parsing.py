"""Parsing a command line without what only a large program's configuration needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args, get_origin


def spare_typeguard() -> None:
    """Let tyro check the defaults of lists of words by itself.

    It asks typeguard whether a default fits a field's type, unless the type is a simple one, and
    typeguard imports unittest, asyncio and ssl: half as long again as a whole command takes. So for
    lists of simple types the question is answered here. The function that is wrapped is no part of
    tyro's public interface: where it is not found, commands are slower to start, and nothing else.
    """
    from tyro import _resolver

    original: Callable[[Any, Any], bool] | None = getattr(_resolver, "is_instance", None)
    if original is None or getattr(original, "__module__", "") == __name__:
        return

    def is_instance(typ: Any, value: Any) -> bool:
        members = get_args(typ)
        if get_origin(typ) is list and len(members) == 1 and members[0] in (str, int, float):
            return type(value) is list and all(type(word) is members[0] for word in value)
        assert original is not None
        return original(typ, value)

    _resolver.is_instance = is_instance

"""Which store a command means."""

from __future__ import annotations

import os

from slurmic import environment
from slurmic.snapshot import locate_store
from slurmic_store import Store, StoreError


def open_store(path: str, *, near: str = "") -> Store:
    """Open an existing store: the one given, or the one that a submission from here would use.

    Args:
        path: from the command line, or "".
        near: instead of from here, that of a submission into this folder, which exists.

    Raises:
        StoreError: there is none there; says where it was looked for.
    """
    location = locate_store(
        near or os.getcwd(),
        store_path=path,
        setting=environment.store_setting(),
        home=environment.home_folder(),
    )
    try:
        return Store.open(location.path, create=False)
    except StoreError as error:
        error.hint = (
            error.hint or f"looked there because it is {location.reason}; --store names another one"
        )
        raise

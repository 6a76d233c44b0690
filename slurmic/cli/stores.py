"""Which store a command means."""

from __future__ import annotations

import os

from slurmic import environment
from slurmic.snapshot import locate_store
from slurmic_store import Store, StoreError

from .output.console import say


def open_store(path: str, *, near: str = "") -> Store:
    """Open an existing store: the one given, or the one that a submission from here would use.

    Args:
        path: from the command line, or "".
        near: instead of from here, that of a submission into this folder, which exists.
            Where there is none, the one in the home folder is taken.

    Raises:
        StoreError: there is none there; says where it was looked for.
    """
    home = environment.home_folder()
    location = locate_store(
        near or os.getcwd(),
        store_path=path,
        setting=environment.store_setting(),
        home=home,
    )
    try:
        return Store.open(location.path, create=False)
    except StoreError as error:
        usual = os.path.join(home, ".slurmic")
        was_named = path or environment.store_setting()
        if not was_named and not os.path.lexists(location.path) and os.path.isdir(usual):
            # From a folder that cannot be written to, or on another filesystem.
            if not near:
                say(f"slurmic: note: no store at '{location.path}', so the one in your home folder")
            return Store.open(usual, create=False)
        looked = f"looked there because it is {location.reason}; --store names another one"
        error.hint = "\n  ".join(filter(None, (error.hint, looked)))
        raise

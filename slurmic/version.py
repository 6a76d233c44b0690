"""The version of slurmic that is installed."""

from __future__ import annotations

import os
import sys


def installed_version() -> str:
    """The distribution's version; "unknown" when slurmic runs from a bare folder."""
    # Its folder of metadata is called by the version. importlib.metadata, which parses it, takes
    # longer to import than everything else that `slurmic --version` needs.
    for folder in sys.path:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for name in names:
            if name.startswith("slurmic-") and name.endswith(".dist-info"):
                return name[len("slurmic-") : -len(".dist-info")]
    return _version_from_metadata()


def _version_from_metadata() -> str:
    """For installations of other kinds: eggs, zip files."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("slurmic")
    except PackageNotFoundError:
        return "unknown"

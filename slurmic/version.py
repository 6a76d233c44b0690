"""The version of slurmic that is installed."""

from __future__ import annotations


def installed_version() -> str:
    """The distribution's version; "unknown" when slurmic runs from a bare folder."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("slurmic")
    except PackageNotFoundError:
        return "unknown"

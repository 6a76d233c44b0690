"""Packing: from a source tree and the user's settings to a snapshot in the right store.

- :func:`pack_code` selects, stores and builds the code folder: what a submission does.
- :func:`locate_store` says where the store is, and why.
"""

from __future__ import annotations

from slurmic_store.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .limits import SizeLimits
    from .location import StoreLocation, locate_store
    from .packing import PackedSnapshot, PackRequest, pack_code

__all__ = [
    "PackRequest",
    "PackedSnapshot",
    "SizeLimits",
    "StoreLocation",
    "locate_store",
    "pack_code",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".limits": "SizeLimits",
        ".location": "StoreLocation locate_store",
        ".packing": "PackedSnapshot PackRequest pack_code",
    },
)

"""Types of options that are the same in several commands."""

from __future__ import annotations

from typing import Annotated

import tyro

NullFlag = Annotated[bool, tyro.conf.arg(aliases=["-0"])]
"""``--null``, for lists of names."""

StoreOption = Annotated[str, tyro.conf.arg(metavar="DIR")]
"""``--store``: which store is meant."""

AgeOption = Annotated[str, tyro.conf.arg(metavar="TIME")]
"""A length of time: see :mod:`.durations`."""

"""Types of options that are the same in several commands.

Their help leaves out the default: that a flag is off, or a text empty, goes without saying.
"""

from __future__ import annotations

from typing import Annotated

import tyro

Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
"""Off unless it is given."""

NullFlag = Annotated[bool, tyro.conf.arg(aliases=["-0"], help_behavior_hint="")]
"""``--null``, for lists of names."""

StoreOption = Annotated[str, tyro.conf.arg(metavar="DIR", help_behavior_hint="")]
"""``--store``: which store is meant."""

AgeOption = Annotated[str, tyro.conf.arg(metavar="TIME", help_behavior_hint="")]
"""A length of time: see :mod:`.durations`."""

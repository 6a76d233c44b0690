"""The seal of a blob, and its age.

The **seal** is a nanosecond value derived from the digest. A blob's modification time is the second
before the one at which it was stored, with the seal as the nanosecond part, so that any write in
place, which sets the time to the clock's, breaks it, and a single stat tells a pristine blob from a
touched one. (The second before, because a time in the future would hide a write on GlusterFS: there
a modification time is only ever replaced by a later one.) It does not protect against a write
that restores the time: re-hashing finds that.
"""

from __future__ import annotations

import math
import os
import struct
import time
from collections.abc import Sequence

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

TIMESTAMP_STEPS_NS = (1, 100, 1_000, 1_000_000, 10_000_000, SECOND)
"""Timestamp steps that filesystems have, in nanoseconds: most, NTFS and SMB, some network
filesystems, some archives, exFAT, and those with whole seconds."""


def seal_of(digest: bytes) -> int:
    """The nanosecond part of the modification time of a blob: 1 to 999,999,999.

    Never 0, which is what a filesystem without nanoseconds, or a tool that copies whole seconds,
    leaves behind.
    """
    return 1 + int.from_bytes(digest[:8], "little") % (SECOND - 1)


_SEAL_SOURCE = struct.Struct("<Q8x")


def seals_of(digests: Sequence[bytes]) -> list[int]:
    """The seals of many digests."""
    return [1 + value % (SECOND - 1) for (value,) in _SEAL_SOURCE.iter_unpack(b"".join(digests))]


def seal_holds(mtime_ns: int, digest: bytes, granularity: int) -> bool:
    """Whether a modification time still bears the seal of `digest`.

    Args:
        mtime_ns: the file's modification time in nanoseconds.
        digest: 16 bytes.
        granularity: the smallest step of a timestamp on this filesystem, in nanoseconds; at a
            second or more there is nothing to compare, and the answer is always True.
    """
    if granularity >= SECOND:
        return True
    return mtime_ns % SECOND // granularity == seal_of(digest) // granularity


def sealed_now(digest: bytes) -> tuple[int, int]:
    """Access and modification time in nanoseconds of a file with this digest, stored now."""
    now = time.time_ns()
    return now, (now // SECOND - 1) * SECOND + seal_of(digest)


def stored_at(status: os.stat_result) -> int:
    """When a blob or manifest was stored, in whole seconds since the epoch.

    That is one more than those of its modification time, whose rest is the seal.
    """
    return status.st_mtime_ns // SECOND + 1


def age_of(status: os.stat_result, now: float) -> float:
    """Seconds since a blob or manifest was stored; 0 for one whose time lies in the future.

    That is so for one from a host whose clock is ahead, and for one just written to by a job.
    """
    return max(0.0, now - stored_at(status))


def bears_seal(mtime_ns: int, digest: bytes) -> bool:
    """Whether a modification time bears the seal of `digest`, maybe cut to a coarser step.

    A copy may have gone to a filesystem with coarser timestamps than the store's. Whole seconds
    say nothing, so they do not count as a seal here.
    """
    found = mtime_ns % SECOND
    seal = seal_of(digest)
    return any(found == seal // step * step for step in TIMESTAMP_STEPS_NS if step < SECOND)


def is_old(status: os.stat_result, now: float, refresh_after: float) -> bool:
    """Whether a blob is so old that a purge by age might take it (ages in seconds).

    What was stored at `now` or later never is, whatever `refresh_after`: the time that it was
    stored is known to the second only.
    """
    return now - stored_at(status) >= refresh_after + 1


def oldest_young(now: float, refresh_after: float) -> float:
    """The modification time in nanoseconds from which :func:`is_old` says no."""
    return (
        (math.floor(now - refresh_after - 2) + 1) * SECOND
        if refresh_after < math.inf
        else -math.inf
    )

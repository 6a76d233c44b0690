"""Digests, blob names, and the seal.

A **digest** is the XXH3-128 of a file's bytes, 16 bytes long; in names it is 32 lower-case
hexadecimal digits. It is not cryptographic: a store belongs to one user, who could as well write
into it, and what it has to tell apart are files, not forgeries.

A **blob key** is 18 bytes: the digest and the permission bits (unsigned 16-bit, little endian).
All links of an inode share its bits, so they are part of a blob's identity.

The **seal** is a nanosecond value derived from the digest. A blob's modification time is the second
before the one at which it was stored, with the seal as the nanosecond part, so that any write in
place, which sets the time to the clock's, breaks it, and a single stat tells a pristine blob from a
touched one. (The second before, because a time in the future would hide a write on GlusterFS: there
a modification time is only ever replaced by a later one.) It is no protection against somebody who
restores the time: re-hashing finds that.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Iterator, Sequence
from itertools import chain

import xxhash

DIGEST_SIZE = 16
"""Bytes of a digest."""

KEY_SIZE = 18
"""Bytes of a blob key: digest and mode."""

PERMISSIONS = 0o555
"""The permission bits that a blob keeps of its source: read and execute, never write."""

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

TIMESTAMP_STEPS_NS = (1, 100, 1_000, 1_000_000, 10_000_000, SECOND)
"""Timestamp steps that filesystems have, in nanoseconds: most, NTFS and SMB, some network
filesystems, some archives, exFAT, and those with whole seconds."""

_KEY = struct.Struct("<16sH")

hasher = xxhash.xxh3_128


def digest_of(data: bytes | memoryview) -> bytes:
    """The digest of `data`: 16 bytes."""
    return hasher(data).digest()


EMPTY = digest_of(b"")
"""The digest of no bytes."""


def blob_key(digest: bytes, mode: int) -> bytes:
    """The 18-byte key of the blob with this digest and these permission bits."""
    return _KEY.pack(digest, mode & PERMISSIONS)


def split_key(key: bytes) -> tuple[bytes, int]:
    """The digest and the permission bits in an 18-byte key."""
    digest, mode = _KEY.unpack(key)
    return digest, mode


def blob_name(digest: bytes, mode: int) -> bytes:
    """A blob's path below ``blobs/``, as in ``ab/ab12…-444``."""
    name = digest.hex()
    return b"%s/%s-%03o" % (name[:2].encode(), name.encode(), mode)


def blob_names(digests: Sequence[bytes], modes: Sequence[int]) -> list[bytes]:
    """As :func:`blob_name`, of many."""
    endings = {mode: b"-%03o" % mode for mode in set(modes)}
    text = b"".join(digests).hex().encode()
    return [
        text[start : start + 2] + b"/" + text[start : start + 32] + endings[mode]
        for start, mode in zip(range(0, len(text), 32), modes, strict=True)
    ]


def key_name(key: bytes) -> bytes:
    """The path below ``blobs/`` of the blob with this 18-byte key."""
    return blob_name(*split_key(key))


_MODE_OF_SUFFIX = {
    b"-%03o" % mode: struct.pack("<H", mode)
    # The frequent ones first.
    for mode in sorted(range(0o1000), key=(0o444, 0o555, 0o400, 0o500).__contains__, reverse=True)
    if mode & PERMISSIONS == mode
}


def parse_blob_name(name: bytes) -> bytes | None:
    """The key of a blob from its file name (without the folder), or None if it is not one."""
    mode = _MODE_OF_SUFFIX.get(name[32:])
    if mode is None:
        return None
    text = name[:32].decode("latin-1")
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        return None
    # fromhex also takes capitals and spaces; only the canonical spelling names a blob.
    return digest + mode if digest.hex() == text else None


def column_of_names(names: Sequence[bytes]) -> bytes:
    """The keys of those among `names` that are blobs' file names, one behind the other.

    In bulk, as a store may have millions: where all are blobs' names, as is the rule in a folder
    of blobs, all of them are converted at once.
    """
    text = b"".join(names)
    count = len(names)
    # Each has one dash, and in its place.
    if set(map(len, names)) == {_NAME_SIZE} and text[32::_NAME_SIZE] == b"-" * count:
        digits = text if text.count(b"-") == count else b""
        for suffix, mode in _MODE_OF_SUFFIX.items():
            if b"-" not in digits:
                break
            digits = digits.replace(suffix, mode.hex().encode())
        with contextlib.suppress(ValueError):
            column = bytes.fromhex(digits.decode("ascii"))
            # fromhex also takes capitals and spaces; only the canonical spelling names a blob.
            if digits and column.hex().encode() == digits:
                return column
    return b"".join(key for key in map(parse_blob_name, names) if key is not None)


_NAME_SIZE = 36
"""Bytes of a blob's file name: 32 digits, a dash, three digits."""

_ONE_KEY = struct.Struct(f"{KEY_SIZE}s")
_MANY_KEYS = struct.Struct(f"{KEY_SIZE}s" * 1024)


def keys_in(column: bytes | memoryview) -> Iterator[bytes]:
    """The 18-byte keys that stand one behind the other in `column`."""
    # A thousand are unpacked in one call: that is four times as fast as one by one.
    whole = len(column) // _MANY_KEYS.size * _MANY_KEYS.size
    return chain(
        chain.from_iterable(_MANY_KEYS.iter_unpack(column[:whole])),
        chain.from_iterable(_ONE_KEY.iter_unpack(column[whole:])),
    )


_ONE_NUMBER = struct.Struct(f"<{KEY_SIZE - 8}xQ")
_MANY_NUMBERS = struct.Struct("<" + f"{KEY_SIZE - 8}xQ" * 1024)


def numbers_in(column: bytes | memoryview) -> Iterator[int]:
    """For each key in `column`, its last eight bytes as a number: 48 bits of digest, and the mode.

    Looking up a number takes half the time that a key takes. Only for those who lose nothing if
    two keys share a number: a given one of a million blobs shares its own with a chance of 1 in
    280 million.
    """
    whole = len(column) // _MANY_NUMBERS.size * _MANY_NUMBERS.size
    return chain(
        chain.from_iterable(_MANY_NUMBERS.iter_unpack(column[:whole])),
        chain.from_iterable(_ONE_NUMBER.iter_unpack(column[whole:])),
    )


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

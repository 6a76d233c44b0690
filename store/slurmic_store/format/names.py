"""Every name in a store and beside a code folder.

``FORMAT.md`` draws the folders. The name of a blob or a manifest says what it is; all that is
temporary begins with ``.slurmic-``.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Sequence

from .digests import DIGEST_SIZE, PERMISSIONS, split_key

FORMAT_FILE = b"FORMAT"
"""The file that makes a folder a store."""

STORE_FOLDERS = (b"blobs", b"trees", b"snapshots", b"pins", b"index", b"quarantine", b"tmp")
"""The folders in a store."""

RECORD_SUFFIX = b".json"
"""Of the records in ``snapshots/``, of the pins, and of the record beside a code folder."""

MANIFEST_SUFFIX = b".zst"
"""Of the manifests in ``trees/``."""

NOTE_SUFFIX = b".stage"
"""Of the notes of staging folders, in ``tmp/``."""

ID_SIZE = 20
"""Characters of a snapshot's id."""

# Beside a code folder: appended to its path.

MANIFEST_BESIDE = b".tree.zst"
ARCHIVE_BESIDE = b".tar.zst"

GUARD_BESIDE = b".claim"
"""A folder that exists while a name is being claimed where there are no hard links."""

TEMPORARIES_BESIDE = (b".json", b".zst")
"""The temporary files beside a staging folder: a record, a manifest."""

# In quarantine: how names begin, by what has been set aside.

ASIDE_BLOB = b"blob-"
ASIDE_TREE = b"tree-"
ASIDE_RECORD = b"record-"
ASIDE_DAMAGED = b"damaged-"

TEMPORARY_PREFIX = b".slurmic-"
"""How the names of all temporary files and folders begin."""


def random_token() -> bytes:
    """16 random hexadecimal digits."""
    return os.urandom(8).hex().encode()


def random_name(suffix: bytes = b"", *, owner: str = "") -> bytes:
    """An unpredictable temporary name, ``.slurmic-<16 hexadecimal digits><suffix>``.

    With `owner`, a snapshot's id, it begins with ``.slurmic-<id>-``: gc removes it together with
    that snapshot's staging folder.
    """
    prefix = staging_name(owner) + b"-" if owner else TEMPORARY_PREFIX
    return prefix + random_token() + suffix


def staging_name(snapshot_id: str) -> bytes:
    """The name of a snapshot's staging folder."""
    return TEMPORARY_PREFIX + os.fsencode(snapshot_id)


def is_temporary(path: bytes) -> bool:
    """Whether the last component of a path is a temporary name, or a staging folder's."""
    return os.path.basename(path).startswith(TEMPORARY_PREFIX)


def new_snapshot_id(now: float) -> str:
    """An id for a snapshot made at `now` (seconds since the epoch)."""
    return time.strftime("%y%m%d-%H%M%S", time.gmtime(now)) + "-" + os.urandom(3).hex()


def aside_name(kind: bytes, token: bytes, name: bytes) -> bytes:
    """The name in quarantine of a blob, manifest or record; `kind` is an ``ASIDE_…``."""
    return kind + token + b"-" + name


def split_aside_name(name: bytes) -> tuple[bytes, bytes]:
    """What was set aside under a name in quarantine: its ``ASIDE_…``, and its name before."""
    kind, dash, rest = name.partition(b"-")
    if kind + dash == ASIDE_DAMAGED:
        return ASIDE_DAMAGED, rest.rpartition(b".")[0]
    return kind + dash, rest.partition(b"-")[2]


def damaged_name(name: bytes) -> bytes:
    """A name in quarantine for something damaged."""
    return ASIDE_DAMAGED + name + b"." + random_token()


def is_bytecode(path: bytes) -> bool:
    """Whether a path is one that Python writes bytecode to (or its folder)."""
    return b"__pycache__" in path.split(b"/") or path.endswith((b".pyc", b".pyo"))


def blob_name(digest: bytes, mode: int) -> bytes:
    """A blob's path below ``blobs/``, as in ``ab/ab12…-444``."""
    name = digest.hex()
    return b"%s/%s-%03o" % (name[:2].encode(), name.encode(), mode)


def blob_names(digests: Sequence[bytes], modes: Sequence[int]) -> list[bytes]:
    """As :func:`blob_name`, for many."""
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
    # Each has one dash, where it belongs.
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


def tree_name(tree: str) -> bytes:
    """A manifest's path below ``trees/``, as in ``ab/ab12….zst``."""
    return b"%s/%s%s" % (tree[:2].encode(), tree.encode(), MANIFEST_SUFFIX)


def tree_of_name(name: bytes) -> str | None:
    """The tree whose manifest has this file name; None if it is not the name of a manifest."""
    tree = name.removesuffix(MANIFEST_SUFFIX).decode("latin-1")
    if not name.endswith(MANIFEST_SUFFIX) or len(tree) != 2 * DIGEST_SIZE:
        return None
    return None if tree.strip("0123456789abcdef") else tree

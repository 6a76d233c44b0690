"""A store's folder and its FORMAT file: making, reading and checking them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping

from slurmic_store.errors import StoreFormatError, os_failure, printable, quoted
from slurmic_store.format.names import FORMAT_FILE, STORE_FOLDERS, is_temporary, random_name
from slurmic_store.format.seals import SECOND, TIMESTAMP_STEPS_NS
from slurmic_store.fs import files
from slurmic_store.fs.creating import publishing, temporarily, write_new

FORMAT_HEAD = "slurmic store"
FORMAT_VERSION = 1
DIGEST_NAME = "xxh3-128"

_LARGEST_FORMAT = 1 << 16
"""Bytes that a FORMAT file may have; it has some hundred."""


def read_format(folder: bytes) -> bytes:
    """The content of a store's FORMAT file.

    Raises:
        FileNotFoundError: there is none, or no such folder.
        StoreFormatError: it cannot be one.
        StoreError: it cannot be read.
    """
    try:
        return files.read_piece(os.path.join(folder, FORMAT_FILE), _LARGEST_FORMAT)
    except NotADirectoryError:
        raise StoreFormatError(
            f"{quoted(folder)} is not a folder",
            path=folder,
            hint="give the store another path",
        ) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise os_failure("read", os.path.join(folder, FORMAT_FILE), error) from error


def parse_format(folder: bytes, content: bytes) -> tuple[int, bool]:
    """The granularity that a FORMAT file states, and whether modes are kept.

    Lines end with a newline and with nothing else; those with unknown keys are skipped, whatever
    their bytes are.

    Raises:
        StoreFormatError: it is not a store's, or of a newer format.
    """
    head, *lines = content.split(b"\n")
    fields = dict(line.split(b" ", 1) for line in lines if b" " in line)
    if head != FORMAT_HEAD.encode():
        raise StoreFormatError(
            f"'{printable(folder)}/FORMAT' is not a store's format file",
            path=folder,
            hint="check that this is the folder of a slurmic store",
        )
    # The version first: of a newer one, nothing else is known.
    version = _number(folder, fields, b"format")
    if version > FORMAT_VERSION:
        raise StoreFormatError(
            f"store {quoted(folder)} has format {version}, newer than {FORMAT_VERSION}, "
            "the newest that this version of slurmic reads",
            path=folder,
            hint="upgrade slurmic, or set store_path to another folder",
        )
    digest = fields.get(b"digest", b"")
    if digest != DIGEST_NAME.encode():
        raise StoreFormatError(
            f"store {quoted(folder)} uses the digest {quoted(digest[:80])}, unknown here",
            path=folder,
            hint="upgrade slurmic, or set store_path to another folder",
        )
    granularity = _number(folder, fields, b"mtime-granularity-ns")
    return max(1, granularity), fields.get(b"permissions") != b"lost"


def _number(folder: bytes, fields: Mapping[bytes, bytes], key: bytes) -> int:
    found = fields.get(key, b"")
    if not re.fullmatch(rb"[0-9]{1,18}", found):
        raise StoreFormatError(
            f"'{printable(folder)}/FORMAT' is damaged: its '{key.decode()}' is "
            f"{quoted(found[:80])}",
            path=folder,
        )
    return int(found)


def create_folder(folder: bytes) -> None:
    """Create an empty store; several processes may do so at once.

    Raises:
        StoreFormatError: the folder holds something else.
        StoreError: it cannot be created.
    """
    if files.names_in(folder):
        # Only another creation of the same store may have come first.
        unknown = sorted(
            name
            for name in files.names_in(folder)
            if name not in STORE_FOLDERS and name != FORMAT_FILE and not is_temporary(name)
        )
        if unknown:
            raise StoreFormatError(
                f"{quoted(folder)} is not a store, and not empty (it holds {quoted(unknown[0])})",
                path=folder,
                hint="give the store a folder of its own, or remove what is in this one",
            )
    files.make_folder(os.path.dirname(folder))
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        for name in STORE_FOLDERS:
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.join(folder, name), 0o700)
        granularity, keeps_modes = probe(os.path.join(folder, b"tmp"))
        text = (
            f"{FORMAT_HEAD}\nformat {FORMAT_VERSION}\ndigest {DIGEST_NAME}\n"
            f"mtime-granularity-ns {granularity}\n"
            f"permissions {'kept' if keeps_modes else 'lost'}\n"
        )
        temporary = os.path.join(folder, b"tmp", random_name())
        with publishing(os.path.join(folder, FORMAT_FILE), temporary=temporary) as file:
            file.write(text.encode())
    except OSError as error:
        raise os_failure("create store", folder, error) from error


def probe(folder: bytes) -> tuple[int, bool]:
    """The smallest timestamp step in nanoseconds, and whether modes are kept; found by trying."""
    wanted = 1_700_000_001 * SECOND + 123_456_789
    with temporarily(os.path.join(folder, random_name())) as path:
        write_new(path, b"", sync=False)
        os.utime(path, ns=(wanted, wanted))
        status = os.stat(path)
    keeps_modes = status.st_mode & 0o777 == 0o444
    for step in TIMESTAMP_STEPS_NS:
        if status.st_mtime_ns == wanted // step * step:
            return step, keeps_modes
    return SECOND, keeps_modes

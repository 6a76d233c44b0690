"""What verify finds, and how one file is compared with what it should be."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Literal

from slurmic_store.errors import quoted, reason_of
from slurmic_store.format.digests import split_key
from slurmic_store.format.seals import SECOND, bears_seal
from slurmic_store.fs.files import digest_file
from slurmic_store.store.store import Store

FindingKind = Literal[
    "missing",
    "type",
    "size",
    "content",
    "mode",
    "seal",
    "target",
    "unreadable",
    "manifest",
    "record",
    "foreign",
    "added",
]
"""What is wrong with a file.

missing: it should exist. type: something of another kind stands in its place. size, content, mode,
target: it has another. seal: it was written to, or touched, after it was stored. unreadable: the
filesystem or its permissions forbid reading it. manifest, record: it does not read back. foreign:
it does not belong in a store. added: it came into a code folder after packing, which is not damage.
"""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        path: absolute.
        kind: what is wrong.
        detail: how, in words; never empty.
    """

    path: bytes
    kind: FindingKind
    detail: str


@dataclass(frozen=True)
class VerifyReport:
    """What was found.

    Attributes:
        checked: how many files were compared.
        hashed: how many of them were read and hashed.
        findings: damage, sorted by path.
        added: what came into a code folder after packing, sorted by path: bytecode, and what jobs
            have created. Not damage.
        notes: sentences on what could not be found out.
    """

    checked: int
    hashed: int
    findings: tuple[Finding, ...]
    added: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether no damage was found."""
        return not self.findings


@dataclass(frozen=True)
class Expected:
    """What a regular file should be.

    Attributes:
        digest: of its content, 16 bytes.
        mode: its permission bits.
        size: bytes; None where it is not known (a blob that no readable manifest names).
        compare_mode: "never" where the filesystem loses permission bits; "owner" in a copy that
            went through an umask.
        compare_seal: whether its modification time should bear the seal.
    """

    digest: bytes
    mode: int
    size: int | None
    compare_mode: Literal["exactly", "owner", "never"] = "exactly"
    compare_seal: bool = True


def expected_blob(store: Store, key: bytes, size: int | None) -> Expected:
    """What the blob with this key should be in a store; arguments as in :class:`Expected`."""
    digest, mode = split_key(key)
    return Expected(
        digest,
        mode,
        size,
        compare_mode="exactly" if store.keeps_modes else "never",
        compare_seal=store.granularity < SECOND,
    )


def check_file(path: bytes, expected: Expected, *, checksum: bool) -> Finding | None:
    """Compare a file with what it should be; the gravest difference, or None.

    Args:
        path: absolute; links are not followed.
        expected: what it should be.
        checksum: read and hash the content too.

    Raises:
        OSError: of the kind that says that it does not exist; any other is a finding.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        return Finding(path, "unreadable", reason_of(error))
    if not stat.S_ISREG(status.st_mode):
        return Finding(path, "type", f"{kind_of(status)} instead of a file")
    if expected.size is not None and status.st_size != expected.size:
        return Finding(path, "size", f"{status.st_size} bytes instead of {expected.size}")
    if checksum:
        try:
            digest = digest_file(path)
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            return Finding(path, "unreadable", reason_of(error))
        if digest != expected.digest:
            return Finding(
                path, "content", f"digest {digest.hex()} instead of {expected.digest.hex()}"
            )
    return _check_mode(path, status, expected) or _check_seal(path, status, expected, checksum)


def _check_mode(path: bytes, status: os.stat_result, expected: Expected) -> Finding | None:
    bits = {"exactly": 0o7777, "owner": 0o500, "never": 0}[expected.compare_mode]
    mode = stat.S_IMODE(status.st_mode)
    if mode & bits != expected.mode & bits:
        return Finding(path, "mode", f"mode {mode:03o} instead of {expected.mode:03o}")
    return None


def _check_seal(
    path: bytes, status: os.stat_result, expected: Expected, hashed: bool
) -> Finding | None:
    if not expected.compare_seal or bears_seal(status.st_mtime_ns, expected.digest):
        return None
    rest = "; its content is right" if hashed else ""
    return Finding(path, "seal", f"written to or touched after it was stored{rest}")


def kind_of(status: os.stat_result) -> str:
    """What a stat result is of, in words."""
    if stat.S_ISLNK(status.st_mode):
        return "a symbolic link"
    if stat.S_ISDIR(status.st_mode):
        return "a folder"
    return "a file" if stat.S_ISREG(status.st_mode) else "a special file"


def check_link(path: bytes, target: bytes) -> Finding | None:
    """Compare a symbolic link with what it should be.

    Raises:
        OSError: of the kind that says that it does not exist; any other is a finding.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISLNK(status.st_mode):
            return Finding(path, "type", f"{kind_of(status)} instead of a symbolic link")
        found = os.readlink(path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        return Finding(path, "unreadable", reason_of(error))
    if found != target:
        return Finding(path, "target", f"points to {quoted(found)} instead of {quoted(target)}")
    return None

"""The record of a snapshot, and the label of a pin, as they are stored: JSON.

A **record** says which tree a snapshot is, where its code folder is, and which jobs run from it.
A **pin** keeps a record alive by being there; what it holds is only a label for people.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any

from slurmic_store.errors import DamagedError

from .digests import DIGEST_SIZE

RECORD_VERSION = 1

END_OF_TIME = 253_402_300_800
"""Seconds since the epoch at which the year 10000 begins: what has to be shown ends before."""


@dataclass(frozen=True)
class SnapshotRecord:
    """What is kept of a snapshot.

    Attributes:
        id: unique; sorts by time of creation: ``YYMMDD-HHMMSS-xxxxxx`` (UTC, then 6 hex digits).
        created: seconds since the epoch.
        tree: the name of the tree, 32 hexadecimal digits.
        anchors: absolute paths of the folders that keep it alive; none for a snapshot that was
            only stored.
        mount: the mount point of the anchors' filesystem when they were made: while nothing is
            mounted there, an anchor that is not found proves nothing.
        files: number of files in the tree.
        size: bytes of content of the tree.
        placement: how the code folder's files were made: "hardlink", "reflink", "copy" or "none".
        jobs: ids of the Slurm jobs (or local ones) that run from it.
        info: what the program above the engine wants to remember; JSON values only.
    """

    id: str
    created: float
    tree: str
    anchors: tuple[bytes, ...] = ()
    mount: bytes = b"/"
    files: int = 0
    size: int = 0
    placement: str = "none"
    jobs: tuple[str, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def code_folder(self) -> bytes | None:
        """The code folder, or the staging folder that will become it; None if there is none."""
        return self.anchors[-1] if self.anchors else None

    def to_json(self) -> str:
        """The record as one JSON object; ``slurmic_record`` comes first, as a mark."""
        text = json.dumps(
            {
                "slurmic_record": RECORD_VERSION,
                "id": self.id,
                "created": self.created,
                "tree": self.tree,
                # File names need not be UTF-8: what is not travels as lone surrogates.
                "anchors": [os.fsdecode(anchor) for anchor in self.anchors],
                "mount": os.fsdecode(self.mount),
                "files": self.files,
                "size": self.size,
                "placement": self.placement,
                "jobs": list(self.jobs),
                "info": self.info,
            },
            indent=1,
        )
        # The mark stands right behind the brace, so that a look at a few bytes tells a record.
        return "{" + text[1:].lstrip()

    @classmethod
    def from_json(cls, text: str | bytes) -> SnapshotRecord:
        """The record in a JSON text; unknown fields are skipped.

        Raises:
            DamagedError: it is not a record, or one of a newer version.
        """
        try:
            data = json.loads(text if isinstance(text, str) else text.decode())
            if _field(data, "slurmic_record", int) > RECORD_VERSION:
                raise DamagedError(
                    f"record has version {data['slurmic_record']}, newer than {RECORD_VERSION}",
                    hint="upgrade slurmic",
                )
            tree = _field(data, "tree", str)
            if not re.fullmatch(f"[0-9a-f]{{{2 * DIGEST_SIZE}}}", tree):
                raise ValueError(f"not a tree's name: {tree!r}")
            anchors = tuple(map(os.fsencode, _texts(data, "anchors")))
            if any(b"\0" in anchor or not anchor.startswith(b"/") for anchor in anchors):
                raise ValueError(f"not absolute paths: {anchors!r}")
            created = float(_field(data, "created", int, float))
            if not 0 <= created < END_OF_TIME:
                raise ValueError(f"not a time: {created!r}")
            return cls(
                id=_field(data, "id", str),
                created=created,
                tree=tree,
                anchors=anchors,
                mount=os.fsencode(_field(data, "mount", str)),
                files=_field(data, "files", int),
                size=_field(data, "size", int),
                placement=_field(data, "placement", str),
                jobs=_texts(data, "jobs"),
                info=_field(data, "info", dict),
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DamagedError(f"not a snapshot record: {error!r}") from error


def _field(data: Any, name: str, *types: type) -> Any:
    """A field of a record, of one of these types: nothing is converted.

    Raises:
        KeyError, TypeError: it is missing, or of another type.
    """
    value = data[name]
    if not isinstance(value, types) or isinstance(value, bool):
        raise TypeError(f"{name!r} is {value!r:.80}")
    return value


def _texts(data: Any, name: str) -> tuple[str, ...]:
    values = _field(data, name, list)
    if not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name!r} is {values!r:.80}")
    return tuple(values)


def encode_pin(label: str) -> str:
    """The content of a pin with this label."""
    return json.dumps({"name": label, "created": time.time()})


def decode_pin(text: bytes) -> str:
    """The label in the content of a pin; "" if it has none, or cannot be read."""
    try:
        return str(json.loads(text).get("name", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""

"""A snapshot in words and as JSON: what ``ls`` and ``show`` have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slurmic_store import AnchorState, SnapshotRecord


def folder_state(record: SnapshotRecord) -> AnchorState | None:
    """Whether a snapshot's own code folder is there; None for a snapshot that never had one.

    "gone" even if there is a folder at its path, when that is another snapshot's by now.
    """
    from slurmic_store import anchor_state, is_superseded

    if not record.anchors:
        return None
    state = anchor_state(record)
    return "gone" if state == "present" and is_superseded(record) else state


def record_as_json(
    record: SnapshotRecord, state: AnchorState | None, pins: Mapping[str, str]
) -> dict[str, Any]:
    """A record as JSON values; docs/json.md says what they mean.

    Args:
        record: the record.
        state: of its code folder.
        pins: the names of pins by the ids of pinned snapshots.
    """
    folder = record.code_folder
    return {
        "id": record.id,
        "created": record.created,
        "tree": record.tree,
        "files": record.files,
        "size": record.size,
        "jobs": list(record.jobs),
        "code_folder": None if folder is None else os.fsdecode(folder),
        "code_folder_state": state,
        "pinned": record.id in pins,
        "pin_name": pins.get(record.id),
        "info": record.info,
    }


def info_text(info: Mapping[str, Any], *names: str) -> str:
    """A text in a record's info, by the names that lead to it; "" if it has none.

    What stands there is somebody else's making: anything may.
    """
    value: Any = info
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def is_dirty(info: Mapping[str, Any]) -> bool:
    """Whether the tree that was packed differed from its commit, as far as is known."""
    git = info.get("git")
    return isinstance(git, Mapping) and git.get("dirty") is True


def pin_text(pins: Mapping[str, str], snapshot_id: str) -> str:
    """What is said of a snapshot's pin; "" if it has none."""
    if snapshot_id not in pins:
        return ""
    return f"pinned '{pins[snapshot_id]}'" if pins[snapshot_id] else "pinned"

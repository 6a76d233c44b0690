"""What is set aside and needed is deleted only where a sound blob has its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from storechecks import Project, blob_files

from slurmic_store import Store, plan_gc

QUARANTINED = {
    "by a collection that was killed": b"blob-0123456789ab-%s",
    "as damaged, though only touched": b"damaged-%s.0123456789abcdef",
}


@pytest.fixture
def needed(store: Store, project: Project) -> bytes:
    """The path of a blob that a pinned snapshot needs, and nothing else has."""
    project.write(b"needed.py", b"needed = 1\n")
    before = set(blob_files(store))
    project.take(store, None)
    os.unlink(project.path(b"needed.py"))
    by_content = {Path(os.fsdecode(path)).read_bytes(): path for path in blob_files(store).values()}
    assert not before
    return by_content[b"needed = 1\n"]


def damage(path: bytes) -> None:
    os.chmod(path, 0o644)
    Path(os.fsdecode(path)).write_bytes(b"NEEDED = 1\n")
    os.chmod(path, 0o444)


@pytest.mark.parametrize("kind", QUARANTINED)
@pytest.mark.parametrize("named", ["damaged", "sound", "free", "folder"])
@pytest.mark.parametrize("aside", ["sound", "damaged"])
def test_the_only_sound_copy_is_never_deleted(
    store: Store, needed: bytes, kind: str, named: str, aside: str
) -> None:
    quarantined = os.path.join(store.quarantine, QUARANTINED[kind] % os.path.basename(needed))
    content = Path(os.fsdecode(needed)).read_bytes()
    os.rename(needed, quarantined)
    if aside == "damaged":
        damage(quarantined)
    if named == "folder":
        os.mkdir(needed)
    elif named != "free":
        Path(os.fsdecode(needed)).write_bytes(content)
        os.chmod(needed, 0o444)
        if named == "damaged":
            damage(needed)
    plan = plan_gc(store, grace=0)
    plan.execute()
    if "sound" in (named, aside):
        assert Path(os.fsdecode(needed)).read_bytes() == content
        assert not plan.problems
    elif named != "free" or "damaged" in kind:
        # Neither is sound: both are kept, and every collection says so.
        assert os.path.lexists(quarantined)
        assert "a live snapshot needs it" in plan.problems[-1]
        again = plan_gc(store, grace=0)
        again.execute()
        assert "a live snapshot needs it" in again.problems[-1]

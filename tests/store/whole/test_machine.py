"""A store against a plain model: whatever is done to it, in whatever order.

The model is a dict of code folders and what each must hold, and one of pinned trees. A job that
damages a file through its link changes the bytes for all folders that share the inode; the model
knows which bytes those are, so that anything else that changes is found.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from storechecks import (
    DEEP,
    Content,
    Project,
    age,
    blob_files,
    check_store,
    code_folders,
    left_for_good,
    leftovers,
    read_folder,
    rebuild,
    remove,
)
from storefaults import FULL, in_child

from slurmic_store import (
    Snapshot,
    Store,
    pin,
    plan_gc,
    read_records,
    unpin,
    withdraw_snapshot,
)
from slurmic_store.source import statcache
from slurmic_store.store.method import LinkMode
from slurmic_store.store.pins import pinned_ids
from slurmic_store.store.records import anchor_state

NAMES = [b"a.py", b"b.py", b"package/a.py", b"package/deep/\xff\n *.py", b"run.sh"]
CONTENTS = [b"", b"one\n", b"two\n", b"three three\n", b"#!/bin/sh\n" * 300]

names = st.sampled_from(NAMES)
contents = st.sampled_from(CONTENTS)
modes = st.sampled_from([0o644, 0o755, 0o600])
outputs = st.sampled_from(["x", "y/z"])
link_modes = st.sampled_from(["auto", "hardlink", "copy"])


numbers = st.integers(0, 59)


def _one(number: int, choices: list[Any]) -> Any:
    """One of several things whose number and names differ from run to run (ids do).

    So no rule has a precondition, and none draws what depends on them: Hypothesis wants to draw the
    same when it runs the same again, and at which call a crash strikes depends on the clock.
    """
    return choices[number % len(choices)]


class StoreMachine(RuleBasedStateMachine):
    """Rules are what users, jobs, crashes and collections do."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="slurmic-machine-"))
        self.margin = statcache.RACY_MARGIN_NS
        statcache.RACY_MARGIN_NS = 0  # see the fixture eager_cache
        self.out = os.fsencode(self.base / "out")
        os.mkdir(self.out)
        self.project = Project(os.fsencode(self.base / "project"))
        self.project.write(b"main.py", b"main\n")
        self.store = Store.open(self.base / "store")
        self.folders: dict[bytes, Content] = {}
        self.trees: dict[str, Content] = {}
        self.hurt: set[bytes] = set()
        self.last: Snapshot | None = None

    def teardown(self) -> None:
        statcache.RACY_MARGIN_NS = self.margin
        shutil.rmtree(self.base)

    # The user edits.

    @rule(name=names, content=contents, mode=modes)
    def replace(self, name: bytes, content: bytes, mode: int) -> None:
        self.project.write(name, content, mode)

    @rule(name=names, content=contents, keep_time=st.booleans())
    def overwrite(self, name: bytes, content: bytes, keep_time: bool) -> None:
        """In place, perhaps of the same size, perhaps with the old modification time."""
        path = self.project.path(name)
        if os.path.lexists(path):
            before = os.stat(path)
            self.project.overwrite(name, content)
            if keep_time:
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(name=names)
    def delete(self, name: bytes) -> None:
        if os.path.lexists(self.project.path(name)):
            os.unlink(self.project.path(name))

    @rule(points_to=st.sampled_from([b"main.py", b"/nowhere", b".", b"\xfe"]))
    def link(self, points_to: bytes) -> None:
        if os.path.lexists(self.project.path(b"link")):
            os.unlink(self.project.path(b"link"))
        self.project.link(b"link", points_to)

    # The user submits.

    @rule(output=outputs, mode=link_modes, refresh_after=st.sampled_from([0.5, 1e9]))
    def snapshot(self, output: str, mode: LinkMode, refresh_after: float) -> None:
        snapshot = self.project.take(
            self.store, self.base / "out" / output, mode, refresh_after=refresh_after
        )
        self._taken(snapshot)

    def _taken(self, snapshot: Snapshot) -> None:
        expected = self.project.expected()
        if snapshot.code_folder is not None:
            assert snapshot.code_folder not in self.folders
            # Above all: nothing that a job has damaged, however good its name looks.
            assert read_folder(snapshot.code_folder) == expected
            self.folders[snapshot.code_folder] = expected
            self.last = snapshot
        self.trees[snapshot.record.tree] = dict(expected)
        rebuilt, missing = rebuild(self.store, snapshot.record.tree)
        assert not missing
        assert rebuilt == expected
        self.hurt -= {
            os.path.basename(self.store.blob_path(entry.digest, entry.mode))
            for entry in snapshot.tree.entries
        }

    @rule(label=st.sampled_from(["", "paper"]))
    def store_only(self, label: str) -> None:
        snapshot = self.project.take(self.store, None, pin_name=label)
        self._taken(snapshot)

    @rule()
    def share_inodes(self) -> None:
        """Equal files of two snapshots are one inode; empty files never are."""
        one = self.project.take(self.store, self.base / "out" / "one")
        two = self.project.take(self.store, self.base / "out" / "two")
        self._taken(one)
        self._taken(two)
        assert one.code_folder is not None
        assert two.code_folder is not None
        for entry in one.tree.entries:
            if entry.target is None:
                a = os.lstat(os.path.join(one.code_folder, entry.path))
                b = os.lstat(os.path.join(two.code_folder, entry.path))
                assert (a.st_ino == b.st_ino) == (entry.size > 0)
                assert a.st_nlink >= 3 if entry.size else a.st_nlink == 1

    @rule()
    def withdraw(self) -> None:
        """Slurm refused the job."""
        if self.last is None or self.last.code_folder not in self.folders:
            return
        assert self.last.code_folder is not None
        withdraw_snapshot(self.store, self.last)
        del self.folders[self.last.code_folder]
        assert not os.path.lexists(self.last.code_folder)
        assert not os.path.lexists(self.last.code_folder + b".json")

    @rule(where=st.integers(0, 120), error=st.sampled_from([0, *FULL]), output=outputs)
    def crash(self, where: int, error: int, output: str) -> None:
        """A submission dies or fails at some step."""
        outcome = in_child(
            lambda: self.project.take(self.store, self.base / "out" / output), at=where, error=error
        )
        if outcome.kind == "done":
            self._taken(outcome.detail)
        else:
            assert outcome.kind in ("killed", "refused"), outcome.detail
            self._find_finished()

    @rule(where=st.integers(0, 60), grace=st.sampled_from([0.0, 3600.0]))
    def crash_collecting(self, where: int, grace: float) -> None:
        """A collection dies at some step."""
        outcome = in_child(lambda: plan_gc(self.store, grace=grace).execute(), at=where)
        assert outcome.kind in ("done", "killed"), outcome.detail

    def _find_finished(self) -> None:
        """A submission that died after its last rename has left a finished folder."""
        for folder in code_folders(self.out):
            if folder not in self.folders:
                self.folders[folder] = self.project.expected()

    # What happens to code folders.

    @rule(number=numbers)
    def delete_folder(self, number: int) -> None:
        if not self.folders:
            return
        folder = _one(number, sorted(self.folders))
        remove(folder)
        del self.folders[folder]

    @rule(
        number=numbers,
        file=numbers,
        how=st.sampled_from(["write", "truncate", "chmod", "same size"]),
    )
    def damage(self, number: int, file: int, how: str) -> None:
        """A job changes a file of its code folder although it is read-only."""
        if not self.folders:
            return
        folder = _one(number, sorted(self.folders))
        files = [
            path
            for path, (kind, _, content) in sorted(self.folders[folder].items())
            if kind == "file" and content
        ]
        if not files:
            return
        path = os.path.join(folder, _one(file, files))
        if how == "chmod":
            os.chmod(path, 0o664)
        else:
            os.chmod(path, 0o644)
            content = Path(os.fsdecode(path)).read_bytes()
            changed = {"write": b"damaged", "truncate": b"", "same size": b"#" * len(content)}[how]
            Path(os.fsdecode(path)).write_bytes(changed)
        status = os.stat(path)
        self.hurt |= {
            name
            for name, blob in blob_files(self.store).items()
            if os.lstat(blob).st_ino == status.st_ino
        }
        for other in self.folders:
            for name in self.folders[other]:
                at = os.path.join(other, name)
                if os.lstat(at).st_ino == status.st_ino:
                    now = ("file", stat.S_IMODE(status.st_mode), Path(os.fsdecode(at)).read_bytes())
                    self.folders[other][name] = now

    @rule()
    def grow_old(self) -> None:
        """Time passes for the blobs."""
        for path in blob_files(self.store).values():
            if os.lstat(path).st_mtime > time.time() - 3600 and os.lstat(path).st_size:
                age(path, 7200)

    # Pins and collections.

    @rule(number=numbers)
    def pin_one(self, number: int) -> None:
        ids = [record.id for record in read_records(self.store)]
        if ids and self.folders:
            pin(self.store, _one(number, ids), "kept")

    @rule(number=numbers)
    def unpin_one(self, number: int) -> None:
        pinned = sorted(pinned_ids(self.store))
        if pinned:
            unpin(self.store, _one(number, pinned))

    @rule(grace=st.sampled_from([0.0, 0.0, 3600.0]))
    def gc(self, grace: float) -> None:
        plan = plan_gc(self.store, grace=grace)
        stats = plan.execute()
        assert not plan.blocked
        assert all("nothing has replaced it" in problem for problem in plan.problems)
        if grace:
            assert stats.records == 0  # all is younger

    # What always holds.

    @invariant()
    def folders_are_what_they_were(self) -> None:
        assert code_folders(self.out) == sorted(self.folders)
        for folder, content in self.folders.items():
            assert read_folder(folder) == content

    @invariant()
    def live_trees_can_be_rebuilt(self) -> None:
        """Whatever a live record names is in the store, but for what a job has damaged."""
        check_store(self.store, damaged=self.hurt)
        aside = {
            name.split(b"-", 2)[2]
            for name in os.listdir(self.store.quarantine)
            if name.startswith(b"blob-")
        }
        pins = pinned_ids(self.store)
        for record in read_records(self.store):
            staged = record.code_folder is not None and b"/.slurmic-" in record.code_folder
            if (record.id in pins or anchor_state(record) == "present") and not staged:
                crashed = any(
                    b"/.slurmic-" in anchor and os.path.exists(anchor) for anchor in record.anchors
                )
                if crashed or not os.path.lexists(self.store.tree_path(record.tree)):
                    continue
                rebuilt, missing = rebuild(self.store, record.tree)
                assert missing <= self.hurt | aside
                if record.tree in self.trees:
                    assert rebuilt.items() <= self.trees[record.tree].items()

    @rule()
    def all_is_cleaned_up(self) -> None:
        """After a collection, nothing is anywhere that does not belong there."""
        assert left_for_good(self.store, self.hurt) == []
        pins = pinned_ids(self.store)
        pinned = {record.code_folder for record in read_records(self.store) if record.id in pins}
        claims = {
            path.removesuffix(b".json").removesuffix(b".tree.zst") for path in leftovers(self.out)
        }
        assert claims <= pinned  # their folder was deleted; what ran stays readable
        claimed = {record.code_folder for record in read_records(self.store) if record.anchors}
        assert claimed - set(self.folders) <= pinned


StoreMachine.TestCase.settings = settings(
    max_examples=120 if DEEP else 15,
    stateful_step_count=50 if DEEP else 20,
    deadline=None,
    derandomize=not DEEP,
    database=None,
)
TestStore = StoreMachine.TestCase

"""One store on a real GlusterFS, used by two clients with caches of their own, as by two hosts.

Each "host" is a process with a mount namespace of its own, in which its client is mounted at the
path that both share; so what one writes the other sees by the same name, through its own cache.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import random
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filesystems import Gluster, gluster, mounted, run

from slurmic_store import (
    Store,
    plan_gc,
    repair_code_folder,
    take_snapshot,
    verify_code_folder,
    verify_store,
)

pytestmark = [pytest.mark.realfs, pytest.mark.gluster]

SECONDS = float(os.environ.get("SLURMIC_TWO_HOSTS_SECONDS", "8"))
"""How long the hosts work at once."""

_CLONE_NEWNS = 0x00020000


@dataclass(frozen=True)
class Hosts:
    """Two clients of one volume.

    Attributes:
        shared: the path at which each host sees the volume; the test's own process sees it there
            through the first client.
        clients: the mounts of the two.
        notes: a local folder, for what hosts report.
    """

    shared: Path
    clients: tuple[Path, Path]
    notes: Path

    def start(self, host: int, work: Callable[[], object]) -> multiprocessing.Process:
        """Let a host do something, in a process of its own; `finish` waits for it."""
        report = self.notes / f"{host}-{random.randrange(1 << 60):x}.json"
        context = multiprocessing.get_context("fork")
        process = context.Process(target=self._work, args=(host, work, report), name=str(report))
        process.start()
        return process  # type: ignore[return-value]

    def _work(self, host: int, work: Callable[[], object], report: Path) -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            run("mount", "--make-rprivate", "/")
            run("umount", self.shared)
            run("mount", "--bind", self.clients[host], self.shared)
            random.seed(f"{host} {report.name}")
            report.write_text(json.dumps({"value": work()}))
        except BaseException:
            report.write_text(json.dumps({"error": traceback.format_exc()}))

    def finish(self, *processes: multiprocessing.Process) -> list[Any]:
        """What each has returned; fails if one failed or hangs."""
        values = []
        for process in processes:
            process.join(SECONDS + 120)
            if process.is_alive():
                process.kill()
                process.join()
                pytest.fail("a host hangs")
            outcome = json.loads(Path(process.name).read_text())
            assert "error" not in outcome, outcome["error"]
            values.append(outcome["value"])
        return values

    def on(self, host: int, work: Callable[[], object]) -> Any:
        """Do something on a host, now."""
        return self.finish(self.start(host, work))[0]


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gluster]:
    with gluster(tmp_path_factory.mktemp("gluster")) as volume:
        yield volume


@pytest.fixture
def hosts(volume: Gluster, tmp_path: Path) -> Iterator[Hosts]:
    """Both hosts, with an empty volume."""
    shared, notes = tmp_path / "shared", tmp_path / "notes"
    notes.mkdir()
    with ExitStack() as stack:
        stack.enter_context(mounted(shared, "--bind", volume.first))
        yield Hosts(shared, (volume.first, volume.second), notes)
        for entry in list(shared.iterdir()):
            shutil.rmtree(entry)


def write_tree(root: Path, files: dict[str, str]) -> list[bytes]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return [os.fsencode(name) for name in files]


def contents(code: bytes | str, files: dict[str, str]) -> dict[str, str]:
    folder = Path(os.fsdecode(code))
    return {name: (folder / name).read_text() for name in files}


def test_the_life_of_a_store(hosts: Hosts, tmp_path: Path) -> None:
    """Packed on one host, run, verified and repaired on the other, collected on the first."""
    root, store_path, output = tmp_path / "src", hosts.shared / "store", hosts.shared / "out"
    files = {"main.py": "import pkg", "pkg/__init__.py": "", "pkg/model.py": "x = 1"}
    paths = write_tree(root, files)

    def submit() -> list[object]:
        store = Store.open(store_path)
        snapshot = take_snapshot(store, os.fsencode(root), paths, output_folder=os.fsencode(output))
        assert snapshot.code_folder is not None
        placed = (snapshot.record.placement, list(snapshot.notices))
        return [os.fsdecode(snapshot.code_folder), *placed, store.granularity, store.keeps_modes]

    code, placement, notices, granularity, keeps_modes = hosts.on(0, submit)
    assert (placement, notices, granularity, keeps_modes) == ("hardlink", [], 1, True)

    def check_and_damage() -> None:
        assert contents(code, files) == files
        store = Store.open(store_path)
        assert verify_code_folder(os.fsencode(code), checksum=True).findings == ()
        assert verify_store(store, checksum=True).findings == ()
        with open(f"{code}/main.py", "r+") as stream:  # as root
            stream.write("IMPORT")
        found = verify_code_folder(os.fsencode(code), checksum=False).findings
        assert [finding.path for finding in found] == [os.fsencode(f"{code}/main.py")]

    hosts.on(1, check_and_damage)
    time.sleep(1.1)  # attributes are cached for a second

    def submit_again_and_repair() -> None:
        again, *_ = submit()
        assert contents(str(again), files) == files
        store = Store.open(store_path)
        report = repair_code_folder(os.fsencode(code), checksum=False, store=store)
        assert (len(report.repaired), report.left) == (1, ())
        shutil.rmtree(str(again))

    hosts.on(0, submit_again_and_repair)

    def collect() -> int:
        assert contents(code, files) == files
        store = Store.open(store_path)
        plan = plan_gc(store, grace=0)
        stats = plan.execute()
        assert plan.problems == []
        return stats.records

    assert hosts.on(1, collect) == 1
    assert (
        hosts.on(0, lambda: len(verify_store(Store.open(store_path), checksum=True).findings)) == 0
    )


def test_the_100_links_of_a_blob(hosts: Hosts, tmp_path: Path) -> None:
    """The 150 submissions of one tree, on both hosts in turn."""
    root, store_path = tmp_path / "src", hosts.shared / "store"
    files = {"a.py": "a", "b.py": "b"}
    paths = write_tree(root, files)

    def submit(count: int, name: str) -> list[str]:
        store = Store.open(store_path)
        folders = []
        for _ in range(count):
            output = os.fsencode(hosts.shared / name)
            snapshot = take_snapshot(store, os.fsencode(root), paths, output_folder=output)
            assert snapshot.notices == ()
            assert snapshot.code_folder is not None
            folders.append(os.fsdecode(snapshot.code_folder))
        return folders

    first = hosts.on(0, lambda: submit(75, "one"))
    second = hosts.on(1, lambda: submit(75, "two"))

    def check() -> list[int]:
        inodes: dict[int, int] = {}
        for code in [*first, *second]:
            assert contents(code, files) == files
            status = os.stat(f"{code}/a.py")
            inodes[status.st_ino] = status.st_nlink
        assert verify_store(Store.open(store_path), checksum=True).findings == ()
        return sorted(inodes.values())

    # A full inode, whose name in the store has gone to a fresh one: 99 folders, then 51 and a blob.
    assert hosts.on(0, check) == [52, 99]


def submit_for_a_while(shared: Path, root: Path, name: str) -> dict[str, object]:
    """Take snapshots of an ever changing tree, check each, and delete old ones, until time is up.

    Its contents come from a small pool: blobs are wanted again and again just when they may be
    collected.
    """
    store = Store.open(shared / "store")
    kept: list[tuple[str, dict[str, str]]] = []
    taken = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        files = {f"{n}.py": f"{n} {random.randrange(3)}" for n in range(6)}
        files["always.py"] = "the same"
        paths = write_tree(root, files)
        output = os.fsencode(shared / name)
        snapshot = take_snapshot(store, os.fsencode(root), paths, output_folder=output)
        assert snapshot.code_folder is not None
        code = os.fsdecode(snapshot.code_folder)
        assert contents(code, files) == files
        kept.append((code, files))
        taken += 1
        if len(kept) > 3:
            old, was = kept.pop(random.randrange(len(kept)))
            assert contents(old, was) == was
            shutil.rmtree(old)
    return {"taken": taken, "kept": kept}


def collect_for_a_while(shared: Path, grace: float) -> dict[str, object]:
    """Collect, again and again, until time is up."""
    store = Store.open(shared / "store")
    runs = blobs = restored = 0
    problems: list[str] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        plan = plan_gc(store, grace=grace)
        stats = plan.execute()
        runs, blobs, restored = runs + 1, blobs + stats.blobs, restored + stats.restored
        problems += plan.problems
    return {"runs": runs, "blobs": blobs, "restored": restored, "problems": problems}


@pytest.mark.parametrize("grace", [0.0, 2.0])
def test_submissions_on_one_host_and_collections_on_the_other(
    hosts: Hosts, tmp_path: Path, record_property: Callable[[str, object], None], grace: float
) -> None:
    """No byte that a live snapshot needs is lost: neither in code folders nor in the store."""
    work(hosts, tmp_path, record_property, grace, submitters=[0], collectors=[1])


def test_submissions_and_collections_on_both_hosts(
    hosts: Hosts, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    work(hosts, tmp_path, record_property, 0.0, submitters=[0, 1], collectors=[0, 1])


def work(
    hosts: Hosts,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    grace: float,
    *,
    submitters: list[int],
    collectors: list[int],
) -> None:
    shared = hosts.shared
    hosts.on(0, lambda: Store.open(shared / "store").name)
    roots = [tmp_path / f"src-{number}" for number in range(len(submitters))]
    processes = [
        hosts.start(host, partial(submit_for_a_while, shared, roots[n], f"out-{n}"))
        for n, host in enumerate(submitters)
    ]
    processes += [
        hosts.start(host, lambda: collect_for_a_while(shared, grace)) for host in collectors
    ]
    outcomes: list[dict[str, Any]] = hosts.finish(*processes)
    taken = sum(outcome.get("taken", 0) for outcome in outcomes)
    collected = sum(outcome.get("blobs", 0) for outcome in outcomes)
    runs = sum(outcome.get("runs", 0) for outcome in outcomes)
    for name, value in (("taken", taken), ("runs", runs), ("collected", collected)):
        record_property(name, value)
    print(f"{taken} submissions, {runs} collections of {collected} blobs, grace {grace}")
    kept = [item for outcome in outcomes for item in outcome.get("kept", ())]

    def check() -> None:
        store = Store.open(shared / "store")
        for code, files in kept:
            assert contents(code, files) == files
            assert verify_code_folder(os.fsencode(code), checksum=True).findings == ()
            with open(f"{code}.json") as stream:
                snapshot_id = json.load(stream)["id"]
            assert os.path.exists(os.path.join(store.snapshots, snapshot_id.encode() + b".json"))
        assert verify_store(store, checksum=True).findings == ()
        # A last collection leaves just what is needed, and nothing of what has gone on.
        plan_gc(store, grace=0).execute()
        assert verify_store(store, checksum=True).findings == ()
        assert os.listdir(store.snapshots)
        assert os.listdir(store.quarantine) == []
        assert os.listdir(store.tmp) == []
        assert plan_gc(store, grace=0).live.keys() == {
            name[:-5].decode() for name in os.listdir(store.snapshots)
        }
        assert len(os.listdir(store.snapshots)) == len(kept)

    time.sleep(1.1)
    for host in (1, 0):
        hosts.on(host, check)
    assert taken > 3
    assert runs > 1

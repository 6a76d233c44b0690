"""What a collection costs that finds out what nothing uses, against listing the blobs with find.

The store is made up, and valid: small blobs under their digests, sealed and days old, and records
with code folders. Each tree takes its files from all blobs by chance, the worst case for a
processor's caches; some blobs are in no tree.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from slurmic_store import SnapshotRecord, Store, TreeEntry, plan_gc
from slurmic_store.format.digests import digest_of, keys_in
from slurmic_store.format.manifest import blob_column
from slurmic_store.format.names import blob_name, new_snapshot_id
from slurmic_store.format.seals import SECOND, seal_of
from slurmic_store.format.tree import encode_tree, tree_digest
from slurmic_store.store.records import write_record

from .harness import Candidate, Settings, alternate
from .report import Report

FIND = "find | wc -l"
DRY_RUN = "gc --dry-run"


def run(settings: Settings, report: Report) -> None:
    """Measure it all."""
    blobs = settings.pick(tiny=2_000, quick=100_000, full=1_000_000)
    trees = settings.pick(tiny=5, quick=100, full=1_000)
    files = settings.pick(tiny=500, quick=5_000, full=5_000)
    report.progress(f"making a store of {blobs:,} blobs and {trees:,} trees of {files:,} files")
    store = make_store(settings.scratch, blobs, trees, files)
    candidates = [
        Candidate(FIND, lambda _: count_with_find(store, blobs)),
        Candidate(DRY_RUN, lambda _: check(store, trees)),
    ]
    samples = alternate(candidates, settings.scratch, rounds=settings.pick(tiny=2, quick=7, full=9))
    title = f"{blobs:,} blobs, {trees:,} trees of {files:,} files"
    report.compared(title, samples, FIND)
    if settings.size != "tiny":
        report.ratio_bar(title, samples, DRY_RUN, FIND, 3)
    memory = peak_memory(store)
    rate = decoding_rate(store)
    report.table(
        "of a dry run",
        ["", ""],
        [["peak memory, MB", memory], ["digests decoded, million/s", rate]],
    )
    report.bar("peak memory of a dry run, interpreter included, MB", memory, 500)
    if settings.size != "tiny":
        report.bar("digests decoded, million/s", rate, 5, at_least=True)


def make_store(folder: Path, blobs: int, trees: int, files: int) -> Store:
    """A store as submissions would have left it two days ago."""
    store = Store.open(folder / "store")
    stored = int(time.time()) - 2 * 24 * 3600
    for prefix in range(256):
        os.mkdir(os.path.join(store.blobs, b"%02x" % prefix), 0o700)
    digests = []
    for number in range(blobs):
        content = struct.pack("<Q", number)
        digest = digest_of(content)
        path = os.path.join(store.blobs, blob_name(digest, 0o444))
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        os.write(file, content)
        sealed = (stored - 1) * SECOND + seal_of(digest)
        os.utime(file, ns=(sealed, sealed))
        os.close(file)
        digests.append(digest)
    chance = random.Random(1)
    for number in range(trees):
        entries = [
            TreeEntry(b"package_%02d/module_%04d.py" % (index // 100, index), 0o444, 8, digest)
            for index, digest in enumerate(chance.sample(digests, files))
        ]
        encoded = encode_tree(entries)
        tree = tree_digest(encoded)
        store.publish_manifest(tree, encoded, refresh_after=float("inf"))
        code = folder / f"run-{number}" / "code"
        code.mkdir(parents=True)
        record = SnapshotRecord(
            id=new_snapshot_id(stored + number),
            created=stored + number,
            tree=tree,
            anchors=(os.fsencode(code),),
            files=files,
            size=8 * files,
            placement="hardlink",
        )
        write_record(store, record)
    return store


def count_with_find(store: Store, blobs: int) -> None:
    """The floor: every name is listed, and nothing is looked up."""
    command = 'find "$1" -type f | wc -l'
    arguments = ["sh", "-c", command, "sh", os.fsdecode(store.blobs)]
    counted = subprocess.run(arguments, check=True, capture_output=True).stdout
    assert int(counted) == blobs


def check(store: Store, trees: int) -> None:
    """The dry run; it must have seen everything, and blocked nothing."""
    plan = plan_gc(store)
    assert len(plan.live) == trees
    assert not plan.problems


def peak_memory(store: Store) -> float:
    """Megabytes of a process that does a dry run and nothing else, interpreter included."""
    program = (
        "import resource, sys\n"
        "from slurmic_store import Store, plan_gc\n"
        "plan_gc(Store.open(sys.argv[1], create=False))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    # The peak of a forked process counts from its parent's: another interpreter in between.
    between = "import subprocess, sys; subprocess.run(sys.argv[1:], check=True)"
    command = [sys.executable, "-c", program, os.fsdecode(store.path)]
    done = subprocess.run(
        [sys.executable, "-c", between, *command], check=True, capture_output=True
    )
    return int(done.stdout) * 1024 / 1e6


def decoding_rate(store: Store) -> float:
    """Millions of digests a second, from unpacked manifests to objects that can be compared."""
    names = [
        name[:-4].decode()
        for prefix in os.listdir(store.trees)
        for name in os.listdir(os.path.join(store.trees, prefix))
    ]
    encoded = [store.read_manifest(name) for name in names[:100]]
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        entries = 0
        for one in encoded:
            column = blob_column(one)
            deque(keys_in(column), maxlen=0)
            entries += len(column) // 18
        best = max(best, entries / (time.perf_counter() - started) / 1e6)
    return best

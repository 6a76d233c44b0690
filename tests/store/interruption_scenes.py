"""What is interrupted at each step: a store's history, and what is about to happen in it."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from storechecks import Content, Project, age, blob_files, code_folders, read_folder, remove
from storefaults import in_child, raising, watched

from slurmic_store import Store, plan_gc, read_records, withdraw_snapshot

SCENARIOS: dict[str, Callable[[Scene], None]] = {}


@dataclass
class Scene:
    """A store with some history, and what is about to happen.

    Attributes:
        base: holds ``store/`` and ``out/``; put back as it was before each attempt.
        project: the source tree, outside of `base`, so that the stat cache stays good.
        act: what is interrupted.
        damaged: names of blobs that the scenario has damaged.
        kept: contents of code folders that must not change, by path.
        live: trees that the store must be able to give in the end.
    """

    base: Path
    project: Project
    act: Callable[[Store], object] = lambda store: None
    damaged: set[bytes] = field(default_factory=set)
    kept: dict[bytes, Content] = field(default_factory=dict)
    live: dict[str, Content] = field(default_factory=dict)

    @property
    def out(self) -> bytes:
        return os.fsencode(self.base / "out")

    def open(self) -> Store:
        return Store.open(self.base / "store")

    def output(self, name: str) -> bytes:
        return os.fsencode(self.base / "out" / name)

    def take(self, name: str | None = "new", **options: object) -> Callable[[Store], object]:
        output = None if name is None else self.output(name)
        return lambda store: self.project.take(store, output, **options) and None  # type: ignore[arg-type]

    def freeze(self) -> None:
        """Remember what there is, and the state to go back to."""
        self.kept = {folder: read_folder(folder) for folder in code_folders(self.out)}
        subprocess.run(["cp", "-a", self.base, f"{self.base}.frozen"], check=True)

    def restore(self) -> None:
        remove(os.fsencode(self.base))
        subprocess.run(["cp", "-a", f"{self.base}.frozen", self.base], check=True)


def scenario(function: Callable[[Scene], None]) -> Callable[[Scene], None]:
    SCENARIOS[function.__name__] = function
    return function


def _with_history(scene: Scene) -> Store:
    """Two earlier snapshots, of which one has a code folder and the other is pinned only."""
    store = scene.open()
    scene.project.take(store, scene.output("earlier"))
    scene.project.write(b"stored.py", b"only in the pinned snapshot\n")
    snapshot = scene.project.take(store, None)
    scene.live[snapshot.record.tree] = scene.project.expected()
    os.unlink(scene.project.path(b"stored.py"))
    return store


@scenario
def first(scene: Scene) -> None:
    """The very first snapshot, the creation of the store included."""
    scene.act = scene.take()


@scenario
def unchanged(scene: Scene) -> None:
    """Everything is known: nothing but links."""
    _with_history(scene)
    scene.act = scene.take("earlier")


@scenario
def edited(scene: Scene) -> None:
    """One file is new."""
    _with_history(scene)
    scene.project.write(b"train.py", b"print('edited')\n")
    scene.act = scene.take()


@scenario
def many_new(scene: Scene) -> None:
    """So many new files that one syncfs is cheaper than a sync of each."""
    _with_history(scene)
    for number in range(10):
        scene.project.write(b"new/%d.py" % number, b"%d\n" % number)
    scene.act = scene.take()


@scenario
def damaged_blob(scene: Scene) -> None:
    """A job has written through its link."""
    store = _with_history(scene)
    path = os.path.join(scene.output("earlier"), b"code", b"train.py")
    os.chmod(path, 0o644)
    Path(os.fsdecode(path)).write_bytes(b"print('tRaInInG')\n")
    scene.damaged = {
        name for name, blob in blob_files(store).items() if os.path.samefile(blob, path)
    }
    scene.act = scene.take()


@scenario
def full_blob(scene: Scene) -> None:
    """All links are used up: the names change hands, and the pinned snapshot must not lose."""
    _with_history(scene)

    def act(store: Store) -> object:
        with watched(raising("link", errno.EMLINK, lambda path: "/blobs/" in path)):
            return scene.take()(store)

    scene.act = act


@scenario
def old_blobs(scene: Scene) -> None:
    """Blobs and manifests are so old that a purge might take them: all are stored anew."""
    store = _with_history(scene)
    for path in blob_files(store).values():
        age(path, 20 * 86400)
    for prefix in os.listdir(store.trees):
        for name in os.listdir(os.path.join(store.trees, prefix)):
            age(os.path.join(store.trees, prefix, name), 20 * 86400)
    scene.act = scene.take()


@scenario
def store_only(scene: Scene) -> None:
    """A snapshot without a code folder."""
    _with_history(scene)
    scene.project.write(b"train.py", b"print('edited')\n")
    scene.act = scene.take(None)


@scenario
def copies(scene: Scene) -> None:
    """Copies instead of links."""
    _with_history(scene)
    scene.project.write(b"train.py", b"print('edited')\n")
    scene.act = scene.take(link_mode="copy")


@scenario
def no_links_at_all(scene: Scene) -> None:
    """A filesystem without hard links: names are given by rename."""
    _with_history(scene)
    scene.project.write(b"train.py", b"print('edited')\n")

    def act(store: Store) -> object:
        with watched(raising("link", errno.EPERM)):
            return scene.take()(store)

    scene.act = act


@scenario
def vanished_blobs(scene: Scene) -> None:
    """Blobs that the stat cache knows have vanished: all are stored anew from the source."""
    store = _with_history(scene)
    scene.damaged = set(blob_files(store))
    for path in blob_files(store).values():
        os.unlink(path)
    scene.act = scene.take()


@scenario
def withdrawn(scene: Scene) -> None:
    """Slurm refuses the job."""
    _with_history(scene)

    def act(store: Store) -> object:
        withdraw_snapshot(store, scene.project.take(store, scene.output("new")))
        return None

    scene.act = act


def _collecting(store: Store) -> object:
    plan = plan_gc(store, grace=0)
    plan.execute()
    return None


@scenario
def gc_of_dead_records(scene: Scene) -> None:
    """Output folders were deleted; their records, manifests and blobs go."""
    store = _with_history(scene)
    scene.project.write(b"gone.py", b"soon nobody needs this\n")
    scene.project.take(store, scene.output("gone"))
    os.unlink(scene.project.path(b"gone.py"))
    remove(scene.output("gone") + b"/code")
    scene.act = _collecting


@scenario
def gc_after_crashes(scene: Scene) -> None:
    """A submission and a collection were killed before: their leftovers go or come back."""
    store = _with_history(scene)
    scene.project.write(b"train.py", b"print('edited')\n")
    calls = in_child(lambda: scene.take("other")(store)).calls
    assert in_child(lambda: scene.take("crashed")(store), at=calls // 2).kind == "killed"
    names = sorted(blob_files(store))
    for name in names[: len(names) // 2]:
        aside = os.path.join(store.quarantine, b"blob-0123456789ab-" + name)
        os.rename(blob_files(store)[name], aside)
    for tree in {record.tree for record in read_records(store)}:
        path = store.tree_path(tree)
        aside = os.path.join(store.quarantine, b"tree-0123456789ab-" + os.path.basename(path))
        os.rename(path, aside)
    scene.act = _collecting


@scenario
def gc_beside_a_submission(scene: Scene) -> None:
    """A snapshot is taken between plan and execution, of what the plan wants to delete."""
    store = _with_history(scene)
    scene.project.write(b"again.py", b"nobody needs this, then somebody does\n")
    scene.project.take(store, scene.output("gone"))
    remove(scene.output("gone") + b"/code")

    def act(store: Store) -> object:
        plan = plan_gc(store, grace=0)
        scene.take("meanwhile")(store)
        plan.execute()
        return None

    scene.act = act

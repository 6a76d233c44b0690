"""Trees that are asked about: what differs, what a path in one means, and which tree is meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slurmic.errors import SlurmicError
from slurmic.inspect.changes import below, compare_trees
from slurmic.inspect.codetree import CodeTree
from slurmic.inspect.finder import Finder, newest_first
from slurmic.inspect.treepaths import follow, missing_file, path_in
from slurmic.snapshot import PackedSnapshot, PackRequest, pack_code
from slurmic_store import Store, StoreError, Tree

Write = Callable[[Path, dict[str, str]], None]


class World:
    """A source tree, a store, and somebody who asks from the source tree."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.store = folder / "store"
        self.home = folder / "home"
        self.root.mkdir()
        self.home.mkdir()
        Store.open(self.store)
        self.notes: list[str] = []

    def take(self, suffixes: tuple[str, ...] = (".py",), **fields: Any) -> PackedSnapshot:
        """A snapshot without a code folder."""
        request = PackRequest(
            str(self.root), suffixes, (), None, store_path=str(self.store), **fields
        )
        return pack_code(request)

    def finder(self, store: Path | None = None, cwd: Path | None = None) -> Finder:
        named = str(self.store if store is None else store)
        return Finder(str(cwd or self.root), named, "", str(self.home), self.notes.append)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def change_of(old: Tree, new: Tree) -> dict[bytes, str]:
    return {change.path: change.kind for change in compare_trees(old, new)}


def test_every_kind_of_change(world: World, write: Write) -> None:
    write(world.root, {"same.py": "1", "edited.py": "1", "gone.py": "1", "mode.py": "1"})
    (world.root / "kind.py").write_text("same.py")
    old = world.take().snapshot.tree
    write(world.root, {"edited.py": "22", "new.py": ""})
    (world.root / "gone.py").unlink()
    (world.root / "mode.py").chmod(0o755)
    (world.root / "kind.py").unlink()
    (world.root / "kind.py").symlink_to("same.py")
    new = world.take().snapshot.tree
    assert change_of(old, new) == {
        b"edited.py": "changed",
        b"gone.py": "removed",
        b"kind.py": "type",
        b"mode.py": "mode",
        b"new.py": "added",
    }
    assert change_of(new, old)[b"new.py"] == "removed"
    assert change_of(new, new) == {}
    only = compare_trees(old, new, below([b"gone.py", b"new"]))
    assert [change.path for change in only] == [b"gone.py"]


def test_what_lies_below_folders() -> None:
    inside = below([b"src", b"a.py"])
    assert inside(b"src/x/y.py") and inside(b"src") and inside(b"a.py")
    assert not inside(b"src2/x.py") and not inside(b"a.pyc")
    assert below([])(b"anything") and below([b""])(b"anything")


@pytest.fixture
def linked(world: World, write: Write) -> CodeTree:
    """The working tree of a folder with links in it."""
    write(world.root, {"lib/a.py": "a", "lib/data.txt": "", "b.py": "b"})
    for name, target in {
        "good.py": "lib/a.py",
        "lib/up.py": "../b.py",
        "out.py": "lib/data.txt",
        "loop.py": "loop2.py",
        "loop2.py": "loop.py",
    }.items():
        (world.root / name).symlink_to(target)
    return world.finder().current_tree()


def test_a_path_is_named_in_any_way(linked: CodeTree, world: World, tmp_path: Path) -> None:
    for path in ("lib/a.py", "./lib//a.py", "lib/../lib/a.py", f"{world.root}/lib/a.py"):
        assert path_in(linked, path) == b"lib/a.py", path
    assert path_in(linked, ".") == path_in(linked, str(world.root)) == b""
    # A folder whose name only begins like the tree's is another one.
    assert path_in(linked, f"{world.root}2/a.py") == os.fsencode(f"{world.root}2/a.py")


def test_links_are_followed_within_the_tree(linked: CodeTree) -> None:
    assert follow(linked, b"good.py").path == b"lib/a.py"
    assert follow(linked, b"lib/up.py").path == b"b.py"
    with pytest.raises(
        SlurmicError, match=r"'out\.py' is a symbolic link to 'lib/data\.txt', which"
    ):
        follow(linked, b"out.py")
    with pytest.raises(SlurmicError, match="leads to itself"):
        follow(linked, b"loop.py")


def test_a_path_without_a_file_is_explained(linked: CodeTree) -> None:
    folder = missing_file(linked, b"lib")
    assert "is a folder of the working tree" in folder.message
    assert folder.hint.startswith("it has 2 files, such as 'lib/a.py'")
    assert missing_file(linked, b"src/a.py").hint == "did you mean 'lib/a.py'?"
    assert missing_file(linked, b"zzz").hint == "paths are relative to the tree's top"


def test_the_working_tree_is_packed_like_the_newest_snapshot_of_its_folder(
    world: World, write: Write
) -> None:
    write(world.root, {"a.py": "1", "b.txt": "2"})
    assert set(world.finder().current_tree().entries) == {b"a.py"}
    packed = world.take((".txt",))
    tree = world.finder().current_tree()
    assert tree.like is not None and tree.like.id == packed.record.id
    assert set(tree.entries) == {b"b.txt"}
    assert tree.read(tree.entries[b"b.txt"]) == b"2"
    write(world.root, {"b.txt": "new"})
    stored = world.finder().find_tree(packed.record.id)
    assert stored.read(stored.entries[b"b.txt"]) == b"2"
    again = world.finder(cwd=world.home).tree_packed_from(packed.record)
    assert again.read(again.entries[b"b.txt"]) == b"new"


def test_what_a_function_selected_is_said_to_be_seen_by_the_settings_alone(
    world: World, write: Write
) -> None:
    write(world.root, {"a.py": "1"})

    def wanted(path: str, root: str) -> bool:
        return path.endswith(".py")

    world.take(include=wanted)
    note = world.finder().current_tree().note
    assert "wanted" in note and "the settings alone" in note
    assert world.notes == [note]


def test_a_source_tree_that_is_gone_is_named(world: World, write: Write) -> None:
    write(world.root, {"a.py": "1"})
    record = world.take().record
    world.root.rename(world.root.with_name("elsewhere"))
    with pytest.raises(SlurmicError, match=f"is not on this host: '{world.root}'"):
        world.finder(cwd=world.home).tree_packed_from(record)


def test_a_store_that_is_missing_is_an_error_if_it_was_named(world: World, write: Write) -> None:
    missing = world.home / "no-store"
    with pytest.raises(StoreError, match="no-store") as caught:
        world.finder(missing).open_store()
    assert "lies elsewhere" in caught.value.hint and "looked there" not in caught.value.hint
    with pytest.raises(StoreError) as caught:
        world.finder()._replace(store="", setting=str(missing)).open_store()
    assert "set by SLURMIC_STORE; --store names another one" in caught.value.hint
    with pytest.raises(StoreError):
        world.finder(missing).store_of(str(world.root))


def test_records_are_listed_newest_first_and_damaged_ones_left_out(
    world: World, write: Write
) -> None:
    write(world.root, {"a.py": "1"})
    first, damaged, last = (world.take().record.id for _ in range(3))
    (world.store / "snapshots" / f"{damaged}.json").chmod(0o600)
    (world.store / "snapshots" / f"{damaged}.json").write_text("{")
    store = world.finder().open_store()
    found = [record.id for record in newest_first(store)]
    assert found == sorted((first, last), reverse=True)

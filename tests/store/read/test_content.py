"""The content of a stored tree: from wherever it is sound, and never anything else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from damaged_worlds import SOURCE, World

from slurmic_store import (
    DamagedError,
    SourceError,
    Store,
    TreeContent,
    read_source_tree,
    read_tree,
)

PATHS = sorted([*SOURCE, b"link", b"pkg/up"])


def all_content(content: TreeContent) -> dict[bytes, bytes]:
    return {entry.path: content.read(entry) for entry in content.tree.entries}


def expected(world: World) -> dict[bytes, bytes]:
    links = {path: os.readlink(os.path.join(world.code, path)) for path in (b"link", b"pkg/up")}
    return world.content() | links


def test_from_the_store_alone(world: World) -> None:
    known = expected(world)
    shutil.rmtree(world.code)
    tree = read_tree(world.snapshot.record.tree, world.store)
    assert tree == world.snapshot.tree
    assert all_content(TreeContent(tree, world.store)) == known


def test_from_the_folder_alone(world: World) -> None:
    """The store was purged; its record and manifest went with it."""
    known, name = expected(world), world.snapshot.record.tree
    shutil.rmtree(os.fsdecode(world.store.path))
    tree = read_tree(name, None, [world.code])
    assert all_content(TreeContent(tree, None, [world.code])) == known
    # Without the manifest beside it, the folder speaks for itself.
    os.unlink(world.code + b".tree.zst")
    assert read_tree(name, None, [b"/nowhere", world.code]) == tree
    os.unlink(os.path.join(world.code, b"main.py"))
    with pytest.raises(DamagedError, match="list of files of tree"):
        read_tree(name, None, [world.code])


def test_what_a_job_has_overwritten_is_not_given_out(world: World) -> None:
    """Blob and file are one inode; the same content is there with other permission bits."""
    content = TreeContent(world.snapshot.tree, world.store, [world.code])
    entry = next(each for each in world.snapshot.tree.entries if each.path == b"pkg/model.py")
    path = os.path.join(world.code, b"pkg/model.py")
    os.chmod(path, 0o644)
    with open(path, "r+b") as stream:
        stream.write(b"LAYERS = 13\n")
    assert content.read(entry) == b"LAYERS = 12\n"
    os.unlink(world.blob(b"pkg/secret"))
    os.unlink(os.path.join(world.code, b"pkg/secret"))
    content = TreeContent(content.tree, world.store, [world.code], [world.root])
    assert content.read(entry) == b"LAYERS = 12\n", "from the source tree, which has not changed"
    shutil.rmtree(os.fsdecode(world.root))
    with pytest.raises(DamagedError, match=r"content of 'pkg/model\.py' is lost"):
        content.read(entry)


def test_another_snapshots_folder_helps_out(world: World) -> None:
    other = world.pack("other", "copy")
    assert other.record.tree == world.snapshot.record.tree
    known = expected(world)
    shutil.rmtree(os.fsdecode(world.store.blobs))
    shutil.rmtree(world.code)
    shutil.rmtree(os.fsdecode(world.root))
    content = TreeContent(world.snapshot.tree, world.store, [world.code])
    assert all_content(content) == known


def test_a_pipe_in_the_place_of_a_file_does_not_hang(world: World) -> None:
    path = os.path.join(world.code, b"main.py")
    os.unlink(path)
    os.mkfifo(path)
    content = TreeContent(world.snapshot.tree, None, [world.code])
    entry = next(each for each in content.tree.entries if each.path == b"main.py")
    with pytest.raises(DamagedError):
        content.read(entry)


def test_a_source_tree_is_what_a_snapshot_of_it_would_be(
    world: World, eager_cache: None, tmp_path: Path
) -> None:
    world.pack("again")  # fills the stat cache, too
    for store in (None, world.store, Store.open(tmp_path / "other")):
        assert read_source_tree(world.root, PATHS, store) == world.snapshot.tree
    before = subprocess.run(
        ["find", world.store.path, "-ls"], capture_output=True, check=True
    ).stdout
    with open(os.path.join(world.root, b"pkg/model.py"), "wb") as stream:
        stream.write(b"LAYERS = 13\n")
    os.unlink(os.path.join(world.root, b"run.sh"))
    tree = read_source_tree(world.root, PATHS, world.store)
    assert [each.path for each in tree.entries] == [path for path in PATHS if path != b"run.sh"]
    assert tree.name != world.snapshot.record.tree == world.snapshot.tree.name
    after = subprocess.run(
        ["find", world.store.path, "-ls"], capture_output=True, check=True
    ).stdout
    assert after == before, "nothing was written"
    # What came into the place of a file is no file; one below a file is gone.
    assert read_source_tree(world.root, [b"main.py/x"]).entries == ()
    os.mkdir(os.path.join(world.root, b"run.sh"))
    with pytest.raises(SourceError):
        read_source_tree(world.root, [b"run.sh"])

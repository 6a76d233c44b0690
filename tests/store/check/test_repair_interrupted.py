"""A repair that fails or is killed at any step loses nothing; none ever makes things worse."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from damaged_worlds import (
    SOURCE,
    World,
    _become_link,
    _truncate,
    assert_whole,
    make_world,
    read,
    shell,
    write_through,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slurmic_store import StoreError, digest_of, repair_code_folder, repair_store
from slurmic_store.format.seals import sealed_now


def test_a_damaged_blob_keeps_its_name_until_its_substitute_is_complete(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: the damaged blob may be the only trace of what it was."""
    blob = world.blob(b"main.py")
    write_through(blob, b"X")
    damaged = read(blob)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", no_space)
    report = repair_store(world.store, checksum=False, roots=[world.root])
    assert "no space left" in report.left[0].detail.lower()
    assert read(blob) == damaged
    assert os.listdir(world.store.quarantine) == []


def test_a_damaged_blob_gets_its_name_back_if_the_substitute_cannot_have_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = world.blob(b"main.py")
    write_through(blob, b"X")
    damaged = read(blob)
    real_link = os.link

    def link(source: bytes, target: bytes, **options: object) -> None:
        if target == blob and not os.path.exists(blob) and source.startswith(world.store.tmp):
            raise OSError(122, "Disk quota exceeded")
        real_link(source, target, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", link)
    report = repair_store(world.store, checksum=False, roots=[world.root])
    assert "quota" in report.left[0].detail.lower()
    assert read(blob) == damaged
    assert os.listdir(world.store.quarantine) == []
    assert os.listdir(world.store.tmp) == []


class Killed(BaseException):
    """The process ends here; nothing after this is done."""


CALLS = ("open", "write", "link", "rename", "unlink", "utime", "chmod", "mkdir", "symlink")


@contextlib.contextmanager
def killed_at(step: int) -> Iterator[list[int]]:
    """Let the process die before its `step`-th system call that changes something."""
    count = [0]
    real = {name: getattr(os, name) for name in CALLS}

    def wrap(name: str) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            flags = args[1] if name == "open" and len(args) > 1 else os.O_CREAT
            if isinstance(flags, int) and flags & os.O_CREAT:
                count[0] += 1
            if count[0] >= step:  # a dead process does nothing more, in no handler
                raise Killed
            return real[name](*args, **options)

        return call

    patch = pytest.MonkeyPatch()
    for name in CALLS:
        patch.setattr(os, name, wrap(name))
    try:
        yield count
    finally:
        patch.undo()


def test_a_repair_that_is_killed_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """Repairs of a store and then of a folder are killed before each change that they make.

    After that: each healthy file is still healthy, and one more repair mends everything.
    """
    steps = 0
    for step in range(1, 500):
        base = tmp_path / str(step)
        base.mkdir()
        world = make_world(base, "hardlink")
        write_through(world.code + b"/main.py", b"X")
        _truncate(world.code + b"/pkg/secret")
        os.unlink(world.blob(b"run.sh"))
        os.unlink(world.code + b"/link")
        # sed -i makes a new file: the manifest beside the folder is still good.
        shell("sed -i s/^/nonsense/", world.store.tree_path(world.snapshot.record.tree))
        with contextlib.suppress(Killed), killed_at(step) as count:
            repair_store(world.store, checksum=True, roots=[world.root])
            repair_code_folder(world.code, checksum=True, store=world.store, roots=[world.root])
        finished = count[0] < step
        for path in (b"pkg/model.py", b"pkg/caf\xe9 \n.txt"):
            assert read(world.blob(path)) == SOURCE[path][0]
            assert read(os.path.join(world.code, path)) == SOURCE[path][0]
        repair_store(world.store, checksum=True, roots=[world.root])
        report = repair_code_folder(
            world.code, checksum=True, store=world.store, roots=[world.root]
        )
        assert report.left == ()
        assert_whole(world)
        shutil.rmtree(base)
        steps = step
        if finished:
            break
    else:
        pytest.fail("no end of steps")
    assert steps > 20


# It never makes things worse.


def _random_bytes(path: bytes) -> None:
    size = os.stat(path).st_size
    os.chmod(path, 0o644)
    with open(path, "wb") as stream:
        stream.write(b"?" * size)


def _forge(path: bytes) -> None:
    """Other content under a time that bears the seal: only a checksum finds it."""
    status = os.stat(path)
    _random_bytes(path)
    os.chmod(path, stat.S_IMODE(status.st_mode))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


ANY_DAMAGE: dict[str, Callable[[bytes], None]] = {
    "overwrite": _random_bytes,
    "forge": _forge,
    "truncate": _truncate,
    "unlink": os.unlink,
    "touch": lambda path: os.utime(path),
    "chmod": lambda path: os.chmod(path, 0o777),
    "link": _become_link,
    "reseal": lambda path: os.utime(path, ns=sealed_now(digest_of(b"something else"))),
}
PLACES = ("code", "second", "blob", "manifest", "beside")
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(ANY_DAMAGE)), st.sampled_from(PLACES), st.integers(0, 5)),
    max_size=6,
)


def _targets(world: World, second: bytes, place: str) -> list[bytes]:
    if place in ("code", "second"):
        folder = world.code if place == "code" else second
        return [os.path.join(folder, path) for path in sorted(SOURCE)]
    if place == "blob":
        return sorted({world.blob(path) for path in SOURCE if SOURCE[path][0]})
    if place == "manifest":
        return [world.store.tree_path(world.snapshot.record.tree)]
    return [world.code + b".tree.zst", second + b".tree.zst"]


def healthy(world: World, second: bytes) -> set[bytes]:
    """The paths in store and folders at which the right bytes are found now."""
    tree = world.snapshot.record.tree
    good = set()
    for path, (data, _) in SOURCE.items():
        for file in (world.code + b"/" + path, second + b"/" + path, world.blob(path)):
            with contextlib.suppress(OSError):
                if data and not os.path.islink(file) and read(file) == data:
                    good.add(file)
    with contextlib.suppress(Exception):
        world.store.read_manifest(tree)
        good.add(world.store.tree_path(tree))
    return good


@given(steps=STEPS, sources=st.booleans(), checksum=st.booleans())
@example(steps=[("forge", "blob", 0)], sources=False, checksum=True)
@example(steps=[("link", "blob", 1), ("unlink", "manifest", 0)], sources=True, checksum=False)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_repair_never_makes_things_worse(
    steps: list[tuple[str, str, int]], sources: bool, checksum: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder))
        second = world.pack("second", "copy").code_folder
        assert second is not None
        for damage, place, index in steps:
            targets = _targets(world, second, place)
            target = targets[index % len(targets)]
            with contextlib.suppress(FileNotFoundError):
                if not os.path.islink(target):
                    ANY_DAMAGE[damage](target)
        if not sources:
            shutil.rmtree(world.root)
        before = healthy(world, second)
        repair_store(world.store, checksum=checksum, roots=[world.root])
        assert before <= healthy(world, second)
        for code in (world.code, second):
            with contextlib.suppress(StoreError):
                repair_code_folder(code, checksum=checksum, store=world.store, roots=[world.root])
        assert before <= healthy(world, second)
        # With the sources at hand everything that has a manifest comes back.
        now = healthy(world, second)
        if sources and checksum and world.store.tree_path(world.snapshot.record.tree) in now:
            for path in SOURCE:
                if SOURCE[path][0]:
                    assert world.code + b"/" + path in now
                    assert world.blob(path) in now
        # And the next submission gets none of what is still damaged.
        if sources:
            third = world.pack("third").code_folder
            assert third is not None
            if checksum:
                for path, (data, _) in SOURCE.items():
                    assert read(os.path.join(third, path)) == data

"""The stat cache: never a digest that is not the file's, whatever happens to files and clocks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storechecks import Project

from slurmic_store import Store, digest_of
from slurmic_store.source import statcache
from slurmic_store.source.statcache import StatCache, known_roots, stamp_of

SECOND = 10**9
ROOT = b"/some/where"
PATHS = [b"0", b"1"]

steps = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 1), st.sampled_from([b"one", b"two", b"six"])),
    st.tuples(st.just("keep time"), st.integers(0, 1), st.sampled_from([b"one", b"two"])),
    st.tuples(st.just("replace"), st.integers(0, 1), st.sampled_from([b"one", b"two"])),
    st.tuples(st.just("wait"), st.just(0), st.sampled_from([0, 1, 4_000_000, SECOND, 3 * SECOND])),
    st.tuples(st.just("snapshot"), st.just(0), st.just(0)),
)


class Files:
    """Two files on a filesystem whose clock ticks coarsely and may run behind."""

    def __init__(self, tick: int, behind: int) -> None:
        self.tick = tick
        self.behind = behind
        self.now = 1_700_000_000 * SECOND + 123_456_789
        self.files: list[dict[str, Any]] = [{}, {}]
        self.inode = 10
        for index in range(2):
            self.do("replace", index, b"one")

    def do(self, what: str, index: int, value: Any) -> None:
        if what == "wait":
            self.now += value
            return
        file = self.files[index]
        stamp = (self.now - self.behind) // self.tick * self.tick
        mtime = file["mtime"] if what == "keep time" else stamp
        if what == "replace":
            self.inode += 1
            file["inode"] = self.inode
        file.update(data=value, mtime=mtime, ctime=stamp)

    def stat(self, index: int) -> Any:
        file = self.files[index]
        return SimpleNamespace(
            st_size=len(file["data"]),
            st_mtime_ns=file["mtime"],
            st_ctime_ns=file["ctime"],
            st_ino=file["inode"],
            st_mode=0o100644,
        )


@given(
    st.lists(steps, max_size=30),
    st.sampled_from([1, 100, 4_000_000, SECOND, 2 * SECOND]),
    st.sampled_from([0, 0, 1, SECOND // 2]),
)
def test_any_sequence_of_edits_equals_reading_everything(
    tmp_path_factory: pytest.TempPathFactory, sequence: Any, tick: int, behind: int
) -> None:
    """Git's racy problem: a file is written again, of the same size, within one timestamp step.

    Nothing in its stat shows it. So a cache may only believe what was old when it was read. Clocks
    of two seconds' step (FAT), and of a server that is a little behind, are among these.
    """
    files = Files(tick, min(behind, 2 * SECOND - tick))
    store = Store.open(tmp_path_factory.mktemp("store"))
    for what, index, value in sequence:
        if what != "snapshot":
            files.do(what, index, value)
            continue
        cache = StatCache.load(store, ROOT)
        read_at = files.now
        stamps = [stamp_of(files.stat(number)) for number in range(2)]
        real = [digest_of(files.files[number]["data"]) for number in range(2)]
        for believed, right in zip(cache.lookup(PATHS, stamps), real, strict=True):
            assert believed in (None, right)
        cache.save(ROOT, PATHS, stamps, real, read_at)


def test_a_clock_that_is_set_back(store: Store) -> None:
    """A file is from the future (its server's clock was ahead): it is read again each time."""
    files = Files(1, 0)
    stamps = [stamp_of(files.stat(0))]
    cache = StatCache.load(store, ROOT)
    cache.save(ROOT, [b"0"], stamps, [digest_of(b"one")], files.now - 3600 * SECOND)
    assert StatCache.load(store, ROOT).lookup([b"0"], stamps) == [None]


def test_what_was_believed_stays_believed(store: Store) -> None:
    """A file that is known is kept when the cache is saved again, although nobody read it."""
    files = Files(1, 0)
    stamps = [stamp_of(files.stat(0))]
    digest = digest_of(b"one")
    for read_at in (files.now + 10 * SECOND, files.now - 10 * SECOND):
        cache = StatCache.load(store, ROOT)
        cache.save(ROOT, [b"0"], stamps, [digest], read_at)
    assert StatCache.load(store, ROOT).lookup([b"0"], stamps) == [digest]
    # Beside one that nothing is known of, too.
    new = (stamps[0][0], files.now, files.now, 99, stamps[0][4])
    cache = StatCache.load(store, ROOT)
    cache.save(ROOT, [b"0", b"1"], [*stamps, new], [digest, digest], files.now - 10 * SECOND)
    assert StatCache.load(store, ROOT).lookup([b"0", b"1"], [*stamps, new]) == [digest, None]


@pytest.mark.parametrize("year", [-11_676_096_000, 10_000_000_000], ids=["1600", "2286"])
def test_times_that_fit_no_row(store: Store, year: int) -> None:
    """A file of the year 1600 once made the submission fail; later, it alone kept all others out.

    It is left out; the files beside it are kept.
    """
    files = Files(1, 0)
    strange = (3, year * SECOND, year * SECOND, 10, 0o100644)
    stamps = [strange, stamp_of(files.stat(1))]
    digest = digest_of(b"one")
    StatCache.load(store, ROOT).save(ROOT, PATHS, stamps, [digest] * 2, files.now + 10 * SECOND)
    assert StatCache.load(store, ROOT).lookup(PATHS, stamps) == [None, digest]


def _saved(store: Store) -> bytes:
    files = Files(1, 0)
    stamps = [stamp_of(files.stat(number)) for number in range(2)]
    digests = [digest_of(b"one"), digest_of(b"x")]
    cache = StatCache.load(store, ROOT)
    cache.save(ROOT, [b"a \xff\n", b"b"], stamps, digests, files.now + 10 * SECOND)
    (folder,) = os.listdir(store.index)
    (name,) = os.listdir(os.path.join(store.index, folder))
    return os.path.join(store.index, folder, name)


@given(data=st.data())
def test_a_torn_cache_is_no_cache(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut short, or a byte changed: all of it is forgotten, nothing in it believed."""
    store = Store.open(tmp_path_factory.mktemp("store"))
    path = Path(os.fsdecode(_saved(store)))
    whole = path.read_bytes()
    assert len(StatCache.load(store, ROOT).entries) == 2
    position = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytes([whole[position] ^ data.draw(st.integers(1, 255))])
    torn = data.draw(
        st.sampled_from([whole[:position], whole[:position] + flipped + whole[position + 1 :]])
    )
    path.chmod(0o600)
    path.write_bytes(torn)
    assert StatCache.load(store, ROOT).entries == {}


def test_another_trees_cache_is_not_believed(store: Store) -> None:
    """Two roots whose digests collide (or a cache that somebody renamed) must not mix."""
    path = _saved(store)
    other = os.path.join(store.index, digest_of(b"/other").hex().encode())
    os.mkdir(other)
    os.rename(path, os.path.join(other, b"%020d-0123456789abcdef" % 1))
    assert StatCache.load(store, b"/other").entries == {}
    assert known_roots(store) == []


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, store: Store, project: Project
) -> None:
    """The cache only saves time: when index/ is in the way, a submission goes on."""
    os.rmdir(store.index)
    Path(os.fsdecode(store.index)).write_text("not a folder")
    assert project.take(store, tmp_path / "out").code_folder is not None


def test_old_caches_go(tmp_path: Path, store: Store, project: Project, eager_cache: None) -> None:
    """Each save is a new file; the earlier ones, and torn temporary ones, are removed."""
    for number in range(3):
        project.write(b"train.py", b"%d" % number)
        time.sleep(0.05)  # longer than a step of the filesystem's clock: else it stays unknown
        project.take(store, tmp_path / "out")
    (folder,) = os.listdir(store.index)
    Path(os.fsdecode(os.path.join(store.index, folder, b".slurmic-0123456789abcdef"))).touch()
    project.write(b"train.py", b"at last")
    time.sleep(0.05)
    project.take(store, tmp_path / "out")
    assert len(os.listdir(os.path.join(store.index, folder))) == 1


def test_known_files_are_not_read(
    tmp_path: Path, store: Store, project: Project, eager_cache: None
) -> None:
    """The point of it all: the second snapshot reads nothing but what has changed."""
    time.sleep(0.05)  # as above
    first = project.take(store, tmp_path / "out")
    assert first.stats.read == 5
    assert project.take(store, tmp_path / "out").stats.read == 0
    project.write(b"train.py", b"print('edited')\n")
    assert project.take(store, tmp_path / "out").stats.read == 1
    assert statcache.RACY_MARGIN_NS == 0

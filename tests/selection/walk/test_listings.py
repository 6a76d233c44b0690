"""Who lists the directories of a walk: nobody but it, another process, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from slurmic.git.beside import keep_apart
from slurmic.selection import SelectionRules, select
from slurmic.selection.walk import listings, walk
from slurmic.selection.walk.listing import list_directory
from slurmic.selection.walk.listings import Listings, Outcome

RULES = SelectionRules((".py",), ("wandb",))
BRANCHES = 12


def folders_of(root: Path, found: dict[bytes, Outcome]) -> dict[str, set[str]]:
    """Names of all kinds in each folder, as os.walk gives them."""
    assert not any(isinstance(outcome, OSError) for outcome in found.values())
    return {
        os.path.join(root, os.fsdecode(folder)).rstrip("/"): {
            os.fsdecode(name) for names in outcome for name in names
        }
        for folder, outcome in found.items()
        if not isinstance(outcome, OSError)
    }


def walked(root: Path) -> dict[str, set[str]]:
    return {folder: {*folders, *names} for folder, folders, names in os.walk(root)}


def everything(root: Path) -> dict[bytes, Outcome]:
    """All folders below `root`, listed."""
    found: dict[bytes, Outcome] = {}
    with Listings[int](os.fsencode(root)) as source:
        source.pending.append((0, b""))
        for depth, folder, outcome in source:
            assert folder not in found, "listed twice"
            assert folder.count(b"/") == depth
            found[folder] = outcome
            if not isinstance(outcome, OSError):
                source.pending += [(depth + 1, folder + name + b"/") for name in outcome[1]]
    return found


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of 1,900 folders, with names of all kinds."""
    root = tmp_path_factory.mktemp("large")
    for number in range(BRANCHES**3):
        first, rest = divmod(number, BRANCHES**2)
        folder = root / f"a{first}" / f"b{rest // BRANCHES}" / f"c{rest % BRANCHES}"
        folder.mkdir(parents=True)
        (folder / "module.py").touch()
        if number % 50 == 0:
            with open(os.fsencode(folder) + b"/\xff\n.txt", "wb"):
                pass
            (folder / "link").symlink_to("..")
            os.mkfifo(folder / "fifo")
    return root


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that were started to list folders; the first one is waited for."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(command: tuple[str, ...], **options: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = real(command, **options)  # type: ignore[call-overload]
        if command[-1].endswith("listing.py"):
            started.append(process)
            # So that it lists something in this test, however busy the machine is.
            listings.select.select([process.stdout], [], [], 60)
        return process

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return started


Process = list[subprocess.Popen[bytes]]


def answers_counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many folders each answer of the other process told about."""
    counts: list[int] = []
    real = listings._Process.answer

    def answer(self: listings._Process) -> list[Outcome] | None:
        outcomes = real(self)
        counts.append(len(outcomes or []))
        return outcomes

    monkeypatch.setattr(listings._Process, "answer", answer)
    return counts


def assert_gone(process: subprocess.Popen[bytes]) -> None:
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_another_process_lists_a_part_of_a_large_tree(
    large: Path, processes: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = answers_counted(monkeypatch)
    found = everything(large)
    names = walked(large)
    for folder in names:
        names[folder] -= {"fifo"}
    assert folders_of(large, found) == names
    assert len(processes) == 1
    assert sum(counts) > 200
    assert_gone(processes[0])


def test_kinds_of_entries_are_told_apart_by_it(large: Path, processes: Process) -> None:
    found = everything(large)
    expected = {folder: list_directory(os.fsencode(large) + b"/" + folder) for folder in found}
    assert found == expected
    assert found[b"a0/b0/c0/"] == ([*found[b"a0/b0/c0/"][0]], [], [b"link"])  # type: ignore[index]


def test_it_is_kept_from_our_processor() -> None:
    """Woken up there for each request, it took turns with us, and both were slower than one."""
    processors = os.sched_getaffinity(0)
    with subprocess.Popen(["sleep", "60"]) as process:
        keep_apart(process.pid)
        left = os.sched_getaffinity(process.pid)
        process.kill()
    assert left < processors or left == processors == {min(processors)}
    assert len(processors) - len(left) <= 1
    keep_apart(process.pid)  # it is gone


def test_small_trees_start_no_process(tmp_path: Path, processes: Process) -> None:
    for number in range(listings.ALONE_AT_MOST - 20):
        (tmp_path / str(number)).mkdir()
    assert len(everything(tmp_path)) == listings.ALONE_AT_MOST - 19
    assert not processes


@pytest.mark.parametrize("reason", ["one processor", "frozen", "not Python", "no executable"])
def test_where_a_process_would_be_of_no_use_none_is_started(
    large: Path, processes: Process, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "one processor":
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    elif reason == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(sys, "executable", "/usr/sbin/uwsgi" if reason == "not Python" else "")
    assert len(everything(large)) == len(walked(large))
    assert not processes


BROKEN = {
    "ends at once": "exit 1",
    "says something else": "echo Loading modules, please wait",
    "says something else and stays": "echo Loading modules, please wait; exec sleep 600",
    "says nothing": "exec sleep 600",
    "ends after the greeting": "'$0.real' '$@' </dev/null",
    "ends amid an answer": "'$0.real' '$@' | head -c 2000",
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_a_process_that_fails_is_not_missed(
    large: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    script: str,
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    (tmp_path / "python.real").symlink_to(sys.executable)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    expected = select(large, RULES).paths
    monkeypatch.setattr(sys, "executable", str(python))
    started: list[listings._Process] = []
    real = listings._Process.started

    def slowly(base: bytes) -> listings._Process | None:
        process = real(base)
        assert process is not None
        started.append(process)
        time.sleep(0.3)  # for what it says to be there
        return process

    monkeypatch.setattr(listings._Process, "started", slowly)
    assert select(large, RULES).paths == expected
    assert_gone(started[0]._process)
    assert capfd.readouterr() == ("", "")


def test_a_process_that_cannot_be_started_is_not_missed(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = select(large, RULES).paths
    monkeypatch.setattr(sys, "executable", "/nonexistent/python3")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert select(large, RULES).paths == expected


def test_a_walk_that_fails_leaves_no_process(
    large: Path, processes: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = walk._Walk._look_closer

    def interrupted(self: walk._Walk, *arguments: object) -> None:
        if processes:
            raise KeyboardInterrupt
        real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(walk._Walk, "_look_closer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        select(large, SelectionRules((".txt",), ()))
    assert_gone(processes[0])


def test_requests_larger_than_a_pipe(
    tmp_path: Path, processes: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides wrote to a full pipe, and waited for the other to read."""
    counts = answers_counted(monkeypatch)
    long = "x" * 200
    base = tmp_path
    for level in range(12):
        base = base / f"{level}{long}"
    for number in range(1500):
        folder = base / f"{number}{long}"
        folder.mkdir(parents=True)
        for name in range(3):
            (folder / f"{name}{long}").touch()
    assert folders_of(tmp_path, everything(tmp_path)) == walked(tmp_path)
    assert sum(counts) > 200


def test_what_it_may_not_read_is_said(
    large: Path, processes: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders that are gone when it looks; root may read all others."""
    counts = answers_counted(monkeypatch)
    found: dict[bytes, Outcome] = {}
    with Listings[None](os.fsencode(large)) as source:
        source.pending += [(None, b"a0/")] * 1000 + [(None, b"gone/")] * 2000
        for _, folder, outcome in source:
            if folder == b"gone/":
                assert isinstance(outcome, FileNotFoundError)
                assert outcome.strerror == "No such file or directory"
            found[folder] = outcome
    assert len(found) == 2
    assert sum(counts) > 200


def test_the_selection_is_the_same_whoever_lists(
    large: Path, processes: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    (large / ".gitignore").write_text("*.txt\n/a1/\nc3/\n!a2/b2/c3/\n")
    try:
        beside = select(large, RULES)
        assert len(processes) == 1
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
        alone = select(large, RULES)
    finally:
        (large / ".gitignore").unlink()
    assert len(processes) == 1
    assert beside == alone
    assert b"a1/b0/c0/module.py" in alone.paths
    assert b"a0/b0/c0/link" in alone.symlinks


def test_listings_that_wait_are_waited_for_in_threads(
    large: Path, processes: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network filesystem; it was one folder after the other there."""
    threads: set[int] = set()
    at_once = [0, 0]
    lock = threading.Lock()

    def waiting(path: bytes) -> object:
        threads.add(threading.get_ident())
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        time.sleep(0.001)
        with lock:
            at_once[0] -= 1
        return list_directory(path)

    expected = select(large, RULES)
    processes.clear()
    monkeypatch.setattr(listings, "list_directory", waiting)
    assert select(large, RULES) == expected
    assert len(threads) > 8
    assert at_once[1] > 8
    assert not processes


def test_waiting_that_begins_late_brings_threads_in_the_place_of_the_process(
    large: Path, processes: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()

    def waiting(path: bytes) -> object:
        if processes:
            threads.add(threading.get_ident())
            time.sleep(0.002)
        return list_directory(path)

    expected = select(large, RULES)
    processes.clear()
    monkeypatch.setattr(listings, "list_directory", waiting)
    assert select(large, RULES) == expected
    assert_gone(processes[0])
    assert len(threads) > 8

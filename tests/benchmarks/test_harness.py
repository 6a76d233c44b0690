"""What the benchmarks' figures rest on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.harness import Candidate, Sample, Samples, Settings, alternate
from benchmarks.report import Bar, Report, format_bars
from benchmarks.slurmic_now import Slurmic, waiting_for_disk
from benchmarks.trees import shaped_tree
from benchmarks.usage import disk_usage


def settings(folder: Path) -> Settings:
    return Settings(size="tiny", scratch=folder, cache=folder)


def test_candidates_take_turns_and_begin_in_turn(tmp_path: Path) -> None:
    said: list[str] = []

    def candidate(name: str, slow: bool = False) -> Candidate:
        def run(path: Path) -> None:
            assert not path.exists()
            path.mkdir()
            (path / "file").touch()
            said.append(name)

        return Candidate(
            name,
            run,
            prepare=lambda: said.append("("),
            clean=lambda: said.append(")"),
            slow=slow,
        )

    several = [candidate("a"), candidate("b"), candidate("s", slow=True)]
    samples = alternate(several, tmp_path, rounds=2, slow_rounds=1)
    assert "".join(said) == "(a)(b)" + "(a)(b)(s)" + "(b)(a)"
    assert {name: len(taken) for name, taken in samples.taken.items()} == {"a": 2, "b": 2, "s": 1}
    assert list(tmp_path.iterdir()) == []


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    samples = Samples(["one", "other", "seldom"])
    samples.taken["one"] = [Sample(2, 1, 1), Sample(40, 1, 1), Sample(6, 1, 1)]
    samples.taken["other"] = [Sample(1, 2, 0), Sample(10, 2, 0), Sample(2, 2, 0)]
    samples.taken["seldom"] = [Sample(8, 1, 0)]
    assert samples.ratio("one", "other") == 3
    assert samples.ratio("one", "other", "processor") == 0.5
    assert samples.ratio("one", "other", "busy") == 2.5
    assert samples.ratio("seldom", "one") == 4
    assert samples.median("one") == 6


def test_bars_have_a_direction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("name", settings(tmp_path), tmp_path)
    report.bar("small", 1.0, 1)
    report.bar("too large", 1.01, 1)
    report.bar("large", 20.0, 20, at_least=True)
    report.bar("too small", 19.9, 20, at_least=True)
    samples = Samples(["one"])
    report.ratio_bar("a peer is missing", samples, "one", "other", 2)
    assert [bar.met for bar in report.bars] == [True, False, True, False]
    lines = format_bars({"name": report.bars}).splitlines()
    assert lines[0] == "bars: 2 of 4 met"
    assert lines[3].split() == ["MISSED", "name", "too", "large", "1.01", "<=", "1.00"]
    assert Bar("x", 0, 0).met


def test_an_inode_with_many_names_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_bytes(b"x" * 5000)
    os.link(tmp_path / "a/file", tmp_path / "a/again")
    (tmp_path / "a/empty").touch()
    os.symlink("file", tmp_path / "a/link")
    (tmp_path / "b/deep").mkdir(parents=True)
    os.link(tmp_path / "a/file", tmp_path / "b/deep/other")
    usage = disk_usage(tmp_path / "a", tmp_path / "b", tmp_path / "missing")
    assert (usage.folders, usage.names, len(usage.files), usage.empty) == (3, 5, 3, 1)
    assert usage.file_bytes == os.lstat(tmp_path / "a/file").st_blocks * 512
    assert usage.inodes == 6


def test_a_shaped_tree_is_always_the_same(tmp_path: Path) -> None:
    trees = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        trees.append(shaped_tree(50, settings(tmp_path / name)))
    first, second = (
        {
            path.relative_to(tree.root): (path.read_bytes(), path.stat().st_mode)
            for path in tree.root.rglob("*")
            if path.is_file() and ".git" not in path.parts
        }
        for tree in trees
    )
    assert first == second
    assert len(first) == trees[0].files == 50
    assert sum(len(content) for content, _ in first.values()) == trees[0].size


def test_all_files_of_a_tree_are_packed_and_waiting_is_part_of_the_time(tmp_path: Path) -> None:
    tree = shaped_tree(40, settings(tmp_path))
    slurmic = Slurmic(tree, tmp_path / "store")
    fdatasync = os.fdatasync
    with waiting_for_disk() as waited:
        packed = slurmic.pack(tmp_path / "out")
    assert os.fdatasync is fdatasync
    assert waited[0] > 0
    assert packed.snapshot.stats.files == tree.files
    slurmic.withdraw()
    assert not (tmp_path / "out").exists()

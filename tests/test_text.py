"""Numbers, sizes and times as messages show them."""

from __future__ import annotations

import time

import pytest

from slurmic.text import ago, counted, in_megabytes, local_time, size


@pytest.mark.parametrize(
    ("count", "noun", "shown"),
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (1234, "file", "1,234 files"),
        (1, "copy", "1 copy"),
        (2, "copy", "2 copies"),
        (2, "day", "2 days"),
    ],
)
def test_a_noun_agrees_with_its_count(count: int, noun: str, shown: str) -> None:
    assert counted(count, noun) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (9_949, "9.9 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (34_000_000, "34 MB"),
        (5 * 10**9, "5.0 GB"),
        (999_999_999_999, "1.0 TB"),
        (1234 * 10**12, "1234.0 TB"),
    ],
)
def test_a_size_is_rounded_to_a_unit_that_it_fits(count: int, shown: str) -> None:
    assert size(count) == shown


def test_a_size_beside_a_limit_is_in_the_unit_of_the_limit() -> None:
    assert [in_megabytes(count) for count in (0, 40_000, 10**6, 1_234_567_890)] == [
        "0.0 MB",
        "0.0 MB",
        "1.0 MB",
        "1,234.6 MB",
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "in the future: the clocks differ"),
        (59.9, "just now"),
        (60, "1 minute ago"),
        (2 * 3600 - 1, "1 hour ago"),
        (3 * 86400, "3 days ago"),
    ],
)
def test_how_long_ago(seconds: float, shown: str) -> None:
    assert ago(seconds) == shown


def test_a_time_is_in_the_zone_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        assert local_time(0) == "1970-01-01 00:00"
        monkeypatch.setenv("TZ", "UTC-2")  # POSIX: two hours east of Greenwich
        time.tzset()
        assert local_time(0) == "1970-01-01 02:00"
    finally:
        monkeypatch.undo()
        time.tzset()

"""How tasks are divided among arrays, and array specifications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmic import ConfigError
from slurmic.submit.arrays import refusal, split
from slurmic.submit.command import ArraySpec


@given(
    count=st.integers(1, 500), longest=st.none() | st.integers(1, 60), at_once=st.integers(0, 40)
)
def test_split_keeps_the_order_and_the_limit(count: int, longest: int | None, at_once: int) -> None:
    parts = split(count, longest, at_once)
    assert [n for part in parts for n in range(part.start, part.stop)] == list(range(count))
    assert all(part.stop - part.start <= (longest or count) for part in parts)
    assert len(parts) == -(-count // (longest or count))  # as few as can be
    assert all(part.after is None or part.after < number for number, part in enumerate(parts))
    if not at_once:
        assert all(part.at_once == 0 and part.after is None for part in parts)
        return
    assert all(part.at_once > 0 for part in parts)
    # Whatever runs at one time: no part together with the one that it waits for.
    lanes: dict[int, list[int]] = {}
    of: dict[int, int] = {}
    for number, part in enumerate(parts):
        of[number] = number if part.after is None else of[part.after]
        lanes.setdefault(of[number], []).append(part.at_once)
    assert sum(max(lane) for lane in lanes.values()) <= at_once
    if len(parts) > 1:
        assert sum(max(lane) for lane in lanes.values()) == at_once


def test_array_specifications() -> None:
    for text, numbers in {
        "0-3": [0, 1, 2, 3],
        "7": [7],
        "1,3,9-10": [1, 3, 9, 10],
        "0-9:4": [0, 4, 8],
        "2,2,1-2": [2, 1],
    }.items():
        assert list(ArraySpec.parse(text).numbers()) == numbers
        assert str(ArraySpec.parse(text)) == text
    assert str(ArraySpec.parse("0-3%2", at_once=5)) == "0-3%2"
    assert str(ArraySpec.parse("0-3", at_once=5)) == "0-3%5"
    for wrong in ("", "a", "0-", "-3", "0-3:", "0-3%", "3-1", "0--3", "1;rm", "0-3%2%2"):
        with pytest.raises(ConfigError, match="array"):
            ArraySpec.parse(wrong)


def test_a_refusal_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "no reason given" in str(refusal(""))
    said = str(refusal("sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: no", "it"))
    assert said.startswith("sbatch refused it: no [QOSMaxSubmitJobPerUserLimit]")
    assert "is limited" in said

"""Job ids in Slurm's notation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmic.cluster import jobids


@pytest.mark.parametrize(
    ("ids", "short"),
    [
        (["12"], ("12",)),
        (["12_0", "12_1", "12_2"], ("12_[0-2]",)),
        (["12_7"], ("12_7",)),
        (["12_5", "12_1", "12_2", "13", "12_2"], ("12_[1-2,5]", "13")),
        (["12_[0-4]", "12_5"], ("12_[0-5]",)),
        (["a local one", "12_x", "12_007"], ("a local one", "12_x", "12_007")),
        ([], ()),
    ],
)
def test_arrays_become_ranges(ids: list[str], short: tuple[str, ...]) -> None:
    assert jobids.compact(ids) == short


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.integers(0, 40))))
def test_nothing_is_lost_or_invented(jobs: list[tuple[int, int | None]]) -> None:
    ids = [str(job) if task is None else f"{job}_{task}" for job, task in jobs]
    short = jobids.compact(ids)
    assert set(jobids.expand(short)) == set(ids)
    assert sum(map(jobids.count, short)) == len(set(ids))
    assert jobids.compact(short) == short


@pytest.mark.parametrize(
    ("job", "wanted", "covered"),
    [
        ("12", "12", True),
        ("12", "1", False),
        ("12_[0-3,7]", "12", True),
        ("12_[0-3,7]", "12_3", True),
        ("12_[0-3,7]", "12_4", False),
        ("12_[0-3,7]", "1_3", False),
        ("12_4", "12", True),
        ("12_4", "12_4", True),
        ("12", "12_4", False),
    ],
)
def test_which_job_is_asked_for(job: str, wanted: str, covered: bool) -> None:
    assert jobids.covers(job, wanted) is covered

"""What a cluster allows, by what its clients answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from slurmic.cluster import limits
from slurmic.cluster.limits import count_tasks, longest_array, most_tasks

Client = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _asked_again() -> Iterator[None]:
    limits._longest_array.cache_clear()
    yield
    limits._longest_array.cache_clear()


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ("MaxArraySize            = 1001", 1001),
        ("MaxArraySize=1001\nSchedulerParameters=a,max_array_tasks=50,b", 50),
        ("MaxArraySize=0", None),
        ("MaxJobCount = 10000", None),
    ],
)
def test_the_longest_array_is_the_lower_of_two_settings(
    script: Client, config: str, longest: int | None
) -> None:
    script("scontrol", f"echo '{config}'")
    assert longest_array() == longest


def test_a_cluster_is_asked_once(script: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", "/one")
    script("scontrol", "echo MaxArraySize=10")
    assert longest_array() == 10
    script("scontrol", "echo MaxArraySize=20")
    assert longest_array() == 10
    monkeypatch.setenv("SLURM_CONF", "/another")
    assert longest_array() == 20


def test_the_lowest_limit_of_a_user_counts(script: Client) -> None:
    script("sacctmgr", "echo '|500'; echo '100|'; echo '|'")
    assert most_tasks("me") == 100
    script("sacctmgr", "echo '|'")
    assert most_tasks("me") is None
    script("squeue", "echo 1; echo 12_1; echo 12_2")
    assert count_tasks("me") == 3


def test_clients_that_do_not_answer_set_no_limit(script: Client) -> None:
    script("sacctmgr", "exit 1")
    assert most_tasks("me") is None
    assert longest_array() is None
    assert count_tasks("me") == 0

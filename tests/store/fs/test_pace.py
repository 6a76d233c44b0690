"""Work goes over to threads if it waits, and stays in the caller's if it computes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from slurmic_store.fs.pace import in_bundles, paced_map, threaded_map


def test_work_that_waits_goes_over_to_threads_and_keeps_its_order() -> None:
    workers = set()

    def work(number: int) -> int:
        workers.add(threading.get_ident())
        time.sleep(0.002)
        return number * number

    assert list(paced_map(work, range(200))) == [number * number for number in range(200)]
    assert threading.get_ident() in workers
    assert len(workers) > 2


def test_work_that_computes_stays_in_the_callers_thread() -> None:
    def work(number: int) -> tuple[int, int]:
        return threading.get_ident(), sum(range(2000 + number % 7))

    results = list(paced_map(work, range(2000)))
    assert {thread for thread, _ in results} == {threading.get_ident()}
    assert [total for _, total in results] == [sum(range(2000 + n % 7)) for n in range(2000)]


def test_a_wait_now_and_then_starts_no_threads() -> None:
    workers = set()

    def work(number: int) -> None:
        workers.add(threading.get_ident())
        if number % 500 == 0:
            time.sleep(0.02)

    list(paced_map(work, range(2000)))
    assert workers == {threading.get_ident()}


def test_no_items_no_results() -> None:
    assert list(paced_map(str, [])) == []
    assert list(threaded_map(str, [], threads=3)) == []


@pytest.mark.parametrize("bad", [0, 150])
def test_an_exception_ends_it_whether_threads_work_or_not(bad: int) -> None:
    done = []

    def work(number: int) -> int:
        time.sleep(0.002)
        if number == bad:
            raise OSError(5, "broken")
        done.append(number)
        return number

    results = []
    with pytest.raises(OSError, match="broken"):
        results.extend(paced_map(work, range(10_000)))
    before = len(done)
    time.sleep(0.01)
    assert len(done) == before < 1000
    assert set(range(bad)) <= set(done)


def test_who_stops_reading_stops_the_work() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.002)
        return number

    results = paced_map(work, items())
    assert [next(results) for _ in range(50)] == list(range(50))
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 500
    assert threading.active_count() < 16


def test_bundles_hold_everything_once_and_in_order() -> None:
    assert list(in_bundles(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_bundles([], 3)) == []

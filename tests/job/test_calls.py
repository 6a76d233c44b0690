"""The file with the calls of an array."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmic.job.calls import CallsFileError, count_calls, read_call, write_calls
from slurmic.job.payload import CallPickler, load_payload


def _load(path: Path, number: int) -> Any:
    return load_payload(pickle.Unpickler, read_call(path, number)[1])


def test_calls_come_back_each_by_itself(tmp_path: Path) -> None:
    """Different functions, one of them with a checkpoint; a call is what it was when written."""
    state = {"seen": [1]}

    def local(value: Any, *, other: Any = None) -> Any:
        return state, value, other

    class Saves:
        def __call__(self, value: int) -> int:
            return value + 1

        def checkpoint(self, value: int) -> None:
            pass

    saves = Saves()
    said: list[None] = []
    path = tmp_path / "calls"
    calls = [(local, (state,), {"other": 1}), (saves, (1,), {}), (local, ([2],), {})]
    size = write_calls(path, calls, None, said=lambda: said.append(None))
    assert path.stat().st_size == size
    assert (count_calls(path), len(said)) == (3, 3)
    assert [read_call(path, number)[2] for number in range(3)] == [False, True, False]
    function, args, kwargs = _load(path, 0)
    seen, value, other = function(*args, **kwargs)
    assert seen is value  # one object, as in the submitting process
    assert (seen, other) == ({"seen": [1]}, 1)
    function, args, kwargs = _load(path, 1)
    assert function(*args, **kwargs) == 2
    function, args, kwargs = _load(path, 2)
    assert function(*args, **kwargs) == ({"seen": [1]}, [2], None)


@given(values=st.lists(st.recursive(st.integers() | st.text(), st.lists, max_leaves=8), min_size=1))
def test_no_call_depends_on_the_ones_before(values: list[Any]) -> None:
    shared = [values]
    pickler = CallPickler(len)
    alone = [CallPickler(len).arguments((value, shared), {}) for value in values]
    assert [pickler.arguments((value, shared), {}) for value in values] == alone


def test_what_is_no_such_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    write_calls(path, [(len, ("abc",), {})], None)
    with pytest.raises(CallsFileError, match="no task 1"):
        read_call(path, 1)
    content = path.read_bytes()
    for damaged in (b"", b"other", content[:-1], content[:20], content[:16]):
        path.write_bytes(damaged)
        with pytest.raises(CallsFileError):
            count_calls(path)
    with pytest.raises(FileExistsError):
        write_calls(path, [], None)
    with pytest.raises(FileNotFoundError):
        count_calls(tmp_path / "missing")

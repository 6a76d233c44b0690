"""The calls of a Slurm array in one file: the functions once, the arguments of each task.

A file for each task would be written, renamed and kept by the submitting process alone, ten
thousand times; and each would hold the function again. So one file travels, and a task that starts
takes its call from it (:func:`take_call`): it writes the small pickle that submitit looks for, in
parallel with the other tasks. From there on submitit's protocol is untouched: a checkpoint replaces
that pickle, and a requeued task finds it.

Format: MAGIC; blocks, each a pickle; the last block is the index (:class:`_Index`); then its place
and its length, two 64-bit little-endian numbers. The pickle of a task's arguments goes on where
that of its function ended (one pickler, one memo): what both refer to is one object in the job,
as if they were pickled together.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import time
import uuid
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, BinaryIO, ClassVar

from slurmic.errors import SlurmicError
from slurmic.job.frozen_code import FrozenCode

MAGIC = b"slurmic calls 1\n"
_TAIL = struct.Struct("<QQ")
_WAIT_SECONDS = 60
_NO_FILE_NAME = "<dynamic-code>"

Call = tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]


class CallsFileError(SlurmicError):
    """The file with an array's calls is not there, or is no such file."""


@dataclass(frozen=True)
class _Index:
    """Where everything is.

    Attributes:
        frozen: the code that the calls belong to; None for the live tree.
        limit: time limit in minutes, and how often a task may be requeued after it has passed.
        functions: (start, length, whether it has a checkpoint) of each function.
        tasks: (number of its function, start, length) of each task's arguments.
    """

    frozen: FrozenCode | None
    limit: tuple[int, int]
    functions: list[tuple[int, int, bool]]
    tasks: list[tuple[int, int, int]]


class CallPickler:
    """Pickles calls of one function: the function once, then the arguments of each call."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._stream = io.BytesIO()
        self._pickler = _pickler_class()(self._stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._pickler.dump(function)
        self.function = self._stream.getvalue()
        self._memo = self._pickler.memo.copy()

    def arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of one call; they mean something after :attr:`function` only.

        Raises:
            pickle.PicklingError, TypeError: something cannot be pickled.
        """
        # What an earlier call has put into the memo is not in front of this one.
        self._pickler.memo = self._memo
        self._stream.seek(0)
        self._stream.truncate()
        self._pickler.dump((tuple(args), dict(kwargs)))
        return self._stream.getvalue()


@cache
def _pickler_class() -> Any:
    """cloudpickle's pickler, but code still names its file.

    From 3.1.3 on, cloudpickle puts a placeholder there; a traceback would have neither the file nor
    the lines of it. Earlier ones keep the name.
    """
    import cloudpickle  # type: ignore[import-untyped]

    reduce_code = cloudpickle.Pickler.dispatch_table[CodeType]

    def reduce_with_file_name(code: CodeType) -> Any:
        make, arguments = reduce_code(code)
        return make, tuple(
            code.co_filename if argument == _NO_FILE_NAME else argument for argument in arguments
        )

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        # Looked up when a pickler is made; set on an instance it would be of no effect.
        dispatch_table: ClassVar[Any] = ChainMap(
            {CodeType: reduce_with_file_name}, cloudpickle.Pickler.dispatch_table
        )

    return Pickler


def write_calls(
    path: str | os.PathLike[str],
    calls: Iterable[Call],
    frozen: FrozenCode | None,
    *,
    limit: tuple[int, int] = (0, 0),
    said: Callable[[], object] = lambda: None,
) -> int:
    """Write the calls of an array.

    Args:
        path: a file that does not exist.
        calls: function, arguments and keyword arguments of each task.
        frozen: the code that they belong to; None for the live tree.
        limit: time limit in minutes, and how often a task may be requeued after it has passed.
        said: called after each task.

    Returns:
        the size of the file in bytes.

    Raises:
        pickle.PicklingError, TypeError: something cannot be pickled.
        OSError: it cannot be written, or is there.
    """
    picklers: dict[int, tuple[int, CallPickler]] = {}
    index = _Index(frozen, limit, [], [])
    with open(path, "xb") as stream:
        place = stream.write(MAGIC)
        for function, args, kwargs in calls:
            if id(function) not in picklers:  # the pickler keeps the function: no id comes twice
                pickler = CallPickler(function)
                picklers[id(function)] = (len(index.functions), pickler)
                index.functions.append((place, len(pickler.function), is_checkpointable(function)))
                place += stream.write(pickler.function)
            number, pickler = picklers[id(function)]
            arguments = pickler.arguments(args, kwargs)
            index.tasks.append((number, place, len(arguments)))
            place += stream.write(arguments)
            said()
        text = pickle.dumps(index, protocol=pickle.HIGHEST_PROTOCOL)
        place += stream.write(text)
        return place + stream.write(_TAIL.pack(place - len(text), len(text)))


def count_calls(path: str | os.PathLike[str]) -> int:
    """How many tasks an array's file has calls of.

    Raises:
        CallsFileError: it is no such file.
        OSError: it cannot be read.
    """
    with _opened(path) as (_, index):
        return len(index.tasks)


def read_call(path: str | os.PathLike[str], number: int) -> tuple[FrozenCode | None, bytes, bool]:
    """One task's call: its code, the pickles of function and arguments, whether it can checkpoint.

    Raises:
        CallsFileError: it is no such file, or has no such task.
        OSError: it cannot be read.
    """
    with _opened(path) as (stream, index):
        if not 0 <= number < len(index.tasks):
            raise CallsFileError(f"'{path}' has {len(index.tasks)} tasks, and no task {number}")
        of, start, length = index.tasks[number]
        function_start, function_length, checkpointable = index.functions[of]
        stream.seek(function_start)
        payload = stream.read(function_length)
        stream.seek(start)
        return index.frozen, payload + stream.read(length), checkpointable


def take_call(folder: str) -> None:
    """In a task of an array: write the pickle that submitit looks for, unless it is there already.

    Args:
        folder: submitit's; the file of the calls is in it, named after the array.

    Raises:
        CallsFileError: the file did not appear.
    """
    import submitit
    from submitit.core.utils import JobPaths

    environment = submitit.JobEnvironment()
    paths = JobPaths(folder, job_id=environment.job_id, task_id=environment.global_rank)
    target = paths.submitted_pickle
    if target.exists():
        return  # requeued; it may have saved its state there
    array, _, number = environment.job_id.partition("_")
    delayed = load_call(_appeared(calls_path(folder, array)), int(number))
    target.parent.mkdir(parents=True, exist_ok=True)
    mine = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    delayed.dump(mine)
    try:
        # Not renamed: another process of the task may be that far already, and have saved a state.
        os.link(mine, target)
        mine.unlink()
    except FileExistsError:
        mine.unlink()
    except OSError:
        mine.rename(target)


def load_call(path: str | os.PathLike[str], number: int) -> Any:
    """One task's call as submitit takes it, a DelayedSubmission.

    Raises:
        CallsFileError: it is no such file, or has no such task.
    """
    from slurmic.job.call import ArrayCall
    from slurmic.job.delayed import DelayedSubmission

    with _opened(path) as (_, index):
        limit = index.limit
    frozen, payload, checkpointable = read_call(path, number)
    if frozen is None:
        function, args, kwargs = load_payload(pickle.Unpickler, payload)
        delayed = DelayedSubmission(function, *args, **kwargs)
    else:
        delayed = DelayedSubmission(ArrayCall(frozen, str(path), number, checkpointable))
    delayed.set_timeout(*limit)
    return delayed


def calls_path(folder: str | os.PathLike[str], array: str) -> str:
    """Where the calls of an array are.

    Args:
        folder: submitit's; with patterns in it, the part before them counts.
        array: its id.
    """
    from submitit.core.utils import JobPaths

    return str(JobPaths.get_first_id_independent_folder(Path(folder)) / f"{array}_calls.bin")


def load_payload(unpickler: Callable[[io.BytesIO], Any], payload: bytes) -> Any:
    """Function, arguments and keyword arguments from their pickles.

    Raises:
        whatever unpickling raises, ImportError foremost.
    """
    load = unpickler(io.BytesIO(payload)).load
    function = load()
    args, kwargs = load()
    return function, args, kwargs


def is_checkpointable(function: Callable[..., Any]) -> bool:
    """Whether a function follows submitit's protocol for saving its state."""
    return checkpoint_of(function) is not None


def checkpoint_of(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """What saves a function's state, or None."""
    # The order in which submitit looks (DelayedSubmission._checkpoint_function).
    for name in ("__submitit_checkpoint__", "checkpoint"):
        checkpoint: Callable[..., Any] | None = getattr(function, name, None)
        if checkpoint is not None:
            return checkpoint
    return None


def _appeared(path: str) -> str:
    """The path, once it is there: it gets its name just after sbatch has answered."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise CallsFileError(
                f"'{path}' with the calls of this array is not there after {_WAIT_SECONDS} seconds",
                hint="was it deleted, or the submitting program ended just after its submission?",
            )
        with contextlib.suppress(OSError):
            os.listdir(os.path.dirname(path))  # lets a network filesystem look again
        time.sleep(0.5)
    return path


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, _Index]]:
    with open(path, "rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise CallsFileError(f"'{path}' is no file with the calls of an array")
        try:
            stream.seek(-_TAIL.size, os.SEEK_END)
            start, length = _TAIL.unpack(stream.read(_TAIL.size))
            stream.seek(start)
            index = pickle.loads(stream.read(length))
        except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise CallsFileError(f"'{path}' is cut off") from error
        yield stream, index

"""The calls of a Slurm array in one file: the functions once, the arguments of each task.

A file for each task would be written, renamed and kept by the submitting process alone, ten
thousand times; and each would hold the function again. So one file travels, and a task that starts
takes its call from it (module `arraytask`): it writes the small pickle that submitit looks for, in
parallel with the other tasks. From there on submitit's protocol is untouched: a checkpoint replaces
that pickle, and a requeued task finds it.

Format: MAGIC; blocks, each a pickle; the last block is the index (:class:`CallsIndex`); then its
place and its length, two 64-bit little-endian numbers. The pickle of a task's arguments goes on
where that of its function ended (one pickler, one memo): what both refer to is one object in the
job, as if they were pickled together.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from slurmic.errors import SlurmicError
from slurmic.job.frozen_code import FrozenCode
from slurmic.job.payload import Call, CallPickler, is_checkpointable

MAGIC = b"slurmic calls 1\n"
_TAIL = struct.Struct("<QQ")


class CallsFileError(SlurmicError):
    """The file with an array's calls is not there, or is not such a file."""


@dataclass(frozen=True)
class CallsIndex:
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
    index = CallsIndex(frozen, limit, [], [])
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
        CallsFileError: it is not such a file.
        OSError: it cannot be read.
    """
    with _opened(path) as (_, index):
        return len(index.tasks)


def read_limit(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Time limit in minutes of an array's tasks, and how often one may be requeued after it.

    Raises:
        CallsFileError: it is not such a file.
        OSError: it cannot be read.
    """
    with _opened(path) as (_, index):
        return index.limit


def read_call(path: str | os.PathLike[str], number: int) -> tuple[FrozenCode | None, bytes, bool]:
    """One task's call: its code, the pickles of function and arguments, whether it can checkpoint.

    Raises:
        CallsFileError: it is not such a file, or has no such task.
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


def calls_path(folder: str | os.PathLike[str], array: str) -> str:
    """Where the calls of an array are.

    Args:
        folder: submitit's; with patterns in it, the part before them counts.
        array: its id.
    """
    from submitit.core.utils import JobPaths

    return str(JobPaths.get_first_id_independent_folder(Path(folder)) / f"{array}_calls.bin")


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, CallsIndex]]:
    with open(path, "rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise CallsFileError(f"'{path}' is not a file with the calls of an array")
        try:
            stream.seek(-_TAIL.size, os.SEEK_END)
            start, length = _TAIL.unpack(stream.read(_TAIL.size))
            stream.seek(start)
            index = pickle.loads(stream.read(length))
        except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise CallsFileError(f"'{path}' is cut off") from error
        yield stream, index

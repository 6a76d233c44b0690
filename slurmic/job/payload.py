"""A call as bytes: the function, then its arguments, pickled so that both share what they share."""

from __future__ import annotations

import io
import pickle
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import CodeType
from typing import Any, ClassVar

_NO_FILE_NAME = "<dynamic-code>"

Call = tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]
"""A function, its arguments and its keyword arguments."""


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

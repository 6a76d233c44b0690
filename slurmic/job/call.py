"""The callable that submitit pickles: the function as bytes, and the code that it belongs to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slurmic.job.audit import Audit
from slurmic.job.calls import read_call
from slurmic.job.freeze import freeze_process
from slurmic.job.frozen_code import FrozenCode
from slurmic.job.loading import load_frozen
from slurmic.job.own_folder import own_code
from slurmic.job.payload import CallPickler, checkpoint_of, is_checkpointable


class FrozenCall:
    """Called in the job without arguments: freezes the process, loads the function, runs it.

    It has a ``checkpoint`` method exactly when the function follows submitit's protocol (an
    attribute ``checkpoint`` or ``__submitit_checkpoint__``), because submitit tests for the
    attribute.

    A job that Slurm requeues by itself loads the same pickle, hence runs from the same code folder.

    Attributes:
        frozen: the code that the function belongs to.
        payload: cloudpickle bytes of the function, then of (args, kwargs); see
            :class:`~slurmic.job.payload.CallPickler`.
    """

    payload: bytes

    def __init__(self, frozen: FrozenCode, payload: bytes, checkpointable: bool) -> None:
        self.frozen = frozen
        self.payload = payload
        self._checkpointable = checkpointable
        self._loaded: tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]] | None = None

    @classmethod
    def pack(
        cls,
        frozen: FrozenCode,
        function: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> FrozenCall:
        """A call of ``function`` with these arguments, from ``frozen``.

        What is defined in ``__main__`` travels by value, what is defined in modules by reference.

        Raises:
            pickle.PicklingError, TypeError: something cannot be pickled.
        """
        pickler = CallPickler(function)
        payload = pickler.function + pickler.arguments(args, kwargs or {})
        return cls(frozen, payload, is_checkpointable(function))

    def __call__(self) -> Any:
        """Run the function, and return what it returns.

        Raises:
            StoreError, OSError: the task's own code folder cannot be made.
            CodeFolderMissingError: the code folder is not on this node.
            LiveImportError: something came from the live tree, and the policy is "error".
            Exception: what the function raises, untouched.
        """
        frozen = own_code(self.frozen)
        audit = Audit(frozen, freeze_process(frozen))
        try:
            loaded = load_frozen(self.payload, frozen)
        except BaseException as error:
            audit.close("while the function was loaded", error)
            raise
        audit.check("while the function was loaded")
        function, args, kwargs = self._loaded = loaded
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            audit.close("while the function ran", error)
            raise
        audit.check("while the function ran")
        return result

    def __getattr__(self, name: str) -> Any:
        # Only called for what is not there otherwise; so hasattr() answers as submitit expects.
        if name == "checkpoint" and self.__dict__.get("_checkpointable"):
            return self._checkpoint
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _checkpoint(self) -> Any:
        """submitit's checkpoint protocol: what to run when the job is requeued.

        Returns:
            a submitit DelayedSubmission of what the function's own checkpoint returned, from the
            same code folder; None when that returned None.
        """
        from slurmic.job.delayed import DelayedSubmission  # imports submitit

        if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            # submitit passes over SIGTERM; scontrol, which it is about to run, inherits this.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self._loaded is None:  # the signal came before the function was loaded
            return DelayedSubmission(self)
        function, args, kwargs = self._loaded
        checkpoint = checkpoint_of(function)
        again = None if checkpoint is None else checkpoint(*args, **kwargs)
        if again is None:
            return None
        return DelayedSubmission(
            FrozenCall.pack(self.frozen, again.function, again.args, again.kwargs)
        )

    def __getstate__(self) -> dict[str, Any]:
        # The loaded function may hold anything; the payload stands for it.
        return {**self.__dict__, "_loaded": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class ArrayCall(FrozenCall):
    """The call of one task of an array; its bytes are in the file of the array.

    Attributes:
        calls: that file.
        number: which of its calls.
    """

    def __init__(self, frozen: FrozenCode, calls: str, number: int, checkpointable: bool) -> None:
        self.frozen = frozen
        self.calls = calls
        self.number = number
        self._checkpointable = checkpointable
        self._loaded = None

    @property
    def payload(self) -> bytes:  # type: ignore[override]
        """cloudpickle bytes of the function, then of its arguments; read again each time.

        Raises:
            CallsFileError, OSError: the file is gone, or damaged.
        """
        return read_call(self.calls, self.number)[1]

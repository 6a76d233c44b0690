"""Jobs of mode "run": finished when they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.core import InfoWatcher


class _NoWatcher(InfoWatcher):
    """Nothing is asked about jobs that are finished."""

    def register_job(self, job_id: str) -> None:
        pass


class FinishedJob(submitit.Job[Any]):
    """The outcome of a call that ran in this process, with the interface of a Job.

    Args:
        folder: the output folder; nothing is written there.
        job_id: any name.
        value: what the function returned.
        error: what it raised, or None.
    """

    watcher = _NoWatcher()

    def __init__(
        self, folder: str | Path, job_id: str, value: Any, error: Exception | None
    ) -> None:
        super().__init__(folder, job_id)
        self._value = value
        self._error = error

    def wait(self) -> None:
        """Nothing: it is finished."""

    def done(self, force_check: bool = False) -> bool:
        """True."""
        return True

    def cancel(self, check: bool = True) -> None:
        """Nothing: it is finished."""

    def results(self) -> list[Any]:
        """The value, in a list.

        Raises:
            Exception: what the function raised.
        """
        if self._error is not None:
            raise self._error
        return [self._value]

    def exception(self) -> Exception | None:  # type: ignore[override]
        """What the function raised, or None."""
        return self._error

    @property
    def state(self) -> str:
        """COMPLETED or FAILED, as Slurm would say."""
        return "COMPLETED" if self._error is None else "FAILED"

    def get_info(self, mode: str = "force") -> dict[str, str]:
        """The state, as submitit's other jobs have it."""
        return {"State": self.state}


def run_here(
    function: Callable[..., Any], args: Sequence[Any], folder: str, index: int
) -> FinishedJob:
    """Call a function in this process; its job, also if it raised an exception."""
    value, error = None, None
    try:
        value = function(*args)
    except Exception as caught:
        error = caught
    return FinishedJob(folder, f"RUN_{index}", value, error)

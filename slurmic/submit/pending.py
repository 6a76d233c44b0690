"""What a call inside a batch returns: a job that becomes real when the batch is submitted."""

from __future__ import annotations

from typing import Any

import submitit

from slurmic.errors import SlurmicError


class NotSubmittedError(SlurmicError, AttributeError):
    """A job of a batch was asked for something before the batch was submitted."""


class PendingJob(submitit.Job[Any]):
    """What a call inside a batch returns; becomes the real job when the batch is submitted."""

    _cancel_at_deletion = False

    def __init__(self) -> None:
        # No id, no folder: nothing of submitit's yet.
        self.__dict__["dropped"] = False

    def become(self, job: submitit.Job[Any]) -> None:
        """Turn into a job that was submitted."""
        self.__dict__.clear()
        self.__dict__.update(job.__dict__)
        self.__class__ = type(job)  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.__dict__.get("dropped"):
            raise NotSubmittedError("this job was never submitted: its batch ended with an error")
        raise NotSubmittedError(
            "this job is submitted when its batch ends",
            hint="ask for its id or its result after the 'with' block",
        )

    def __getstate__(self) -> dict[str, Any]:
        raise NotSubmittedError("this job is submitted when its batch ends: pickle it after that")

    def __repr__(self) -> str:
        return "<job of a batch that is not submitted>"

"""Batches: many calls of different functions and configurations, submitted together."""

from __future__ import annotations

from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any

from slurmic.errors import ConfigError

from .joblist import JobList
from .pending import PendingJob
from .request import OPEN_BATCH

if TYPE_CHECKING:
    from .request import Request


class batch:  # noqa: N801  (used like a function: with slurmic.batch(): ...)
    """A context in which calls are collected, and submitted together when it ends.

    There is one snapshot for all calls that pack the same files into the same output path. Calls
    that ask for the same resources become one Slurm array, whatever their functions are; others are
    jobs of their own. All are submitted, or none: an exception in the block submits nothing, and if
    Slurm refuses one, those before it are cancelled before any has started.

    Inside the block a call in mode "slurm" or "local" returns its job at once, which becomes real
    at the end of the block: ask for its id or result after that. Calls in mode "run" and "debug"
    run where they stand.

    Examples:
        >>> with slurmic.batch() as submitted:          # doctest: +SKIP
        ...     model = train[big](data)
        ...     table = evaluate[small](data)
        >>> model.job_id, table.job_id                  # doctest: +SKIP
        >>> submitted.jobs.results()                    # doctest: +SKIP

    Attributes:
        jobs: the jobs of the block, in the order of the calls.
    """

    def __init__(self) -> None:
        self.jobs = JobList()
        self._requests: list[Request] = []
        self._pending: list[list[PendingJob]] = []
        self._token: Token[Any] | None = None

    def add(self, request: Request) -> list[PendingJob]:
        """Collect calls; their jobs-to-be."""
        jobs = [PendingJob() for _ in request.calls]
        self._requests.append(request)
        self._pending.append(jobs)
        self.jobs += jobs
        return jobs

    def __enter__(self) -> batch:
        """Begin to collect.

        Raises:
            ConfigError: another batch is open here, or this one was used before.
        """
        if OPEN_BATCH.get() is not None:
            raise ConfigError(
                "a batch inside a batch", hint="all calls of a block are submitted together already"
            )
        if self._requests:
            raise ConfigError("a batch is used twice", hint="make another one: slurmic.batch()")
        self._token = OPEN_BATCH.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Submit what was collected, unless the block raised an exception.

        Raises:
            As calling a function does; nothing was submitted then.
        """
        assert self._token is not None
        OPEN_BATCH.reset(self._token)
        try:
            if kind is None and self._requests:
                from .dispatch import submit_requests  # imports all that packing needs

                for jobs, real in zip(self._pending, submit_requests(self._requests), strict=True):
                    for job, submitted in zip(jobs, real, strict=True):
                        job.become(submitted)
        finally:
            for collected in self.jobs:
                if isinstance(collected, PendingJob):
                    collected.__dict__["dropped"] = True

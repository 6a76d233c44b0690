"""Jobs in Slurm, as a submission returns them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from submitit.core.utils import UncompletedJobError
from submitit.slurm.slurm import SlurmJob

from slurmic.errors import SlurmicError

from .conditions import why_impossible


class UnmetConditionError(SlurmicError, UncompletedJobError):
    """A job never started, because what it was to wait for became impossible."""


class SubmittedJob(SlurmJob[Any]):
    """A job in Slurm; submitit's, and it knows what it waits for.

    Attributes:
        conditions: Slurm dependencies, as in "afterok:12:13"; all must hold.
    """

    conditions: tuple[str, ...] = ()

    def with_conditions(self, conditions: tuple[str, ...]) -> SubmittedJob:
        """This job, told what it waits for."""
        for job in (self, *self._sub_jobs):
            job.__dict__["conditions"] = conditions
        return self

    def _get_outcome_and_result(self) -> tuple[str, Any]:
        """submitit's, without its wait of seconds for the result of a job that never started.

        Raises:
            UnmetConditionError: what it waits for became impossible.
            UncompletedJobError: there is no result for another reason.
        """
        self._refuse_unmet_condition()
        outcome: tuple[str, Any] = super()._get_outcome_and_result()
        return outcome

    def _refuse_unmet_condition(self) -> None:
        if not self.conditions or self._has_started() or not self.state.startswith("CANCELLED"):
            return
        reason = why_impossible(self.conditions)
        if reason:
            raise UnmetConditionError(
                f"job {self.job_id} never started: its condition {reason}",
                hint="Slurm has removed it from the queue; see in that job's log what happened "
                "to it, and submit both again",
            )

    def _has_started(self) -> bool:
        paths: tuple[Path, ...] = (self.paths.result_pickle, self.paths.stdout, self.paths.stderr)
        return any(path.exists() for path in paths)

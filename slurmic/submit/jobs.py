"""Jobs as a submission returns them: submitit's, and they know their code, and why they failed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission, UncompletedJobError
from submitit.local.local import LocalJob
from submitit.slurm.slurm import SlurmJob

from slurmic.cluster.states import state_name, was_killed
from slurmic.errors import SlurmicError
from slurmic.job.arraytask import load_call
from slurmic.job.calls import calls_path
from slurmic_store import DamagedError, SnapshotRecord, Store, read_record, read_record_beside

from .conditions import why_impossible
from .failures import JobDiedError, JobFailedError, JobTraces, ResultUnreadableError


class UnmetConditionError(SlurmicError, UncompletedJobError):
    """A job never started, because what it was to wait for became impossible."""


@dataclass(frozen=True)
class SnapshotRef:
    """The frozen code that a job belongs to.

    Attributes:
        snapshot: id of the snapshot.
        code_folder: its code folder, absolute.
        store: the store that has its record.
    """

    snapshot: str
    code_folder: str
    store: str


class FrozenJob(submitit.Job[Any]):
    """What slurmic's jobs have besides submitit's interface.

    All of it survives pickling, and works in another process.
    """

    code: SnapshotRef | None = None

    def with_code(self, code: SnapshotRef | None) -> None:
        """Tell the job which code it belongs to."""
        for job in (self, *self._sub_jobs):
            job.__dict__["code"] = code

    @property
    def code_folder(self) -> str:
        """The folder that the job runs from, absolute; "" for the live tree."""
        return "" if self.code is None else self.code.code_folder

    @property
    def snapshot(self) -> SnapshotRecord | None:
        """The record of the job's snapshot; None if nothing was packed for it.

        Raises:
            StoreError: the record is neither beside the code folder nor in the store any more.
        """
        if self.code is None:
            return None
        try:
            record = read_record_beside(self.code.code_folder)
            if record.id == self.code.snapshot:
                return record
        except (OSError, DamagedError):
            pass  # the store has it too, as long as the code folder is there
        return read_record(Store.open(self.code.store, create=False), self.code.snapshot)

    def exception(self) -> UncompletedJobError | None:
        """What went wrong with the job, or None; waits for its end.

        The message has what the job raised or why it was ended, the last lines of its log, its code
        folder, and what it imported from the live tree.
        """
        self.wait()
        if self._sub_jobs:
            found: UncompletedJobError | None = super().exception()
            return found
        try:
            outcome, trace = self._get_outcome_and_result()
        except UncompletedJobError as error:
            return error
        return JobFailedError(self._traces(), trace) if outcome == "error" else None

    def _get_outcome_and_result(self) -> tuple[str, Any]:
        """submitit's, with errors that say where to look.

        Raises:
            JobDiedError: it left no result.
            ResultUnreadableError: it left one that cannot be loaded in this process.
        """
        try:
            outcome: tuple[str, Any] = super()._get_outcome_and_result()
            return outcome
        except UncompletedJobError as error:
            raise JobDiedError(self._traces(), self.state) from error
        except Exception as error:
            raise ResultUnreadableError(
                self._traces(), str(self.paths.result_pickle), error
            ) from error

    def _traces(self) -> JobTraces:
        task = f" (task {self.task_id})" if self.task_id else ""
        return JobTraces(
            f"job {self.job_id}{task}",
            (str(self.paths.stderr), str(self.paths.stdout)),
            self.code_folder,
            self.code.snapshot if self.code else "",
        )


class SubmittedJob(FrozenJob, SlurmJob[Any]):
    """A job in Slurm.

    Attributes:
        conditions: Slurm dependencies, as in "afterok:12:13"; all must hold.
    """

    conditions: tuple[str, ...] = ()

    def with_conditions(self, conditions: tuple[str, ...]) -> SubmittedJob:
        """This job, told what it waits for."""
        for job in (self, *self._sub_jobs):
            job.__dict__["conditions"] = conditions
        return self

    def submission(self) -> DelayedSubmission:
        """The call that was submitted; a task of an array has it in the array's file."""
        array, _, number = self.job_id.partition("_")
        if number and not self.paths.submitted_pickle.exists():
            calls = calls_path(self.paths._folder, array)
            if os.path.exists(calls):
                found: DelayedSubmission = load_call(calls, int(number))
                return found
        return super().submission()

    @property
    def _results_timeout_s(self) -> int:  # type: ignore[override]
        # submitit waits that long for a result that a slow filesystem may not show yet; after a
        # job that was killed, none is to be expected.
        return 2 if was_killed(self.state) else 15

    def _get_outcome_and_result(self) -> tuple[str, Any]:
        """submitit's, without its wait of seconds for the result of a job that never started.

        Raises:
            UnmetConditionError: what it waits for became impossible.
            UncompletedJobError: there is no result for another reason.
        """
        self._refuse_unmet_condition()
        return super()._get_outcome_and_result()

    def _refuse_unmet_condition(self) -> None:
        if not self.conditions or self._has_started() or state_name(self.state) != "CANCELLED":
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


class ChildJob(FrozenJob, LocalJob[Any]):
    """A job in a process of its own on this machine."""

    _results_timeout_s = 1  # it wrote its result here, before it ended

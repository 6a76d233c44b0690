"""submitit's Slurm executor, with our command in the script, and arrays of any length.

submitit writes a pickle for each task and a script into the output folder before it calls sbatch;
when sbatch refuses, they stay. Here they go away again; the calls of an array are one file (see
:mod:`slurmic.job.calls`); and more tasks than the cluster takes in one array become several.

Several arrays are submitted held, and released when all of them are accepted: so no task has run
when a later array is refused, and all of them are cancelled.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core import utils
from submitit.core.utils import FailedJobError, JobPaths
from submitit.slurm.slurm import SlurmExecutor

from slurmic.cluster import queue
from slurmic.cluster.limits import longest_array
from slurmic.errors import SlurmicError, SubmissionError
from slurmic.job import FrozenCall, FrozenCode, job_command
from slurmic.job.calls import calls_path, write_calls
from slurmic.job.delayed import UNLIMITED_MIN, DelayedSubmission
from slurmic.job.payload import Call
from slurmic.progress import ProgressBar

from .arrays import Part, refusal, split
from .jobs import SubmittedJob
from .note import note_line

_BAR_FROM = 100
"""Tasks from which on a progress bar may be worth it."""


class FrozenSlurmExecutor(SlurmExecutor):
    """Submits to Slurm; the job runs from a code folder if there is one.

    Args:
        folder: the output folder.
        frozen: the code that jobs belong to; None to run on the live tree.
        one_task_per_node: whether each node runs one task, whatever is requested for it: the
            launch command of a distributed job starts the processes of its node.
        conditions: what the jobs wait for; for their errors only.
        notes: what the script keeps of how it was submitted; of JSON's types.
    """

    job_class = SubmittedJob

    def __init__(
        self,
        folder: str,
        frozen: FrozenCode | None,
        *,
        one_task_per_node: bool = False,
        conditions: Sequence[str] = (),
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            super().__init__(folder)
        except RuntimeError as error:
            raise SubmissionError(
                "Slurm's commands are not on PATH: mode 'slurm' works on a cluster's login node",
                hint="mode 'local' runs the same function in a process of its own on this machine",
            ) from error
        self._frozen = frozen
        self._one_task_per_node = one_task_per_node
        self._conditions = tuple(conditions)
        self._notes = dict(notes or {})
        self._script_ids: list[str] = []

    def split(self, calls: Sequence[Call]) -> list[Submission]:
        """The jobs and arrays that these calls are submitted as, in order."""
        if len(calls) == 1:
            return [Submission(self, calls, Part(0, 1))]
        at_once = int(self.parameters.get("array_parallelism") or 0)
        parts: list[Submission] = []
        for part in split(len(calls), longest_array(), at_once):
            after = None if part.after is None else parts[part.after]
            parts.append(Submission(self, calls[part.start : part.stop], part, after))
        return parts

    def _internal_process_submissions(
        self, delayed_submissions: Sequence[utils.DelayedSubmission]
    ) -> list[submitit.Job[Any]]:
        """Submit one job, or one array, or several if the cluster's arrays are not that long.

        Raises:
            SubmissionError: sbatch refused; nothing is left in the output folder.
        """
        calls = [(each.function, each.args, each.kwargs) for each in delayed_submissions]
        return [*submit_all(self.split(calls))]

    @property
    def _submitit_command_str(self) -> str:
        return self._command(array=False)

    def _command(self, *, array: bool) -> str:
        if self._frozen is None and not array:
            return str(super()._submitit_command_str)
        frozen = self._frozen is not None
        return job_command(self.python, str(self.folder), frozen=frozen, array=array)

    def _num_tasks(self) -> int:
        if self._one_task_per_node:
            return int(self.parameters.get("nodes", 1))
        return super()._num_tasks()

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        self._script_ids.append(uid)
        shebang, _, rest = str(super()._make_submission_file_text(command, uid)).partition("\n")
        return f"{shebang}\n{note_line(self._notes)}\n{rest}"


class Submission:
    """One job or one array on its way to Slurm: written, submitted, and undone if need be.

    Args:
        executor: whose parameters it has.
        calls: its calls.
        part: which part of a longer list it is.
        after: what has to end before it starts, or None.
    """

    def __init__(
        self,
        executor: FrozenSlurmExecutor,
        calls: Sequence[Call],
        part: Part,
        after: Submission | None = None,
    ) -> None:
        self.calls = calls
        self.job_id = ""
        self.held = False
        self._part = part
        self._after = after
        self._executor = copy.copy(executor)
        self._executor.parameters = dict(executor.parameters)
        self._executor._script_ids = []
        self._folder = JobPaths.get_first_id_independent_folder(executor.folder)
        self._file = self._folder / f".{uuid.uuid4().hex}.pkl"
        self._written: list[Path] = []

    @property
    def is_array(self) -> bool:
        """Whether it is an array, and not a single job."""
        return len(self.calls) > 1

    def write(self, bar: ProgressBar) -> None:
        """Write what the job reads: the pickle of its call, or the file with an array's calls.

        Raises:
            SubmissionError: it is larger than submitit allows.
            pickle.PicklingError, TypeError: a function or an argument cannot be pickled.
        """
        executor = self._executor
        limit = (executor.parameters.get("time") or UNLIMITED_MIN, executor.max_num_timeout)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._written.append(self._file)
        if self.is_array:
            size = write_calls(self._file, self.calls, executor._frozen, limit=limit, said=bar.step)
        else:
            self._delayed(limit).dump(self._file)
            size = self._file.stat().st_size
            bar.step()
        if size > executor.max_pickle_size_gb * 1024**3:
            raise SubmissionError(
                f"functions and arguments of {len(self.calls)} tasks take {size / 1024**3:.1f} GB "
                f"as pickles, more than {executor.max_pickle_size_gb:g} GB",
                hint="pass paths to large data rather than the data",
            )

    def submit(self, *, hold: bool) -> list[SubmittedJob]:
        """Call sbatch, and give the files their names.

        Args:
            hold: let it wait for :func:`submit_all` to release it.

        Raises:
            FailedJobError: sbatch refused.
        """
        executor = self._executor
        options = dict(executor.parameters.get("additional_parameters") or {})
        if hold and "hold" not in options:
            options["hold"] = self.held = True
        if self._after is not None:
            others = filter(None, [options.get("dependency", "")])
            options["dependency"] = ",".join([*others, f"afterany:{self._after.job_id}"])
        executor.parameters["additional_parameters"] = options or None
        if self.is_array:
            executor.parameters["map_count"] = len(self.calls)
            # submitit always writes a limit (256 by default): that of all tasks is none.
            executor.parameters["array_parallelism"] = self._part.at_once or len(self.calls)
        first = executor._submit_command(executor._command(array=self.is_array))
        assert isinstance(first, SubmittedJob)
        self.job_id = first.job_id
        self._written.append(first.paths.submission_file)
        if self.is_array:
            target = Path(calls_path(executor.folder, first.job_id))
            self._file.rename(target)
            self._written.append(target)
            jobs = [
                SubmittedJob(executor.folder, f"{first.job_id}_{number}", tasks=first._tasks)
                for number in range(len(self.calls))
            ]
        else:
            first.paths.move_temporary_file(self._file, "submitted_pickle")
            self._written.append(first.paths.submitted_pickle)
            jobs = [first]
        for job in jobs:
            job.with_conditions(executor._conditions)
        return jobs

    def discard(self) -> None:
        """Remove its files."""
        scripts = [f".submission_file_{uid}.sh" for uid in self._executor._script_ids]
        for path in (*self._written, *(self._folder / script for script in scripts)):
            path.unlink(missing_ok=True)

    def _delayed(self, limit: tuple[int, int]) -> DelayedSubmission:
        ((function, args, kwargs),) = self.calls
        frozen = self._executor._frozen
        delayed = (
            DelayedSubmission(function, *args, **kwargs)
            if frozen is None
            else DelayedSubmission(FrozenCall.pack(frozen, function, args, kwargs))
        )
        delayed.set_timeout(*limit)
        return delayed


def submit_all(submissions: Sequence[Submission]) -> list[SubmittedJob]:
    """Submit jobs and arrays, in order: all of them or none.

    Raises:
        SubmissionError: sbatch refused one. Those before it are cancelled before any has started;
            nothing is left in the output folders.
    """
    jobs: list[SubmittedJob] = []
    total = sum(len(each.calls) for each in submissions)
    several = len(submissions) > 1
    current: Submission | None = None
    try:
        with ProgressBar("writing tasks", total if total >= _BAR_FROM else 0) as bar:
            for each in submissions:
                each.write(bar)
        with ProgressBar("submitting tasks", total) as bar:
            for current in submissions:
                jobs += current.submit(hold=several)
                bar.step(len(current.calls))
        current = None
        _release([each.job_id for each in submissions if each.held])
    except BaseException as error:
        # Also when interrupted after sbatch: a job would wait for a pickle that never comes.
        submitted = [each.job_id for each in submissions if each.job_id]
        cancelled = queue.cancel(submitted)
        for each in submissions:
            each.discard()
        if isinstance(error, FailedJobError) and not isinstance(error, SlurmicError):
            raise refusal(
                str(error),
                _tasks(jobs, current, total),
                _what_became(submitted, len(jobs), cancelled),
            ) from error
        raise
    return jobs


def _tasks(jobs: Sequence[SubmittedJob], current: Submission | None, total: int) -> str:
    if total == 1 or current is None:
        return "the job"
    if len(current.calls) == total:
        return f"the array of {total:,} tasks"
    first, last = len(jobs) + 1, len(jobs) + len(current.calls)
    which = f"task {first:,}" if first == last else f"tasks {first:,} to {last:,}"
    return f"{which} of {total:,}"


def _what_became(submitted: Sequence[str], count: int, cancelled: str) -> str:
    if not submitted:
        return ""
    what = f"submitted as {', '.join(submitted)}: {count:,} tasks" if count > 1 else submitted[0]
    many = f"what came before ({what})"
    if cancelled:
        return f"{many} could not be cancelled ({cancelled}): run 'scancel {' '.join(submitted)}'"
    return f"{many} was held, and is cancelled: none of it has started, and nothing is left of it"


def _release(job_ids: Sequence[str]) -> None:
    if not job_ids:
        return
    said = queue.release(job_ids)
    if said:
        raise SubmissionError(
            f"jobs {', '.join(job_ids)} were accepted, and could not be released: {said}",
            hint="they are cancelled again; nothing is left of them in the output path",
        )

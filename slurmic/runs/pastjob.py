"""A job of an earlier submission, found again by what lies in its output folder.

That is the job's script, with the submission note (:mod:`slurmic.submit.note`), and the pickle of
its call. A pickle of a call is opened without loading what is in it, so nothing of the user's code
is imported here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from slurmic.config import SlurmConfig
from slurmic.errors import SubmissionError
from slurmic.job import FrozenCall, FrozenCode
from slurmic.job.calls import calls_path, count_calls, read_call
from slurmic.submit.command import ArraySpec
from slurmic.submit.note import read_note
from slurmic.submit.request import Settings
from slurmic_store import quoted


@dataclass(frozen=True)
class PastJob:
    """A job of an earlier submission: what it ran, and how it was submitted.

    Attributes:
        job_id: the job, the array, or one task of it.
        settings: how it was submitted; without conditions.
        frozen: the code that it ran from.
        argv: the words of a command; None for a function.
        array: the tasks of a command's array, or None.
        calls: of a function: its calls, each as in :func:`slurmic.job.calls.read_call`.
    """

    job_id: str
    settings: Settings
    frozen: FrozenCode
    argv: list[str] | None
    array: ArraySpec | None
    calls: list[tuple[bytes, bool]]


def past_job(output: str, job_id: str) -> PastJob:
    """Find a job again by what it left in its output folder.

    Args:
        output: its output folder.
        job_id: the job, an array for all of its tasks, or one task.

    Raises:
        SubmissionError: what is needed does not exist any more.
    """
    array, _, number = job_id.partition("_")
    note = read_note(Path(output, f"{array}_submission.sh"), job_id)
    known = {field.name for field in fields(SlurmConfig)}
    config = SlurmConfig(**{k: v for k, v in note["config"].items() if k in known})
    config.output_path = note["config"]["output_path"]
    settings = Settings(config, params=note["params"], submit=note["submit"])
    if "command" in note:
        if note["frozen"] is None:
            raise SubmissionError(
                f"job {job_id} ran on the live source tree: nothing was packed for it",
                hint="'slurmic submit' packs, unless --no-pack-code is given",
            )
        spec = ArraySpec.parse(number or note["array"]) if number or note["array"] else None
        frozen = FrozenCode.from_dict(note["frozen"])
        return PastJob(job_id, settings, frozen, note["command"], spec, [])
    frozen, calls = _calls(output, array, number, job_id)
    return PastJob(job_id, settings, frozen, None, None, calls)


def travels_by_value(job: PastJob) -> bool:
    """Whether functions of the job's are sent as they were, and not imported from the code.

    So it is with what is defined in the script that was started.
    """
    return any(b"_make_function" in payload for payload, _ in job.calls)


def _calls(
    output: str, array: str, number: str, job_id: str
) -> tuple[FrozenCode, list[tuple[bytes, bool]]]:
    path = calls_path(output, array)
    if os.path.exists(path):
        numbers = [int(number)] if number else range(count_calls(path))
        found = [read_call(path, each) for each in numbers]
        frozen = found[0][0]
        calls = [(payload, checkpointable) for _, payload, checkpointable in found]
    else:
        frozen, calls = _single_call(Path(output, f"{job_id}_submitted.pkl"), job_id)
    if frozen is None:
        raise SubmissionError(
            f"job {job_id} ran on the live source tree: nothing was packed for it",
            hint="set pack_code=True in its configuration, and submit it as before",
        )
    return frozen, calls


def _single_call(path: Path, job_id: str) -> tuple[FrozenCode | None, list[tuple[bytes, bool]]]:
    from submitit.core.utils import DelayedSubmission

    try:
        function = DelayedSubmission.load(path).function
    except OSError as error:
        raise SubmissionError(
            f"what job {job_id} ran does not exist any more: {quoted(str(path))}",
            hint="it is in the output folder as long as nobody deletes it",
        ) from error
    if not isinstance(function, FrozenCall):
        return None, []
    return function.frozen, [(function.payload, function._checkpointable)]

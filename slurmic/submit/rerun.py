"""Run again what a job ran: from its own frozen code, or from today's.

What is needed lies in the job's output folder: the script, with a line that says how it was
submitted (:data:`~slurmic.submit.slurmexecutor.NOTE`), and the pickle of its call. A pickle of a
call is opened without loading what is in it, so nothing of the user's code is imported here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from slurmic.cluster.jobids import compact
from slurmic.config import SlurmConfig
from slurmic.errors import ConfigError, SubmissionError
from slurmic.job import FrozenCall, FrozenCode
from slurmic.job.calls import calls_path, count_calls, read_call
from slurmic.snapshot.reuse import add_jobs
from slurmic_store import CodeFolderName, SnapshotRecord, Store, build_folder, quoted

from .command import ArraySpec, CommandJob, frozen_argv, run_command
from .dispatch import Request, start
from .freezing import pack_for, record_job_ids, withdraw
from .settings import Settings
from .slurmexecutor import NOTE


@dataclass(frozen=True)
class Ran:
    """What a job ran.

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


def what_ran(output: str, job_id: str) -> Ran:
    """Read what a job ran.

    Args:
        output: its output folder.
        job_id: the job, an array for all of its tasks, or one task.

    Raises:
        SubmissionError: what is needed is not there any more.
    """
    array, _, number = job_id.partition("_")
    note = _note(Path(output, f"{array}_submission.sh"), job_id)
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
        return Ran(job_id, settings, frozen, note["command"], spec, [])
    frozen, calls = _calls(output, array, number, job_id)
    return Ran(job_id, settings, frozen, None, None, calls)


def run_again(
    ran: Ran,
    record: SnapshotRecord,
    store: Store | None,
    *,
    change: Callable[[SlurmConfig], SlurmConfig] = lambda config: config,
    code: str = "",
) -> Sequence[str]:
    """Submit again what a job ran; the ids of the new jobs.

    Args:
        ran: what it ran.
        record: the record of the snapshot that it ran from.
        store: the store with that record; None if it is known from its code folder only.
        change: what is to be changed of the configuration.
        code: a source tree to pack instead of running the old code; "" for the old code.

    Raises:
        ConfigError, SelectionError, StoreError, SubmissionError: nothing was submitted.
    """
    config = change(ran.settings.config)
    settings = replace(ran.settings, config=config)
    if not code:
        frozen = ran.frozen
        _restore_folder(frozen, record, store)
        ids = _start(ran, settings, frozen)
        _attach(store, record, ids)
        return ids
    config.code_root, config.pack_code = code, True
    packed, today = pack_for(settings)
    # Roots of this process mean nothing for the job: those that it had do.
    frozen = replace(
        today,
        import_roots=ran.frozen.import_roots,
        late_roots=ran.frozen.late_roots,
        packages=ran.frozen.packages,
    )
    try:
        ids = _start(ran, settings, frozen)
    except BaseException:
        withdraw(packed)
        raise
    record_job_ids(packed, ids)
    return ids


def travels_by_value(ran: Ran) -> bool:
    """Whether functions of the job's are sent as they were, and not imported from the code.

    So it is with what is defined in the script that was started.
    """
    return any(b"_make_function" in payload for payload, _ in ran.calls)


def _start(ran: Ran, settings: Settings, frozen: FrozenCode) -> Sequence[str]:
    if ran.argv is not None:
        moved = [_moved(word, ran.frozen.code_folder, frozen.code_folder) for word in ran.argv]
        job: CommandJob = run_command(settings, frozen_argv(frozen, moved), ran.array, frozen)
        return job.tasks
    requests = [
        Request(settings, FrozenCall(frozen, payload, checkpointable), [((), {})])
        for payload, checkpointable in ran.calls
    ]
    found = start([(request, frozen) for request in requests])
    return [job.job_id for request in requests for job in found[id(request)]]


def _moved(word: str, old: str, new: str) -> str:
    return new + word[len(old) :] if word == old or word.startswith(old + os.sep) else word


def _restore_folder(frozen: FrozenCode, record: SnapshotRecord, store: Store | None) -> None:
    """Build a code folder that is gone again from the store."""
    if os.path.isdir(frozen.code_folder):
        return
    if store is None:
        raise SubmissionError(
            f"code folder {quoted(frozen.code_folder)} is gone",
            hint="--store names the store that may still have its files; --code . runs today's",
        )
    build_folder(store, record.tree, os.fsencode(frozen.code_folder))


def _attach(store: Store | None, record: SnapshotRecord, ids: Sequence[str]) -> None:
    if store is not None:
        add_jobs(store, record, tuple(ids))
    elif (folder := record.code_folder) is not None:
        CodeFolderName(folder).update_record(replace(record, jobs=record.jobs + compact(ids)))


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
            f"what job {job_id} ran is not there any more: {quoted(str(path))}",
            hint="it is in the output folder as long as nobody deletes it",
        ) from error
    if not isinstance(function, FrozenCall):
        return None, []
    return function.frozen, [(function.payload, function._checkpointable)]


def _note(script: Path, job_id: str) -> Mapping[str, Any]:
    try:
        lines = script.read_text(errors="surrogateescape").splitlines()
    except OSError as error:
        raise SubmissionError(
            f"how job {job_id} was submitted is not known any more: {quoted(str(script))} is not "
            "there",
            hint="jobs of mode 'local' have no script: call the function again",
        ) from error
    for line in lines:
        if line.startswith(NOTE):
            found: Mapping[str, Any] = json.loads(line.removeprefix(NOTE))
            if "config" in found:
                return found
    raise ConfigError(
        f"{quoted(str(script))} does not say how job {job_id} was submitted",
        hint="an older version of slurmic wrote it; call the function again",
    )

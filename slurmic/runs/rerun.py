"""Run again what a job ran: from its own frozen code, or from today's."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from slurmic.cluster.jobids import compact
from slurmic.config import SlurmConfig
from slurmic.errors import SubmissionError
from slurmic.job import FrozenCall, FrozenCode
from slurmic.snapshot.reuse import add_jobs
from slurmic.submit.code import pack_for, record_job_ids, withdraw
from slurmic.submit.command import frozen_argv, run_command
from slurmic.submit.dispatch import start
from slurmic.submit.request import Request, Settings
from slurmic_store import CodeFolderName, SnapshotRecord, Store, build_folder, quoted

from .pastjob import PastJob


def run_again(
    past: PastJob,
    record: SnapshotRecord,
    store: Store | None,
    *,
    change: Callable[[SlurmConfig], SlurmConfig] = lambda config: config,
    code: str = "",
) -> Sequence[str]:
    """Submit again what a job ran; the ids of the new jobs.

    Args:
        past: the job.
        record: the record of the snapshot that it ran from.
        store: the store with that record; None if it is known from its code folder only.
        change: what is to be changed of the configuration.
        code: a source tree to pack instead of running the old code; "" for the old code.

    Raises:
        ConfigError, SelectionError, StoreError, SubmissionError: nothing was submitted.
    """
    config = change(past.settings.config)
    settings = replace(past.settings, config=config)
    if not code:
        frozen = past.frozen
        _restore_folder(frozen, record, store)
        ids = _start(past, settings, frozen)
        _attach(store, record, ids)
        return ids
    config.code_root, config.pack_code = code, True
    packed, today = pack_for(settings)
    # Roots of this process mean nothing for the job: those that it had do.
    frozen = replace(
        today,
        import_roots=past.frozen.import_roots,
        late_roots=past.frozen.late_roots,
        packages=past.frozen.packages,
    )
    try:
        ids = _start(past, settings, frozen)
    except BaseException:
        withdraw(packed)
        raise
    record_job_ids(packed, ids)
    return ids


def _start(past: PastJob, settings: Settings, frozen: FrozenCode) -> Sequence[str]:
    if past.argv is not None:
        moved = [_moved(word, past.frozen.code_folder, frozen.code_folder) for word in past.argv]
        job = run_command(settings, frozen_argv(frozen, moved), past.array, frozen)
        return job.tasks
    requests = [
        Request(settings, FrozenCall(frozen, payload, checkpointable), [((), {})])
        for payload, checkpointable in past.calls
    ]
    found = start([(request, frozen) for request in requests])
    return [job.job_id for jobs in found for job in jobs]


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

"""A task of an array takes its call from the array's file when it starts."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
import uuid
from typing import Any

from slurmic.job.call import ArrayCall
from slurmic.job.calls import CallsFileError, calls_path, read_call, read_limit
from slurmic.job.payload import load_payload

_WAIT_SECONDS = 60


def take_call(folder: str) -> None:
    """In a task of an array: write the pickle that submitit looks for, unless it is there already.

    Args:
        folder: submitit's; the file of the calls is in it, named after the array.

    Raises:
        CallsFileError: the file did not appear.
    """
    import submitit
    from submitit.core.utils import JobPaths

    environment = submitit.JobEnvironment()
    paths = JobPaths(folder, job_id=environment.job_id, task_id=environment.global_rank)
    target = paths.submitted_pickle
    if target.exists():
        return  # requeued; it may have saved its state there
    array, _, number = environment.job_id.partition("_")
    delayed = load_call(_appeared(calls_path(folder, array)), int(number))
    target.parent.mkdir(parents=True, exist_ok=True)
    mine = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    delayed.dump(mine)
    try:
        # Not renamed: another process of the task may be that far already, and have saved a state.
        os.link(mine, target)
        mine.unlink()
    except FileExistsError:
        mine.unlink()
    except OSError:
        mine.rename(target)


def load_call(path: str | os.PathLike[str], number: int) -> Any:
    """One task's call as submitit takes it, a DelayedSubmission.

    Raises:
        CallsFileError: it is not such a file, or has no such task.
    """
    from slurmic.job.delayed import DelayedSubmission

    frozen, payload, checkpointable = read_call(path, number)
    if frozen is None:
        function, args, kwargs = load_payload(pickle.Unpickler, payload)
        delayed = DelayedSubmission(function, *args, **kwargs)
    else:
        delayed = DelayedSubmission(ArrayCall(frozen, str(path), number, checkpointable))
    delayed.set_timeout(*read_limit(path))
    return delayed


def _appeared(path: str) -> str:
    """The path, once it is there: it gets its name just after sbatch has answered."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise CallsFileError(
                f"'{path}' with the calls of this array is not there after {_WAIT_SECONDS} seconds",
                hint="was it deleted, or the submitting program ended just after its submission?",
            )
        with contextlib.suppress(OSError):
            os.listdir(os.path.dirname(path))  # lets a network filesystem look again
        time.sleep(0.5)
    return path

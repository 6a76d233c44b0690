"""What is said of a job that failed: what happened, the end of its log, and which code it ran.

JobFailedError         the function raised; also submitit's FailedJobError
JobDiedError           the job left no result: Slurm or the system ended it; also submitit's
                       UncompletedJobError
ResultUnreadableError  its result cannot be loaded in this process; likewise
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from submitit.core.utils import FailedJobError, UncompletedJobError

from slurmic.cluster.states import state_name
from slurmic.errors import SlurmicError
from slurmic_store import quoted

LOG_LINES = 20
"""How many of the last lines of a log a message has."""

_PIECE = 256 * 1024
"""Bytes that are read at the head and at the end of a log; it may have gigabytes."""

_LIVE = "slurmic: imported from the live source tree"

_ADVICE = {
    "OUT_OF_MEMORY": "it took more memory than it had asked for: raise mem",
    "TIMEOUT": "its time limit has passed: raise timeout_min, or give the function a checkpoint "
    "method, and it is resumed",
    "NODE_FAIL": "its node failed: submit it again ('slurmic rerun')",
    "BOOT_FAIL": "its node did not start: submit it again ('slurmic rerun')",
    "REVOKED": "another cluster of the federation runs it",
    "DEADLINE": "its deadline has passed before it could end",
    "PREEMPTED": "a job of higher priority took its place: give the function a checkpoint method, "
    "and it is resumed",
    "CANCELLED": "it was cancelled",
    "COMPLETED": "its process ended without a result: did it call os._exit or exec?",
    "FAILED": "its process ended without a result: the log should say why (killed by a signal, or "
    "for its memory?)",
    "UNKNOWN": "Slurm's accounting knows nothing of it",
}


@dataclass(frozen=True)
class JobTraces:
    """What is left of a job to look at.

    Attributes:
        name: the job, as in "job 12_3".
        logs: its logs, the likelier one first; they need not be there.
        code_folder: the folder that it ran from, or "".
        snapshot: the id of its snapshot, or "".
    """

    name: str
    logs: tuple[str, ...]
    code_folder: str
    snapshot: str

    def said(self) -> list[str]:
        """Lines for a message: where the log is and how it ends, the code, its live imports."""
        lines = []
        for log in self.logs:
            _, end = _ends(log)
            if not end.strip():
                continue
            last = end.rstrip().splitlines()[-LOG_LINES:]
            lines += [f"the end of its log {quoted(log)}:", *(f"  | {line}" for line in last)]
            break
        else:
            lines.append(f"its log is empty or not there: {quoted(self.logs[0])}")
        if self.code_folder:
            gone = "" if os.path.isdir(self.code_folder) else ", which is gone"
            lines.append(
                f"its code: {quoted(self.code_folder)}{gone} (snapshot {self.snapshot}; "
                f"'slurmic diff {self.snapshot}' compares it with today's)"
            )
        else:
            lines.append("it ran on the live source tree: nothing was packed (pack_code)")
        live = self.live_imports()
        if live:
            lines += ["it imported from the live source tree:", *(f"  {name}" for name in live)]
        return lines

    def live_imports(self) -> list[str]:
        """What the job's log names as imported from the live tree, each with its file."""
        found: dict[str, None] = {}
        for log in self.logs:
            head, end = _ends(log)
            naming = False
            for line in (head if head == end else head + "\n" + end).splitlines():
                if line.startswith(_LIVE):
                    naming = True
                elif naming and line.startswith("    "):
                    found[line.strip()] = None
                else:
                    naming = False
        return list(found)


class _JobError(SlurmicError):
    """A job's error: a message, and below it what is left of the job."""

    def __init__(self, message: str, traces: JobTraces, *, hint: str = "") -> None:
        said = [*([hint] if hint else []), *traces.said()]
        super().__init__(message, hint="\n  ".join(said))
        self.traces = traces

    def __reduce__(self) -> tuple[object, ...]:
        # By its text, not made again: what it tells of may be gone by then.
        return _again, (type(self), self.message, self.hint, self.traces)


def _again(kind: type[_JobError], message: str, hint: str, traces: JobTraces) -> _JobError:
    error = kind.__new__(kind, message)
    SlurmicError.__init__(error, message, hint=hint)
    error.traces = traces
    return error


class JobFailedError(_JobError, FailedJobError):
    """What a job ran raised an exception.

    Args:
        traces: what is left of the job.
        trace: the traceback, as the job has written it.
    """

    def __init__(self, traces: JobTraces, trace: str) -> None:
        lines = trace.rstrip().splitlines()
        frames = [place for place, line in enumerate(lines) if line.startswith('  File "')]
        after = lines[frames[-1] + 1 :] if frames else lines
        raised = next((line for line in after if line and not line.startswith(" ")), "")
        text = "\n".join(f"  {line}" for line in lines)
        super().__init__(f"{traces.name} failed: {raised}\n{text}", traces)


class JobDiedError(_JobError, UncompletedJobError):
    """A job ended, or was ended, without a result.

    Args:
        traces: what is left of the job.
        state: its state, as Slurm's accounting has it.
    """

    def __init__(self, traces: JobTraces, state: str) -> None:
        advice = _ADVICE.get(state_name(state), "")
        message = f"{traces.name} left no result: its state is {state}"
        super().__init__(message, traces, hint=advice)


class ResultUnreadableError(_JobError, UncompletedJobError):
    """A job has ended well, and its result cannot be loaded in this process.

    Args:
        traces: what is left of the job.
        path: the file with the result.
        error: why.
    """

    def __init__(self, traces: JobTraces, path: str, error: Exception) -> None:
        super().__init__(
            f"{traces.name} has ended, and its result in {quoted(path)} cannot be loaded here: "
            f"{type(error).__name__}: {error}",
            traces,
            hint="what it is made of is not in this program as it was in the job: load it in a "
            "Python process that imports from the job's code",
        )


def _ends(path: str) -> tuple[str, str]:
    """The head and the end of a log; the same text twice if it is short, "" if it is not there."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_PIECE)
            size = stream.seek(0, os.SEEK_END)
            if size <= len(head):
                end = head
            else:
                stream.seek(max(len(head), size - _PIECE))
                end = stream.read()
    except OSError:
        return "", ""
    return head.decode(errors="replace"), end.decode(errors="replace")

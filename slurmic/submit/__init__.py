"""Submission: functions and commands, the ways to run them, and what is said of their jobs.

Words:
    settings: the configuration of a function and what was given along with it.
    request: calls of one function that are to be submitted with the same settings.
    submission: one job or one array on its way to Slurm.
    condition: what a job waits for ("afterok:12").
    submission note: the line of a job's script that says how it was submitted.

Files, in the order of a submission's path:
    launcher, function: decorators; a function that runs where its configuration says.
    request, batches, pending: what is to be submitted; collecting it; jobs that are yet to be.
    dispatch: packing the code, running or submitting requests, undoing all of it on failure.
    code, import_roots: the frozen code of a submission, and where this program imports from.
    executors, slurmexecutor, arrays, conditions, note: parameters; script, sbatch; arrays of any
        length; dependencies; what the script says of the submission.
    localjobs: jobs on this machine.
    command: any command instead of a function.
    jobs, joblist, failures: what a submission returns, and why a job failed.

Only this package and the job touch submitit.
"""

from __future__ import annotations

from slurmic_store.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .batches import batch
    from .command import ArraySpec, CommandJob, submit_command
    from .failures import JobDiedError, JobFailedError, ResultUnreadableError
    from .function import SlurmFunction
    from .joblist import JobList
    from .jobs import UnmetConditionError
    from .launcher import slurm, slurm_fn, slurm_function, slurm_launcher
    from .request import Settings

__all__ = [
    "ArraySpec",
    "CommandJob",
    "JobDiedError",
    "JobFailedError",
    "JobList",
    "ResultUnreadableError",
    "Settings",
    "SlurmFunction",
    "UnmetConditionError",
    "batch",
    "slurm",
    "slurm_fn",
    "slurm_function",
    "slurm_launcher",
    "submit_command",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".batches": "batch",
        ".command": "ArraySpec CommandJob submit_command",
        ".failures": "JobDiedError JobFailedError ResultUnreadableError",
        ".function": "SlurmFunction",
        ".joblist": "JobList",
        ".jobs": "UnmetConditionError",
        ".launcher": "slurm slurm_fn slurm_function slurm_launcher",
        ".request": "Settings",
    },
)

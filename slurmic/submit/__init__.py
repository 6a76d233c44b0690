"""Submission: functions, the ways to run them, and what travels to the job.

The path of a submission: :class:`SlurmFunction` (function.py) collects the settings and the calls;
:func:`submit_requests` (dispatch.py) packs the code if it is asked to, and hands the calls to an
executor (executors.py), which is submitit's with our command in its script; what the job does first
is in :mod:`slurmic.job`. Only this package and the job touch submitit.
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
    from .rerun import Ran, run_again, travels_by_value, what_ran
    from .settings import Settings
    from .task import DistributedTaskConfig, PyTorchDistributedTask, Task

__all__ = [
    "ArraySpec",
    "CommandJob",
    "DistributedTaskConfig",
    "JobDiedError",
    "JobFailedError",
    "JobList",
    "PyTorchDistributedTask",
    "Ran",
    "ResultUnreadableError",
    "Settings",
    "SlurmFunction",
    "Task",
    "UnmetConditionError",
    "batch",
    "run_again",
    "slurm",
    "slurm_fn",
    "slurm_function",
    "slurm_launcher",
    "submit_command",
    "travels_by_value",
    "what_ran",
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
        ".rerun": "Ran run_again travels_by_value what_ran",
        ".settings": "Settings",
        ".task": "DistributedTaskConfig PyTorchDistributedTask Task",
    },
)

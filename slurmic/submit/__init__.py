"""Submission: functions, the ways to run them, and what travels to the job.

The path of a submission: :class:`SlurmFunction` (function.py) collects the settings and the calls;
:func:`run_calls` (dispatch.py) packs the code if it is asked to, and hands the calls to an executor
(executors.py), which is submitit's with our command in its script; what the job does first is in
:mod:`slurmic.job`. Only this package and the job touch submitit.
"""

from .function import SlurmFunction
from .jobs import UnmetConditionError
from .launcher import slurm, slurm_fn, slurm_function, slurm_launcher
from .task import DistributedTaskConfig, PyTorchDistributedTask, Task

__all__ = [
    "DistributedTaskConfig",
    "PyTorchDistributedTask",
    "SlurmFunction",
    "Task",
    "UnmetConditionError",
    "slurm",
    "slurm_fn",
    "slurm_function",
    "slurm_launcher",
]

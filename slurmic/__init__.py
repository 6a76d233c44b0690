"""slurmic runs Python functions on Slurm from a frozen, deduplicated copy of your source tree.

- A **code folder** is the frozen copy that a job runs from; by default ``<output_path>/code/``.
- A **snapshot** is one act of packing: which files, from where, and for which jobs.
- The **store** holds each file's bytes once; code folders are hard links to it.
- The **selection** is the set of rules that say which files are packed.

See :class:`SlurmConfig` for the settings, and :func:`slurm_fn` for the first steps.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the module typing takes longer to import than all that is imported here
if TYPE_CHECKING:
    from .config import SlurmArgs, SlurmConfig
    from .errors import (
        ConfigError,
        LiveImportError,
        SelectionError,
        SlurmicError,
        SlurmicWarning,
        SubmissionError,
    )
    from .job.distributed import DistributedTaskConfig, PyTorchDistributedTask, Task
    from .submit import (
        JobDiedError,
        JobFailedError,
        JobList,
        ResultUnreadableError,
        SlurmFunction,
        UnmetConditionError,
        batch,
        slurm,
        slurm_fn,
        slurm_function,
        slurm_launcher,
    )

__all__ = [
    "ConfigError",
    "DistributedTaskConfig",
    "JobDiedError",
    "JobFailedError",
    "JobList",
    "LiveImportError",
    "PyTorchDistributedTask",
    "ResultUnreadableError",
    "SelectionError",
    "SlurmArgs",
    "SlurmConfig",
    "SlurmFunction",
    "SlurmicError",
    "SlurmicWarning",
    "SubmissionError",
    "Task",
    "UnmetConditionError",
    "batch",
    "slurm",
    "slurm_fn",
    "slurm_function",
    "slurm_launcher",
]


def __getattr__(name: str) -> object:
    # Names are imported when they are first used: a job imports slurmic.job alone, before its
    # imports are frozen, and ``slurmic --version`` needs nothing at all.
    if name not in __all__:
        raise AttributeError(f"module 'slurmic' has no attribute '{name}'")
    from importlib import import_module

    for module in (".config", ".errors", ".submit", ".job.distributed"):
        found = getattr(import_module(module, __name__), name, None)
        if found is not None:
            globals()[name] = found
            return found
    raise AssertionError(f"'{name}' is announced and not defined")

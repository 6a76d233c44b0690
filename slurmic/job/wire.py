"""The names that travel: what job scripts and pickles of this version mention, and so is promised.

A job may start days after its submission, by which time slurmic may have been upgraded in its
environment; a Job object may be unpickled by a later version, ``slurmic rerun`` reads old scripts.
So from 0.3.0 on everything named here stays importable under this name, and takes what 0.3.0 wrote.
To rename something, leave the old name behind as an alias. Fields may be added to what is pickled
if they have a default in the class; none may go, or change its meaning.

``tests/job/test_wire.py`` holds the lists against freshly made scripts and pickles, and runs a
script, a pickle and an array's file that 0.3.0 has written.

Besides these: the fields of a record (``store/FORMAT.md``) and of JSON output (``docs/json.md``).
"""

from __future__ import annotations

PICKLED = frozenset(
    {
        # what sbatch'ed jobs load
        "slurmic.config.SlurmConfig",
        "slurmic.job.call.ArrayCall",
        "slurmic.job.call.FrozenCall",
        "slurmic.job.calls.CallsIndex",
        "slurmic.job.delayed.DelayedSubmission",
        "slurmic.job.distributed.DistributedTaskConfig",
        "slurmic.job.distributed.PyTorchDistributedTask",
        "slurmic.job.frozen_code.FrozenCode",
        # what users keep
        "slurmic.submit.failures.JobDiedError",
        "slurmic.submit.failures.JobFailedError",
        "slurmic.submit.failures.JobTraces",
        "slurmic.submit.failures.ResultUnreadableError",
        "slurmic.submit.failures._again",
        "slurmic.submit.joblist.JobList",
        "slurmic.submit.jobs.ChildJob",
        "slurmic.submit.jobs.SnapshotRef",
        "slurmic.submit.jobs.SubmittedJob",
        "slurmic.submit.localjobs.FinishedJob",
    }
)
"""Classes and functions that pickles name."""

IN_SCRIPTS = frozenset({"slurmic.job.arraytask.take_call", "slurmic.job.command.main"})
"""Functions that the Python commands of job scripts import and call."""

NOTE_FIELDS = frozenset({"array", "command", "config", "frozen", "params", "submit"})
"""Fields of the submission note; "array", "command" and "frozen" only of commands."""

VARIABLES = frozenset(
    {
        "SLURMIC_CODE",
        "SLURMIC_CODE_ROOT",
        "SLURMIC_GIT_COMMIT",
        "SLURMIC_SLURM_HAS_BEEN_SET_UP",
        "SLURMIC_SNAPSHOT",
    }
)
"""Environment variables of a job. Others that begin with SLURMIC_ are slurmic's own."""

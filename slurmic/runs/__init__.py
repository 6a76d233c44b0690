"""What was submitted earlier: its jobs found again, and run again.

Words:
    past job: a job of an earlier submission, found by what it left in its output folder.
    submission note: the line of its script that says how it was submitted.

Files:
    pastjob: what a job ran, from its script and its pickles.
    rerun: submitting that again, from its own frozen code or from today's.
"""

from __future__ import annotations

from slurmic_store.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .pastjob import PastJob, past_job, travels_by_value
    from .rerun import run_again

__all__ = ["PastJob", "past_job", "run_again", "travels_by_value"]

__getattr__ = lazy_names(
    __name__,
    {".pastjob": "PastJob past_job travels_by_value", ".rerun": "run_again"},
)

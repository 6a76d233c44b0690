"""Dividing a list of tasks among arrays, and what to say when the cluster refuses one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slurmic import environment
from slurmic.cluster.limits import count_tasks, longest_array, most_tasks
from slurmic.errors import SubmissionError

_LIMIT = re.compile(r"\b((?:Assoc|QOS)\w*Submit\w*Limit)\b")


@dataclass(frozen=True)
class Part:
    """One of the arrays that a list of tasks is submitted as.

    Attributes:
        start: its first task.
        stop: the task after its last one.
        at_once: how many of its tasks run at once; 0 for no limit.
        after: the number of the part that has to end before this one starts, or None.
    """

    start: int
    stop: int
    at_once: int = 0
    after: int | None = None


def split(count: int, longest: int | None, at_once: int = 0) -> list[Part]:
    """Divide tasks among arrays, in order, as few as the cluster allows.

    No more than `at_once` tasks run at once in all of them together: each array gets its share; and
    where there are more arrays than that, some wait for others.
    """
    longest = longest or max(count, 1)
    starts = list(range(0, count, longest))
    lanes = min(len(starts), at_once) if at_once else len(starts)
    parts = []
    for number, start in enumerate(starts):
        share = at_once // lanes + (number % lanes < at_once % lanes) if at_once else 0
        after = number - lanes if number >= lanes else None
        parts.append(Part(start, min(start + longest, count), share, after))
    return parts


def refusal(text: str, tasks: str = "the job", done: str = "") -> SubmissionError:
    """The error for what sbatch has said.

    Args:
        text: its standard error.
        tasks: what was to be submitted.
        done: what became of what had been submitted before, or "".
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = lines[-1].removeprefix("sbatch: error: ") if lines else "no reason given"
    hints = [done or "nothing was submitted, and nothing is left of it in the output path"]
    limit = _LIMIT.search(text)
    if limit is not None:
        reason = f"{reason} [{limit[1]}]"
        hints += _room(limit[1])
    elif "array" in reason.lower() and (longest := longest_array()) is not None:
        hints.append(f"an array of this cluster has at most {longest} tasks, from 0 on")
    return SubmissionError(f"sbatch refused {tasks}: {reason}", hint="\n  ".join(hints))


def _room(limit: str) -> list[str]:
    """How many tasks the user may still submit, as far as it can be found out."""
    user = environment.user_name()
    queued = count_tasks(user)
    said = ["the number of tasks that you may have in the queue at once is limited"]
    allowed = most_tasks(user) if limit.startswith("Assoc") else None
    if allowed is None:  # of a QOS, and which one counts is the cluster's business
        said.append(f"{queued} are there: submit fewer, or wait until those have ended")
    else:
        said.append(
            f"it is {allowed}, and {queued} are there: submit no more than "
            f"{max(0, allowed - queued)} tasks now, and the rest when those have ended"
        )
    said.append("or let each task do the work of several")
    return said

"""What a cluster allows: how long one array may be, and how many tasks a user may have."""

from __future__ import annotations

import functools
import re

from slurmic import environment

from .client import ask


def longest_array() -> int | None:
    """How many tasks one array may have on this cluster; None if the controller does not say."""
    return _longest_array(environment.cluster_setting())


@functools.lru_cache
def _longest_array(_cluster: str) -> int | None:
    text = ask("scontrol", "show", "config").text
    # MaxArraySize is one above the highest index, and the first index is 0.
    found = re.findall(r"^MaxArraySize\s*=\s*(\d+)", text, re.MULTILINE)
    found += re.findall(r"\bmax_array_tasks=(\d+)", text)
    return min((int(number) for number in found if int(number) > 0), default=None)


def count_tasks(user: str) -> int:
    """How many tasks a user has in the queue; 0 if Slurm does not answer."""
    return len(ask("squeue", "--noheader", "--array", "--format=%i", f"--user={user}").lines)


def most_tasks(user: str) -> int | None:
    """The lowest number of tasks that the user's associations with accounts allow, if any does."""
    show = ("sacctmgr", "--noheader", "--parsable2", "show", "assoc", "where", f"user={user}")
    lines = ask(*show, "format=MaxSubmit,GrpSubmit").lines
    return min((int(found) for line in lines for found in re.findall(r"\d+", line)), default=None)

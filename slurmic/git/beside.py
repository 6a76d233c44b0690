"""Keeping a process that works beside this one off the processor that this one is on."""

from __future__ import annotations

import os


def keep_apart(process: int) -> None:
    """Keep another process, by its id, from the processor that this one is on.

    The kernel starts a process, and wakes up one that reads from a pipe, on the processor of the
    one that starts it or writes, as if that were about to wait. We go on, so the two would take
    turns. If it cannot be helped, they do.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            processor = int(file.read().rpartition(b")")[2].split()[36])
        os.sched_setaffinity(process, os.sched_getaffinity(0) - {processor})
    except (OSError, ValueError, IndexError):
        pass

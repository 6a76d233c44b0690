"""slurmic gc: let go what nothing uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import tyro

from slurmic.errors import ConfigError
from slurmic_store import GcPlan, GcStats, plan_gc

from .console import number, say, size, warn
from .exits import DONE, INCOMPLETE
from .stores import open_store

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


@dataclass
class Gc:
    """Delete what no code folder and no pinned snapshot uses any more.

    Safe at any time, also while jobs are submitted and run: jobs never depend on the store."""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default the one that a submission from here would use"""

    dry_run: Annotated[bool, tyro.conf.arg(aliases=["-n"])] = False
    """only say what would be deleted"""

    grace: Annotated[str, tyro.conf.arg(metavar="TIME")] = "1h"
    """what is younger stays: 30m, 1h, 2d, or seconds"""

    def run(self) -> int:
        """Plan, and unless it is a dry run, carry the plan out."""
        plan = plan_gc(open_store(self.store), grace=duration(self.grace))
        _say_plan(plan)
        stats = None if self.dry_run else plan.execute()
        for problem in plan.problems:
            warn(problem)
        if stats is None:
            print(
                f"would delete {number(len(plan.blobs), 'blob')} ({size(plan.size)}), "
                f"{number(len(plan.trees), 'tree')}, {number(len(plan.dead), 'snapshot')}"
            )
        else:
            _print_stats(stats)
        return INCOMPLETE if plan.problems else DONE


def _say_plan(plan: GcPlan) -> None:
    kept = number(len(plan.live), "live snapshot")
    say(f"store {plan.store.name}: {kept}, {number(len(plan.dead), 'snapshot')} to let go")
    if plan.linked:
        say(
            f"{number(plan.linked, 'blob')} of no snapshot stay: folders elsewhere still link to "
            "them, so deleting them would free nothing"
        )
    if plan.blocked:
        say("no blob is deleted: see the warnings for what could not be read")


def _print_stats(stats: GcStats) -> None:
    print(
        f"deleted {number(stats.blobs, 'blob')} ({size(stats.size)}), "
        f"{number(stats.trees, 'tree')}, {number(stats.records, 'snapshot')}"
    )
    if stats.leftovers:
        say(f"removed {number(stats.leftovers, 'leftover')} of submissions that were killed")
    if stats.restored:
        say(f"put back {number(stats.restored, 'thing')} that had been claimed meanwhile")


def duration(text: str) -> float:
    """Seconds in a text like "90", "30m", "1h", "2d".

    Raises:
        ConfigError: it is no such text.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", text.strip())
    if match is None:
        raise ConfigError(
            f"'{text}' is not a length of time", hint="write 90 (seconds), 30m, 1h, 2d or 1w"
        )
    return float(match[1]) * _UNITS[match[2] or "s"]

"""Count what pytest reported in JUnit files, for .ci/run.

    summary.py REPORT... --failed-steps FILE    print "N passed, N failed"; fail if anything did
    summary.py REPORT... --refuse-skips         fail if a test was skipped, and name it

A step of .ci/run that fails otherwise than by its tests counts as one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

BEYOND_US = "the kernel has no "
"""How the one reason begins for which a test may be skipped: no package can bring it."""

Outcome = Literal["passed", "failed", "skipped"]


TAGS: dict[str, Outcome] = {"failure": "failed", "error": "failed", "skipped": "skipped"}


def outcomes(report: Path) -> Iterator[tuple[str, Outcome, str]]:
    """Name, outcome and message of every test in a report."""
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        found = [(TAGS[child.tag], child.get("message", "")) for child in case if child.tag in TAGS]
        outcome, message = found[0] if found else ("passed", "")
        yield name, outcome, message


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--refuse-skips", action="store_true")
    parser.add_argument("--failed-steps", type=Path)
    options = parser.parse_args()
    tests = {report.stem: list(outcomes(report)) for report in options.reports if report.exists()}
    every = [test for report in tests.values() for test in report]

    if options.refuse_skips:
        skipped = [
            f"skipped: {name}: {why}"
            for name, outcome, why in every
            if outcome == "skipped" and not why.startswith(BEYOND_US)
        ]
        print("\n".join(skipped) or "no test was skipped")
        return 1 if skipped else 0

    failed = [f"test {name}: {why[:200]!r}" for name, outcome, why in every if outcome == "failed"]
    for step in options.failed_steps.read_text().splitlines():
        # A step that failed by its tests is counted by them; others (a linter, a crash) are not.
        if not any(outcome == "failed" for _, outcome, _ in tests.get(step, [])):
            failed.append(f"step {step}")
    print("", *(f"failed: {each}" for each in failed), sep="\n")
    passed = sum(outcome == "passed" for _, outcome, _ in every)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

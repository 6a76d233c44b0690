"""slurmic doctor: whether submissions from here will work well, and what to do if not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from .checks import Check, CheckState, check_all
from .console import console, one_line, say
from .exits import DAMAGED, DONE

_COLOURS: dict[CheckState, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@dataclass
class Doctor:
    """Look for what would go wrong with submissions from here, and say what to do.

    What filesystems can do is tried and not guessed; nothing is left behind, and no store is made.
    """

    output: Annotated[str, tyro.conf.arg(metavar="DIR")] = "."
    """the folder that outputs go to, or will go to"""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default the one that a submission from here would use"""

    json: bool = False
    """one JSON object a line for each check"""

    def run(self) -> int:
        """Write a line for each check; the exit code says whether there is a problem."""
        checks = check_all(self.output, self.store)
        for check in checks:
            if self.json:
                print(json.dumps(asdict(check)))
            else:
                _draw(check)
        counts = {state: sum(check.state == state for check in checks) for state in _COLOURS}
        say(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['problem']} problems")
        return DAMAGED if counts["problem"] else DONE


def _draw(check: Check) -> None:
    from rich.text import Text

    line = Text(f"{check.state:8}", style=_COLOURS[check.state])
    line.append(f"{check.name:12}{one_line(check.message)}", style="default not bold")
    console().print(line, soft_wrap=True)
    if check.advice:
        console().print(Text(f"{'':20}-> {one_line(check.advice)}"), soft_wrap=True)

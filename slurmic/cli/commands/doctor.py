"""slurmic doctor: whether submissions from here will work well, and what to do if not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from slurmic.cli.arguments.group import command, option
from slurmic.cli.arguments.options import json_option, store_option
from slurmic.cli.arguments.values import FOLDER
from slurmic.cli.exits import DAMAGED, DONE
from slurmic.cli.output.console import painted, say
from slurmic.text import counted, printable

if TYPE_CHECKING:
    from slurmic.cli.checks import Check, CheckState

_COLOURS: dict[CheckState, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@command("doctor")
@option(
    "--output",
    metavar="DIR",
    type=FOLDER,
    default=".",
    show_default=True,
    help="the folder that outputs go to, or will go to",
)
@store_option
@json_option("one JSON object a line for each check")
def doctor(output: str, store: str, as_json: bool) -> int:
    """Look for what would go wrong here, and say what to do.

    What the filesystems can do is tried, not guessed. Nothing is left behind, and no store is made.
    The exit code is 4 if submissions from here will fail.
    """
    from slurmic.cli.checks import check_all

    checks = check_all(output, store)
    for check in checks:
        if as_json:
            print(json.dumps(asdict(check)))
        else:
            _draw(check)
    ok, warnings, problems = (sum(each.state == state for each in checks) for state in _COLOURS)
    say(f"{ok} ok, {counted(warnings, 'warning')}, {counted(problems, 'problem')}")
    return DAMAGED if problems else DONE


def _draw(check: Check) -> None:
    state = painted(f"{check.state:8}", _COLOURS[check.state])
    print(f"{state}{check.name:12}{printable(check.message)}")
    if check.advice:
        print(f"{'':20}-> {printable(check.advice)}")

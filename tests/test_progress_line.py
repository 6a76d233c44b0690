"""The line on a terminal: only there, only after a second, and gone in the end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

PROGRAM = """
import sys, time
from slurmic import progress
from slurmic_store import followed
progress._SILENT_SECONDS = {silent}
with progress.shown_progress():
    for _ in followed("counting sheep", range(4), 4):
        time.sleep(0.15)
assert ("rich" in sys.modules) == {drawn}, "rich"
"""


def on_a_terminal(program: str) -> str:
    """What a program writes to standard error if that is a terminal."""
    terminal, other = pty.openpty()
    try:
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        command = [sys.executable, "-c", program]
        process = subprocess.Popen(command, stderr=other, env=environment)
        os.close(other)
        written = b""
        try:
            while data := os.read(terminal, 65536):
                written += data
        except OSError:
            pass  # Linux answers EIO when the other end is closed
        assert process.wait() == 0, written
        return written.decode()
    finally:
        os.close(terminal)


def test_what_lasts_is_shown_and_goes_away() -> None:
    written = on_a_terminal(PROGRAM.format(silent=0, drawn=True))
    assert "counting sheep" in written
    # In the end the line is erased, and the cursor is shown again.
    assert written.rindex("\x1b[2K") > written.rindex("counting sheep")
    assert written.rindex("\x1b[?25h") > written.rindex("counting sheep")


def test_what_is_over_within_a_second_is_not_shown() -> None:
    assert on_a_terminal(PROGRAM.format(silent=1, drawn=False)) == ""


def test_elsewhere_nothing_is_written() -> None:
    program = PROGRAM.format(silent=0, drawn=False)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")

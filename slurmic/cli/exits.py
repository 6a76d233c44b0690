"""Exit codes: the one table, which ``--help`` shows."""

from __future__ import annotations

DONE = 0
FAILED = 1
USAGE = 2
INCOMPLETE = 3
DAMAGED = 4
INTERRUPTED = 130

TABLE = """\
exit codes:
  0    done
  1    failed: the message on standard error says what, and what to do; nothing was half-done
  2    wrong usage
  3    gc: something could not be accounted for, so what it might need was kept
  4    verify: something is damaged, and could not be (or was not to be) repaired
  130  interrupted
"""

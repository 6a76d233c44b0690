"""Exit codes: the one table, which ``--help`` shows."""

from __future__ import annotations

from slurmic.errors import ConfigError

DONE = 0
FAILED = 1
USAGE = 2
INCOMPLETE = 3
DAMAGED = 4
DIFFERENT = 5
INTERRUPTED = 130

TABLE = """\
exit codes:
  0    done
  1    failed: the message on standard error says what, and what to do; nothing was half-done
  2    wrong usage
  3    incomplete: something could not be read. gc keeps all that it might need; ls and du show
       the rest
  4    verify: something is damaged, and could not be (or was not to be) repaired;
       doctor: something is a problem
  5    diff --exit-code: there are differences
  130  interrupted
"""


class UsageError(ConfigError):
    """A command line that means nothing, though all its words are known."""

"""Python processes that a job starts: they import from the code folder, and say so when not.

PYTHONPATH alone does not suffice: a child reads the installed packages again, with editable
installs that point to the live tree. What was packed is found first; but a module that was not
would come from the live tree, and the import hooks of some build tools go before PYTHONPATH. So the
first entry of PYTHONPATH is a folder with a ``sitecustomize`` module, which does in the child what
:func:`slurmic.job.freeze.freeze_process` did in the job.

A child started with ``-E``, ``-I`` or ``-S`` ignores all this, and so does a Python of another
environment (it has other packages; the frozen roots on PYTHONPATH serve it as they are).
"""

from __future__ import annotations

import atexit
import json
import os
import sys

from slurmic.job.audit import Audit
from slurmic.job.freeze import freeze_imports, without_live_entries
from slurmic.job.frozen_code import FrozenCode


def freeze_child(text: str) -> None:
    """Make this process, which has just started, import from the code folder.

    Args:
        text: JSON of :meth:`FrozenCode.to_dict`.
    """
    frozen = FrozenCode.from_dict(json.loads(text))
    tree = frozen.live_tree()
    try:
        started_in = os.getcwd()
    except OSError:
        started_in = os.sep
    sys.path[:] = without_live_entries(frozen, tree, sys.path, started_in)
    atexit.register(Audit(frozen, freeze_imports(frozen, tree)).report, _moment())


def report_live_modules(text: str) -> None:
    """Name the modules that this process has from the live tree, as the policy says.

    Args:
        text: JSON of :meth:`FrozenCode.to_dict`.
    """
    Audit(FrozenCode.from_dict(json.loads(text))).report(_moment())


def _moment() -> str:
    return f"by a Python process that the job started (process id {os.getpid()})"

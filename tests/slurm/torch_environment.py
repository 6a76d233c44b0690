"""An interpreter that has PyTorch, for the tests that need the real one; it is large."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VARIABLE = "SLURMIC_TORCH_PYTHON"
"""Names an interpreter with PyTorch; without it, the running one is looked at."""


def torch_site_packages() -> Path | None:
    """The folder that PyTorch can be imported from, or None.

    Raises:
        subprocess.CalledProcessError: the interpreter that is named has no PyTorch.
    """
    named = os.environ.get(VARIABLE, "")
    ask = "import os, torch; print(os.path.dirname(os.path.dirname(torch.__file__)))"
    answer = subprocess.run(
        [named or sys.executable, "-W", "ignore", "-c", ask],
        capture_output=True,
        text=True,
        check=bool(named),
    )
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None

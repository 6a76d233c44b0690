"""Shell text: the lines that go before the job's command, and the command itself."""

from __future__ import annotations

import os
import shlex

from slurmic.job.children import shadowing_names
from slurmic.job.frozen_code import FrozenCode
from slurmic.job.paths import join_below

# With "-m", and with "-c" too, the cwd stands first on sys.path: the code folder, where a
# logging.py or a submitit/ of the user's would be imported in place of the real one. Python 3.10
# has no -P. argv[0] is what it would be with -m: launchers that start the program again read it.
_WITHOUT_CWD = "import sys; sys.path[:] = [entry for entry in sys.path if entry]; "
_TAKE_CALL = "from slurmic.job.arraytask import take_call; take_call(sys.argv[1]); "
_START = (
    "from submitit.core import _submit; sys.argv[0] = _submit.__file__; _submit.submitit_main()"
)


def job_command(python: str, folder: str, *, frozen: bool = True, array: bool = False) -> str:
    """The command of a job, in place of ``python -u -m submitit.core._submit folder``.

    Args:
        python: the interpreter, as shell text: quoted already where it needs to be (submitit's
            convention; it may be a container's command line).
        folder: submitit's folder; any characters.
        frozen: whether it runs from a code folder; on the live tree, the cwd stays on sys.path.
        array: whether its calls are in one file; see :mod:`slurmic.job.calls`.

    Returns:
        shell text, which :func:`shlex.split` reads as bash does.
    """
    start = (_WITHOUT_CWD if frozen else "import sys; ") + (_TAKE_CALL if array else "") + _START
    return f"{python} -u -c {shlex.quote(start)} {shlex.quote(folder)}"


def shell_exports(frozen: FrozenCode) -> list[str]:
    """Lines for the job's script, after the user's own setup commands.

    They wait for the code folder and go there, or end the script with status 1 and a message; they
    set PYTHONPATH (frozen roots first, then what is there) and the SLURMIC_ variables. The job does
    all this again in Python, more thoroughly: the lines are for what else the script runs.

    Each is one POSIX command list, so they may be lines of a script (also under ``set -eu``) or be
    joined by ``&&``. A local run needs none of them: submitit starts its controller with
    ``python -m`` in the cwd, and in the code folder a ``logging.py`` of the user's would break
    that.

    Late roots, and roots with a module named like one of the standard library (looked up in the
    live tree now), are left out of PYTHONPATH here: the job's interpreter itself has yet to start.
    """
    folder = shlex.quote(frozen.code_folder)
    parent = shlex.quote(os.path.dirname(frozen.code_folder))
    message = shlex.quote(
        f"slurmic: code folder '{frozen.code_folder}' cannot be entered on this node: was it "
        "deleted, or is its filesystem not mounted here?"
    )
    lines = [
        "{ slurmic_waited=0; slurmic_sleep=1; "
        f"until cd {folder} 2>/dev/null; do "
        f'if [ "$slurmic_waited" -ge {int(frozen.wait_seconds)} ]; then '
        f"printf '%s\\n' {message} >&2; exit 1; fi; "
        f"ls {parent} >/dev/null 2>&1 || :; "
        'sleep "$slurmic_sleep"; slurmic_waited=$((slurmic_waited + slurmic_sleep)); '
        'if [ "$slurmic_sleep" -lt 8 ]; then slurmic_sleep=$((slurmic_sleep * 2)); fi; '
        "done; unset slurmic_waited slurmic_sleep; }"
    ]
    roots = [
        join_below(frozen.code_folder, root)
        for root in frozen.import_roots
        if root not in frozen.late_roots and not shadowing_names(join_below(frozen.code_root, root))
    ]
    roots = [root for root in roots if os.pathsep not in root]
    if roots:
        text = shlex.quote(os.pathsep.join(roots))
        lines.append(f'export PYTHONPATH={text}"${{PYTHONPATH:+:$PYTHONPATH}}"')
    variables = (f"{name}={shlex.quote(value)}" for name, value in frozen.environment().items())
    lines.append(f"export {' '.join(variables)}")
    return lines

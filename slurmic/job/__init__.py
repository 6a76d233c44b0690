"""What runs inside a job: imports come from the code folder, and the log says so when one did not.

Glossary:
    live tree: the folder ``code_root`` as it is now; edited while jobs wait.
    code folder: the frozen copy that the job runs from.
    import root: a folder that modules are imported from; kept relative to ``code_root``.
    late root: an import root that stood behind the standard library on ``sys.path`` (an editable
        install, an appended folder), so that nothing in it may shadow an installed package.
    frozen call: the submitted function with its arguments, as bytes, and the code that it belongs
    to.

The path of a job: :func:`job_command` starts submitit, which loads a :class:`FrozenCall`; that
calls :func:`freeze_process` first, and only then loads the function from its bytes.

A leaf: imports nothing of slurmic but its errors, and only the standard library when it is
imported.
"""

from __future__ import annotations

from slurmic.job.audit import LiveModule, live_modules
from slurmic.job.call import FrozenCall
from slurmic.job.freeze import CodeFolderMissingError, freeze_process
from slurmic.job.frozen_code import FrozenCode, OnLiveImport
from slurmic.job.shell import job_command, shell_exports

__all__ = [
    "CodeFolderMissingError",
    "FrozenCall",
    "FrozenCode",
    "LiveModule",
    "OnLiveImport",
    "freeze_process",
    "job_command",
    "live_modules",
    "shell_exports",
]

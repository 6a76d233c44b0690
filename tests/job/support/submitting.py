"""What a user's script imports to submit itself in these tests: the real pieces, without the store.

Reads its settings from the variable SUBMITTING, as JSON: code_root, code_folder, job_folder,
on_live_import, left_out (names of files and folders that are not packed).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

from submitit.core.utils import DelayedSubmission

from slurmic.job import FrozenCall, FrozenCode
from slurmic.submit.import_roots import Imports, find_import_roots, unpacked_modules


def submit(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    settings = json.loads(os.environ["SUBMITTING"])
    code_root, code_folder = settings["code_root"], settings["code_folder"]
    left_out = {*settings["left_out"], ".venv", "__pycache__", "slurm"}
    # What the entry script does not need in the job must not help it to look right.
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(__file__)]
    pythonpath = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    imports = Imports(
        cwd=os.getcwd(),
        modules={name: each for name, each in sys.modules.items() if name != "submitting"},
        sys_path=sys.path,
        pythonpath=os.pathsep.join(p for p in pythonpath if p != os.path.dirname(__file__)),
        prefixes=(sys.prefix, sys.exec_prefix, sys.base_prefix),
        meta_path=sys.meta_path,
    )
    roots = find_import_roots(code_root, imports)
    shutil.copytree(
        code_root,
        code_folder,
        symlinks=True,
        ignore=lambda folder, names: [name for name in names if name in left_out],
    )
    packed = set()
    for folder, folders, files in os.walk(code_folder):
        for name in (*folders, *files):
            packed.add(os.fsencode(os.path.relpath(os.path.join(folder, name), code_folder)))
    packed -= {os.fsencode(os.path.relpath(f, code_folder)) for f, _, _ in os.walk(code_folder)}
    frozen = FrozenCode(
        code_root=os.path.abspath(code_root),
        code_folder=code_folder,
        snapshot="snapshot-1",
        git_commit="abc123",
        import_roots=roots.roots,
        late_roots=roots.late_roots,
        packages=roots.packages,
        on_live_import=settings["on_live_import"],
        working_directory=os.getcwd(),
        wait_seconds=settings["wait_seconds"],
    )
    delayed = DelayedSubmission(FrozenCall.pack(frozen, function, args, kwargs))
    delayed.set_timeout(60, 3)
    os.makedirs(settings["job_folder"])
    delayed.dump(os.path.join(settings["job_folder"], "42_submitted.pkl"))
    unpacked = unpacked_modules(code_root, packed, imports)
    with open(os.path.join(settings["job_folder"], "frozen.json"), "w") as file:
        json.dump(
            {"frozen": frozen.to_dict(), "unpacked": [[m.name, m.path] for m in unpacked]}, file
        )

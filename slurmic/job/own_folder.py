"""A folder of the job's own: built for a task, or unpacked on the node, when the job starts.

``code_scope="task"``: each job or array task builds a folder of its own when it starts, from the
manifest and the blobs in the store, so that tasks may write beside the code without meeting. It is
``<code folder>-tasks/<job id>``, and stays there with what the task has written; a requeued task
finds it again. What keeps the blobs in the store is the snapshot's record, whose anchor is the
submission's own code folder: it lives as long as the output folder. If the store is lost all the
same, the task copies that folder.

``code_stage="node"``: see :mod:`slurmic.job.node_folder`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from slurmic.job.frozen_code import FrozenCode


def own_code(frozen: FrozenCode) -> FrozenCode:
    """The code that this process runs from; builds or unpacks its folder if it is not there.

    A node that cannot hold a copy (a full disk) costs time and not the job: it then runs from the
    shared filesystem.

    Returns:
        `frozen` itself, or the same with another code folder.

    Raises:
        StoreError, OSError: the task's folder cannot be made.
    """
    if not frozen.per_task and not frozen.archive:
        return frozen
    from submitit.core.job_environment import JobEnvironment

    job = JobEnvironment()
    if frozen.archive:
        from slurmic.job.node_folder import NodeFolderError, node_folder

        key = f"{frozen.snapshot}-{job.job_id}" if frozen.per_task else frozen.snapshot
        try:
            return replace(frozen, code_folder=node_folder(frozen.archive, key))
        except NodeFolderError as error:
            _say(f"{error}\n  the job runs from the shared filesystem instead")
        if not frozen.per_task:
            return frozen
    folder = os.path.join(f"{frozen.code_folder}-tasks", job.job_id)
    # The other processes of the job wait for it, as for any code folder.
    if job.global_rank == 0 and not os.path.exists(folder):
        _build(frozen, folder)
    return replace(frozen, code_folder=folder)


def _build(frozen: FrozenCode, folder: str) -> None:
    from slurmic_store import (
        Store,
        StoreError,
        TreeContent,
        build_folder,
        read_tree,
        write_folder,
    )

    try:
        build_folder(Store.open(frozen.store, create=False), frozen.tree, folder)
    except StoreError as error:
        _say(f"{error}\n  the task's folder is copied from {frozen.code_folder}")
        source = os.fsencode(frozen.code_folder)
        tree = read_tree(frozen.tree, None, [source])
        write_folder(tree, TreeContent(tree, None, [source]).open, folder)


def _say(message: str) -> None:
    print(f"slurmic: {message}", file=sys.stderr, flush=True)

"""The frozen code of a submission: its snapshot, what its jobs have to know, and its undoing."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import submitit

from slurmic import environment
from slurmic.errors import SlurmicWarning
from slurmic.job import FrozenCode
from slurmic.job.paths import interpreter_prefixes
from slurmic.snapshot import PackedSnapshot, PackRequest, SizeLimits, pack_code
from slurmic_store import StoreError

from .import_roots import Imports, find_import_roots, unpacked_modules
from .jobs import FrozenJob, SnapshotRef
from .request import Settings


def pack_for(settings: Settings) -> tuple[PackedSnapshot, FrozenCode]:
    """A snapshot for a submission with these settings, and what its jobs have to know.

    Raises:
        ConfigError, SelectionError, StoreError: nothing is left of it.
    """
    packed = pack(pack_request(settings))
    try:
        return packed, frozen_code(settings, packed)
    except BaseException:
        withdraw(packed)
        raise


def pack(wanted: PackRequest) -> PackedSnapshot:
    """A snapshot; the user is told what is to be said about it.

    Raises:
        ConfigError, SelectionError, StoreError: nothing is left of it.
    """
    packed = pack_code(wanted)
    try:
        for message in packed.warnings:
            warn_user(message)
    except BaseException:  # the user's filters make exceptions of warnings
        withdraw(packed)
        raise
    return packed


def withdraw(packed: PackedSnapshot) -> None:
    """Undo the packing of a submission that failed."""
    try:
        packed.withdraw()
    except StoreError as error:
        warn_user(f"what the failed submission left could not be removed: {error}")


def record_jobs(packed: PackedSnapshot, jobs: Sequence[submitit.Job[Any]]) -> None:
    """Tell the jobs of their code, and its record of the jobs."""
    code = SnapshotRef(packed.record.id, packed.code_folder, os.fsdecode(packed.store.path))
    for job in jobs:
        if isinstance(job, FrozenJob):
            job.with_code(code)
    record_job_ids(packed, [job.job_id for job in jobs])


def record_job_ids(packed: PackedSnapshot, job_ids: Sequence[str]) -> None:
    """Add jobs to the record of their code."""
    try:
        packed.attach_jobs(tuple(job_ids))
    except (OSError, StoreError) as error:
        # The jobs run, and their code is there; only the list of their ids is not.
        warn_user(f"job ids could not be recorded: {error}")


def pack_request(settings: Settings) -> PackRequest:
    """What is packed with these settings, and where to."""
    config = settings.config
    return PackRequest(
        code_root=config.code_root,
        suffixes=config.code_file_suffixes,
        exclude_folders=config.exclude_code_folders,
        output_path=config.output_path,
        reuse=config.code_scope == "tree",
        link_mode=config.link_mode,
        store_path=config.store_path,
        store_setting=environment.store_setting(),
        home=environment.home_folder(),
        include=settings.include,
        exclude_directory=settings.exclude_directory,
        limits=SizeLimits(
            config.warn_code_files,
            config.warn_code_mb,
            config.max_code_files,
            config.max_code_mb,
            config.warn_added_files,
            config.warn_added_mb,
        ),
        about={
            "job_name": config.job_name,
            "mode": config.mode,
            **environment.about_process(),
        },
        require_clean=config.require_clean,
    )


def frozen_code(settings: Settings, packed: PackedSnapshot) -> FrozenCode:
    """What the job has to know; warns of imported modules that the snapshot lacks."""
    cwd = os.getcwd()
    imports = Imports(
        cwd=cwd,
        modules=dict(sys.modules),
        sys_path=list(sys.path),
        pythonpath=environment.python_path(),
        prefixes=interpreter_prefixes(),
        meta_path=list(sys.meta_path),
        frozen_folder=environment.frozen_folder(packed.code_root),
    )
    roots = find_import_roots(packed.code_root, imports)
    lacking = unpacked_modules(packed.code_root, frozenset(packed.selection.paths), imports)
    if lacking:
        shown = ", ".join(f"{module.name} ({module.path})" for module in lacking[:5])
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        message = (
            f"this program has imported modules that are not in the snapshot: {shown}{more}; a "
            "job that needs them will fail. Take them out of .gitignore or exclude_code_folders, "
            "or add their ending to code_file_suffixes"
        )
        packed.later_warnings.append(message)
        warn_user(message)
    return FrozenCode(
        code_root=packed.code_root,
        code_folder=packed.code_folder,
        snapshot=packed.record.id,
        git_commit=str(packed.record.info["git"]["commit"]),
        import_roots=roots.roots,
        late_roots=roots.late_roots,
        packages=roots.packages,
        on_live_import=settings.config.on_live_import,
        working_directory=cwd,
        per_task=settings.config.code_scope == "task",
        archive=packed.archive() if settings.config.code_stage == "node" else "",
        store=os.fsdecode(packed.store.path),
        tree=packed.record.tree,
    )


_told: set[tuple[str, str, int]] = set()


def warn_user(message: str) -> None:
    """Warn, at the line of the user's program that made the call; once, if it says the same again.

    Python would see to that, but forgets what it has said whenever some library changes the filters
    for a while, as happens in each submission.
    """
    package = os.path.dirname(os.path.dirname(__file__)) + os.sep
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
        depth += 1
    said = (message, frame.f_code.co_filename, frame.f_lineno)
    if said not in _told:
        warnings.warn(message, SlurmicWarning, stacklevel=depth)
        _told.add(said)

"""Select, store, build: what a submission does with the source tree.

Everything that can be wrong with the user's settings is found before anything is written.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from slurmic.cluster.jobids import compact
from slurmic.errors import ConfigError
from slurmic.git.asking import Git
from slurmic.progress import shown_progress
from slurmic.provenance import GitQuestion, Provenance
from slurmic.selection import Selection, SelectionRules, select
from slurmic_store import (
    CodeFolderName,
    LinkMode,
    Snapshot,
    SnapshotOptions,
    SnapshotRecord,
    Store,
    attach_jobs,
    quoted,
    take_snapshot,
    withdraw_snapshot,
)

from .archive import make_archive
from .limits import SizeLimits
from .location import StoreLocation, locate_store
from .reuse import add_jobs, find_reusable

PATTERNS = ("%j", "%A", "%a", "%t")
"""What submitit replaces in an output path when the job runs."""


@dataclass(frozen=True)
class PackRequest:
    """What to pack, and where to.

    Attributes:
        code_root: the source tree; relative to the current folder, or absolute.
        suffixes: code_file_suffixes.
        exclude_folders: exclude_code_folders.
        output_path: the output folder; None to only store the snapshot.
        folder_name: name of the code folder in it; None for ``code``, ``code-2`` and so on.
        link_mode: how files get into the code folder.
        store_path: the configuration's, or "".
        store_setting: the environment's, or "".
        home: the user's home folder, or "".
        include: replaces the suffix test (0.2.1's pack_code_include_fn), or None.
        exclude_directory: replaces the folder test (0.2.1's pack_code_exclude_fn), or None.
        about: further values for the record (JSON).
        pin_name: label of the pin, where the snapshot is only stored.
        limits: how large it may be.
        require_clean: refuse a tree that differs from its commit.
        reuse: whether the newest code folder of the output path will do, if it is the same.
    """

    code_root: str
    suffixes: Sequence[str]
    exclude_folders: Sequence[str]
    output_path: str | None
    folder_name: str | None = None
    link_mode: LinkMode = "auto"
    store_path: str = ""
    store_setting: str = ""
    home: str = ""
    include: Callable[[str, str], bool] | None = None
    exclude_directory: Callable[[str, str], bool] | None = None
    about: dict[str, Any] = field(default_factory=dict)
    pin_name: str = ""
    limits: SizeLimits = field(default_factory=SizeLimits)
    require_clean: bool = False
    reuse: bool = False

    def identity(self) -> tuple[Any, ...]:
        """Equal for requests that pack the same to the same place, whatever they note about it."""
        values = {name: value for name, value in vars(self).items() if name != "about"}
        values["code_root"] = os.path.abspath(os.path.expanduser(self.code_root))
        if self.output_path is not None:
            values["output_path"] = os.path.abspath(self.output_path)
        return tuple(repr(value) for value in values.values())


@dataclass
class PackedSnapshot:
    """A snapshot that a submission has made.

    Attributes:
        store: the store that holds it.
        location: where that is, and why.
        snapshot: the snapshot.
        selection: what was selected.
        code_root: the source tree, absolute.
        made_folders: folders that did not exist before, deepest first.
        size_warnings: warnings about its size.
        later_warnings: warnings of the submission after packing; they go into the record together
            with the job ids.
        reused: the record of the earlier snapshot whose code folder is used; this one has none.
    """

    store: Store
    location: StoreLocation
    snapshot: Snapshot
    selection: Selection
    code_root: str
    made_folders: tuple[str, ...] = ()
    size_warnings: tuple[str, ...] = ()
    later_warnings: list[str] = field(default_factory=list)
    reused: SnapshotRecord | None = None

    @property
    def record(self) -> SnapshotRecord:
        """The record of the code folder that jobs run from."""
        return self.reused or self.snapshot.record

    @property
    def code_folder(self) -> str:
        """The code folder, absolute; "" if the snapshot was only stored."""
        folder = self.reused.code_folder if self.reused else self.snapshot.code_folder
        return os.fsdecode(folder or b"")

    def archive(self) -> str:
        """The path of an archive of the code folder, beside it; written unless it exists.

        Raises:
            OSError: it cannot be written.
        """
        return make_archive(os.fsencode(self.code_folder), self.snapshot.tree, self.store)

    @property
    def warnings(self) -> list[str]:
        """What the user should know about it."""
        return [
            *(str(warning) for warning in self.selection.warnings),
            *self.size_warnings,
            *self.snapshot.notices,
        ]

    def withdraw(self) -> None:
        """Undo it: the submission failed. A folder of an earlier submission stays.

        Raises:
            StoreError: something could not be removed.
        """
        if self.reused is not None:
            return
        withdraw_snapshot(self.store, self.snapshot)
        _remove_folders(self.made_folders)

    def attach_jobs(self, jobs: tuple[str, ...]) -> None:
        """Add job ids to the record, in the store and beside the code folder; arrays as ranges.

        Raises:
            OSError, StoreError: one could not be written; the snapshot can still be used.
        """
        if self.reused is not None:
            add_jobs(self.store, self.reused, jobs)
            return
        record = self.snapshot.record
        if self.later_warnings:
            warnings = [*record.info["warnings"], *self.later_warnings]
            record = replace(record, info={**record.info, "warnings": warnings})
        record = attach_jobs(self.store, record, compact(jobs))
        if self.snapshot.code_folder is not None:
            CodeFolderName(self.snapshot.code_folder).update_record(record)


def pack_code(request: PackRequest) -> PackedSnapshot:
    """Take a snapshot of a source tree.

    Raises:
        ConfigError: a setting means nothing, or contradicts another. Nothing was written.
        SelectionError: code_root is not a folder, or none of its files is selected. Nothing was
            written.
        StoreError: the snapshot could not be stored; nothing but blobs is left.
    """
    root = os.path.abspath(os.path.expanduser(request.code_root))
    output = None if request.output_path is None else os.path.abspath(request.output_path)
    with Git(os.fsencode(root), os.environ) as git:
        question = GitQuestion(git)  # answered while files are selected and copied
        selection = _select(request, root, output, git)
        if request.require_clean:
            require_clean(root, question.answer(selection.paths))
        made = () if output is None else _make_output_folder(output)
        try:
            with shown_progress():
                return _take(request, root, output, selection, question, made)
        except BaseException:
            _remove_folders(made)
            raise


def _take(
    request: PackRequest,
    root: str,
    output: str | None,
    selection: Selection,
    question: GitQuestion,
    made: tuple[str, ...],
) -> PackedSnapshot:
    location = locate_store(
        output or root,
        store_path=request.store_path,
        setting=request.store_setting,
        home=request.home,
    )
    store = Store.open(location.path)
    said: list[str] = []

    def inspect(paths: Sequence[bytes], sizes: Sequence[int]) -> None:
        said.extend(filter(None, [request.limits.check(paths, sizes)]))
        added = selection.warn_of_size(paths, sizes, request.limits.warn_added_mb)
        said.extend([str(added)] if added else [])

    def about() -> dict[str, Any]:
        return {
            "code_root": root,
            **request.about,
            "git": question.answer(selection.paths).to_dict(),
            "selection": {
                "mode": selection.mode,
                "code_file_suffixes": list(request.suffixes),
                "exclude_code_folders": list(request.exclude_folders),
                "include": _named(request.include),
                "exclude_directory": _named(request.exclude_directory),
            },
            "warnings": [*map(str, selection.warnings), *said],
        }

    snapshot = take_snapshot(
        store,
        os.fsencode(root),
        selection.paths,
        output_folder=None if output is None else os.fsencode(output),
        options=SnapshotOptions(
            name=request.folder_name or "code",
            on_taken="fail" if request.folder_name else "number",
            link_mode=request.link_mode,
            pin_name=request.pin_name,
            info=about,
            inspect=inspect,
        ),
    )
    packed = PackedSnapshot(store, location, snapshot, selection, root, made, tuple(said))
    if request.reuse:
        reused = find_reusable(store, snapshot.record)
        if reused is not None:
            packed.withdraw()
            packed.reused = reused
    return packed


def require_clean(root: str, git: Provenance) -> None:
    """Refuse a source tree that is not what its commit says.

    Raises:
        ConfigError: it differs, or that is not known; names the first files.
    """
    hint = "commit what has changed, or set require_clean to False"
    if git.dirty is None or not git.commit:
        raise ConfigError(
            f"cannot tell whether {quoted(root)} is as committed, and require_clean is set: "
            f"{git.note or 'there is no commit yet'}",
            hint=hint,
        )
    if not git.dirty:
        return
    names = ", ".join(f"{quoted(file.path)} ({file.change})" for file in git.differing[:_NAMED])
    more = git.differing_files - min(_NAMED, len(git.differing))
    raise ConfigError(
        f"{quoted(root)} differs from commit {git.commit[:12]}, and require_clean is set: "
        + names
        + (f" and {more:,} more" if more > 0 else ""),
        hint=hint,
    )


_NAMED = 5


def _named(function: Callable[..., Any] | None) -> str | None:
    """What a user's function is called."""
    if function is None:
        return None
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _select(request: PackRequest, root: str, output: str | None, git: Git) -> Selection:
    """The selection; every check of the settings comes first."""
    never: tuple[bytes, ...] = ()
    if output is not None:
        own = os.path.join(output, request.folder_name) if request.folder_name else output
        _check_output_path(own, root)
        below = os.path.relpath(os.path.realpath(own), os.path.realpath(root))
        if below != os.pardir and not below.startswith(os.pardir + os.sep):
            never = (os.fsencode(below),)
    rules = SelectionRules.from_settings(
        request.suffixes,
        request.exclude_folders,
        never=never,
        include=request.include,
        exclude_directory=request.exclude_directory,
    )
    selection = select(root, rules, git=git, warn_added=request.limits.warn_added)
    selection.require_files()
    return selection


def _check_output_path(output: str, root: str) -> None:
    for pattern in PATTERNS:
        if pattern in output:
            raise ConfigError(
                f"output path {quoted(output)} contains the pattern '{pattern}', which stands "
                "for a job id, and packing needs a real folder before there is a job",
                hint="use a name of your own, such as a date or the experiment's name: each "
                "submission into one output path gets a code folder of its own",
            )
    if os.path.realpath(output) == os.path.realpath(root):
        raise ConfigError(
            f"output path {quoted(output)} is code_root itself",
            hint="set it to another folder (it may be inside code_root: output folders are "
            "never packed)",
        )


def _make_output_folder(output: str) -> tuple[str, ...]:
    """Create the output folder; the folders that were not there before, deepest first."""
    missing = []
    current = output
    while not os.path.lexists(current):
        missing.append(current)
        current = os.path.dirname(current)
    try:
        os.makedirs(output, exist_ok=True)
    except OSError as error:
        _remove_folders(missing)
        raise ConfigError(
            f"output path {quoted(output)} cannot be created: {(error.strerror or '').lower()}",
            hint="set output_parent_path to a folder that you may write to",
        ) from error
    return tuple(missing)


def _remove_folders(folders: Sequence[str]) -> None:
    """Remove folders that are empty; one that something was put into stays."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)

"""The value that tells a job which code it belongs to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from slurmic.job.paths import (
    SourceTree,
    interpreter_prefixes,
    join_below,
    path_below,
    real_file,
)

OnLiveImport = Literal["warn", "error", "ignore"]


@dataclass(frozen=True)
class FrozenCode:
    """What a job needs to know to import from its code folder and from nowhere else.

    Made by the submitting process, carried in the job's pickle (plain pickle suffices), or as JSON
    with :meth:`to_dict` and :meth:`from_dict`.

    Attributes:
        code_root: the live tree, absolute.
        code_folder: the frozen copy, absolute. It may be inside ``code_root``.
        snapshot: id of the snapshot, or "".
        git_commit: commit that the live tree was at, or "".
        import_roots: folders that modules are imported from, relative to ``code_root``, in order.
        late_roots: those of them that stood behind the standard library on ``sys.path``.
        packages: (dotted module name, path relative to ``code_root``) of modules and packages whose
            file is named otherwise than the module.
        on_live_import: what happens when a module comes from the live tree: "warn" names it in the
            log, "error" fails at the import, "ignore" does nothing.
        working_directory: the submitting process's, absolute; what relative PYTHONPATH entries
            mean. "" for ``code_root``.
        wait_seconds: how long the job waits for the code folder to appear on its node.
        per_task: whether each job or array task has a folder of its own (code_scope="task").
        archive: what each node unpacks (code_stage="node"), or "".
        store: the store's folder, to build a task's own folder from.
        tree: the name of the tree in it.
    """

    code_root: str
    code_folder: str
    snapshot: str = ""
    git_commit: str = ""
    import_roots: tuple[str, ...] = ()
    late_roots: tuple[str, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    on_live_import: OnLiveImport = "warn"
    working_directory: str = ""
    wait_seconds: float = 60.0
    per_task: bool = False
    archive: str = ""
    store: str = ""
    tree: str = ""

    def __post_init__(self) -> None:
        for name in ("code_root", "code_folder"):
            if not os.path.isabs(getattr(self, name)):
                raise ValueError(f"{name} must be absolute: '{getattr(self, name)}'")
            # Paths are compared as text; "/a/b/" and "/a/./b" must not be strangers.
            object.__setattr__(self, name, os.path.normpath(getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """Only strings, numbers, lists: ready for JSON."""
        values = asdict(self)
        values["import_roots"] = list(self.import_roots)
        values["late_roots"] = list(self.late_roots)
        values["packages"] = [list(package) for package in self.packages]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FrozenCode:
        """What :meth:`to_dict` was made from. Unknown keys are left out, so newer writers can add.

        Raises:
            TypeError: a required key is missing.
        """
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in values.items() if key in known}
        for name in ("import_roots", "late_roots"):
            values[name] = tuple(values.get(name, ()))
        values["packages"] = tuple((name, path) for name, path in values.get("packages", ()))
        return cls(**values)

    def live_tree(self) -> SourceTree:
        """The live tree, as seen by the running interpreter."""
        return SourceTree.at(self.code_root, interpreter_prefixes())

    def environment(self) -> dict[str, str]:
        """The variables that name the snapshot in the job's environment."""
        return {
            "SLURMIC_SNAPSHOT": self.snapshot,
            "SLURMIC_CODE": self.code_folder,
            # So that a job that submits another one can tell whether it is of the same project.
            "SLURMIC_CODE_ROOT": self.code_root,
            "SLURMIC_GIT_COMMIT": self.git_commit,
        }

    def is_frozen(self, path: str) -> bool:
        """Whether ``path`` is spelled, or really is, inside the code folder."""
        return (
            path_below(os.path.abspath(path), self.code_folder) is not None
            or path_below(real_file(path), real_file(self.code_folder)) is not None
        )

    def is_live(self, path: str, tree: SourceTree | None = None) -> bool:
        """Whether the file really is code of the live tree: not the frozen copy (which may stand
        inside the live tree), not the interpreter's environment. A link in the code folder that
        leads back into the live tree is live.
        """
        real = real_file(path)
        if path_below(real, real_file(self.code_folder)) is not None:
            return False
        return (tree or self.live_tree()).holds(real)

    def frozen_path(self, path: str, tree: SourceTree | None = None) -> str | None:
        """The place in the code folder of a live path, or None when ``path`` is not live code, or
        has no counterpart there.
        """
        if self.is_frozen(path):
            return None
        below = (tree or self.live_tree()).relative(path)
        if below is None:
            return None
        frozen = join_below(self.code_folder, below)
        return frozen if os.path.exists(frozen) else None

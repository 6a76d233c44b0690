"""The selection: which files of a source tree are packed.

Words:
    selection: the files that are packed, and the rules that say which.
    rules: the user's part of it: suffixes, excluded folders (:class:`SelectionRules`).
    discovery: finding files by what git does not ignore; in force where code_root has a .gitignore.
    add-back: a file with a listed suffix is packed although git ignores it.
    exclusion: files in an excluded folder are never packed; it comes before everything else.
    ignored: what git would answer. Files in git's index are not ignored, whatever patterns say.

Files: rules (the user's), selector (the three acts: find, join with the index, warn), index (the
second of them), explain and explanation (why a path is packed or not), paths (lists of paths).
Rooms: ignore (what git ignores), walk (finding files), warn (what the user should know).

The formula is :func:`slurmic.selection.rules.packed`. Nested repositories and submodules are packed
as ordinary folders, without their ``.git``: of their ignore rules only the .gitignore files count,
and of all indexes only that of the repository that code_root is in. Files that are left out
although such a repository tracks them are warned of.
"""

from __future__ import annotations

from slurmic_store.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from slurmic.selection.explain import explain
    from slurmic.selection.explanation import Explanation, Explanations, PathKind, Reason
    from slurmic.selection.ignore.patterns import IgnoreRule
    from slurmic.selection.rules import SelectionRules
    from slurmic.selection.selector import Selection, select
    from slurmic.selection.warn.warning import SelectionWarning, WarningKind

__all__ = [
    "Explanation",
    "Explanations",
    "IgnoreRule",
    "PathKind",
    "Reason",
    "Selection",
    "SelectionRules",
    "SelectionWarning",
    "WarningKind",
    "explain",
    "select",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".explain": "explain",
        ".explanation": "Explanation Explanations PathKind Reason",
        ".ignore.patterns": "IgnoreRule",
        ".rules": "SelectionRules",
        ".selector": "Selection select",
        ".warn.warning": "SelectionWarning WarningKind",
    },
)

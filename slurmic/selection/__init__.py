"""The selection: which files of a source tree are packed.

Terms:
    selection: the files that are packed, and the rules that say which.
    rules: the user's part of it: suffixes, excluded folders (:class:`SelectionRules`).
    discovery: finding files by what git does not ignore; in force where code_root has a .gitignore.
    add-back: a file with a listed suffix is packed although git ignores it.
    exclusion: files in an excluded folder are never packed; it comes before everything else.
    ignored: what git would answer. Files in git's index are not ignored, whatever patterns say.
    level: the ignore rules in force in one directory (module `matcher`).
    barrier: a directory below which nothing is packed (module `boundaries`).

The formula is :func:`slurmic.selection.rules.packed`. Nested repositories and submodules are packed
as ordinary folders, without their ``.git``: of their ignore rules only the .gitignore files count,
and of all indexes only that of the repository that code_root is in. Files that are left out
although such a repository tracks them are warned of.
"""

from __future__ import annotations

from slurmic_store.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .explain import explain
    from .explanation import Explanation, Explanations, PathKind, Reason
    from .patterns import IgnoreRule
    from .rules import SelectionRules
    from .selector import Selection, select
    from .warnings import SelectionWarning, WarningKind

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
        ".patterns": "IgnoreRule",
        ".rules": "SelectionRules",
        ".selector": "Selection select",
        ".warnings": "SelectionWarning WarningKind",
    },
)

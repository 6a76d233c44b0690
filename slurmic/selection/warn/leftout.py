"""What is left out although it may be needed, or because it cannot be read, or git not asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slurmic.git.asking import GitProblem
from slurmic.selection.ignore.inherited import InheritedRules
from slurmic.selection.paths import quoted_list
from slurmic.selection.warn.warning import SelectionWarning
from slurmic.text import counted, quoted


def nested_warnings(left_out: Sequence[bytes]) -> Iterator[SelectionWarning]:
    """Warn of files that are ignored here, but tracked by a repository within the tree."""
    if left_out:
        noun, verb = counted(len(left_out), "file"), "is" if len(left_out) == 1 else "are"
        yield SelectionWarning(
            "nested_repository",
            f"{noun} that a repository within code_root tracks {verb} ignored and not packed: "
            f"{quoted_list(left_out)}",
            "if a job needs them, re-include them in .gitignore (`slurmic why` names the pattern), "
            "or add their endings to code_file_suffixes",
            tuple(left_out),
        )


def unreadable_warnings(
    directories: Sequence[tuple[bytes, OSError]], ignore_files: Sequence[bytes]
) -> Iterator[SelectionWarning]:
    """Warn of what the walk could not look into."""
    if directories:
        paths = tuple(path for path, _ in directories)
        reason = (directories[0][1].strerror or "error").lower()
        verb = "is" if len(paths) == 1 else "are"
        noun = counted(len(paths), "folder")
        yield SelectionWarning(
            "unreadable_directory",
            f"{noun} cannot be read and {verb} not packed: {quoted_list(paths)} ({reason})",
            "make them readable, or add them to exclude_code_folders",
            paths,
        )
    if ignore_files:
        yield SelectionWarning(
            "unreadable_gitignore",
            f"{counted(len(ignore_files), 'ignore file')} cannot be read: "
            f"{quoted_list(ignore_files)}; as in git, nothing is ignored by them",
            "make them readable",
            tuple(ignore_files),
        )


def ignored_root_warnings(root: bytes, above: InheritedRules) -> Iterator[SelectionWarning]:
    """Warn of a code_root that git ignores as a whole."""
    if above.ignoring is not None:
        rule = above.ignoring
        yield SelectionWarning(
            "ignored_root",
            f"git ignores code_root {quoted(root)} itself, by {quoted(rule.source)} "
            f"line {rule.line} ({quoted(rule.text)}); "
            "only code_file_suffixes and tracked files are packed",
            "change that pattern, or run `git init` in code_root",
        )


def git_warnings(problem: GitProblem | None) -> Iterator[SelectionWarning]:
    """Warn of a git that did not answer."""
    if problem is not None:
        yield SelectionWarning(
            "git_unavailable",
            f"{problem.message}; tracked files that patterns match may be missing",
            problem.hint,
        )

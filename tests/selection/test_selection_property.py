"""Property tests: the selection equals git's answer composed with the formula, for any tree."""

from __future__ import annotations

import os
from typing import Literal

import pytest
from git_oracle import Sandbox, examples
from hypothesis import given
from hypothesis import strategies as st
from selection_strategies import Tree, ignore_files, paths, trees

from slurmic.selection import SelectionRules, explain, select
from slurmic.selection.ignore.folderrules import FolderRules
from slurmic.selection.walk import listings, walk

Lister = Literal["alone", "threads", "process"]


def help_with_small_trees(patch: pytest.MonkeyPatch, lister: Lister) -> None:
    """Let others list what is below the root of any tree."""
    real = listings._Process.started

    def there(base: bytes) -> listings._Process | None:
        process = real(base)
        if process is not None:
            process._readable.poll()
        return process

    patch.setattr(listings, "ALONE_AT_MOST", 0 if lister == "process" else 1000)
    patch.setattr(listings, "TURN", 1)
    patch.setattr(listings, "PENDING_AT_LEAST", 1)
    patch.setattr(listings._Process, "started", there)
    patch.setattr(listings.Pace, "is_waiting", lambda *_: lister == "threads")


@examples
@given(
    tree=trees(),
    batch=st.sampled_from((1, 2, 16)),
    remembered=st.sampled_from((0, 1, 1000)),
    maybe_tracked=st.sampled_from((0, 1, 10_000)),
    lister=st.sampled_from(("alone", "threads", "process")),
)
def test_selection_is_git_plus_the_formula(
    sandbox: Sandbox, tree: Tree, batch: int, remembered: int, maybe_tracked: int, lister: Lister
) -> None:
    """Also in small trees the walk works in batches here, comes to its limits, and has help."""
    sandbox.reset()
    tree.write(sandbox)
    rules = SelectionRules(tree.suffixes, tree.excluded)
    expected = sandbox.expected(tree.suffixes, tree.excluded, in_repository=tree.in_repository)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "BATCH_AT_FIRST", batch)
        patch.setattr(walk, "REMEMBERED_AT_MOST", remembered)
        patch.setattr(walk, "MAYBE_TRACKED_AT_MOST", maybe_tracked)
        help_with_small_trees(patch, lister)
        selection = select(sandbox.root, rules, environ=sandbox.environ)
    assert selection.paths == expected
    assert selection.symlinks == {
        path for path in expected if os.path.islink(os.path.join(selection.root, path))
    }


@examples
@given(tree=trees())
def test_explanations_agree_with_the_selection_and_with_check_ignore(
    sandbox: Sandbox, tree: Tree
) -> None:
    sandbox.reset()
    tree.write(sandbox)
    rules = SelectionRules(tree.suffixes, tree.excluded)
    candidates = sorted(sandbox.candidates())
    packed = set(select(sandbox.root, rules, environ=sandbox.environ).paths)
    explanations = explain(sandbox.root, candidates, rules, environ=sandbox.environ)
    assert {item.path for item in explanations if item.packed} == packed
    if not tree.in_repository:
        return
    verdicts = sandbox.verdicts(candidates)
    tracked = sandbox.in_index()
    gitignore = sandbox.root / ".gitignore"
    discovering = gitignore.is_file() and not gitignore.is_symlink()
    for item in explanations:
        if item.reason == "suffix":
            ignored = verdicts[item.path].ignored and item.path not in tracked
            assert (item.rule is not None) == (discovering and ignored)
        if item.reason in ("ignored", "not_ignored", "tracked") or item.rule:
            rule = item.rule
            found = (rule.source, b"%d" % rule.line, rule.text) if rule else (b"", b"", b"")
            verdict = verdicts[item.path]
            assert found == (verdict.source, verdict.line, verdict.pattern)


@examples
@given(tree=trees())
def test_what_is_added_back_is_what_git_ignores_and_does_not_track(
    sandbox: Sandbox, tree: Tree
) -> None:
    sandbox.reset()
    tree.write(sandbox)
    selection = select(
        sandbox.root, SelectionRules(tree.suffixes, tree.excluded), environ=sandbox.environ
    )
    found = selection.add_back.files(selection.paths)
    kinds = {warning.kind for warning in selection.warnings}
    if selection.mode == "suffix" or "ignored_root" in kinds:
        assert found == {}
        return
    verdicts = (
        sandbox.verdicts(selection.paths)
        if tree.in_repository
        else sandbox.verdicts_without_repository(selection.paths)
    )
    tracked = sandbox.in_index() if tree.in_repository else set()
    assert sorted(path for files in found.values() for path in files) == [
        path for path in selection.paths if verdicts[path].ignored and path not in tracked
    ]
    for folder, files in found.items():
        assert all(path.startswith(folder + b"/" if folder else b"") for path in files)


@examples
@given(root=ignore_files(), below=ignore_files(), queries=st.lists(paths, min_size=1, max_size=30))
def test_matcher_is_git_for_many_paths(
    sandbox: Sandbox, root: bytes, below: bytes, queries: list[bytes]
) -> None:
    """Without building a tree: git judges paths that do not exist as files."""
    sandbox.reset()
    sandbox.init()
    sandbox.write(".gitignore", root)
    sandbox.write("a/.gitignore", below)
    (sandbox.root / ".git/info/exclude").unlink()
    # git does not look below a path that is a file; "a" is the only directory here.
    for path, verdict in sandbox.verdicts(queries).items():
        level: FolderRules | None = FolderRules.top(fold=False).with_file(root, b".gitignore")
        *folders, name = path.split(b"/")
        for depth, folder in enumerate(folders):
            assert level is not None
            level = level.enter(folder)
            if level is None:
                break
            if depth == 0 and folder == b"a":
                level = level.with_file(below, b"a/.gitignore")
        directory = path == b"a"
        if level is None:
            assert verdict.ignored
            continue
        rule = level.deciding_rule(name, directory=directory)
        found = (rule.source, b"%d" % rule.line, rule.text) if rule else (b"", b"", b"")
        assert found == (verdict.source, verdict.line, verdict.pattern)
        if not directory:
            assert (level.kept_files([name]) == []) == verdict.ignored

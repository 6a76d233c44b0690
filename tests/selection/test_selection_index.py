"""What git's index may look like, and ignore files that git reads from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from git_oracle import DEFAULT_EXCLUDES, DEFAULT_SUFFIXES, Sandbox

from slurmic.selection import SelectionRules, explain, select

RULES = SelectionRules(DEFAULT_SUFFIXES, DEFAULT_EXCLUDES)


def selected(sandbox: Sandbox) -> list[bytes]:
    """The selection, which is what git itself lists and what the suffixes add back."""
    listed = sandbox.git("ls-files", "-c", "-o", "-z", "--exclude-standard").split(b"\0")
    expected = sorted(
        path
        for path in sandbox.candidates()
        if path in listed or path.endswith((b".py", b".sh", b".yaml", b".toml"))
    )
    paths = select(sandbox.root, RULES, environ=sandbox.environ).paths
    assert paths == expected
    explanations = explain(sandbox.root, sandbox.candidates(), RULES, environ=sandbox.environ)
    assert sorted(item.path for item in explanations if item.packed) == expected
    return paths


@pytest.fixture
def tree(repository: Sandbox) -> Sandbox:
    """A repository with everything in its index, but for what it ignores."""
    repository.write(".gitignore", "*.log\n/build/\n")
    repository.write("sub/.gitignore", "*.txt\n")
    for path in ("a.c", "tracked.log", "sub/a.txt", "sub/a.c", "build/a.c", "build/tracked.c"):
        repository.write(path)
    repository.track("tracked.log", "build/tracked.c")
    repository.git("add", ".")
    return repository


def _index_version(version: str) -> Callable[[Sandbox], object]:
    return lambda sandbox: sandbox.git("update-index", "--index-version", version)


def _split(sandbox: Sandbox) -> None:
    sandbox.git("update-index", "--split-index")
    sandbox.write("late.log")
    sandbox.track("late.log")


def _conflict(sandbox: Sandbox) -> None:
    blob = sandbox.git("rev-parse", ":tracked.log").strip()
    sandbox.git("rm", "-q", "--cached", "tracked.log")
    lines = (b"100644 %b %d\ttracked.log\n" % (blob, stage) for stage in (1, 2, 3))
    sandbox.git("update-index", "--index-info", input=b"".join(lines))


def _intent(sandbox: Sandbox) -> None:
    sandbox.git("rm", "-q", "--cached", "tracked.log")
    sandbox.git("add", "-f", "-N", "tracked.log")


@pytest.mark.parametrize(
    "change",
    [
        _index_version("2"),
        _index_version("3"),
        _index_version("4"),
        _split,
        _conflict,
        _intent,
        lambda sandbox: sandbox.git("update-index", "--force-untracked-cache"),
        lambda sandbox: sandbox.git("update-index", "--assume-unchanged", "tracked.log"),
        lambda sandbox: sandbox.git("update-index", "--skip-worktree", "tracked.log"),
    ],
    ids=["2", "3", "4", "split", "conflict", "intent", "untracked", "unchanged", "skip"],
)
def test_tracked_files_in_any_kind_of_index(
    tree: Sandbox, change: Callable[[Sandbox], object]
) -> None:
    change(tree)
    assert {b"tracked.log", b"build/tracked.c"} <= set(selected(tree))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("instead", ["nothing", "link", "folder"])
def test_a_gitignore_that_a_sparse_checkout_leaves_out_counts(
    tree: Sandbox, instead: str, split: bool
) -> None:
    """git reads it from the index, unless something can be opened in its place."""
    tree.git("update-index", "--skip-worktree", "sub/.gitignore")
    if split:
        tree.git("update-index", "--split-index")
    gitignore = tree.root / "sub/.gitignore"
    gitignore.unlink()
    if instead == "link":
        gitignore.symlink_to("nowhere")
    elif instead == "folder":
        gitignore.mkdir()
    tree.write("sub/below/new.txt")
    assert (b"sub/below/new.txt" in selected(tree)) == (instead == "folder")


def test_it_is_named_as_the_reason(tree: Sandbox) -> None:
    tree.git("update-index", "--skip-worktree", "sub/.gitignore")
    (tree.root / "sub/.gitignore").unlink()
    (item,) = explain(tree.root, ["sub/new.txt"], RULES, environ=tree.environ)
    assert str(item) == (
        "'sub/new.txt' (does not exist): not packed, 'sub/.gitignore' line 1 ('*.txt') ignores it"
    )


def test_a_gitignore_that_was_only_deleted_does_not_count(tree: Sandbox) -> None:
    (tree.root / "sub/.gitignore").unlink()
    tree.write("sub/new.txt")
    assert b"sub/new.txt" in selected(tree)


def test_a_gitignore_left_out_above_code_root(tree: Sandbox) -> None:
    tree.write("sub/inner/.gitignore", "")
    tree.write("sub/inner/new.txt")
    tree.git("update-index", "--skip-worktree", "sub/.gitignore", ".gitignore")
    (tree.root / "sub/.gitignore").unlink()
    tree.root = tree.root / "sub/inner"
    # Not so for ls-files: it forgets all of the index but for the current folder first.
    ignored = tree.git("check-ignore", "new.txt", ".gitignore").splitlines()
    assert ignored == [b"new.txt"]
    paths = select(tree.root, RULES, environ=tree.environ).paths
    assert paths == [b".gitignore"]


@pytest.mark.parametrize("options", [["--no-cone"], ["--cone"], ["--cone", "--sparse-index"]])
def test_sparse_checkouts(tree: Sandbox, options: list[str]) -> None:
    tree.git("-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "all")
    tree.git("sparse-checkout", "set", *options, "build")
    tree.write(".gitignore", "/other\n")  # left out where there is no cone
    for path in ("sub/new.txt", "sub/new.c", "build/new.c", "new.log"):
        tree.write(path)
    selected(tree)


def test_a_partial_clone_gets_the_gitignore_that_it_lacks(sandbox: Sandbox) -> None:
    """git fetches it to say what is ignored; without it, ignored files would be packed."""
    origin = sandbox.base / "origin"
    for path, content in ((".gitignore", "*.log\n"), ("a.c", ""), ("sub/.gitignore", "*.txt\n")):
        sandbox.write(path, content, below=origin)
    person = ("-c", "user.name=n", "-c", "user.email=e")
    for arguments in (("init", "-q", "."), ("add", "."), (*person, "commit", "-qm", "all")):
        sandbox.git(*arguments, cwd=origin)
    sandbox.git("config", "uploadpack.allowFilter", "true", cwd=origin)
    sandbox.git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=origin)
    sandbox.root.rmdir()
    sandbox.git(
        "clone",
        "-q",
        "--filter=blob:none",
        "--sparse",
        f"file://{origin}",
        "root",
        cwd=sandbox.base,
    )
    sandbox.write("sub/new.txt")
    sandbox.write("sub/new.c")
    selection = select(sandbox.root, RULES, environ=sandbox.environ)
    assert selection.paths == [b".gitignore", b"a.c", b"sub/new.c"]
    assert selection.warnings == ()
    assert b"sub/new.txt" not in sandbox.git("ls-files", "-o", "--exclude-standard")


def test_the_configuration_of_a_linked_worktree(repository: Sandbox) -> None:
    """``config.worktree`` is in the worktree's own git directory, ``config`` in the common one."""
    repository.git(
        *("-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "empty", "--allow-empty")
    )
    linked = repository.base / "linked"
    repository.git("worktree", "add", "-q", str(linked))
    repository.git("config", "extensions.worktreeConfig", "true")
    repository.write("patterns", "*.dat\n", below=repository.base)
    excludes = os.fspath(repository.base / "patterns")
    repository.git("config", "--worktree", "core.excludesFile", excludes, cwd=linked)
    repository.root = linked
    for path in (".gitignore", "a.dat", "a.c"):
        repository.write(path)
    assert selected(repository) == [b".gitignore", b"a.c"]


def test_git_is_not_run_if_nothing_is_ignored(repository: Sandbox, tmp_path: Path) -> None:
    """The index cannot change the answer then."""
    repository.write(".gitignore", "*.log\n")
    repository.write("sub/a.txt")
    refusing = tmp_path / "bin"
    refusing.mkdir()
    (refusing / "git").write_text("#!/bin/sh\nexit 1\n")
    (refusing / "git").chmod(0o755)
    environ = {**repository.environ, "PATH": str(refusing)}
    selection = select(repository.root, RULES, environ=environ)
    assert selection.paths == [b".gitignore", b"sub/a.txt"]
    assert selection.warnings == ()
    repository.write("sub/a.log")
    (warning,) = select(repository.root, RULES, environ=environ).warnings
    assert warning.kind == "git_unavailable"


def nested(repository: Sandbox, at: str) -> Path:
    """A repository in a folder of `repository`, that tracks what patterns of both ignore."""
    inner = repository.root / at
    for path in (
        ".gitignore",
        "config.cmake",
        "by-outer.log",
        "sub/deep.cmake",
        "a.py",
        "new.cmake",
    ):
        repository.write(f"{at}/{path}")
    repository.write(f"{at}/.gitignore", "*.cmake\n")
    repository.git("init", "-q", ".", cwd=inner)
    repository.git("add", "-f", "config.cmake", "by-outer.log", "sub", "a.py", cwd=inner)
    return inner


def test_files_that_a_repository_within_tracks_are_warned_of(repository: Sandbox) -> None:
    """They were left out without a word; git itself does not look into the inner repository."""
    repository.write(".gitignore", "*.log\nignored/\nwandb/")
    nested(repository, "lib")
    nested(repository, "ignored/clone")
    nested(repository, "wandb/clone")
    repository.git("add", ".gitignore")
    selection = select(repository.root, RULES, environ=repository.environ)
    assert selection.paths == [b".gitignore", b"ignored/clone/a.py", b"lib/.gitignore", b"lib/a.py"]
    (warning,) = selection.warnings
    assert warning.kind == "nested_repository"
    assert warning.paths == (b"lib/by-outer.log", b"lib/config.cmake", b"lib/sub/deep.cmake")
    assert warning.message.startswith(
        "3 files that a repository within code_root tracks are ignored and not packed: "
    )


def test_a_submodule_is_a_repository_within(repository: Sandbox) -> None:
    repository.write(".gitignore")
    inner = nested(repository, "lib")
    repository.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all", cwd=inner)
    repository.git("submodule", "add", "-q", "./lib", "lib")
    (inner / "config.cmake").unlink()
    (warning,) = select(repository.root, RULES, environ=repository.environ).warnings
    assert warning.paths == (b"lib/sub/deep.cmake",)


@pytest.mark.parametrize("git", ["empty folder", "no repository", "nothing ignored"])
def test_folders_of_which_nothing_is_to_be_said(repository: Sandbox, git: str) -> None:
    repository.write(".gitignore", "*.log\n")
    if git == "nothing ignored":
        (nested(repository, "lib") / ".gitignore").write_text("")
        (repository.root / "lib/by-outer.log").unlink()
    else:
        repository.write("lib/a.log")
        (repository.root / "lib/.git").mkdir()
        if git == "no repository":
            repository.write("lib/.git/HEAD", "nonsense")
    assert not select(repository.root, RULES, environ=repository.environ).warnings

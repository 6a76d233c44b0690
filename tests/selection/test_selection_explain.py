"""explain(): the rule that decided, for paths that exist and for those that do not."""

from __future__ import annotations

import os

import pytest
from git_oracle import Sandbox

from slurmic.selection import SelectionRules, explain

RULES = SelectionRules((".py", "Makefile"), ("wandb", "**/out"), never=(b"slurm",))


@pytest.fixture
def tree(repository: Sandbox) -> Sandbox:
    repository.write(".gitignore", "# comment\n\n*.log\n!keep.log\nbuild/\n/tracked.bin\n")
    repository.write("sub/.gitignore", "local.*  \n")
    repository.write(".git/info/exclude", "*.info")
    for path in ("tracked.bin", "build/x/a.txt", "build/a.py", "sub/local.txt", "wandb/a.py"):
        repository.write(path)
    repository.write("done/code.json", '{"slurmic_record": 1}')
    repository.write("kept/FORMAT", "slurmic store 1")
    os.mkfifo(repository.root / "fifo")
    (repository.root / "link").symlink_to("sub")
    repository.track("tracked.bin")
    return repository


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.txt", '"a.txt" (does not exist): packed, not ignored'),
        ("a.py", '"a.py" (does not exist): packed, by .py in code_file_suffixes'),
        ("Makefile", '"Makefile" (does not exist): packed, by Makefile in code_file_suffixes'),
        ("a.log", '"a.log" (does not exist): not packed, ".gitignore" line 3 ("*.log") ignores it'),
        (
            "x/keep.log",
            '"x/keep.log" (does not exist): packed, '
            're-included by ".gitignore" line 4 ("!keep.log")',
        ),
        (
            "build/x/a.txt",
            '"build/x/a.txt": not packed, '
            '".gitignore" line 5 ("build/") ignores its folder "build"',
        ),
        ("build/a.py", '"build/a.py": packed, by .py in code_file_suffixes'),
        (
            "build",
            '"build": not packed, ".gitignore" line 5 ("build/") ignores it, '
            "but files in it with code_file_suffixes are",
        ),
        ("new/build", '"new/build" (does not exist): packed, not ignored'),
        (
            "new/build/",
            '"new/build" (does not exist): not packed, ".gitignore" line 5 ("build/") ignores it',
        ),
        (
            "sub/local.txt",
            '"sub/local.txt": not packed, "sub/.gitignore" line 1 ("local.*") ignores it',
        ),
        (
            "a.info",
            '"a.info" (does not exist): not packed, '
            '".git/info/exclude" line 1 ("*.info") ignores it',
        ),
        (
            "tracked.bin",
            '"tracked.bin": packed, tracked by git, although ".gitignore" line 6 ("/tracked.bin") '
            "matches",
        ),
        ("sub", '"sub": packed, not ignored'),
        (
            "wandb/a.py",
            '"wandb/a.py": not packed, "wandb" is excluded by wandb in exclude_code_folders',
        ),
        ("wandb", '"wandb": not packed, "wandb" is excluded by wandb in exclude_code_folders'),
        (
            "x/out/a.py",
            '"x/out/a.py" (does not exist): not packed, '
            '"x/out" is excluded by **/out in exclude_code_folders',
        ),
        (".git/config", '".git/config": not packed, ".git" belongs to git'),
        ("sub/.git", '"sub/.git" (does not exist): not packed, "sub/.git" belongs to git'),
        (
            "slurm/a.py",
            '"slurm/a.py" (does not exist): not packed, "slurm" is the output folder or the store',
        ),
        (
            "done/a.py",
            '"done/a.py" (does not exist): not packed, '
            '"done" is an output folder of slurmic (it has a code.json)',
        ),
        ("kept", '"kept": not packed, "kept" is a store of slurmic (it has a FORMAT)'),
        (
            ".slurmic-1/a.py",
            '".slurmic-1/a.py" (does not exist): not packed, '
            'slurmic prepares something in ".slurmic-1"',
        ),
        ("link/a.py", '"link/a.py" (does not exist): not packed, it is beyond the link "link"'),
        ("link", '"link": packed, not ignored'),
        ("fifo", '"fifo": not packed, it is neither a file nor a link'),
        ("../x.py", '"../x.py" (does not exist): not packed, it is outside of code_root'),
        (".", '".": packed, it is code_root itself'),
        ("sub/../a.py", '"a.py" (does not exist): packed, by .py in code_file_suffixes'),
    ],
)
def test_sentences(tree: Sandbox, path: str, text: str) -> None:
    relative, absolute = explain(
        tree.root, [path, str(tree.root) + "/" + path], RULES, environ=tree.environ
    )
    assert str(relative) == text
    if relative.reason != "outside_root":
        assert absolute == relative


def test_rules_are_those_of_check_ignore(tree: Sandbox) -> None:
    tree.write("glob", "*.glob", below=tree.base)
    tree.configure(f"[core]\nexcludesFile = {tree.base}/glob")
    names = [b"a.log", b"keep.log", b"sub/local.x", b"a.info", b"x/a.glob", b"build/y", b"plain"]
    verdicts = tree.verdicts(names)
    for item in explain(tree.root, names, RULES, environ=tree.environ):
        rule = item.rule
        found = (rule.source, b"%d" % rule.line, rule.text) if rule else (b"", b"", b"")
        verdict = verdicts[item.path]
        assert found == (verdict.source, verdict.line, verdict.pattern)


def test_without_a_gitignore(sandbox: Sandbox) -> None:
    first, second = explain(sandbox.root, ["a.py", "a.txt"], RULES, environ=sandbox.environ)
    assert str(first).endswith("packed, by .py in code_file_suffixes")
    assert str(second).endswith(
        "not packed, none of code_file_suffixes matches, and code_root has no .gitignore"
    )


def test_a_root_spelled_through_a_link(tree: Sandbox) -> None:
    alias = tree.base / "alias"
    alias.symlink_to(tree.root)
    items = explain(
        alias,
        [str(alias / "a.log"), str(tree.root / "a.log"), str(alias / "link")],
        RULES,
        environ=tree.environ,
    )
    assert [(item.path, item.reason) for item in items] == [
        (b"a.log", "ignored"),
        (b"a.log", "ignored"),
        (b"link", "not_ignored"),
    ]


def test_names_that_are_not_utf8(tree: Sandbox) -> None:
    tree.write(b"\xff/a\n.log")
    (item,) = explain(tree.root, [b"\xff/a\n.log"], RULES, environ=tree.environ)
    assert item.path == b"\xff/a\n.log"
    assert str(item).startswith('"\\xff/a\\n.log": not packed, ".gitignore" line 3')

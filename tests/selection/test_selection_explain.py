"""explain(): the rule that decided, for paths that exist and for those that do not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_oracle import Sandbox

from slurmic.selection import SelectionRules, explain, select

RULES = SelectionRules((".py", "Makefile"), ("wandb", "**/out"), never=(b"slurm",))


@pytest.fixture
def tree(repository: Sandbox) -> Sandbox:
    repository.write(
        ".gitignore", "# comment\n\n*.log\n!keep.log\nbuild/\n/tracked.bin\nign.*\ntracked.py\n"
    )
    repository.write("sub/.gitignore", "local.*  \n")
    repository.write(".git/info/exclude", "*.info")
    for path in (
        "tracked.bin",
        "tracked.py",
        "build/x/a.txt",
        "build/a.py",
        "sub/local.txt",
        "wandb/a.py",
    ):
        repository.write(path)
    repository.write("done/code.json", '{"slurmic_record": 1}')
    repository.write("kept/FORMAT", "slurmic store 1")
    os.mkfifo(repository.root / "fifo")
    (repository.root / "link").symlink_to("sub")
    repository.write("runs/code-3.json", '{"slurmic_record": 1}')
    repository.write("runs/code-3/a.py")
    repository.write("frozen.json", '{"slurmic_record": 1}')
    repository.write("frozen/a.py")
    repository.track("tracked.bin", "tracked.py")
    return repository


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.txt", "'a.txt' (does not exist): packed, not ignored"),
        ("a.py", "'a.py' (does not exist): packed, by .py in code_file_suffixes"),
        ("Makefile", "'Makefile' (does not exist): packed, by Makefile in code_file_suffixes"),
        ("a.log", "'a.log' (does not exist): not packed, '.gitignore' line 3 ('*.log') ignores it"),
        (
            "x/keep.log",
            "'x/keep.log' (does not exist): packed, "
            "re-included by '.gitignore' line 4 ('!keep.log')",
        ),
        (
            "build/x/a.txt",
            "'build/x/a.txt': not packed, "
            "'.gitignore' line 5 ('build/') ignores its folder 'build'",
        ),
        (
            "build/a.py",
            "'build/a.py': packed, by .py in code_file_suffixes, "
            "although '.gitignore' line 5 ('build/') ignores its folder 'build'",
        ),
        (
            "ign.py",
            "'ign.py' (does not exist): packed, by .py in code_file_suffixes, "
            "although '.gitignore' line 7 ('ign.*') ignores it",
        ),
        ("tracked.py", "'tracked.py': packed, by .py in code_file_suffixes"),
        (
            "build",
            "'build': not packed, '.gitignore' line 5 ('build/') ignores it, "
            "but files in it with code_file_suffixes are",
        ),
        ("new/build", "'new/build' (does not exist): packed, not ignored"),
        (
            "new/build/",
            "'new/build' (does not exist): not packed, '.gitignore' line 5 ('build/') ignores it",
        ),
        (
            "sub/local.txt",
            "'sub/local.txt': not packed, 'sub/.gitignore' line 1 ('local.*') ignores it",
        ),
        (
            "a.info",
            "'a.info' (does not exist): not packed, "
            "'.git/info/exclude' line 1 ('*.info') ignores it",
        ),
        (
            "tracked.bin",
            "'tracked.bin': packed, tracked by git, although '.gitignore' line 6 ('/tracked.bin') "
            "matches",
        ),
        ("sub", "'sub': packed, not ignored"),
        (
            "wandb/a.py",
            "'wandb/a.py': not packed, 'wandb' is excluded by wandb in exclude_code_folders",
        ),
        ("wandb", "'wandb': not packed, 'wandb' is excluded by wandb in exclude_code_folders"),
        (
            "x/out/a.py",
            "'x/out/a.py' (does not exist): not packed, "
            "'x/out' is excluded by **/out in exclude_code_folders",
        ),
        (".git/config", "'.git/config': not packed, '.git' belongs to git"),
        ("sub/.git", "'sub/.git' (does not exist): not packed, 'sub/.git' belongs to git"),
        (
            "slurm/a.py",
            "'slurm/a.py' (does not exist): not packed, 'slurm' is the output folder or the store",
        ),
        (
            "done/a.py",
            "'done/a.py' (does not exist): not packed, "
            "'done' is an output folder of slurmic (it has a code.json)",
        ),
        (
            "runs/b.py",
            "'runs/b.py' (does not exist): not packed, "
            "'runs' is an output folder of slurmic (it has a code-3.json)",
        ),
        (
            "frozen/a.py",
            "'frozen/a.py': not packed, "
            "'frozen' is a code folder of slurmic ('frozen.json' is its record)",
        ),
        ("kept", "'kept': not packed, 'kept' is a store of slurmic (it has a FORMAT)"),
        (
            ".slurmic-1/a.py",
            "'.slurmic-1/a.py' (does not exist): not packed, "
            "slurmic prepares something in '.slurmic-1'",
        ),
        ("link/a.py", "'link/a.py' (does not exist): not packed, it is beyond the link 'link'"),
        ("link", "'link': packed, not ignored"),
        ("fifo", "'fifo': not packed, it is neither a file nor a link"),
        (".", "'.': packed, it is code_root itself"),
        ("sub/../a.py", "'a.py' (does not exist): packed, by .py in code_file_suffixes"),
    ],
)
def test_sentences(tree: Sandbox, path: str, text: str) -> None:
    relative, absolute = explain(
        tree.root, [path, str(tree.root) + "/" + path], RULES, environ=tree.environ
    )
    assert str(relative) == text
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
    """A folder that holds only data.bin was called packed."""
    sandbox.write("data/x.bin")
    asked = ["a.py", "a.txt", "data", "new/", "."]
    explained = explain(sandbox.root, asked, RULES, environ=sandbox.environ)
    assert [str(item) for item in explained] == [
        "'a.py' (does not exist): packed, by .py in code_file_suffixes",
        "'a.txt' (does not exist): not packed, "
        "none of code_file_suffixes matches, and code_root has no .gitignore",
        "'data': only files in it with code_file_suffixes are packed, "
        "since code_root has no .gitignore",
        "'new' (does not exist): only files in it with code_file_suffixes are packed, "
        "since code_root has no .gitignore",
        "'.': packed, it is code_root itself",
    ]
    assert [item.packed for item in explained] == [True, False, False, False, True]


def test_functions_in_the_place_of_settings(sandbox: Sandbox) -> None:
    for path in ("data/x.bin", "out/x.bin"):
        sandbox.write(path)
    rules = SelectionRules(
        (),
        (),
        include=lambda path, _: path.endswith(".bin"),
        exclude_directory=lambda path, _: path.endswith("out"),
    )
    assert [str(item) for item in explain(sandbox.root, ["data", "data/x.bin", "out"], rules)] == [
        "'data': only files in it that the include function takes are packed, "
        "since code_root has no .gitignore",
        "'data/x.bin': packed, by the include function",
        "'out': not packed, 'out' is excluded by the exclude function",
    ]


def test_what_is_outside_is_named_in_full(tree: Sandbox) -> None:
    tree.write("x.py", below=tree.base)
    below, above = explain(tree.root, ["sub/../../x.py", "/"], RULES, environ=tree.environ)
    assert (below.path, below.kind) == (os.fsencode(tree.base / "x.py"), "file")
    assert (above.path, above.reason) == (b"/", "outside_root")


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
    assert str(item).startswith("'\\udcff/a\\n.log': not packed, '.gitignore' line 3")


def agreeing(root: Path, path: str, rules: SelectionRules) -> tuple[bool, str]:
    """What explain() says of a path, which select() must say too: whether, and why."""
    (item,) = explain(root, [path], rules)
    assert item.packed == (os.fsencode(path) in select(root, rules).paths)
    return item.packed, item.reason


@pytest.mark.parametrize("discovering", [True, False])
def test_a_link_called_like_an_excluded_folder(sandbox: Sandbox, discovering: bool) -> None:
    """Entries name folders, and a link is none; what is beyond it is not packed all the same."""
    if discovering:
        sandbox.write(".gitignore")
    sandbox.write("real/x.py")
    (sandbox.root / "outputs").symlink_to("real")
    rules = SelectionRules((".py",), ("outputs",), never=(b"outputs",))
    assert agreeing(sandbox.root, "outputs/x.py", rules) == (False, "beyond_symlink")
    assert agreeing(sandbox.root, "outputs", rules)[0] == discovering


@pytest.mark.parametrize("instead", ["file", "link"])
def test_a_record_beside_what_is_no_folder(sandbox: Sandbox, instead: str) -> None:
    """Neither is a code folder, so the folder around it is no output folder."""
    sandbox.write("out/a.py")
    for name in ("out/code-2", "out/lib"):
        sandbox.write(f"{name}.json", '{"slurmic_record": 1}')
        if instead == "file":
            sandbox.write(name)
        else:
            (sandbox.root / name).symlink_to(".")
    rules = SelectionRules((".py",), ())
    assert agreeing(sandbox.root, "out/a.py", rules) == (True, "suffix")
    expected = "no_suffix" if instead == "file" else "beyond_symlink"
    assert agreeing(sandbox.root, "out/lib/a", rules) == (False, expected)


@pytest.fixture
def deep(sandbox: Sandbox) -> Iterator[Sandbox]:
    """A tree of 1,200 folders in one another, which os.makedirs and shutil.rmtree cannot make."""
    path = os.fspath(sandbox.root)
    for _ in range(1200):
        path += "/d"
        os.mkdir(path)
    for name in ("a.py", "a.txt", "a.log"):
        with open(f"{path}/{name}", "w"):
            pass
    yield sandbox
    subprocess.run(["rm", "-rf", sandbox.root / "d"], check=True)


@pytest.mark.parametrize("discovering", [True, False])
def test_a_path_of_more_parts_than_the_stack_has_room_for(deep: Sandbox, discovering: bool) -> None:
    if discovering:
        deep.write(".gitignore", "*.log\n**/x/**/y\n")
        deep.write("d/d/.gitignore", "*.txt\n")
    rules = SelectionRules((".py",), ("**/wandb",))
    below = "d/" * 1200
    assert agreeing(deep.root, f"{below}a.py", rules) == (True, "suffix")
    for name in ("a.txt", "a.log"):
        reason = "ignored" if discovering else "no_suffix"
        assert agreeing(deep.root, below + name, rules) == (False, reason)
    (missing,) = explain(deep.root, ["m/" * 3000 + "a.py"], rules)
    assert not missing.packed


def broken_index(tree: Sandbox) -> str:
    (tree.root / ".git" / "index").write_bytes(b"DIRC")
    return "git failed: "


def no_git(tree: Sandbox) -> str:
    tree.environ["PATH"] = "/nowhere"
    return "git cannot be run: it is not installed, or not on PATH"


def refusing(tree: Sandbox) -> str:
    """What git says of a repository of another user."""
    (tree.base / "bin").mkdir()
    script = tree.base / "bin" / "git"
    script.write_text("#!/bin/sh\necho 'fatal: detected dubious ownership in it' >&2; exit 128\n")
    script.chmod(0o755)
    tree.environ["PATH"] = str(tree.base / "bin")
    return f"git refuses to look at '{tree.root}', because another user owns it"


@pytest.mark.parametrize("broken", [broken_index, no_git, refusing])
def test_git_that_does_not_answer_is_warned_of(tree: Sandbox, broken: object) -> None:
    """A tracked file was called ignored, and nothing was said."""
    assert callable(broken)
    message = broken(tree)
    explained = explain(tree.root, ["tracked.bin"], RULES, environ=tree.environ)
    assert [item.reason for item in explained] == ["ignored"]
    (warning,) = explained.warnings
    assert warning.kind == "git_unavailable"
    assert warning.message.startswith(message)
    assert warning.message.endswith("tracked files that patterns match may be called ignored")
    (expected,) = select(tree.root, RULES, environ=tree.environ).warnings
    assert warning.hint == expected.hint
    # Where git's word would change nothing, it is not asked for.
    assert explain(tree.root, ["a.py", "a.txt"], RULES, environ=tree.environ).warnings == ()

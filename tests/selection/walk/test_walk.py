"""The walk: kinds of entries, modes, boundaries, hostile names, and what it never enters."""

from __future__ import annotations

import os
import stat

import pytest
from git_oracle import DEFAULT_EXCLUDES, DEFAULT_SUFFIXES, Sandbox

from slurmic.selection import SelectionRules, select
from slurmic.selection.walk import walk

RULES = SelectionRules(DEFAULT_SUFFIXES, DEFAULT_EXCLUDES)
HOSTILE = [
    b"new\nline",
    b"\xff\xfe",
    b"-rf",
    b":(top)",
    b" ",
    b'"',
    b"\\",
    b"*",
    b"~",
    b"\x01",
    b"%s",
]


def paths(sandbox: Sandbox, rules: SelectionRules = RULES) -> list[bytes]:
    return select(sandbox.root, rules, environ=sandbox.environ).paths


@pytest.mark.parametrize("kind", ["directory", "symlink", "dangling", "absent"])
def test_only_a_regular_gitignore_switches_discovery_on(sandbox: Sandbox, kind: str) -> None:
    sandbox.write("a.txt")
    sandbox.write("a.py")
    gitignore = sandbox.root / ".gitignore"
    if kind == "directory":
        gitignore.mkdir()
    elif kind == "symlink":
        gitignore.symlink_to("a.txt")
    elif kind == "dangling":
        gitignore.symlink_to("nowhere")
    assert paths(sandbox) == [b"a.py"]


@pytest.mark.parametrize("kind", ["directory", "symlink", "fifo"])
def test_a_nested_gitignore_that_is_no_file_is_not_read(repository: Sandbox, kind: str) -> None:
    repository.write(".gitignore")
    repository.write("patterns", "*.txt")
    repository.write("sub/a.txt")
    nested = repository.root / "sub/.gitignore"
    if kind == "directory":
        nested.mkdir()
    elif kind == "symlink":
        nested.symlink_to("../patterns")
    else:
        os.mkfifo(nested)
    assert b"sub/a.txt" in paths(repository)


def test_nested_gitignores_count_only_with_one_in_code_root(sandbox: Sandbox) -> None:
    sandbox.write("sub/.gitignore", "*")
    sandbox.write("sub/a.py")
    assert paths(sandbox) == [b"sub/a.py"]


@pytest.mark.parametrize("discovering", [True, False])
def test_special_files_are_skipped(sandbox: Sandbox, discovering: bool) -> None:
    if discovering:
        sandbox.write(".gitignore", "!*\n")
    os.mkfifo(sandbox.root / "fifo.py")
    os.mknod(sandbox.root / "socket.py", stat.S_IFSOCK | 0o600)  # bind() refuses a long path
    sandbox.write("a.py")
    assert [path for path in paths(sandbox) if path != b".gitignore"] == [b"a.py"]


@pytest.mark.parametrize("discovering", [True, False])
def test_links_are_packed_as_links_and_never_walked(sandbox: Sandbox, discovering: bool) -> None:
    if discovering:
        sandbox.write(".gitignore", "ignored\nonly-folders/\n")
    sandbox.write("real/a.py")
    for name in ("folder.py", "folder", "ignored", "only-folders"):
        (sandbox.root / name).symlink_to("real")
    (sandbox.root / "loop.py").symlink_to(".")
    (sandbox.root / "dangling.py").symlink_to("nowhere")
    selection = select(sandbox.root, RULES, environ=sandbox.environ)
    links = {b"folder.py", b"loop.py", b"dangling.py"}
    if discovering:
        # A link is no directory, so a pattern for directories does not match it.
        links |= {b"folder", b"only-folders"}
    assert selection.symlinks == links
    assert set(selection.paths) == links | {b"real/a.py"} | ({b".gitignore"} & {*selection.paths})


@pytest.mark.parametrize("discovering", [True, False])
def test_git_is_never_packed(sandbox: Sandbox, discovering: bool) -> None:
    if discovering:
        sandbox.write(".gitignore", "!.git\n!*\n")
    for path in ("sub/.git/hook.py", "file/.git", "sub/x.git", "deep/.git/a/b.py"):
        sandbox.write(path)
    (sandbox.root / "link").mkdir()
    (sandbox.root / "link/.git").symlink_to("../sub")
    rules = SelectionRules((".py", ".git", "git"), ())
    assert [path for path in paths(sandbox, rules) if path != b".gitignore"] == [b"sub/x.git"]


@pytest.mark.parametrize("discovering", [True, False])
@pytest.mark.parametrize(
    ("name", "content", "barred"),
    [
        ("code.json", '{"slurmic_record": 1, "x": 2}', True),
        ("code.json", '{"something": 1}', False),
        ("code.json", "", False),
        ("FORMAT", "slurmic store 1\n", True),
        ("FORMAT", "PDF", False),
        ("code-2.json", '{"slurmic_record": 1}', False),
    ],
)
def test_output_folders_and_stores(
    sandbox: Sandbox, name: str, content: str, barred: bool, discovering: bool
) -> None:
    if discovering:
        sandbox.write(".gitignore", "ignored/")
    for folder in ("out/run", "ignored/run"):
        sandbox.write(f"{folder}/{name}", content)
        sandbox.write(f"{folder}/code/a.py")
        sandbox.write(f"{folder}/b.py")
        sandbox.write(f"{folder}/../c.py")
    found = {path for path in paths(sandbox) if path.endswith(b".py")}
    inside = {b"%b/run/%b" % (f, p) for f in (b"out", b"ignored") for p in (b"b.py", b"code/a.py")}
    assert found == {b"out/c.py", b"ignored/c.py"} | (set() if barred else inside)


def test_the_marks_do_not_count_for_code_root(sandbox: Sandbox) -> None:
    sandbox.write("code.json", '{"slurmic_record": 1}')
    sandbox.write("FORMAT", "slurmic store 1")
    sandbox.write("a.py")
    assert paths(sandbox) == [b"a.py"]


def test_staging_folders_are_not_entered(sandbox: Sandbox) -> None:
    sandbox.write(".slurmic-x1/a.py")
    sandbox.write("deep/.slurmic-/a.py")
    sandbox.write(".slurmic/a.py")
    sandbox.write(".slurmic-note.py")
    assert paths(sandbox) == [b".slurmic-note.py", b".slurmic/a.py"]


@pytest.mark.parametrize("discovering", [True, False])
def test_hostile_names_survive(sandbox: Sandbox, discovering: bool) -> None:
    if discovering:
        sandbox.write(".gitignore", "*.log\n")
    expected = []
    for name in HOSTILE:
        expected += [name + b"/" + name + b".py", name + b".py"]
        sandbox.write(name + b".log")
        for path in expected[-2:]:
            sandbox.write(path)
    found = [path for path in paths(sandbox) if path != b".gitignore"]
    assert found == sorted(expected)


def test_paths_are_sorted_by_their_bytes(sandbox: Sandbox) -> None:
    names = ["a.py", "a/b.py", "a-b.py", "a/b/c.py", "a.d/e.py", "A.py", "é.py", "a b.py", "a0.py"]
    for name in names:
        sandbox.write(name)
    assert paths(sandbox) == sorted(os.fsencode(name) for name in names)


def test_what_cannot_contribute_is_never_entered(
    repository: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget: one listing per directory that can contribute, none for any other."""
    repository.write(".gitignore", "ignored/\n")
    for folder in ("wandb/deep", "src/sub", "ignored/x", "no/wandb", ".slurmic-1", "never"):
        repository.write(f"{folder}/a.txt")
    listed: list[bytes] = []
    real = os.scandir

    def counting(path: bytes) -> object:
        listed.append(os.path.relpath(path, os.fsencode(repository.root)))
        return real(path)

    monkeypatch.setattr(os, "scandir", counting)
    everywhere = {b".", b"src", b"src/sub", b"no", b"no/wandb"}
    select(
        repository.root,
        SelectionRules((), ("wandb",), never=(b"never",)),
        environ=repository.environ,
    )
    assert sorted(listed) == sorted(everywhere)
    listed.clear()
    select(
        repository.root,
        SelectionRules((".py",), ("wandb",), never=(b"never",)),
        environ=repository.environ,
    )
    assert sorted(listed) == sorted(everywhere | {b"ignored", b"ignored/x"})


def test_no_gitignore_is_read_below_an_ignored_folder(repository: Sandbox) -> None:
    repository.write(".gitignore", "ignored/")
    repository.write("ignored/.gitignore", "!*\n")
    repository.write("ignored/a.txt")
    repository.write("ignored/sub/.gitignore", "!a.txt\n")
    repository.write("ignored/sub/a.txt")
    repository.write("ignored/sub/a.py")
    assert paths(repository) == [b".gitignore", b"ignored/sub/a.py"]


def test_a_deep_tree(sandbox: Sandbox) -> None:
    """Beyond PATH_MAX a directory cannot be listed by its path; that is said, not hidden."""
    descriptor = os.open(sandbox.root, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=descriptor)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
        os.close(os.open("a.py", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    selection = select(sandbox.root, RULES, environ=sandbox.environ)
    assert 15 < len(selection.paths) < 30
    (warning,) = selection.warnings
    assert warning.kind == "unreadable_directory"
    assert "file name too long" in warning.message


def test_a_folder_of_very_many_ignored_files(repository: Sandbox) -> None:
    repository.write(".gitignore", "*.npz\n!keep*\n")
    for number in range(walk.BATCH_AT_MOST + 10):
        repository.write(f"data/{number}.npz")
    for name in ("data/keep.npz", "data/a.txt", "data/a.py"):
        repository.write(name)
    expected = [b".gitignore", b"data/a.py", b"data/a.txt", b"data/keep.npz"]
    assert paths(repository) == expected


@pytest.mark.parametrize("discovering", [True, False])
def test_a_link_teaches_the_walk_nothing_about_files_of_its_name(
    sandbox: Sandbox, discovering: bool
) -> None:
    """The name of a selected link was remembered; later on, files of that name that mark an output
    folder or a store, or are a .gitignore, were packed without a look at them."""
    if discovering:
        sandbox.write(".gitignore", "*.log\n")
    for name in ("code.json", "FORMAT", ".gitignore", "pyvenv.cfg"):
        for folder in ("a", "z"):  # whichever comes first
            (sandbox.root / folder).mkdir(exist_ok=True)
            (sandbox.root / folder / name).symlink_to("x")
    for number in range(20):
        sandbox.write(f"output{number}/code.json", '{"slurmic_record": 1}')
        sandbox.write(f"store{number}/FORMAT", "slurmic store 1\n")
        sandbox.write(f"ignoring{number}/.gitignore", ".gitignore\nlog\n")
        sandbox.write(f"ignoring{number}/log")
        sandbox.write(f"env{number}/pyvenv.cfg")
    rules = SelectionRules((".json", ".gitignore", ".cfg", "FORMAT"), ())
    selection = select(sandbox.root, rules, environ=sandbox.environ)
    chosen = {
        path for path in selection.paths if b"/" in path and not path.startswith((b"a/", b"z/"))
    }
    assert chosen == {
        os.fsencode(f"{kind}{number}/{name}")
        for number in range(20)
        for kind, name in (("ignoring", ".gitignore"), ("env", "pyvenv.cfg"))
    }
    (environments,) = [w for w in selection.warnings if w.kind == "virtual_environment"]
    assert len(environments.paths) == 20

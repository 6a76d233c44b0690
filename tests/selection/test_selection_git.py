"""What comes from git: index, configuration, place in a repository; and a git that fails."""

from __future__ import annotations

import os
import subprocess

import pytest
from git_oracle import DEFAULT_EXCLUDES, DEFAULT_SUFFIXES, Sandbox

from slurmic.selection import Selection, SelectionRules, explain, select

RULES = SelectionRules(DEFAULT_SUFFIXES, DEFAULT_EXCLUDES)


def selected(sandbox: Sandbox, rules: SelectionRules = RULES) -> Selection:
    selection = select(sandbox.root, rules, environ=sandbox.environ)
    expected = sandbox.expected(rules.suffixes, rules.exclude_folders, in_repository=True)
    assert selection.paths == expected
    return selection


def test_tracked_files_are_never_ignored(repository: Sandbox) -> None:
    repository.write(".gitignore", "cmake/\n*.lock\n")
    for path in ("cmake/config.cmake", "cmake/other.cmake", "cmake/a.py", "Cargo.lock", "x.lock"):
        repository.write(path)
    repository.track("cmake/config.cmake", "Cargo.lock")
    paths = selected(repository).paths
    assert paths == [b".gitignore", b"Cargo.lock", b"cmake/a.py", b"cmake/config.cmake"]


def test_a_tracked_file_in_an_excluded_folder_stays_out(repository: Sandbox) -> None:
    repository.write(".gitignore", "*.bin")
    repository.write("datasets/a.bin")
    repository.write("other/a.bin")
    repository.track("datasets/a.bin", "other/a.bin")
    assert selected(repository).paths == [b".gitignore", b"other/a.bin"]


@pytest.mark.parametrize(
    "marker", [("code.json", '{"slurmic_record": 1}'), ("FORMAT", "slurmic store 1")]
)
def test_a_tracked_file_in_an_output_folder_or_store_stays_out(
    repository: Sandbox, marker: tuple[str, str]
) -> None:
    repository.write(".gitignore", "runs/")
    repository.write("runs/1/" + marker[0], marker[1])
    repository.write("runs/1/code/a.bin")
    repository.track("runs/1/code/a.bin")
    selection = select(repository.root, SelectionRules((), ()), environ=repository.environ)
    assert selection.paths == [b".gitignore"]


def test_tracked_files_that_are_gone_or_behind_a_link(repository: Sandbox) -> None:
    repository.write(".gitignore", "*.bin")
    for path in ("gone.bin", "real/moved.bin", "kind.bin"):
        repository.write(path)
    repository.track("gone.bin", "real/moved.bin", "kind.bin")
    (repository.root / "gone.bin").unlink()
    (repository.root / "real").rename(repository.root / "elsewhere")
    (repository.root / "real").symlink_to("elsewhere")
    (repository.root / "kind.bin").unlink()
    os.mkfifo(repository.root / "kind.bin")
    selection = select(repository.root, RULES, environ=repository.environ)
    assert selection.paths == [b".gitignore", b"real"]


def test_a_tracked_link_that_is_ignored(repository: Sandbox) -> None:
    repository.write(".gitignore", "link")
    (repository.root / "link").symlink_to(".gitignore")
    repository.track("link")
    assert selected(repository).symlinks == {b"link"}


def test_hostile_tracked_names(repository: Sandbox) -> None:
    repository.write(".gitignore", "*.bin")
    names = [b"-x.bin", b":y.bin", b"new\nline.bin", b"\xff\xfe.bin", b" .bin", b'"q".bin']
    for name in names:
        repository.write(name)
    repository.track(*names)
    assert selected(repository).paths == sorted([b".gitignore", *names])


def test_info_exclude_and_global_excludes(repository: Sandbox) -> None:
    repository.write(".gitignore", "!kept.log\n")
    repository.write(".git/info/exclude", "*.log\n!info.tmp\n")
    repository.write(".config/git/ignore", "*.tmp\n", below=repository.base / "home")
    for name in ("a.log", "kept.log", "a.tmp", "info.tmp"):
        repository.write(name)
    assert selected(repository).paths == [b".gitignore", b"info.tmp", b"kept.log"]


def test_they_do_not_count_without_a_gitignore(repository: Sandbox) -> None:
    repository.write(".git/info/exclude", "*")
    repository.write("a.py")
    repository.write("a.txt")
    assert selected(repository).paths == [b"a.py"]
    assert selected(repository).mode == "suffix"


@pytest.mark.parametrize("value", ["~/mine", "{base}/home/mine", "../home/mine", '""'])
@pytest.mark.parametrize("where", ["global", "local", "environment"])
def test_excludes_file_wherever_it_is_configured(
    repository: Sandbox, value: str, where: str
) -> None:
    repository.write("mine", "*.mine", below=repository.base / "home")
    repository.write(".config/git/ignore", "*.default", below=repository.base / "home")
    value = value.format(base=repository.base)
    if where == "global":
        repository.configure(f"[core]\nexcludesFile = {value}")
    elif where == "local":
        repository.git("config", "core.excludesFile", value.strip('"'))
    else:
        repository.environ |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "core.excludesFile",
            "GIT_CONFIG_VALUE_0": value.strip('"'),
        }
    repository.write(".gitignore")
    repository.write("a.mine")
    repository.write("a.default")
    paths = selected(repository).paths
    assert (b"a.mine" in paths) is (value == '""')
    assert b"a.default" in paths


@pytest.mark.parametrize("place", ["system", "home", "xdg", "included", "prefix", "worktree"])
def test_every_configuration_file_is_looked_at(
    repository: Sandbox, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git is only asked if a file names a setting, so none may be overlooked."""
    setting = "[core]\nEXCLUDESFILE = ~/mine\n"
    home = repository.base / "home"
    if place == "system":
        repository.write("system", setting, below=repository.base)
        repository.environ["GIT_CONFIG_SYSTEM"] = str(repository.base / "system")
    elif place in ("home", "xdg"):
        del repository.environ["GIT_CONFIG_GLOBAL"]
        repository.write(
            ".gitconfig" if place == "home" else ".config/git/config", setting, below=home
        )
    elif place == "included":
        repository.write("more", setting, below=repository.base)
        repository.configure('[includeIf "gitdir:**"]\npath = more')
    elif place == "worktree":
        repository.git("config", "extensions.worktreeConfig", "true")
        repository.git("config", "--worktree", "core.excludesFile", "~/mine")
    else:
        # A git of another prefix, whose system configuration is etc/gitconfig in there.
        real = subprocess.check_output(["sh", "-c", "command -v git"], text=True).strip()
        repository.put_in_front_of_git(
            f'GIT_CONFIG_SYSTEM={repository.base}/etc/gitconfig exec {real} "$@"\n'
        )
        del repository.environ["GIT_CONFIG_SYSTEM"]
        repository.write("etc/gitconfig", setting, below=repository.base)
    repository.write("mine", "*.mine", below=home)
    repository.write(".gitignore")
    repository.write("a.mine")
    assert selected(repository).paths == [b".gitignore"]


def test_code_root_within_a_repository(repository: Sandbox) -> None:
    """The upper .gitignore files count, but only with one in code_root itself."""
    top = repository.root
    repository.write(".gitignore", "*.log\n/pkg/anchored\npkg/*/deep.txt\n!keep.log\n")
    repository.write(".git/info/exclude", "/pkg/info.txt\n/info.txt\n")
    repository.root = top / "pkg"
    for path in ("a.log", "keep.log", "anchored", "info.txt", "x/deep.txt", "x/a.log", "a.py"):
        repository.write(path)
    assert selected(repository).paths == [b"a.py"]
    repository.write(".gitignore", "!x/a.log\n")
    assert selected(repository).paths == [b".gitignore", b"a.py", b"keep.log", b"x/a.log"]
    repository.track("a.log")
    assert b"a.log" in selected(repository).paths


@pytest.mark.parametrize("ignored", ["/exp/", "/exp/run/", "run"])
def test_code_root_that_git_ignores(repository: Sandbox, ignored: str) -> None:
    repository.write(".gitignore", ignored)
    repository.root = repository.root / "exp/run"
    for path in (".gitignore", "a.py", "a.txt", "b.txt"):
        repository.write(path)
    repository.track("b.txt")
    selection = selected(repository)
    assert selection.paths == [b"a.py", b"b.txt"]
    (warning,) = selection.warnings
    assert warning.kind == "ignored_root"
    assert f"'.gitignore' line 1 ('{ignored}')" in warning.message
    (item,) = explain(repository.root, ["a.txt"], RULES, environ=repository.environ)
    assert item.rule is not None
    assert (item.reason, item.directory, item.rule.line) == ("ignored", b".", 1)


def test_a_parent_gitignore_does_not_switch_modes(repository: Sandbox) -> None:
    repository.write(".gitignore", "nothing")
    repository.root = repository.root / "pkg"
    repository.write("a.txt")
    repository.write("a.py")
    assert selected(repository).paths == [b"a.py"]


def test_variables_of_another_repository_do_not_mislead(repository: Sandbox) -> None:
    """As in a git hook, which runs with GIT_DIR and GIT_INDEX_FILE set."""
    repository.write(".gitignore", "*.bin")
    repository.write("a.bin")
    repository.track("a.bin")
    other = repository.base / "other"
    other.mkdir()
    repository.init(other)
    misled = {
        **repository.environ,
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / "no-index"),
        "GIT_PREFIX": "x/",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TRACE": "1",
    }
    selection = select(repository.root, RULES, environ=misled)
    assert selection.paths == [b".gitignore", b"a.bin"]
    assert selection.warnings == ()


def test_a_linked_worktree(repository: Sandbox) -> None:
    repository.write("a.txt")
    repository.track("a.txt")
    repository.git("-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "first")
    repository.git("worktree", "add", "-q", "../linked")
    repository.write(".git/info/exclude", "*.log")
    repository.root = repository.base / "linked"
    repository.write(".gitignore", "*.bin")
    for path in ("a.log", "a.bin", "b.bin"):
        repository.write(path)
    repository.track("b.bin")
    assert selected(repository).paths == [b".gitignore", b"a.txt", b"b.bin"]


def test_nested_repositories_are_ordinary_folders(repository: Sandbox) -> None:
    repository.write(".gitignore", "*.log")
    nested = repository.root / "nested"
    repository.write("nested/.gitignore", "*.tmp")
    for path in ("nested/a.txt", "nested/a.log", "nested/a.tmp"):
        repository.write(path)
    repository.init(nested)
    repository.write("nested/.git/info/exclude", "a.txt")
    selection = select(repository.root, RULES, environ=repository.environ)
    assert selection.paths == [b".gitignore", b"nested/.gitignore", b"nested/a.txt"]


def test_a_submodule_is_an_ordinary_folder(repository: Sandbox) -> None:
    inner = repository.base / "inner"
    inner.mkdir()
    repository.init(inner)
    repository.write("a.txt", below=inner)
    identity = ("-c", "user.name=n", "-c", "user.email=e")
    repository.git("add", ".", cwd=inner)
    repository.git(*identity, "commit", "-qm", "first", cwd=inner)
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    repository.git(*add, str(inner), "module")
    repository.write(".gitignore", "*.log")
    repository.write("module/b.log")
    selection = select(repository.root, RULES, environ=repository.environ)
    assert selection.paths == [b".gitignore", b".gitmodules", b"module/a.txt"]
    assert (repository.root / "module/.git").is_file()
    # Seen from inside, it is a repository of its own.
    repository.write("module/.gitignore", "a.*")
    inside = select(repository.root / "module", RULES, environ=repository.environ)
    assert inside.paths == [b".gitignore", b"a.txt", b"b.log"]


def test_sparse_checkout(repository: Sandbox) -> None:
    repository.write("in/a.txt")
    repository.write("out/a.bin")
    repository.write(".gitignore", "*.bin")
    repository.track("in/a.txt", "out/a.bin", ".gitignore")
    repository.git("-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "first")
    repository.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")
    assert not (repository.root / "out").exists()
    assert selected(repository).paths == [b".gitignore", b"in/a.txt"]


def test_an_unborn_or_broken_git_directory(sandbox: Sandbox) -> None:
    sandbox.write(".gitignore", "*.log")
    sandbox.write("a.log")
    sandbox.write("a.txt")
    (sandbox.root / ".git").mkdir()
    for _ in ("empty, so git looks further up", "a file that leads nowhere"):
        selection = select(sandbox.root, RULES, environ=sandbox.environ)
        assert selection.paths == [b".gitignore", b"a.txt"]
        if (sandbox.root / ".git").is_dir():
            assert selection.warnings == ()
            (sandbox.root / ".git").rmdir()
            sandbox.write(".git", "gitdir: /nowhere\n")
    assert [warning.kind for warning in selection.warnings] == ["git_unavailable"]


def test_ceiling_directories_limit_the_search(repository: Sandbox) -> None:
    repository.write(".gitignore", "*.log")
    root = repository.root / "pkg"
    repository.write("pkg/.gitignore")
    repository.write("pkg/a.log")
    assert select(root, RULES, environ=repository.environ).paths == [b".gitignore"]
    environ = {**repository.environ, "GIT_CEILING_DIRECTORIES": str(repository.root)}
    assert select(root, RULES, environ=environ).paths == [b".gitignore", b"a.log"]

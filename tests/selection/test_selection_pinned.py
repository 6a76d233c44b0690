"""One example for each class of pattern where a matcher is known to have differed from git.

Each is checked against the git on this machine too, so that the table cannot be wrong.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from git_oracle import Sandbox

from slurmic.selection import IgnoreRule, SelectionRules, select
from slurmic.selection.ignore.folderrules import FolderRules

IGNORED, KEPT = True, False

CASES = [
    # A file below an excluded directory cannot be re-included.
    (b"build/\n!build/keep.txt", b"build/keep.txt", IGNORED),
    (b"*\n!*.txt", b"sub/a.txt", IGNORED),
    (b"*\n!*/\n!*.txt", b"sub/a.txt", KEPT),
    (b"/*\n!/keep\n/keep/*\n!/keep/this", b"keep/this", KEPT),
    # Lines that are odd, but no reason to fail.
    (b"[c-a]", b"b", KEPT),
    (b"a\\", b"a", KEPT),
    (b"a\\", b"a\\", KEPT),
    (b"!", b"a", KEPT),
    (b"!\na", b"a", IGNORED),
    (b"a\\/b", b"a/b", IGNORED),
    (b"a\\  ", b"a ", IGNORED),
    (b"/", b"a", KEPT),
    (b"//a", b"a", KEPT),
    (b"a//", b"a", KEPT),
    (b"[", b"[", KEPT),
    (b"a[", b"a[", KEPT),
    (b"*[", b"a[", KEPT),
    # Classes and brackets.
    (b"run[[:digit:]]", b"run7", IGNORED),
    (b"[[:alpha:]]", b"x", IGNORED),
    (b"[[:space:]]", b"\x0b", KEPT),
    (b"[[:bogus:]]", b"b", KEPT),
    (b"[[:alpha]", b"[", IGNORED),
    (b"[[:]", b":", IGNORED),
    (b"[a\\]]", b"]", IGNORED),
    (b"[]-]", b"]", IGNORED),
    (b"[]a]", b"a", IGNORED),
    (b"[!]a]", b"]", KEPT),
    (b"[^a]", b"b", IGNORED),
    (b"[!/]", b"a", IGNORED),
    (b"[!/]", b"sub/a", KEPT),
    (b"[a-]", b"-", IGNORED),
    (b"x[--/]", b"x.", IGNORED),
    (b"[a-c-e]", b"d", KEPT),
    (b"[\\a-c]", b"b", IGNORED),
    (b"[a-\\c]", b"b", IGNORED),
    # Bytes, not characters.
    (b"?", "é".encode(), KEPT),
    (b"??", "é".encode(), IGNORED),
    (b"[\xc3][\xa9]", "é".encode(), IGNORED),
    (b"\xff*", b"\xffx", IGNORED),
    # Blanks: only spaces are trimmed, and only at the end.
    (b"a\t", b"a", KEPT),
    (b"a\t", b"a\t", IGNORED),
    (b"a\xc2\xa0", b"a", KEPT),
    (b"a\x0c", b"a", KEPT),
    (b"a  ", b"a", IGNORED),
    (b" a", b"a", KEPT),
    (b"a\\ ", b"a ", IGNORED),
    (b"a\\\\ ", b"a\\", IGNORED),
    # Reading the file.
    (b"\xef\xbb\xbf*.log", b"a.log", IGNORED),
    (b"*.log\r\n*.tmp\r\n", b"a.log", IGNORED),
    (b"a\r\r\n", b"a", KEPT),
    (b"a\r\r\n", b"a\r", IGNORED),
    (b"a\rb", b"b", KEPT),
    (b"a\x0bb\nc", b"b", KEPT),
    (b"a\xc2\x85b", b"b", KEPT),
    (b"a\xe2\x80\xa8b", b"b", KEPT),
    (b"a\0b", b"a", IGNORED),
    (b"#a\n\\#b", b"#a", KEPT),
    (b"#a\n\\#b", b"#b", IGNORED),
    (b"\\!a", b"!a", IGNORED),
    (b"!!a\n", b"!a", KEPT),
    (b"a", b"a\n", KEPT),
    (b"a*", b"a\n", IGNORED),
    # Stars.
    (b"a/**/", b"a/b", KEPT),
    (b"a/**/", b"a/b/c", IGNORED),
    (b"a/**", b"a/b", IGNORED),
    (b"***/a", b"a", IGNORED),
    (b"**/a", b"x/y/a", IGNORED),
    (b"a/**/b", b"a/b", IGNORED),
    (b"a/**/b", b"a/x/y/b", IGNORED),
    (b"a/**/b/**/c", b"a/1/b/2/3/c", IGNORED),
    (b"a**/b", b"ab", IGNORED),
    (b"a**/b", b"ax/y/b", IGNORED),
    (b"x/a**", b"x/ay/z", IGNORED),
    (b"?a**/b", b"xab", KEPT),
    (b"?a**/b", b"xay/z/b", KEPT),
    (b"a/**\\/b", b"a/b", KEPT),
    (b"a/**\\/b", b"a/x/y/b", IGNORED),
    (b"**a/b", b"xa/b", IGNORED),
    (b"**a/b", b"y/xa/b", KEPT),
    (b"a/*/b", b"a/x/y/b", KEPT),
    (b"/**", b"x/y", IGNORED),
    (b"**/**", b"x", IGNORED),
    # Anchors and directories.
    (b"/a", b"x/a", KEPT),
    (b"x/a", b"y/x/a", KEPT),
    (b"a/", b"a", KEPT),
    (b"a/", b"a/b", IGNORED),
    (b"a/b/", b"a/b/c", IGNORED),
    # Negation: the last match decides.
    (b"*.log\n!keep.log", b"keep.log", KEPT),
    (b"!keep.log\n*.log", b"keep.log", IGNORED),
    (b"foo/**\n!/**", b"foo/x", KEPT),
    (b"!/**\nfoo/**", b"foo/x", IGNORED),
    (b"!foo/**\n/**/x", b"foo/x", IGNORED),
    (b"*.py[cod]", b"a.pyd", IGNORED),
    (b"*.py[cod]", b"a.pyx", KEPT),
]


@pytest.mark.parametrize(("content", "path", "ignored"), CASES)
def test_pinned(repository: Sandbox, content: bytes, path: bytes, ignored: bool) -> None:
    repository.write(path)
    repository.write(".gitignore", content)
    assert repository.verdicts([path])[path].ignored is ignored
    selection = select(repository.root, SelectionRules((), ()), environ=repository.environ)
    assert (path not in selection.paths) is ignored


@pytest.mark.parametrize("escaped", [b"", b"\\"])
@pytest.mark.parametrize("inverted", [b"", b"!"])
def test_every_byte_in_every_class(repository: Sandbox, inverted: bytes, escaped: bytes) -> None:
    classes = b"alnum alpha blank cntrl digit graph lower print punct space upper xdigit".split()
    names = [b"x" + bytes([byte]) for byte in range(1, 256) if byte != ord("/")]
    for name in classes:
        content = b"x[%b[:%b:]%b-a]\n" % (inverted, name, escaped)
        repository.write(".gitignore", content)
        level = FolderRules.top(fold=False).with_file(content, b".gitignore")
        expected = [path for path, verdict in repository.verdicts(names).items() if verdict.ignored]
        assert sorted(set(names).difference(level.kept_files(names))) == expected, name


@pytest.mark.parametrize("fold", [False, True])
def test_case_is_folded_only_as_configured(repository: Sandbox, fold: bool) -> None:
    if fold:
        repository.configure("[core]\nignoreCase = true")
    lines = [b"Build/", b"*.LOG", b"x[A]", b"x[B-C]", b"x\\D", b"/Docs/*.Md", b"x[[:upper:]]e"]
    repository.write(".gitignore", b"\n".join(lines))
    names = [b"build/f", b"a.log", b"A.Log", b"xa", b"xA", b"xb", b"xC", b"xd", b"xD", b"xfe"]
    for name in [*names, b"docs/a.MD", b"BUILD/f"]:
        repository.write(name)
    expected = repository.expected((), (), in_repository=True)
    assert (b"docs/a.MD" in expected) is not fold
    rules = SelectionRules((), ())
    assert select(repository.root, rules, environ=repository.environ).paths == expected


@pytest.fixture
def no_hanging() -> Iterator[None]:
    """Ends a test that would go on for ever."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("no_hanging")
@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (b"*a" * 12 + b"b", b"a" * 250),
        (b"*a" * 40 + b"b", b"a" * 250),
        (b"*[ab]" * 12 + b"c", b"ab" * 120),
        (b"*?" * 60 + b"b", b"a" * 250),
        (b"**/a" * 12 + b"/b", b"/".join([b"a"] * 100)),
        (b"**/" + b"*a" * 12 + b"b", b"/".join([b"a" * 100] * 20)),
        (b"a**/" * 3 + b"b", b"/".join([b"a"] * 100)),
    ],
)
def test_no_pattern_takes_long(pattern: bytes, name: bytes) -> None:
    """Backtracking would take years for most of these."""
    level: FolderRules | None = FolderRules.top(fold=False).with_file(pattern, b".gitignore")
    *folders, last = name.split(b"/")
    for folder in folders:
        assert level is not None
        level = level.enter(folder)
    assert level is not None
    assert level.kept_files([last]) == [last]


def test_few_of_many_names_are_decided_rule_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those hit by both kinds of filter; a long file must not make it crawl."""
    rules = b"\n".join(b"unrelated%d/*.x%d" % (n, n) for n in range(300))
    level = FolderRules.top(fold=False).with_file(rules + b"\n*.npz\n!keep*\n", b".gitignore")
    names = [b"array%d.npz" % n for n in range(50_000)] + [b"keep.npz"]
    asked: list[bytes] = []
    decide = FolderRules.deciding_rule

    def counted(level: FolderRules, name: bytes, *, directory: bool) -> IgnoreRule | None:
        asked.append(name)
        return decide(level, name, directory=directory)

    monkeypatch.setattr(FolderRules, "deciding_rule", counted)
    assert level.kept_files(names) == [b"keep.npz"]
    assert asked == [b"keep.npz"]


def test_no_pattern_is_compiled_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python keeps 512 compiled patterns; with more in a file, each name compiled all again."""
    compiled: list[object] = []
    real = re.compile

    def compiling(pattern: Any, flags: int = 0) -> Any:
        compiled.append(pattern)
        return real(pattern, flags)

    monkeypatch.setattr(re, "compile", compiling)
    lines = [b"*", *(b"!*only%d*here" % number for number in range(600))]
    level = FolderRules.top(fold=False).with_file(b"\n".join(lines), b".gitignore")
    names = [b"x-only%d-here" % number for number in range(0, 600, 50)]
    assert sorted(level.kept_files([*names, b"other"])) == sorted(names)
    assert len(compiled) == len(set(compiled))

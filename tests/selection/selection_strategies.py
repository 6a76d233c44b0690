"""Hypothesis strategies: names, ignore files and whole source trees, everyday and weird."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from git_oracle import Sandbox
from hypothesis import strategies as st

EVERYDAY_ATOMS = (b"a", b"b", b"foo", b"bar", b".py", b".log", b"A", b"_x")
WEIRD_BYTES = (
    *b"\\ ] [ ! ^ - # * ? : ~ $ ( ) { } + . \xff \xc3\xa9 \x0b \x0c \r".split(b" "),
    *(b" ", b"\t", b"\n"),
)


def _joined(parts: st.SearchStrategy[bytes], most: int) -> st.SearchStrategy[bytes]:
    return st.lists(parts, min_size=1, max_size=most).map(b"".join)


def _usable(name: bytes) -> bool:
    return name not in (b".", b"..", b".git", b".gitignore") and b"/" not in name


everyday_names = _joined(st.sampled_from(EVERYDAY_ATOMS), 2)
weird_names = _joined(st.sampled_from(EVERYDAY_ATOMS + WEIRD_BYTES), 3).filter(_usable)
names = st.one_of(everyday_names, everyday_names, weird_names)

everyday_segments = st.one_of(
    everyday_names,
    st.just(b"*"),
    st.just(b"**"),
    _joined(st.sampled_from((*EVERYDAY_ATOMS, b"*", b"?", b"[ab]", b"[!a]", b"[a-f]")), 3),
)
_set_items = st.sampled_from(
    b"a b c - a-c A-C \\] \\a \\- [:alpha:] [:upper:] [:digit:] [:space:] [:bad:] [: [ / \\ ] : :] "
    b"\xc3 ! z-a [:punct:] -\\c [::] [:cntrl:]".split(b" ")
)
_sets = st.tuples(
    st.sampled_from((b"[", b"[!", b"[^")),
    st.sampled_from((b"", b"", b"]")),
    _joined(_set_items, 3),
    st.sampled_from((b"]", b"]", b"]", b"")),
).map(b"".join)
weird_segments = _joined(
    st.one_of(
        st.sampled_from((*EVERYDAY_ATOMS, b"*", b"**", b"***", b"?", b"\\/", b"**\\/")),
        _sets,
        st.sampled_from(WEIRD_BYTES),
        st.sampled_from(WEIRD_BYTES).map(lambda byte: b"\\" + byte),
    ),
    4,
)


def _patterns(segments: st.SearchStrategy[bytes], *, weird: bool) -> st.SearchStrategy[bytes]:
    return st.tuples(
        st.sampled_from((b"", b"", b"", b"!", b"!!" if weird else b"!")),
        st.sampled_from((b"", b"", b"/", b"//" if weird else b"")),
        st.lists(segments, min_size=1, max_size=4).map(b"/".join),
        st.sampled_from((b"", b"", b"", b"/", b"/**", b"//" if weird else b"/*")),
        st.sampled_from(
            (b"", b"", b"", b" ", b"\\ ", b"\\  ", b"\t", b"\r", b"\\", b"\0x", b" \r")
            if weird
            else (b"",)
        ),
    ).map(b"".join)


_odd_lines = st.sampled_from(
    (
        b"",
        b"# a",
        b"\\#a",
        b"!",
        b"/",
        b"!/",
        b"\\",
        b"*",
        b"\xff",
        b"**",
        b"/**",
        b"**/",
        b"a/**/**/b",
    )
)


@st.composite
def ignore_files(draw: st.DrawFn) -> bytes:
    """The content of an ignore file; half of them everyday, half weird."""
    if draw(st.booleans()):
        lines = draw(st.lists(_patterns(everyday_segments, weird=False), max_size=5))
        return b"\n".join(lines) + b"\n"
    pattern = st.one_of(_patterns(weird_segments, weird=True), _odd_lines)
    lines = draw(st.lists(pattern, max_size=5))
    end = draw(st.sampled_from((b"\n", b"\n", b"\r\n")))
    mark = draw(st.sampled_from((b"", b"", b"\xef\xbb\xbf")))
    return mark + end.join(lines) + draw(st.sampled_from((b"", end)))


paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)


@dataclass
class Tree:
    """A source tree to be written into a sandbox.

    Attributes:
        in_repository: whether a repository is around it.
        above: names of folders between the top of the repository and the tree.
        entries: path to what is there: bytes for a file, str for a link, None for a FIFO.
        gitignores: folder (relative to the tree; "../" steps lead up) to content; a str for a
            symlinked .gitignore, None for one that is a directory.
        tracked: of the entries; forced into the index.
        deleted: of those, removed afterwards.
        info_exclude, global_excludes: contents, or None for no such file.
        fold: core.ignoreCase.
        suffixes, excluded: the rules.
    """

    in_repository: bool
    above: tuple[bytes, ...]
    entries: dict[bytes, bytes | str | None]
    gitignores: dict[bytes, bytes | str | None]
    tracked: list[bytes] = field(default_factory=list)
    deleted: list[bytes] = field(default_factory=list)
    info_exclude: bytes | None = None
    global_excludes: bytes | None = None
    fold: bool = False
    suffixes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def write(self, sandbox: Sandbox) -> None:
        """Make it so; `sandbox.root` becomes the tree."""
        top = sandbox.root
        sandbox.root = top.joinpath(*(os.fsdecode(name) for name in self.above))
        sandbox.root.mkdir(parents=True, exist_ok=True)
        root = os.fsencode(sandbox.root)
        for path, content in self.entries.items():
            absolute = os.path.join(root, path)
            if isinstance(content, bytes):
                sandbox.write(path, content)
                continue
            os.makedirs(os.path.dirname(absolute), exist_ok=True)
            if content is None:
                os.mkfifo(absolute)
            else:
                os.symlink(content, absolute)
        for folder, content in self.gitignores.items():
            absolute = os.path.normpath(os.path.join(root, folder, b".gitignore"))
            if isinstance(content, bytes):
                sandbox.write(absolute, content)
            elif content is None:
                os.makedirs(absolute)
            else:
                os.symlink(content, absolute)
        if not self.in_repository:
            return
        sandbox.init(top)
        if self.fold:
            sandbox.configure("[core]\nignoreCase = true")
        if self.info_exclude is not None:
            sandbox.write(".git/info/exclude", self.info_exclude, below=top)
        if self.global_excludes is not None:
            sandbox.write(".config/git/ignore", self.global_excludes, below=sandbox.base / "home")
        if self.tracked:
            sandbox.track(*self.tracked)
        for path in self.deleted:
            os.unlink(os.path.join(root, path))


SUFFIXES = (".py", ".sh", "py", "foo", ".tar.gz", ".a", ".gitignore")


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Whole source trees with rules."""
    entries: dict[bytes, bytes | str | None] = {}
    folders: set[bytes] = set()
    endings = st.sampled_from((b"", b"", b".py", b".sh", b".tar.gz"))
    for path in draw(st.lists(st.tuples(paths, endings).map(b"".join), min_size=1, max_size=14)):
        parents = [path[:index] for index, byte in enumerate(path) if byte == ord("/")]
        if path in folders or path in entries or any(parent in entries for parent in parents):
            continue
        folders.update(parents)
        kind = draw(st.sampled_from("ffffffffls"))
        entries[path] = {"f": b"x", "l": draw(st.sampled_from(("a", "..", "/nowhere"))), "s": None}[
            kind
        ]
    in_repository = draw(st.sampled_from((True, True, True, False)))
    above = draw(st.sampled_from(((), (), (b"a",), (b"foo", b"b c")))) if in_repository else ()
    gitignores: dict[bytes, bytes | str | None] = {}
    gitignore = st.one_of(*[ignore_files()] * 6, st.sampled_from(("elsewhere", None)))
    if draw(st.integers(0, 9)):
        gitignores[b"."] = draw(gitignore)
    for folder in sorted(folders):
        if not draw(st.integers(0, 3)):
            gitignores[folder] = draw(gitignore)
    for depth in range(len(above)):
        if draw(st.booleans()):
            gitignores[b"/".join([b".."] * (depth + 1))] = draw(ignore_files())
    files = [path for path, content in entries.items() if content is not None]
    tracked = draw(st.lists(st.sampled_from(files), max_size=3, unique=True)) if files else []
    maybe = st.one_of(st.none(), ignore_files())
    excludable = sorted(
        folder.decode()
        for folder in folders
        if folder.isascii() and folder.replace(b"/", b"").replace(b"_", b"").isalnum()
    )
    return Tree(
        in_repository=in_repository,
        above=above,
        entries=entries,
        gitignores=gitignores,
        tracked=tracked,
        deleted=tracked[:1] if draw(st.booleans()) else [],
        info_exclude=draw(maybe),
        global_excludes=draw(maybe),
        fold=not draw(st.integers(0, 7)),
        suffixes=tuple(draw(st.lists(st.sampled_from(SUFFIXES), max_size=3))),
        excluded=tuple(
            draw(st.lists(st.sampled_from(("wandb", "foo", "a/b", *excludable)), max_size=2))
        ),
    )

"""Import roots, as found in values; how they serve a job is shown by tests/job."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from slurmic.submit.import_roots import ImportRoots, Imports, find_import_roots, unpacked_modules

LIBRARY = os.path.dirname(os.__file__)


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def module(name: str, file: Path | str | None = None, path: list[str] | None = None) -> ModuleType:
    made = ModuleType(name)
    if file is not None:
        made.__file__ = str(file)
    if path is not None:
        made.__path__ = path
    return made


def find(root: Path | str, **values: Any) -> ImportRoots:
    modules = values.pop("modules", [])
    values = {"cwd": str(root), **values}
    modules = {each.__name__: each for each in modules}
    return find_import_roots(str(root), Imports(modules=modules, **values))


def test_search_path_in_order(tmp_path: Path) -> None:
    """The order decides between two modules of one name; what stands behind the standard library
    must not come before it in the job.
    """
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
    found = find(
        tmp_path,
        sys_path=["b", "", str(tmp_path / "a"), "/elsewhere", LIBRARY, str(tmp_path / "c"), "gone"],
        pythonpath=f"{tmp_path}/a:d",
    )
    assert found == ImportRoots(("b", ".", "a", "c", "d"), ("c",), ())


def test_cwd_elsewhere(tmp_path: Path) -> None:
    """Relative entries mean the cwd, not code_root."""
    touch(tmp_path, "project/sub/x", "src/x")
    found = find(
        tmp_path / "project", cwd=str(tmp_path / "project" / "sub"), sys_path=["", "../.."]
    )
    assert found.roots == ("sub",)


def test_loaded_modules(tmp_path: Path) -> None:
    """Modules found by a hook, or on a path that is gone, tell their root by file and name."""
    touch(tmp_path, "a/m.py", "b/p/q/__init__.py", "c/p/x.so", "d/space/part/m.py")
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    modules = [
        module("m", tmp_path / "a/m.py"),
        module("p.q", tmp_path / "b/p/q/__init__.py", [str(tmp_path / "b/p/q")]),
        module("p.x", tmp_path / f"c/p/x{suffix}"),
        module("space", path=[str(tmp_path / "d/space"), "/elsewhere/space"]),
        module("without"),
    ]
    assert find(tmp_path, modules=modules).roots == ("a", "b", "c", "d")


def test_module_named_otherwise_than_its_file(tmp_path: Path) -> None:
    """No root leads to it, so it is carried by name; not so what nobody could import."""
    touch(tmp_path, "configs/run1.py", "lib/__init__.py", "x.py")
    modules = [
        module("config", tmp_path / "configs/run1.py"),
        module("demo", tmp_path / "lib/__init__.py", [str(tmp_path / "lib")]),
        module("<run_path>", tmp_path / "x.py"),
        module("demo.alias", tmp_path / "x.py"),
    ]
    assert find(tmp_path, modules=modules) == ImportRoots(
        (), (), (("config", "configs/run1.py"), ("demo", "lib"))
    )


def test_main_module(tmp_path: Path) -> None:
    """A script's folder; with -m, the folder that the dotted name starts in."""
    touch(tmp_path, "scripts/train.py", "src/a/b.py", "src/c/__main__.py")
    script = module("__main__", "scripts/train.py")
    assert find(tmp_path, modules=[script]).roots == ("scripts",)
    for name, file in (("a.b", "src/a/b.py"), ("c.__main__", "src/c/__main__.py")):
        main = module("__main__", tmp_path / file)
        main.__spec__ = importlib.machinery.ModuleSpec(name, None)
        assert find(tmp_path, modules=[main]).roots == ("src",)


def test_finder_of_setuptools(tmp_path: Path) -> None:
    """The maps hold packages that were not imported yet, with their kinds of paths."""
    touch(tmp_path, "src/p/__init__.py", "lib/__init__.py", "mods/single.py", "odd/o.py")
    finder = module("__editable___demo_1_finder")
    finder.MAPPING = {  # type: ignore[attr-defined]
        "p": f"{tmp_path}/src/p",
        "demo": f"{tmp_path}/lib",
        "demo.sub": f"{tmp_path}/lib/sub",
        "space.q": f"{tmp_path}/odd",
        "single": f"{tmp_path}/mods/single",
        "other": f"{tmp_path}/odd/o",
        "outside": "/elsewhere/outside",
    }
    finder.NAMESPACES = {"space": []}  # type: ignore[attr-defined]
    assert find(tmp_path, modules=[finder]) == ImportRoots(
        ("src", "mods"),
        ("src", "mods"),
        (("demo", "lib"), ("space.q", "odd"), ("other", "odd/o.py")),
    )


@pytest.mark.parametrize("marker", ["pyvenv.cfg", "conda-meta/history"])
def test_environments_are_no_code(tmp_path: Path, marker: str) -> None:
    """An environment in the tree, in use or not, must neither be mapped nor packed as a root."""
    touch(tmp_path, f"env/{marker}", "env/lib/x.py", "used/lib/y.py", "p/site-packages/z.py")
    found = find(
        tmp_path,
        sys_path=["env/lib", "used/lib", "p/site-packages", "used"],
        prefixes=[str(tmp_path / "used")],
        modules=[module("x", tmp_path / "env/lib/x.py"), module("y", tmp_path / "used/lib/y.py")],
    )
    assert found == ImportRoots((), (), ())


def test_tree_inside_the_prefix(tmp_path: Path) -> None:
    """/usr/src/app is below the prefix /usr, and is code all the same."""
    touch(tmp_path, "src/app/lib/m.py")
    root = tmp_path / "src/app"
    assert find(root, sys_path=["lib"], prefixes=[str(tmp_path)]).roots == ("lib",)


def test_tree_that_is_the_prefix(tmp_path: Path) -> None:
    """`python -m venv .` in the project's folder: its sources stay code."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    touch(tmp_path, "pyvenv.cfg", "src/m.py", f"lib/{version}/site-packages/x.py")
    found = find(
        tmp_path,
        sys_path=["src", f"lib/{version}", f"lib/{version}/site-packages"],
        prefixes=[str(tmp_path)],
    )
    assert found.roots == ("src",)


def test_linked_environment(tmp_path: Path) -> None:
    """./.venv may be a link to a faster disk: outside by its real path, no code by its spelling."""
    touch(tmp_path, "disk/venv/pyvenv.cfg", "disk/venv/lib/site-packages/x.py", "project/x")
    (tmp_path / "project/.venv").symlink_to(tmp_path / "disk/venv")
    assert find(tmp_path / "project", sys_path=[".venv/lib/site-packages", ".venv/lib"]).roots == ()


def test_links(tmp_path: Path) -> None:
    """A link inside the tree is followed to what is packed; one that leads out keeps its name."""
    touch(tmp_path, "project/real/m.py", "shared/s.py")
    (tmp_path / "project/inside").symlink_to(tmp_path / "project/real")
    (tmp_path / "project/outside").symlink_to(tmp_path / "shared")
    (tmp_path / "link").symlink_to(tmp_path / "project")
    found = find(tmp_path / "link", sys_path=["inside", "outside", str(tmp_path / "project")])
    assert found.roots == ("real", "outside", ".")


def test_job_that_submits_from_the_live_tree(tmp_path: Path) -> None:
    """A job runs from its code folder; what it submits from code_root has its roots there."""
    touch(tmp_path, "slurm/code/src/m.py", "src/m.py")
    values: dict[str, Any] = {
        "sys_path": [str(tmp_path / "slurm/code/src")],
        "modules": [module("m", tmp_path / "slurm/code/src/m.py")],
    }
    assert find(tmp_path, frozen_folder=str(tmp_path / "slurm/code"), **values).roots == ("src",)


def test_modules_that_fail_when_looked_at(tmp_path: Path) -> None:
    """Lazy modules (six.moves, transformers) import or raise when asked for an attribute."""

    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert find(tmp_path, modules=[Lazy("lazy"), Lazy("__main__")]).roots == ()
    assert unpacked(tmp_path, [], [Lazy("lazy")]) == []


def unpacked(root: Path, packed: list[str], modules: list[ModuleType]) -> list[tuple[str, str]]:
    found = unpacked_modules(
        str(root),
        {os.fsencode(path) for path in packed},
        Imports(cwd=str(root), modules={each.__name__: each for each in modules}),
    )
    return [(each.name, each.path) for each in found]


def test_unpacked_modules(tmp_path: Path) -> None:
    """What a job would miss after hours in the queue is named now; what it will not miss is not."""
    touch(
        tmp_path, "a.py", "b.py", "lib/c.so", ".venv/pyvenv.cfg", ".venv/d.py", "__pycache__/e.pyc"
    )
    touch(tmp_path.parent / "shared", "f.py")
    (tmp_path / "linked").symlink_to(tmp_path.parent / "shared")
    modules = [
        module("__main__", tmp_path / "main.py"),
        module("a", tmp_path / "a.py"),
        module("b", "b.py"),
        module("lib.c", tmp_path / "lib/c.so"),
        module("d", tmp_path / ".venv/d.py"),
        module("e", tmp_path / "__pycache__/e.pyc"),
        module("f", tmp_path / "linked/f.py"),
        module("slurmic.x", tmp_path / "slurmic/x.py"),
        module("space", path=[str(tmp_path / "space")]),
    ]
    assert unpacked(tmp_path, ["a.py", "linked"], modules) == [("b", "b.py"), ("lib.c", "lib/c.so")]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """File names are bytes; a comparison of text would warn of a packed module, or crash."""
    name = os.fsdecode(b"mod\xff.py")
    assert unpacked(tmp_path, [name], [module("mod", tmp_path / name)]) == []
    assert unpacked(tmp_path, [], [module("mod", tmp_path / name)]) == [("mod", name)]

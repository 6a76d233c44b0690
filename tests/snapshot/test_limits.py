"""A forgotten data set is warned of, and a huge one refused, before it is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from slurmic import ConfigError, SelectionError, SlurmConfig, SlurmicWarning, slurm_fn
from slurmic.snapshot import SizeLimits

TREE = {b"a.py": 10, b"data/2.bin": 1_000_000, b"data/x/1.bin": 3_000_000, b"src/b.py": 5}


def test_the_folders_that_weigh_most_are_named() -> None:
    limits = SizeLimits(warn_files=3, warn_mb=100, max_files=10, max_mb=100)
    assert limits.check([b"a.py"], [1]) == ""
    warning = limits.check(list(TREE), list(TREE.values()))
    assert warning.startswith("4 files, 4.0 MB, are packed")
    assert "'data/' 2 files, 4.0 MB" in warning and "warn_code_files" in warning


def test_a_folder_deep_in_the_tree_is_named_if_it_holds_nearly_all() -> None:
    """101,000 files in proj/data/ were said to be "most in proj/", which nobody can leave out."""
    tree = {b"proj/data/ds%d/%d.bin" % (n % 10, n): 1 for n in range(1010)}
    tree |= {b"proj/a.py": 1, b"proj/src/b.py": 1, b"setup.py": 7, b"proj-2/x.py": 2}
    tree |= {b"proj/data/ds0.txt": 1, b"weights/v1/x.bin": 10**6, b"weights/w.py": 9}
    paths = sorted(tree)
    warning = SizeLimits(warn_files=1000).check(paths, [tree[path] for path in paths])
    assert (
        "most in 'weights/v1/' 1 file, 1.0 MB; 'proj/data/' 1,011 files, 0.0 MB; "
        "'.' 1 file, 0.0 MB\n"
    ) in warning


def test_a_folder_whose_content_is_spread_is_named_itself() -> None:
    paths = sorted(b"src/%d/%d.py" % (n % 4, n) for n in range(8))
    assert "most in 'src/' 8 files" in SizeLimits(warn_files=1).check(paths, [1] * 8)
    # Four fifths are not more than four fifths.
    paths = [b"src/a.py", *(b"src/x/%d.py" % n for n in range(4))]
    assert "most in 'src/' 5 files" in SizeLimits(warn_files=1).check(paths, [1] * 5)


@pytest.mark.parametrize("limits", [SizeLimits(max_files=3), SizeLimits(max_mb=3)])
def test_what_is_above_the_limit_is_refused(limits: SizeLimits) -> None:
    with pytest.raises(SelectionError, match=r"limit of .*'data/' 2 files(.|\n)*max_code_files"):
        limits.check(list(TREE), list(TREE.values()))


def test_zero_means_any_size() -> None:
    assert SizeLimits(0, 0, 0, 0).check([b"%d" % n for n in range(5)], [10**9] * 5) == ""


def test_limits_hold_for_a_submission(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "project", {f"{n}.py": "x" for n in range(4)})
    fields: dict[str, Any] = {
        "mode": "local",
        "pack_code": True,
        "code_root": str(tmp_path / "project"),
        "output_parent_path": str(tmp_path / "out"),
        "store_path": str(tmp_path / "store"),
    }
    function = slurm_fn(lambda: 1)
    with pytest.raises(SelectionError, match="4 files"):
        function[SlurmConfig(max_code_files=3, **fields)]()
    assert not (tmp_path / "out").exists()
    assert not [path for path in (tmp_path / "store").rglob("*-*") if path.is_file()]
    with pytest.warns(SlurmicWarning, match="4 files"):
        function[SlurmConfig(warn_code_files=3, **fields)]()
    write(tmp_path / "project", {".gitignore": "/generated/\n", "generated/a.py": "x"})
    write(tmp_path / "project", {"generated/b.py": "x"})
    with pytest.warns(SlurmicWarning, match=r"adds back 2 files .* 'generated'"):
        function[SlurmConfig(warn_added_files=1, **fields)]()
    write(tmp_path / "project", {"generated/b.yaml": "x" * 1_100_000})
    with pytest.warns(SlurmicWarning, match=r"adds back 3 files, 1\.1 MB, .*\n.* warn_added_mb"):
        function[SlurmConfig(warn_added_mb=1, **fields)]()
    (record, *_) = sorted((tmp_path / "out").rglob("code*.json"), key=os.path.getmtime)[::-1]
    assert "raise warn_added_mb" in record.read_text()


@pytest.mark.parametrize(
    "field", ["warn_code_files", "warn_added_files", "warn_added_mb", "max_code_mb"]
)
@pytest.mark.parametrize("value", [-1, 1.5, "10", True, None])
def test_a_limit_is_a_whole_number(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{field} cannot be"):
        SlurmConfig(**{field: value})  # type: ignore[arg-type]

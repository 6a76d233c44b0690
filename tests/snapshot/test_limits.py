"""A forgotten data set is warned of, and a huge one refused, before it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slurmic import ConfigError, SelectionError, SlurmConfig, SlurmicWarning, slurm_fn
from slurmic.snapshot import SizeLimits

TREE = {b"a.py": 10, b"data/x/1.bin": 3_000_000, b"data/2.bin": 1_000_000, b"src/b.py": 5}


def test_the_folders_that_weigh_most_are_named() -> None:
    limits = SizeLimits(warn_files=3, warn_mb=100, max_files=10, max_mb=100)
    assert limits.check([b"a.py"], [1]) == ""
    warning = limits.check(list(TREE), list(TREE.values()))
    assert warning.startswith("4 files, 4.0 MB, are packed")
    assert "'data/' 2 files, 4.0 MB" in warning and "warn_code_files" in warning


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
    with pytest.warns(SlurmicWarning, match=r'adds back 2 files .* "generated"'):
        function[SlurmConfig(warn_added_files=1, **fields)]()


@pytest.mark.parametrize("field", ["warn_code_files", "warn_added_files", "max_code_mb"])
@pytest.mark.parametrize("value", [-1, 1.5, "10", True, None])
def test_a_limit_is_a_whole_number(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{field} cannot be"):
        SlurmConfig(**{field: value})  # type: ignore[arg-type]

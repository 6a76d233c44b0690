"""Mode "local" with pack_code: the whole path of a submission, without a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest

from slurmic import ConfigError, SlurmConfig, SlurmicWarning, slurm_fn
from slurmic_store import Store, plan_gc


@slurm_fn
def where() -> dict[str, Any]:
    """What a job sees. Decorated by this name, it travels by value: no job can import the tests."""
    import os
    from pathlib import Path

    return {
        "cwd": os.getcwd(),
        "files": sorted(str(p.relative_to(".")) for p in Path().rglob("*") if p.is_file()),
        "snapshot": os.environ["SLURMIC_SNAPSHOT"],
        "code": os.environ["SLURMIC_CODE"],
        "commit": os.environ["SLURMIC_GIT_COMMIT"],
        "text": Path("a.py").read_text(),
    }


def config(tmp_path: Path, **fields: Any) -> SlurmConfig:
    settings = {
        "mode": "local",
        "pack_code": True,
        "code_root": str(tmp_path / "project"),
        "output_parent_path": str(tmp_path / "project" / "runs"),
        "store_path": str(tmp_path / "store"),
        **fields,
    }
    return SlurmConfig(**settings)


def test_each_submission_has_a_folder_of_its_own_that_never_changes(
    tmp_path: Path, write: Any, git_commit: Any
) -> None:
    """0.2.1 overlaid one code/ with every submission, packed code/ into itself, and kept deleted
    files; and an environment variable made a process reuse its first folder for ever."""
    project = write(tmp_path / "project", {"a.py": "one", "b.py": "b", "data.bin": "x"})
    commit = git_commit(project)
    function = where[config(tmp_path)]
    first = function().result()
    (project / "a.py").write_text("two")
    (project / "b.py").unlink()
    second = function().result()
    third = where[config(tmp_path)]().result()
    output = project / "runs" / "slurm_local"
    assert [r["cwd"] for r in (first, second, third)] == [
        str(output / name) for name in ("code", "code-2", "code-3")
    ]
    assert [r["text"] for r in (first, second, third)] == ["one", "two", "two"]
    assert [r["files"] for r in (first, second, third)] == [["a.py", "b.py"], ["a.py"], ["a.py"]]
    assert (output / "code" / "a.py").read_text() == "one"
    assert {r["commit"] for r in (first, second, third)} == {commit}
    assert os.path.samefile(output / "code-2" / "a.py", output / "code-3" / "a.py")
    record = json.loads((output / "code-2.json").read_text())
    assert record["id"] == second["snapshot"]
    assert record["info"]["git"] == {
        "commit": commit,
        "branch": "main",
        "remote": "",
        "dirty": True,
        "differing": [
            {"path": "a.py", "change": "modified"},
            {"path": "b.py", "change": "deleted"},
        ],
        "differing_files": 2,
        "note": "",
    }
    assert record["info"]["command"][1:] and record["info"]["selection"]["mode"] == "suffix"
    assert len(record["jobs"]) == 1


def test_another_code_root_in_one_process_is_another_snapshot(tmp_path: Path, write: Any) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, {"a.py": name})
    texts = []
    for name in ("one", "two"):
        there = config(
            tmp_path, code_root=str(tmp_path / name), output_parent_path=str(tmp_path / "o")
        )
        texts.append(where[there]().result()["text"])
    assert texts == ["one", "two"]


def test_a_sweep_shares_one_snapshot(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "project", {"a.py": "one"})
    function = slurm_fn(lambda number: (number, os.environ["SLURMIC_SNAPSHOT"]))
    jobs = function[config(tmp_path)].map_array(range(4))
    assert [job.result()[0] for job in jobs] == [0, 1, 2, 3]
    assert len({job.result()[1] for job in jobs}) == 1
    record = json.loads((tmp_path / "project/runs/slurm_local/code.json").read_text())
    assert record["jobs"] == [job.job_id for job in jobs]


def test_permission_bits_survive_and_secrets_stay_private(tmp_path: Path, write: Any) -> None:
    """A 0600 file that lands in a code folder must not be readable by what its copy allows."""
    project = write(tmp_path / "project", {"a.py": "one", "run.sh": "#!/bin/sh", "key.py": "k"})
    (project / "run.sh").chmod(0o755)
    (project / "key.py").chmod(0o600)
    where[config(tmp_path)]()
    code = project / "runs" / "slurm_local" / "code"
    modes = {path.name: path.stat().st_mode & 0o777 for path in code.iterdir()}
    assert modes == {"a.py": 0o444, "run.sh": 0o555, "key.py": 0o400}


def test_imported_modules_that_are_not_packed_are_named_at_submission(
    tmp_path: Path, write: Any
) -> None:
    """A job should not wait for hours to fail with ModuleNotFoundError."""
    project = write(
        tmp_path / "project",
        {
            "a.py": "one",
            "datasets/__init__.py": "",
            "main.py": textwrap.dedent(
                f"""
                import datasets, warnings
                from slurmic import SlurmConfig, slurm_fn
                config = SlurmConfig(mode="local", pack_code=True, output_parent_path="runs",
                                     store_path={str(tmp_path / "store")!r})
                slurm_fn(lambda: 1)[config]()
                """
            ),
        },
    )
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "datasets (datasets/__init__.py)" in done.stderr
    assert "exclude_code_folders" in done.stderr
    assert "main.py:6: SlurmicWarning" in done.stderr  # the user's line, not one of ours


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"code_root": "{tmp}/missing"}, "missing"),
        ({"code_root": "{tmp}/project/a.py"}, "a.py"),
        ({"code_root": "{tmp}/empty"}, "empty"),
        ({"code_file_suffixes": ["*.py"]}, r"\*\.py"),
        ({"code_file_suffixes": ".py"}, "not a list"),
        ({"exclude_code_folders": [""]}, "exclude_code_folders"),
        ({"output_parent_path": "{tmp}/out/%j"}, "%j.*packing needs a real folder"),
        ({"output_parent_path": "{tmp}/project/a.py/x"}, "cannot be created"),
        ({"code_root": "{tmp}/out/slurm_local", "output_parent_path": "{tmp}/out"}, "code_root"),
        ({"store_path": "{tmp}/newer"}, "has format 99, newer"),
        ({"store_path": "{tmp}/project"}, "not a store"),
        ({"num_of_node": 2}, "one node"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, write: Any, fields: dict[str, Any], message: str
) -> None:
    write(tmp_path, {"project/a.py": "one", "out/slurm_local/a.py": "1"})
    (tmp_path / "empty").mkdir()
    write(
        tmp_path / "newer",
        {"FORMAT": "slurmic store\nformat 99\ndigest x\nmtime-granularity-ns 1\n"},
    )
    before = sorted(tmp_path.rglob("*"))
    filled = {
        name: value.format(tmp=tmp_path) if isinstance(value, str) else value
        for name, value in fields.items()
    }
    with pytest.raises(Exception, match=message) as caught:
        where[config(tmp_path, **filled)]()
    assert "\n" in str(caught.value), "an error says what to do"
    left = [path for path in tmp_path.rglob("*") if path not in before]
    assert [path for path in left if tmp_path / "store" not in (path, *path.parents)] == []
    if (tmp_path / "store").exists():
        plan = plan_gc(Store.open(tmp_path / "store"), grace=0)
        assert not plan.live


def test_a_live_import_fails_the_job_if_asked_to(tmp_path: Path, write: Any) -> None:
    project = write(tmp_path / "project", {"a.py": "one", "datasets/secret.py": "X = 1"})

    def load() -> Any:
        import sys

        sys.path.append(str(project))  # as a script with an absolute path in it does
        import datasets.secret

        return datasets.secret.X

    with pytest.raises(Exception, match=r"datasets(.|\n)*live"):
        slurm_fn(load)[config(tmp_path, on_live_import="error")]()
    job = slurm_fn(load)[config(tmp_path)]()
    assert job.result() == 1
    assert "datasets" in job.stderr() and "live" in job.stderr()


def test_custom_predicates_of_0_2_1_select(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "project", {"a.py": "one", "b.txt": "b", "skip/c.txt": "c"})
    function = where[
        {
            "slurm_config": config(tmp_path),
            "pack_code_include_fn": lambda path, root: path.endswith((".txt", "a.py")),
            "pack_code_exclude_fn": lambda path, root: os.path.relpath(path, root) == "skip",
        }
    ]
    assert function().result()["files"] == ["a.py", "b.txt"]


def test_modes_that_run_here_pack_nothing(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "project", {"a.py": "one"})
    assert slurm_fn(os.getcwd)[config(tmp_path, mode="run")]() == os.getcwd()
    assert slurm_fn(os.getcwd)[config(tmp_path, mode="debug")]().result() == os.getcwd()
    assert not (tmp_path / "store").exists()


def test_warnings_of_the_selection_reach_the_submitter_and_the_record(
    tmp_path: Path, write: Any
) -> None:
    project = write(tmp_path / "project", {"a.py": "one", ".gitignore": "x\n", ".env": "KEY=1"})
    with pytest.warns(SlurmicWarning, match=r"\.env"):
        where[config(tmp_path)]()
    record = json.loads((project / "runs/slurm_local/code.json").read_text())
    assert any(".env" in warning for warning in record["info"]["warnings"])


def test_a_loop_of_submissions_warns_once(tmp_path: Path, write: Any) -> None:
    """Some library changes the warning filters in each submission; then Python says it again."""
    program = """
        import sys, warnings
        import slurmic

        @slurmic.slurm_fn
        def work():
            return 1

        if __name__ == "__main__":
            config = slurmic.SlurmConfig(
                mode="local", pack_code=True, output_parent_path=sys.argv[1], store_path=sys.argv[2]
            )
            for _ in range(3):
                work[config]()
                warnings.filterwarnings("ignore", message="anything")
            work[config]()
    """
    project = write(tmp_path / "project", {"main.py": textwrap.dedent(program), ".gitignore": ""})
    write(project, {".env": "KEY=1"})
    done = subprocess.run(
        [sys.executable, "main.py", str(tmp_path / "out"), str(tmp_path / "store")],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("may hold secrets") == 2  # in two lines of the program


def test_a_warning_that_is_made_an_error_leaves_nothing_behind(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "project", {"a.py": "one", ".gitignore": "", ".env": "KEY=1"})
    with warnings.catch_warnings():
        warnings.simplefilter("error", SlurmicWarning)
        for _ in range(2):
            with pytest.raises(SlurmicWarning, match=r"\.env"):
                where[config(tmp_path, output_parent_path=str(tmp_path / "out"))]()
    assert not list(tmp_path.rglob("code*"))
    assert not list((tmp_path / "store/snapshots").iterdir())


def test_a_map_array_refusal_comes_before_packing(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "project", {"a.py": "one"})
    with pytest.raises(ConfigError, match="keyword"):
        where[config(tmp_path)].map_array([1], b=[2])
    assert not (tmp_path / "store").exists()

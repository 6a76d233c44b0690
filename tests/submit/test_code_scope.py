"""Which jobs share a code folder, and where it is: code_scope and code_stage, in mode "local"."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from slurmic import SlurmConfig, slurm_fn
from slurmic_store import Store, plan_gc, read_records


@slurm_fn
def look(note: str = "") -> dict[str, Any]:
    """What a job sees of its folder; writes a file into it."""
    import os
    import stat
    from pathlib import Path

    if note:
        Path("note.txt").write_text(note)
    files = [path for path in sorted(Path().rglob("*")) if path.is_file() or path.is_symlink()]
    return {
        "cwd": os.getcwd(),
        "code": os.environ["SLURMIC_CODE"],
        "snapshot": os.environ["SLURMIC_SNAPSHOT"],
        "files": {os.fsencode(path): stat.S_IMODE(path.lstat().st_mode) for path in files},
        "text": Path("a.py").read_text(),
        "inode": Path("a.py").stat().st_ino,
    }


def config(tmp_path: Path, **fields: Any) -> SlurmConfig:
    settings = {
        "mode": "local",
        "pack_code": True,
        "code_root": str(tmp_path / "project"),
        "output_parent_path": str(tmp_path / "out"),
        "store_path": str(tmp_path / "store"),
        **fields,
    }
    return SlurmConfig(**settings)


@pytest.fixture
def project(tmp_path: Path, write: Any) -> Path:
    """A tree with all kinds of files and names."""
    root: Path = write(tmp_path / "project", {"a.py": "one", "run.sh": "#!", "pkg/empty.py": ""})
    (root / "run.sh").chmod(0o755)
    (root / "link.py").symlink_to("a.py")
    Path(os.fsdecode(os.fsencode(root) + b"/pkg/\xff\nname.py")).write_text("strange")
    return root


def output(tmp_path: Path) -> Path:
    return tmp_path / "out/slurm_local"


@pytest.mark.parametrize("stage", ["shared", "node"])
@pytest.mark.parametrize("scope", ["submission", "task"])
def test_every_kind_of_folder_holds_the_same(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, stage: str
) -> None:
    """Names, modes, links and contents, wherever the folder comes from."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    plain = look[config(tmp_path)]().result()
    monkeypatch.setenv("TMPDIR", str(temporary))
    seen = look[config(tmp_path, code_scope=scope, code_stage=stage)]().result()
    assert seen["files"] == plain["files"]
    assert len(seen["files"]) == 5
    assert seen["text"] == "one"
    assert seen["code"] == seen["cwd"]
    assert seen["cwd"].startswith(str(temporary)) == (stage == "node")
    assert list(temporary.rglob("*")) == [temporary / f"slurmic-{os.geteuid()}"] * (stage == "node")


def test_each_task_has_a_folder_of_its_own(project: Path, tmp_path: Path) -> None:
    """Tasks that write into their cwd do not meet, and what they write stays."""
    jobs = look[config(tmp_path, code_scope="task")].map_array(["x", "y", "z"])
    folders = [output(tmp_path) / "code-tasks" / job.job_id for job in jobs]
    assert [job.result()["cwd"] for job in jobs] == [str(folder) for folder in folders]
    assert [(folder / "note.txt").read_text() for folder in folders] == ["x", "y", "z"]
    assert not (output(tmp_path) / "code/note.txt").exists()
    assert len({job.result()["inode"] for job in jobs}) == 1  # links of one blob


def test_tasks_do_not_depend_on_the_store(project: Path, tmp_path: Path) -> None:
    """What a task that is yet to start needs is kept by its record; a store that is lost all the
    same costs the links, and nothing else."""
    first = config(tmp_path, code_scope="task", setup=[f"rm -rf {tmp_path}/store/blobs"])
    seen = look[first]().result()
    assert seen["text"] == "one"
    assert Path(seen["cwd"]).parent == output(tmp_path) / "code-tasks"


def test_gc_keeps_what_tasks_are_yet_to_build(project: Path, tmp_path: Path) -> None:
    """The record's anchor is the submission's code folder, which lives as long as the outputs."""
    look[config(tmp_path, code_scope="task")]()
    store = Store.open(str(tmp_path / "store"), create=False)
    stats = plan_gc(store, grace=0, now=time.time() + 9e6).execute()
    assert (stats.records, stats.trees, stats.blobs) == (0, 0, 0)
    shutil.rmtree(tmp_path / "out")
    stats = plan_gc(store, grace=0, now=time.time() + 9e6).execute()
    assert (stats.records, stats.trees) == (1, 1)


def test_an_equal_tree_reuses_the_newest_folder(project: Path, tmp_path: Path) -> None:
    """Fifty submissions of an unchanged tree into one output path are one code folder, whose
    record names all the jobs."""
    settings = config(tmp_path, code_scope="tree")
    jobs = [look[settings]() for _ in range(3)]
    code = output(tmp_path) / "code"
    assert [job.result()["cwd"] for job in jobs] == [str(code)] * 3
    assert len({job.result()["snapshot"] for job in jobs}) == 1
    ids = [job.job_id for job in jobs]
    beside = json.loads((output(tmp_path) / "code.json").read_text())
    assert beside["jobs"] == ids
    [record] = read_records(Store.open(str(tmp_path / "store"), create=False))
    assert list(record.jobs) == ids
    assert not (output(tmp_path) / "code-2").exists()


def test_another_tree_or_a_touched_folder_is_not_reused(project: Path, tmp_path: Path) -> None:
    """An edit; a job that has written into its cwd; a packed file that was changed in place. What
    stands in an older folder than the newest is not looked for."""
    settings = config(tmp_path, code_scope="tree")

    def folder(note: str = "") -> str:
        return Path(look[settings](note).result()["cwd"]).name

    assert folder() == "code"
    (project / "a.py").write_text("two")
    assert folder() == "code-2"
    (project / "a.py").write_text("one")
    assert folder() == "code-3"
    bytecode = output(tmp_path) / "code-3/__pycache__"
    bytecode.mkdir()
    (bytecode / "a.cpython-311.pyc").write_bytes(b"x")
    assert folder("written by a job") == "code-3"
    assert folder() == "code-4"
    changed = output(tmp_path) / "code-4/a.py"
    changed.chmod(0o644)
    changed.write_text("eno")
    assert folder() == "code-5"


def test_a_failed_submission_leaves_a_reused_folder_alone(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(tmp_path, code_scope="tree")
    first = look[settings]()
    before = sorted(os.listdir(output(tmp_path)))

    def broken(*_: Any) -> None:
        raise TypeError("cannot be pickled")

    class Unpicklable:
        __reduce__ = broken

    with pytest.raises(TypeError):
        look[settings](Unpicklable())
    assert sorted(os.listdir(output(tmp_path))) == before
    beside = json.loads((output(tmp_path) / "code.json").read_text())
    assert beside["jobs"] == [first.job_id]
    assert look[settings]().result()["cwd"] == str(output(tmp_path) / "code")


def test_a_folder_whose_submission_is_not_over_is_not_reused(project: Path, tmp_path: Path) -> None:
    """Until its jobs are recorded, a submission may fail, and take its folder away."""
    settings = config(tmp_path, code_scope="tree")
    look[settings]()
    for record in (
        output(tmp_path) / "code.json",
        *(tmp_path / "store/snapshots").glob("*.json"),
    ):
        text = json.loads(record.read_text())
        record.chmod(0o644)
        record.write_text(json.dumps({**text, "jobs": []}))
    assert Path(look[settings]().result()["cwd"]).name == "code-2"


def test_a_node_says_what_goes_away_with_its_copy(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    job = look[config(tmp_path, code_stage="node")]("lost")
    assert job.result()["files"].keys() >= {b"note.txt"}
    said = job.stderr() or ""
    assert "goes away with the node's copy" in said
    assert "'note.txt'" in said
    assert (output(tmp_path) / "code.tar.zst").is_file()


@pytest.mark.parametrize(("scope", "name"), [("submission", "code"), ("task", "code-tasks/*")])
def test_a_node_without_room_runs_from_the_shared_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, name: str
) -> None:
    """Here its temporary folder is not safe to use; a full disk is the same to the job."""
    (tmp_path / f"slurmic-{os.geteuid()}").mkdir(mode=0o777)
    (tmp_path / f"slurmic-{os.geteuid()}").chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    job = look[config(tmp_path, code_stage="node", code_scope=scope)]()
    [folder] = output(tmp_path).glob(name)
    assert job.result()["cwd"] == str(folder)
    assert "the job runs from the shared filesystem instead" in (job.stderr() or "")


def test_a_refused_submission_leaves_no_archive(project: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        look[config(tmp_path, code_stage="node")](thread for thread in ())
    assert not (tmp_path / "out").exists()

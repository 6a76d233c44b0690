"""References: what a person may write for a snapshot, and what is said of anything else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from slurmic.inspect.references import FoundSnapshot, resolve_reference
from slurmic_store import (
    SnapshotOptions,
    SnapshotRecord,
    Store,
    UnknownSnapshotError,
    pin,
    read_record,
    take_snapshot,
)
from slurmic_store.store.records import write_record

TREE = "0123456789abcdef0123456789abcdef"


class Scene:
    """A store with records, and folders as submissions leave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store.open(folder / "store")

    def record(
        self, snapshot_id: str, code: str = "", *, tree: str = TREE, jobs: tuple[str, ...] = ()
    ) -> SnapshotRecord:
        """Publish a record; the code folder need not exist."""
        anchors = (os.fsencode(self.folder / code),) if code else ()
        record = SnapshotRecord(
            snapshot_id, 1.7e9 + int(snapshot_id[7:13]), tree, anchors, jobs=jobs
        )
        write_record(self.store, record)
        return record

    def take(self, output: str) -> SnapshotRecord:
        """A real snapshot, with its code folder and what lies beside it."""
        project = self.folder / "project"
        project.mkdir(exist_ok=True)
        (project / "a.py").write_text(output)
        snapshot = take_snapshot(
            self.store,
            os.fsencode(project),
            [b"a.py"],
            output_folder=os.fsencode(self.folder / output),
            options=SnapshotOptions(info=lambda: {"code_root": str(project)}),
        )
        return read_record(self.store, snapshot.record.id)

    def find(self, reference: str, store: bool = True) -> FoundSnapshot:
        return resolve_reference(reference, self.store if store else None, cwd=str(self.folder))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_ids_and_parts_of_them(scene: Scene) -> None:
    first = scene.record("261122-120000-abc123")
    second = scene.record("261122-130000-abd456")
    assert scene.find(first.id).record == first
    assert scene.find("261122-12").record == first
    assert scene.find("abd4").record == second
    with pytest.raises(UnknownSnapshotError, match="fits ids of 2 snapshots") as caught:
        scene.find("261122")
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [second.id, first.id], "newest first"
    with pytest.raises(UnknownSnapshotError, match="did you mean"):
        scene.find("abd457")
    for too_short in ("abd", "4", "", "."):
        with pytest.raises(UnknownSnapshotError):
            scene.find(too_short)


def test_jobs_and_arrays(scene: Scene) -> None:
    one = scene.record("261122-120000-aaaaaa", jobs=("1234", "77"))
    array = scene.record("261122-130000-bbbbbb", jobs=("1240_[0-9999]",))
    assert scene.find("1234").record == one
    for job in ("1240", "1240_7", "1240_[0-9999]"):
        assert scene.find(job).record == array, job
    with pytest.raises(UnknownSnapshotError) as caught:
        scene.find("1240_10000")
    assert "1240 (10,000 tasks)" in str(caught.value)
    again = scene.record("261122-140000-cccccc", jobs=("1234",))
    with pytest.raises(UnknownSnapshotError, match="fits jobs of 2 snapshots") as caught:
        scene.find("1234")
    assert one.id in str(caught.value) and again.id in str(caught.value)


def test_a_job_comes_before_an_id_that_begins_so(scene: Scene) -> None:
    """Job ids and the dates in snapshots' ids are numbers alike."""
    dated = scene.record("261122-120000-123499")
    found = scene.find("1234")
    assert found.record == dated
    assert "no snapshot has a job '1234'" in found.notes[0]
    ran = scene.record("261122-130000-aaaaaa", jobs=("1234",))
    assert scene.find("1234").record == ran
    assert scene.find("1234").notes == ()


def test_pins(scene: Scene) -> None:
    first = scene.record("261122-120000-abcdef")
    pin(scene.store, first.id, "baseline")
    assert scene.find("baseline").record == first
    second = scene.record("261122-130000-bbbbbb")
    pin(scene.store, second.id, "abcd")
    assert scene.find("abcd").record == second, "a whole name before the beginning of another"
    other = scene.record("261122-140000-cccccc")
    pin(scene.store, other.id, "abcd")
    with pytest.raises(UnknownSnapshotError, match="fits pins of 2 snapshots"):
        scene.find("abcd")


def test_trees(scene: Scene) -> None:
    scene.record("261122-120000-aaaaaa", tree="ab" * 16)
    newest = scene.record("261122-130000-bbbbbb", tree="ab" * 16)
    found = scene.find("ababab")
    assert found.record == newest and "2 snapshots are of tree" in found.notes[0]
    with pytest.raises(UnknownSnapshotError):
        scene.find("ababa")
    scene.record("261122-140000-cccccc", tree="ababab" + "cd" * 13)
    with pytest.raises(UnknownSnapshotError, match="fits trees of 3 snapshots"):
        scene.find("ababab")
    assert scene.find("abababab").record == newest


def test_folders_and_what_is_in_them(scene: Scene) -> None:
    first, second = scene.take("out"), scene.take("out")
    assert scene.find("out/code").record == first
    assert scene.find("out/code/a.py").record == first
    assert scene.find("out/code-2/deep/new.log").record == second
    assert scene.find("out/code-2.json").record == second
    for path in ("out", "./out/", "out/log.txt", str(scene.folder / "out")):
        found = scene.find(path)
        assert found.record == second and "2 snapshots" in found.notes[0], path
    assert scene.find("project/../out/code").kind == "folder"


def test_the_folder_of_a_single_task(scene: Scene) -> None:
    """With code_scope="task" each task runs from a folder of its own, beside the code folder."""
    first, second = scene.take("out"), scene.take("out")
    for name in ("code-tasks/12_7/a.py", "code-tasks"):
        assert scene.find(f"out/{name}").record == first, name
    assert scene.find("out/code-2-tasks/13").record == second
    assert scene.find("out/code-tasks/12_7").folder == first.code_folder


def test_a_folder_that_is_gone_is_found_by_its_name(scene: Scene) -> None:
    record = scene.take("out")
    shutil.rmtree(scene.folder / "out")
    assert scene.find("out/code").record == record
    assert scene.find("out").record == record


def test_a_folder_reached_by_another_way(scene: Scene) -> None:
    record = scene.take("out")
    (scene.folder / "link").symlink_to("out")
    assert scene.find("link/code/a.py").record == record
    (scene.folder / "out" / "code.json").unlink()
    assert scene.find("link/code/a.py").record == record


def test_a_folder_that_was_moved(scene: Scene) -> None:
    record = scene.take("out")
    os.rename(scene.folder / "out", scene.folder / "kept")
    for path in ("kept", "kept/code", "kept/code/a.py"):
        for with_store in (True, False):
            found = scene.find(path, with_store)
            assert found.record.id == record.id
            assert found.folder == os.fsencode(scene.folder / "kept" / "code")
            assert found.was_moved
            assert (found.store is not None) == with_store


def test_a_path_used_again_means_its_newest(scene: Scene) -> None:
    """Somebody deletes an output folder and submits to the same path again."""
    first = scene.take("out")
    shutil.rmtree(scene.folder / "out")
    second = scene.take("out")
    found = scene.find("out/code")
    assert found.record == second and first.id in found.notes[0]


def test_a_named_folder_claims_nothing_around_it(scene: Scene) -> None:
    """``slurmic snapshot --output DIR`` may put DIR into any folder, such as one's home."""
    record = scene.record("261122-120000-aaaaaa", "home/frozen")
    (scene.folder / "home" / "frozen").mkdir(parents=True)
    assert scene.find("home").record == record
    with pytest.raises(UnknownSnapshotError):
        scene.find("home/something/else")


def test_the_folder_above_the_only_output_folder(scene: Scene) -> None:
    """``output_parent_path="runs/a"`` makes runs/a/slurm, and people remember runs/a."""
    scene.take("runs/a/slurm")
    second = scene.take("runs/a/slurm")
    found = scene.find("runs/a")
    assert found.record == second
    assert "only output folder in it" in found.notes[0] and "runs/a/slurm'" in found.notes[0]
    scene.take("runs/a/more/slurm")
    with pytest.raises(UnknownSnapshotError, match="has to do with"):
        scene.find("runs/a")


def test_what_is_unknown_gets_what_has_to_do_with_it(scene: Scene) -> None:
    record = scene.take("runs/1/out")
    scene.take("runs/2/out")
    for path in ("./project", "./runs"):
        with pytest.raises(UnknownSnapshotError, match="has to do with") as caught:
            scene.find(path)
        assert record.id in str(caught.value)
    with pytest.raises(UnknownSnapshotError, match="the newest are") as caught:
        scene.find("zzz")
    assert record.id in str(caught.value)
    with pytest.raises(UnknownSnapshotError, match=r"no snapshot '\./nowhere' beside it"):
        scene.find("./nowhere", store=False)


def test_a_damaged_record_hides_no_other(scene: Scene) -> None:
    record = scene.record("261122-120000-aaaaaa", jobs=("5",))
    Path(os.fsdecode(scene.store.snapshots), "261122-130000-bbbbbb.json").write_text("{")
    assert scene.find("5").record == record
    with pytest.raises(UnknownSnapshotError, match=r"261122-130000-bbbbbb\.json' is damaged"):
        scene.find("6")


def test_hostile_names_stay_harmless(scene: Scene) -> None:
    record = scene.record("261122-120000-aaaaaa", "a\x1b[31m\nb/code")
    assert scene.find("a\x1b[31m\nb/").record == record
    with pytest.raises(UnknownSnapshotError) as caught:
        scene.find("a\x1b[32m\n")
    assert "\x1b" not in str(caught.value)

"""docs/json.md says what --json writes: all of it, and nothing else."""

from __future__ import annotations

import json
import os
import re
import typing
from pathlib import Path
from typing import Any

import pytest
from json_fields import DOCUMENT, json_fields, json_values

from slurmic.selection import PathKind, Reason


@pytest.fixture
def run(run_here: Any) -> Any:
    return run_here


@pytest.fixture
def project(tmp_path: Path, write: Any, git_commit: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "store"))
    folder: Path = write(tmp_path / "project", {"a.py": "a = 1\n", "b.sh": "", ".gitignore": "x\n"})
    git_commit(folder)
    return folder


def objects(done: Any) -> list[dict[str, Any]]:
    assert done.stdout.isascii()
    return [json.loads(line) for line in done.stdout.splitlines()]


def literals(kind: Any) -> set[str]:
    """The values of a Literal, or of several."""
    if typing.get_origin(kind) is typing.Literal:
        return set(typing.get_args(kind))
    return set().union(*map(literals, typing.get_args(kind)))


def test_all_reasons_and_kinds_are_documented() -> None:
    assert json_values("why: reason") == literals(Reason)
    section = DOCUMENT.read_text().partition("\n## why\n")[2].partition("\n## ")[0]
    (kinds,) = re.findall(r"^\| `kind` \| (.*) \|$", section, flags=re.MULTILINE)
    assert set(re.findall(r'`"(\w+)"`', kinds)) == literals(PathKind)


def test_every_section_is_there_once() -> None:
    headings = re.findall(r"^#+ .*", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert len(headings) == len(set(headings))


def test_every_command_writes_the_fields_that_are_documented(
    run: Any, project: Path, tmp_path: Path
) -> None:
    assert run("snapshot", "project", "--output", "out/code").returncode == 0
    (project / "a.py").write_text("a = 2\n")
    (project / "b.sh").unlink()
    (project / "b.sh").symlink_to("a.py")

    for command in ("files", "why"):
        arguments = ["x", "a.py"] if command == "why" else []
        found = objects(run(command, "--json", *arguments, cwd=project))
        assert len(found) >= 2
        assert all(each.keys() == json_fields(command) for each in found)

    (listed,) = objects(run("ls", "--json"))
    assert listed.keys() == json_fields("ls")
    assert listed["info"].keys() <= json_fields("info")
    assert listed["info"]["git"].keys() == json_fields("info: git")
    assert listed["info"]["selection"].keys() == json_fields("info: selection")

    (shown,) = objects(run("show", "out", "--json"))
    assert shown.keys() == json_fields("ls") | json_fields("show")
    assert {name: shown[name] for name in listed} == listed
    (shown,) = objects(run("show", ".", "--json", cwd=project))
    assert shown.keys() == json_fields("ls") | json_fields("show")
    assert shown["info"].keys() <= json_fields("info")
    assert shown["info"]["git"].keys() == json_fields("info: git")
    assert shown["info"]["selection"].keys() == json_fields("info: selection")
    assert shown["id"] is None and shown["files"] == 3

    changes = objects(run("diff", "out", "--json"))
    assert [(each["path"], each["change"]) for each in changes] == [
        ("a.py", "changed"),
        ("b.sh", "type"),
    ]
    for change in changes:
        assert change.keys() == json_fields("diff")
        assert change["old"].keys() == change["new"].keys() == json_fields("diff: old, new")
    assert changes[1]["new"]["target"] == "a.py" and changes[1]["new"]["mode"] is None

    packed = tmp_path / "out" / "code" / "a.py"
    packed.chmod(0o644)
    packed.write_text("changed by a job")
    (finding, *_) = objects(run("verify", "out/code", "--json"))
    assert finding.keys() == json_fields("verify")


def test_the_info_of_a_submission_has_every_field_that_is_documented(
    run: Any, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And no other; an imported snapshot says which process imported it, and from where."""
    (project / "a.py").write_text("a = 2\n")
    command = ("--mode", "local", "--job-name", "train", "--", "true")
    assert run("submit", *command, cwd=project).returncode == 0
    (listed,) = objects(run("ls", "--json"))
    info = listed["info"]
    assert info.keys() == json_fields("info") - {"imported_from"}
    assert info["git"].keys() == json_fields("info: git")
    assert info["git"]["differing"] == [{"path": "a.py", "change": "modified"}]
    assert info["selection"].keys() == json_fields("info: selection")

    assert run("export", "project/slurm_local", "-o", "code.tar").returncode == 0
    monkeypatch.setenv("SLURMIC_STORE", str(tmp_path / "other"))
    assert run("import", "code.tar", "--name", "theirs").returncode == 0
    (imported,) = objects(run("ls", "--json"))
    process = {"command", "host", "user", "python", "slurmic"}
    assert imported["info"].keys() == process | {"imported_from"}


def test_job_states(
    tmp_path: Path, records: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho '5|RUNNING|0:01|n1|None'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    records.add("261122-120000-aaaaaa", 1.7e9, jobs=("5",))
    (shown,) = objects(run("show", "5", "--json"))
    (state,) = shown["job_states"]
    assert state.keys() == json_fields("show: job_states")
    assert (state["job"], state["state"]) == ("5", "RUNNING")

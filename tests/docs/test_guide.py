"""docs/guide.md is true: its commands are run, and write what it shows.

After a change of what a command writes, run this with SLURMIC_REWRITE_GUIDE=1, which puts the
outputs of now into the page; and read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from slurmic.snapshot import PackRequest, pack_code
from slurmic_store import CodeFolderName

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"

_COMMANDS = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_IDS = {"baseline": "261122-174000-3f9a1c", "wide": "261123-091500-b07d52"}

TRAIN = "from model import Net\n\nnet = Net(width=64)\nnet.fit(steps=1000)\n"
MODEL = "class Net:\n    def __init__(self, width):\n        self.width = width\n"


@pytest.fixture
def ada(tmp_path: Path, write: Any, git_commit: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The world of the guide: a project, two runs of it two days ago, and an edit since."""
    store, project = tmp_path / ".slurmic", tmp_path / "project"
    monkeypatch.setenv("SLURMIC_STORE", str(store))
    monkeypatch.setenv("TZ", "UTC")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "slurmic"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m slurmic "$@"\n')
    program.chmod(0o755)
    for name in ("git", "rm", "env"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "/missing")
    # No Slurm: what it would say of jobs 4711 and 4712 is another test's affair.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2026-11-20T12:00:00Z")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-20T12:00:00Z")
    write(project, {"train.py": TRAIN, "model.py": MODEL, "config.yaml": "seed: 1\n"})
    write(project, {".gitignore": "runs/\n"})
    git_commit(project)
    _submit(project, store, "baseline", ("4711_[0-3]",), age=2)
    (project / "train.py").write_text(TRAIN.replace("64", "256"))
    _submit(project, store, "wide", ("4712",), age=1)
    write(project, {"train.py": TRAIN.replace("1000", "5000"), "notes.py": "# to do\n"})
    for kind in ("blobs", "trees"):
        for path in (store / kind).glob("*/*"):
            status = path.stat()
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns - 86400 * 10**9))
    return project


def _submit(project: Path, store: Path, run: str, jobs: tuple[str, ...], age: int) -> None:
    """What a submission leaves, `age` days ago."""
    packed = pack_code(
        PackRequest(
            str(project),
            (".py", ".yaml"),
            (".git",),
            str(project / "runs" / run),
            store_path=str(store),
            about={
                "job_name": run,
                "mode": "slurm",
                "command": ["python", "train.py"],
                "host": "login1",
                "user": "ada",
                "python": "3.12.1",
                "slurmic": "0.3.0",
            },
        )
    )
    packed.attach_jobs(jobs)
    record = packed.record
    folder = CodeFolderName(record.code_folder or b"")
    for path in (store / "snapshots" / f"{record.id}.json", Path(os.fsdecode(folder.record))):
        values = json.loads(path.read_bytes())
        values["created"] = time.time() - age * 86400
        values["jobs"] = list(jobs)
        path.unlink()
        path.write_text(json.dumps(values, indent=1).replace("{\n ", "{", 1))


def _loosely(page: str) -> str:
    """A page without what du says of blocks, and the spaces and bars that come of it."""
    page = re.sub(r"[\d.]+ [kM]?B", "SIZE", page)
    page = re.sub(r"(SIZE +)\d+( +)[#-]+( +/| +pinned)", r"\1INODES\2BAR\3", page)
    return re.sub(r" +", " ", page)


def _shown(text: str, project: Path, ids: dict[str, str]) -> str:
    """What a command has written, with what is different each time as the guide has it."""
    text = text.replace(str(project.parent), "/scratch/ada")
    for found, instead in ids.items():
        text = text.replace(found, instead)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-11-22 17:40", text)
    text = re.sub(r"─+", "─" * 60, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def rendered(page: str, project: Path) -> str:
    """The page with the outputs that its commands have now."""
    ids = {
        json.loads((project / "runs" / run / "code.json").read_bytes())["id"]: instead
        for run, instead in _IDS.items()
    }

    def run(match: re.Match[str]) -> str:
        block = ""
        for line in match[0].splitlines():
            if line.startswith("$ "):
                done = subprocess.run(
                    ["/bin/bash", "-c", line[2:]],
                    cwd=project,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                block += f"{line}\n{_shown(done.stdout.decode(), project, ids)}"
        return block

    return _COMMANDS.sub(run, page)


def test_the_guide_shows_what_its_commands_write(ada: Path) -> None:
    page = GUIDE.read_text()
    now = rendered(page, ada)
    if "SLURMIC_REWRITE_GUIDE" in os.environ:
        GUIDE.write_text(now)
        return
    assert _loosely(now) == _loosely(page)

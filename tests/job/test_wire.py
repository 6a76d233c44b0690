"""What travels keeps its names: jobs that 0.3.0 has submitted start, whatever is rebuilt since.

The data in ``wire/0.3.0`` were written by ``wire/make.py`` when 0.3.0 was current, and stay.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import pickletools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmic.job import wire

sys.path.insert(0, str(Path(__file__).parent / "wire"))
import make

DATA = Path(make.__file__).with_name("0.3.0")

# srun, as far as a job on one node needs it, and the clients that a job asks.
PROGRAMS = {
    "srun": """\
while :; do case "$1" in --output|--error) shift 2;; --*) shift;; *) exec "$@";; esac; done
""",
    "scontrol": "echo localhost\n",
    "squeue": "echo 1:00:00\n",
}


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a path of the length that the data have room for."""
    return make.padded(tmp_path_factory.mktemp("w"))


def run(root: Path, job: str, task: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a job's script as Slurm would; its output."""
    programs = root / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}")
        (programs / name).chmod(0o755)
    of_array = {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": task} if task else {}
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SLURM_JOB_ID": job,
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_NTASKS": "1",
        "SLURM_NODEID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_PROCID": "0",
        **of_array,
        **variables,
    }
    script = root / "slurm" / f"{job}_submission.sh"
    return subprocess.run(
        ["bash", str(script)], env=environment, capture_output=True, text=True, check=False
    )


def outcome(root: Path, name: str) -> object:
    return pickle.loads((root / "slurm" / f"{name}_0_result.pkl").read_bytes())


def test_jobs_that_0_3_0_has_submitted_run_to_their_end(root: Path) -> None:
    make.lay(DATA, root)
    single = run(root, "11")
    assert single.returncode == 0, single.stdout + single.stderr
    assert outcome(root, "11") == ("success", 9)
    for task, result in ("0", 2), ("2", 6):
        assert run(root, "12", task).returncode == 0
        assert outcome(root, f"12_{task}") == ("success", result)
    command = run(root, "13")
    assert (command.returncode, command.stdout) == (0, "said\n"), command.stderr
    distributed = run(root, "14")
    assert distributed.returncode == 0, distributed.stdout + distributed.stderr
    assert outcome(root, "14") == ("success", 0)
    assert "\n1\n" in distributed.stdout  # what its launch command says: {num_processes}


def test_jobs_that_0_3_0_has_pickled_are_jobs(root: Path) -> None:
    make.lay(DATA, root)
    single, first, *_, distributed = pickle.loads((root / "jobs.pkl").read_bytes())
    assert (single.job_id, first.job_id, distributed.job_id) == ("11", "12_0", "14")
    assert single.code_folder == str(root / "slurm/code")
    assert first.code.snapshot


def globals_in(pickled: bytes) -> Iterator[str]:
    """The names of ours that a stream of pickles imports."""
    start = 0
    while start < len(pickled):
        texts: list[str] = []
        for code, argument, place in pickletools.genops(pickled[start:]):
            if code.name == "STACK_GLOBAL":
                texts.append(".".join(texts[-2:]))
                if texts[-1].startswith("slurmic"):
                    yield texts[-1]
            elif code.name == "GLOBAL":
                if str(argument).startswith("slurmic"):
                    yield str(argument).replace(" ", ".")
            elif isinstance(argument, str):
                texts.append(argument)
            if code.name == "STOP":
                start += (place or 0) + 1
                break


def names_in_pickles(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.glob("slurm/*_submitted.pkl"):
        found |= {*globals_in(path.read_bytes())}
        found |= {
            *globals_in(pickle.loads(path.read_bytes()).function.__dict__.get("payload", b""))
        }
    found |= {*globals_in((folder / "jobs.pkl").read_bytes())}
    calls = (folder / "slurm/12_calls.bin").read_bytes()
    # The index is the last pickle; it ends before two numbers of 8 bytes, the first its place.
    place = int.from_bytes(calls[-16:-8], "little")
    return found | {*globals_in(calls[place:-16])}


def test_what_is_written_today_has_promised_names_only(root: Path, tmp_path: Path) -> None:
    """A class that is pickled under a new name would be a promise that nobody has decided on."""
    make.make(root)
    make.collect(root, tmp_path)
    today = names_in_pickles(tmp_path)
    assert today <= wire.PICKLED
    assert "slurmic.job.call.FrozenCall" in today and "slurmic.job.calls.CallsIndex" in today
    assert names_in_pickles(DATA) <= wire.PICKLED
    for script in tmp_path.glob("slurm/*.sh"):
        text = script.read_text()
        called = re.findall(r"from (slurmic[\w.]*) import (\w+)", text)
        assert {".".join(each) for each in called} <= wire.IN_SCRIPTS
        [note] = re.findall(r"^# slurmic: (.*)$", text, re.MULTILINE)
        assert json.loads(note).keys() <= wire.NOTE_FIELDS
        exported = re.findall(r"\b(SLURMIC_\w+)=", text)
        assert {*exported} <= wire.VARIABLES


@pytest.mark.parametrize("name", sorted(wire.PICKLED | wire.IN_SCRIPTS))
def test_promised_names_are_there(name: str) -> None:
    module, _, what = name.rpartition(".")
    assert hasattr(importlib.import_module(module), what)

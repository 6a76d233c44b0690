"""The task of a distributed job, and what becomes of its launch command, without a cluster."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import submitit

from slurmic import PyTorchDistributedTask, SlurmConfig, slurm_fn


def settings(tmp_path: Path, command: str, **fields: Any) -> SlurmConfig:
    return SlurmConfig(
        output_parent_path=str(tmp_path),
        use_distributed_env=True,
        distributed_launch_command=command,
        **{"mode": "local", **fields},
    )


def is_running(pid: str) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def never_called() -> None:
    raise AssertionError("the launch command's program calls it")


def test_a_task_that_gives_up_takes_its_processes_along(tmp_path: Path) -> None:
    """Each signal is a time-out here, and there are three: then the job fails, and says why. In a
    process of its own on this machine there is no Slurm to end what it has started."""
    pids = tmp_path / "pids"
    command = f"echo $$ >> {pids}; sleep 1; kill -USR2 $PPID; exec sleep 1000; :"
    with pytest.raises(submitit.core.utils.FailedJobError, match="timed-out too many times"):
        slurm_fn(never_called)[settings(tmp_path, command, timeout_min=5), None, None, None, []]()
    started = pids.read_text().split()
    assert len(started) == 4
    assert not any(is_running(pid) for pid in started)


def test_a_task_that_fails_does_not_wait_for_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Slurm, too: waiting for the command to end by itself, it was killed with it at the end of
    the time limit, and nobody learned why."""
    names = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1"}
    names |= {"MASTER_ADDR": "n1", "MASTER_PORT": "12345"}  # the task sets them: for its job
    for name, value in names.items():
        monkeypatch.setenv(name, value)

    def give_up(*_: object) -> None:
        raise submitit.core.utils.UncompletedJobError("timed-out too many times")

    pid = tmp_path / "pid"
    command = f"echo $$ > {pid}; sleep 1; kill -USR2 $PPID; exec sleep 1000; :"
    task = PyTorchDistributedTask(command, [], settings(tmp_path, command, mode="slurm"))
    before = signal.signal(signal.SIGUSR2, give_up)
    try:
        with pytest.raises(submitit.core.utils.UncompletedJobError):
            task()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert not is_running(pid.read_text().strip())


def test_arguments_reach_the_command_as_they_were_given(tmp_path: Path) -> None:
    """Quotes, spaces, line ends, what a shell would expand, and bytes that are no text."""
    out = tmp_path / "out"
    awkward = ["it's", '"quoted" $HOME `date`', "", "a\nb", "*", "für", os.fsdecode(b"\xff"), "\\"]
    command = 'python3 -c \'import os, sys; open(os.environ["OUT"], "wb").write(b"|".join(map(os.fsencode, sys.argv[1:])))\''  # noqa: E501
    task = {"OUT": str(out)}
    slurm_fn(never_called)[settings(tmp_path, command), None, None, task, awkward]()
    assert out.read_bytes() == b"|".join(map(os.fsencode, awkward))

"""Programs started from the shell: slurm_launcher, and the two launches of a distributed one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .cluster import FINISHED, SlurmCluster
from .project import Project

PROGRAM = """
    import json
    import os
    from dataclasses import dataclass, field
    from pathlib import Path

    import slurmic
    import trainer

    @dataclass
    class Args:
        report: str = "report"
        lr: float = 1e-3
        slurm: slurmic.SlurmConfig = field(default_factory=slurmic.SlurmConfig)

    @slurmic.slurm_launcher(Args)
    def main(args: Args):
        import trainer.late

        names = ("RANK", "WORLD_SIZE", "MACHINE_RANK")
        seen = {
            "lr": args.lr,
            "cwd": os.getcwd(),
            "file": trainer.late.__file__,
            "version": trainer.VERSION,
            "ranks": [os.environ.get(name) for name in names],
        }
        Path(args.report).mkdir(exist_ok=True)
        Path(args.report, str(os.getpid())).write_text(json.dumps(seen))
        return seen["lr"] * 2

    if __name__ == "__main__":
        outcome = main()
        if hasattr(outcome, "job_id"):
            print("submitted", outcome.job_id, flush=True)
        else:
            print("value", outcome, flush=True)
    """


def reports(folder: Path) -> list[dict[str, object]]:
    """What the runs of the program's main have written, in the order of their ranks."""
    read = [json.loads(path.read_text()) for path in folder.iterdir()]
    return sorted(read, key=lambda seen: str(seen["ranks"]))


@pytest.mark.parametrize("mode", ["slurm", "local", "run"])
def test_launcher_from_the_shell(
    cluster: SlurmCluster, project: Project, tmp_path: Path, mode: str
) -> None:
    """The same program in three modes; the program that only submits ends before its job starts,
    and the tree is edited in between."""
    project.script(PROGRAM)
    arguments = ["--lr", "0.5", "--report", str(tmp_path / "report"), "--slurm.mode", mode]
    if mode == "slurm":
        with cluster.queue_closed():
            script = project.run(*arguments, "--slurm.pack-code", "--slurm.partition", "main")
            project.set_version("newer")
        assert cluster.wait_for(script.line("submitted")) == "COMPLETED"
        code = project.root / "slurm/code"
    elif mode == "local":
        project.run(*arguments, "--slurm.pack-code").line("submitted")
        code = project.root / "slurm_local/code"
    else:
        assert project.run(*arguments).line("value") == "1.0"
        code = project.root
    [seen] = reports(tmp_path / "report")
    assert seen == {
        "lr": 0.5,
        "cwd": str(code),
        "file": str(code / "src/trainer/late.py"),
        "version": "one",
        "ranks": [None, None, None],
    }


LAUNCHER = '''
"""What torchrun and accelerate do, in small: meet the other machines, start the processes."""

import argparse
import os
import socket
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
for name in ("processes", "machines", "rank", "port"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--ip", required=True)
parser.add_argument("script", nargs=argparse.REMAINDER)
options = parser.parse_args()

if options.rank == 0:
    with socket.create_server((options.ip, options.port)) as server:
        for _ in range(options.machines - 1):
            server.accept()[0].close()
else:
    for _ in range(200):
        try:
            socket.create_connection((options.ip, options.port)).close()
            break
        except OSError:
            time.sleep(0.1)
    else:
        sys.exit("nobody to meet")

each = options.processes // options.machines
started = []
for rank in range(options.rank * each, (options.rank + 1) * each):
    ranks = {"RANK": rank, "WORLD_SIZE": options.processes, "MACHINE_RANK": options.rank}
    environment = os.environ | {name: str(value) for name, value in ranks.items()}
    started.append(subprocess.Popen([sys.executable, *options.script], env=environment))
sys.exit(max(process.wait() for process in started))
'''

COMMAND = (
    "python -m launcher --processes {num_processes} --machines {num_machines}"
    " --rank {machine_rank} --ip {main_process_ip} --port {main_process_port} scripts/train.py"
)

DISTRIBUTED = ["--slurm.use-distributed-env", "--slurm.pack-code"]


@pytest.mark.parametrize(
    ("nodes", "tasks", "processes"), [(2, 1, 2), (1, 2, 1)], ids=["two nodes", "two tasks"]
)
def test_distributed_program(
    cluster: SlurmCluster, project: Project, tmp_path: Path, nodes: int, tasks: int, processes: int
) -> None:
    """Two launches: the first one works out the rendezvous, the second one, by the user's launch
    command on every node, runs main. Both from the frozen copy, processes of processes included."""
    project.script(PROGRAM)
    project.write("tools/launcher.py", LAUNCHER)
    arguments = [
        *("--lr", "0.5", "--report", str(tmp_path / "report")),
        *("--slurm.mode", "slurm", *DISTRIBUTED),
        *("--slurm.num-of-node", str(nodes), "--slurm.tasks-per-node", str(tasks)),
        *("--slurm.processes-per-task", str(processes)),
        *("--slurm.distributed-launch-command", COMMAND),
    ]
    with cluster.queue_closed():
        job_id = project.run(*arguments).line("submitted")
        project.set_version("newer")
    state = cluster.wait_for(job_id, *FINISHED)
    log = Path(cluster.show(job_id)["StdOut"]).read_text()
    assert state == "COMPLETED", log
    code = project.root / "slurm/code"
    total = nodes * tasks * processes
    expected = [
        {
            "lr": 0.5,
            "cwd": str(code),
            "file": str(code / "src/trainer/late.py"),
            "version": "one",
            "ranks": [str(rank), str(total), str(rank * nodes // total)],
        }
        for rank in range(total)
    ]
    assert reports(tmp_path / "report") == expected, log


def test_distributed_program_that_fails(
    cluster: SlurmCluster, project: Project, tmp_path: Path
) -> None:
    """A launch command that fails fails the job, so that conditions on it hold."""
    project.script(PROGRAM)
    command = "python -c 'import sys; sys.exit(3)'"
    arguments = ["--slurm.mode", "slurm", *DISTRIBUTED]
    script = project.run(*arguments, "--slurm.distributed-launch-command", command)
    assert cluster.wait_for(script.line("submitted")) == "FAILED"
    assert not (tmp_path / "report").exists()


def test_distributed_program_in_mode_local(
    cluster: SlurmCluster, project: Project, tmp_path: Path
) -> None:
    """The same without a cluster, to try a launch command before it waits in a queue."""
    project.script(PROGRAM)
    project.write("tools/launcher.py", LAUNCHER)
    arguments = [
        *("--report", str(tmp_path / "report"), "--slurm.mode", "local", *DISTRIBUTED),
        *("--slurm.processes-per-task", "2", "--slurm.distributed-launch-command", COMMAND),
    ]
    project.run(*arguments)
    code = project.root / "slurm_local/code"
    seen = reports(tmp_path / "report")
    assert [each["ranks"] for each in seen] == [["0", "2", "0"], ["1", "2", "0"]]
    assert [each["cwd"] for each in seen] == [str(code), str(code)]

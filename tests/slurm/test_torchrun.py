"""Real distributed training: torchrun on two nodes, gloo on CPUs, from frozen code.

PyTorch is no dependency of the tests: they skip without it. SLURMIC_TORCH_PYTHON names an
interpreter that has it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .cluster import FINISHED, SlurmCluster, until
from .project import Project
from .torch_environment import torch_site_packages

TRAIN = '''
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import slurmic
import trainer


@dataclass
class Args:
    notes: Path
    label: str = ""
    hold: bool = False
    slurm: slurmic.SlurmConfig = field(default_factory=slurmic.SlurmConfig)


@slurmic.slurm_launcher(Args)
def main(args: Args):
    """Add up the ranks of all processes, as DistributedDataParallel adds gradients."""
    import torch
    import torch.distributed as dist
    from trainer import late

    dist.init_process_group("gloo")
    total = torch.tensor([dist.get_rank() + 1])
    dist.all_reduce(total)
    seen = {
        "rank": dist.get_rank(),
        "total": int(total),
        "node": os.environ["SLURMD_NODENAME"],
        "port": os.environ["MASTER_PORT"],
        "label": args.label,
        "cwd": os.getcwd(),
        "files": [trainer.__file__, late.__file__, __file__],
        "versions": [trainer.VERSION, late.VERSION],
        "restarts": os.environ.get("SLURM_RESTART_COUNT", "0"),
    }
    name = f"{os.environ['SLURM_JOB_ID']}-{seen['restarts']}-{seen['rank']}"
    (args.notes / name).write_text(json.dumps(seen))
    while args.hold and not (args.notes / "go-on").exists():
        time.sleep(0.1)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    job = main()
    if job is not None:
        print("submitted", job.job_id, flush=True)
'''

COMMAND = (
    "python -m torch.distributed.run --nnodes {num_machines} --node-rank {machine_rank}"
    " --nproc-per-node 2 --master-addr {main_process_ip} --master-port {main_process_port}"
    " scripts/train.py"
)


@pytest.fixture
def torch_project(project: Project) -> Project:
    """A project whose environment has PyTorch."""
    folder = torch_site_packages()
    if folder is None:
        pytest.skip("needs PyTorch (SLURMIC_TORCH_PYTHON names an interpreter that has it)")
    (project.site_packages / "torch-environment.pth").write_text(f"{folder}\n")
    project.script(TRAIN)
    return project


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def arguments(notes: Path, *more: str) -> list[str]:
    """A command line of the program, for two nodes with two processes each."""
    fields = {
        "mode": "slurm",
        "num-of-node": "2",
        "processes-per-task": "2",
        "distributed-launch-command": COMMAND,
    }
    given = [part for name, value in fields.items() for part in (f"--slurm.{name}", value)]
    flags = ["--slurm.pack-code", "--slurm.use-distributed-env"]
    # Both nodes are this machine, whose own name need not lead anywhere that gloo can bind to.
    interface = ["--slurm.extra-task-kwargs", "GLOO_SOCKET_IFNAME", "lo", "OMP_NUM_THREADS", "1"]
    return ["--notes", str(notes), *more, *given, *flags, *interface]


def reports(notes: Path, job_id: str, restart: int = 0) -> list[dict[str, object]]:
    """What the ranks of a job have written, in order."""
    paths = sorted(notes.glob(f"{job_id}-{restart}-*"))
    return [json.loads(path.read_text()) for path in paths if path.stat().st_size]


def expected(code: Path, ranks: int, total: int, label: str) -> list[dict[str, object]]:
    files = ["src/trainer/__init__.py", "src/trainer/late.py", "scripts/train.py"]
    return [
        {
            "rank": rank,
            "total": total,
            "label": label,
            "cwd": str(code),
            "files": [str(code / file) for file in files],
            "versions": ["one", "one"],
        }
        for rank in range(ranks)
    ]


def without(found: list[dict[str, object]], *names: str) -> list[dict[str, object]]:
    return [{name: v for name, v in each.items() if name not in names} for each in found]


def test_torchrun_on_two_nodes(cluster: SlurmCluster, torch_project: Project, notes: Path) -> None:
    """Two such jobs share the first node at the same time, and each meets its own processes only;
    both are edited while they are queued. Their arguments reach every rank as they were given."""
    label = 'it\'s "quoted" $HOME `date` für\nzwei'
    with cluster.queue_closed():
        nodes = ["--slurm.node-list", "n1,n2"]
        first, second = (
            torch_project.run(*arguments(notes, "--label", label, "--hold", *nodes)).line(
                "submitted"
            )
            for _ in range(2)
        )
        torch_project.set_version("newer")
        torch_project.script("raise SystemExit('edited')")
    until(
        lambda: len(reports(notes, first)) == len(reports(notes, second)) == 4,
        lambda: "\n".join(Path(cluster.show(job)["StdErr"]).read_text() for job in (first, second)),
    )
    (notes / "go-on").touch()
    for job_id, name in ((first, "code"), (second, "code-2")):
        assert cluster.wait_for(job_id, *FINISHED) == "COMPLETED"
        found = reports(notes, job_id)
        code = torch_project.root / "slurm" / name
        assert without(found, "node", "port", "restarts") == expected(code, 4, 10, label)
        assert sorted(str(each["node"]) for each in found) == ["n1", "n1", "n2", "n2"]
    ports = {str(each["port"]) for job in (first, second) for each in reports(notes, job)}
    assert len(ports) == 2


def test_requeued_torchrun_meets_again(
    cluster: SlurmCluster, torch_project: Project, notes: Path
) -> None:
    """The second run of a requeued job has the same code, and a rendezvous of its own."""
    job_id = torch_project.run(*arguments(notes, "--hold")).line("submitted")

    def log() -> str:
        return Path(cluster.show(job_id)["StdErr"]).read_text()

    until(lambda: len(reports(notes, job_id)) == 4, log)
    torch_project.set_version("newer")
    cluster.run("scancel", "--signal=USR2", job_id)  # as before a preemption: submitit requeues
    (notes / "go-on").touch()
    cluster.start_requeued(job_id)
    assert cluster.wait_for(job_id, *FINISHED) == "COMPLETED", log()
    code = torch_project.root / "slurm/code"
    for restart in (0, 1):
        found = without(reports(notes, job_id, restart), "node", "port", "restarts")
        assert found == expected(code, 4, 10, "")

"""Training on two nodes with torchrun: PyTorch's DistributedDataParallel, from frozen code.

    python train.py --output /shared/model.pt --slurm.partition gpu

There are two launches. This program submits a job; the job runs torchrun once on each node, with
the values in braces filled in; torchrun starts this program again in each process, where `main`
runs right away. `python train.py --help` lists all settings. On a cluster without GPUs it trains
with gloo on processors.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from slurmic import SlurmConfig, slurm_launcher

PROCESSES = 2
TORCHRUN = (
    "python -m torch.distributed.run --nnodes {num_machines} --node-rank {machine_rank}"
    f" --nproc-per-node {PROCESSES}"
    " --master-addr {main_process_ip} --master-port {main_process_port} train.py"
)


def two_nodes() -> SlurmConfig:
    return SlurmConfig(
        mode="slurm",
        job_name="torchrun",
        output_parent_path="runs",
        pack_code=True,
        num_of_node=2,
        gpus_per_node=PROCESSES if torch.cuda.is_available() else None,
        processes_per_task=PROCESSES,
        use_distributed_env=True,
        distributed_launch_command=TORCHRUN,
    )


@dataclass
class Args:
    output: Path  # where the model goes; absolute: a job's current folder is its code folder
    steps: int = 200
    slurm: SlurmConfig = field(default_factory=two_nodes)


@slurm_launcher(Args)
def main(args: Args) -> None:
    """Fit y = 3x + 1; each process has data of its own, and all of them the same model."""
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank = dist.get_rank()
    device = torch.device("cuda", rank % PROCESSES) if torch.cuda.is_available() else "cpu"
    torch.manual_seed(rank)
    x = torch.rand(256, 1, device=device)
    y = 3 * x + 1
    model = DistributedDataParallel(torch.nn.Linear(1, 1).to(device))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(args.steps):
        loss = torch.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()  # adds up the gradients of all processes
        optimizer.step()
    if rank == 0:
        torch.save(model.module.state_dict(), args.output)
        print(f"{dist.get_world_size()} processes: loss {loss.item():.6f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    job = main()
    if job is not None:  # not in the processes that torchrun starts
        print("submitted", job.job_id, flush=True)

"""A sweep over learning rates, each task running from the code as it was when submitted."""

import sys
import time
from pathlib import Path

from slurmic import SlurmConfig, slurm_fn


@slurm_fn
def train(learning_rate: float, gate: str) -> dict:
    while not Path(gate).exists():  # stands for the hours that a job waits in the queue
        time.sleep(0.05)
    import model  # imported now, after the wait: from which tree?

    steps = int(Path("configs/base.yaml").read_text().split()[1])
    return {
        "version": model.VERSION,
        "file": model.network.__file__,
        "loss": model.loss_after(steps, learning_rate),
    }


def submit(rates: list[float], output: str, store: str, gate: str, mode: str = "local") -> list:
    config = SlurmConfig(
        mode=mode,  # "slurm" on a cluster
        job_name="sweep",
        pack_code=True,
        output_parent_path=output,
        store_path=store,
    )
    return train[config].map_array(rates, [gate] * len(rates))


if __name__ == "__main__":
    for job in submit([0.01, 0.1, 1.0], "runs/manual", "", sys.argv[0], *sys.argv[1:2]):
        print(job.job_id, job.result())

"""A training that goes on where it was when Slurm takes its node away, or its time is up.

    python train.py                    # here
    python train.py --mode slurm       # on a cluster; waits for it

The state is written after each epoch, so little is lost however the job ends. When Slurm has to
end the job, it sends a signal first; submitit then calls `checkpoint`, which says what to run next
(the object itself, unless you override it), and has the job requeued. The second run has the same
code folder and reads the state.

To see it happen, send that signal by hand while it runs. Here: `kill -USR2 PROCESS`, with the last
of the processes in `runs/state.json`. On a cluster: `scancel --signal=USR2 JOB`.
"""

import argparse
import json
import os
import time
from pathlib import Path

import submitit

from slurmic import SlurmConfig, slurm_fn


class Training(submitit.helpers.Checkpointable):
    """Trains for some epochs; `state` is an absolute path, because jobs run in the code folder."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def __call__(self, epochs: int, seconds: float) -> dict:
        state = {"epoch": 0, "loss": 1.0, "processes": []}
        if self.state.exists():
            state = json.loads(self.state.read_text())
        state["processes"].append(os.getpid())
        while state["epoch"] < epochs:
            self.save(state)
            time.sleep(seconds)  # stands for an epoch
            state["epoch"] += 1
            state["loss"] /= 2
        self.save(state)
        return state

    def save(self, state: dict) -> None:
        """Write the state whole: a job that is killed meanwhile leaves the one before."""
        new = self.state.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(self.state)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["local", "slurm"], default="local")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long an epoch takes")
    args = parser.parse_args()
    config = SlurmConfig(
        mode=args.mode,
        job_name="resume",
        output_parent_path="runs",
        pack_code=True,
        timeout_min=60,
    )
    state = Path("runs/state.json").absolute()
    state.parent.mkdir(exist_ok=True)
    state.unlink(missing_ok=True)  # a new training; leave it out to go on with the last one
    job = slurm_fn(Training(state))[config](args.epochs, args.seconds)
    result = job.result()
    print(
        f"job {job.job_id}: {result['epoch']} epochs, loss {result['loss']:.4f}, "
        f"in {len(result['processes'])} runs"
    )


if __name__ == "__main__":
    main()

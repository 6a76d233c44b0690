"""A sweep: one function, many arguments, and the results in a table.

    python sweep.py                    # here, each task in a process of its own
    python sweep.py --mode slurm       # one Slurm array; waits for it

The nine tasks share one snapshot of this folder. Edit `train` while they wait in the queue: they
run what it was when you submitted them.
"""

import argparse
import itertools

from slurmic import SlurmConfig, slurm_fn

RATES = [0.03, 0.1, 0.3]
SEEDS = [1, 2, 3]


@slurm_fn
def train(rate: float, seed: int) -> float:
    """Minimise (x - seed)² by gradient descent; return the loss."""
    x = 0.0
    for _ in range(20):
        x -= rate * 2 * (x - seed)
    return (x - seed) ** 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["local", "slurm"], default="local")
    config = SlurmConfig(
        mode=parser.parse_args().mode,
        job_name="sweep",
        output_parent_path="runs",
        pack_code=True,
        timeout_min=10,
    )
    rates, seeds = zip(*itertools.product(RATES, SEEDS), strict=True)
    jobs = train[config].map_array(rates, seeds)
    print(f"{'rate':>6} {'seed':>5} {'loss':>10}  job")
    for rate, seed, job in zip(rates, seeds, jobs, strict=True):
        print(f"{rate:>6} {seed:>5} {job.result():>10.2e}  {job.job_id}")
    losses = jobs.results()
    best = losses.index(min(losses))
    print(f"best: rate {rates[best]}, seed {seeds[best]}; the code is in {jobs[best].code_folder}")


if __name__ == "__main__":
    main()

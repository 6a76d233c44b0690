"""A chain: prepare the data, train on it in an array, compare the results.

    python pipeline.py                 # here, one step after another
    python pipeline.py --mode slurm    # submits all three at once, and waits for the last

All jobs are in the queue from the start; Slurm starts each when those before it have ended well.
If one fails, those that wait for it are removed, and `result()` says which condition was not met.
Small results are returned; data goes through files with absolute paths, because a job's current
folder is its code folder.
"""

import argparse
import json
import random
from pathlib import Path

from slurmic import SlurmConfig, slurm_fn


@slurm_fn
def prepare(data: Path, points: int) -> None:
    """Write points of y = 3x + 1, with noise."""
    generator = random.Random(0)
    xs = [generator.uniform(-1, 1) for _ in range(points)]
    data.write_text(json.dumps([(x, 3 * x + 1 + generator.gauss(0, 0.1)) for x in xs]))


@slurm_fn
def train(data: Path, models: Path, rate: float) -> float:
    """Fit a line; write it down, and return its mean squared error."""
    points = json.loads(data.read_text())
    slope = offset = error = 0.0
    for _ in range(100):
        residuals = [(x, slope * x + offset - y) for x, y in points]
        slope -= rate * sum(2 * x * r for x, r in residuals) / len(points)
        offset -= rate * sum(2 * r for _, r in residuals) / len(points)
        error = sum(r * r for _, r in residuals) / len(points)
    (models / f"{rate}.json").write_text(json.dumps([slope, offset, error]))
    return error


@slurm_fn
def evaluate(models: Path) -> dict:
    """The best of the models."""
    found = {path.stem: json.loads(path.read_text()) for path in models.glob("*.json")}
    rate = min(found, key=lambda rate: found[rate][2])
    slope, offset, error = found[rate]
    return {"rate": rate, "slope": slope, "offset": offset, "error": error, "models": len(found)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["local", "slurm"], default="local")
    parser.add_argument("--points", type=int, default=200)
    args = parser.parse_args()
    config = SlurmConfig(
        mode=args.mode,
        job_name="chain",
        output_parent_path="runs",
        pack_code=True,
        code_scope="tree",  # one code folder for all three
        timeout_min=10,
    )
    data, models = Path("runs/data.json").absolute(), Path("runs/models").absolute()
    models.mkdir(parents=True, exist_ok=True)
    rates = [0.01, 0.1, 0.5]

    prepared = prepare[config](data, args.points)
    trained = train[config].afterok(prepared).map_array([data] * 3, [models] * 3, rates)
    best = evaluate[config].afterok(trained)(models)

    result = best.result()
    print(
        f"{result['models']} models; the best, of rate {result['rate']}, is "
        f"y = {result['slope']:.2f} x + {result['offset']:.2f} (error {result['error']:.3f})"
    )


if __name__ == "__main__":
    main()

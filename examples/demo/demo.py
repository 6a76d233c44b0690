"""What `make demo` shows: two sweeps, an edit between them while the first one still waits.

No cluster is needed: jobs run in processes of their own on this machine (mode "local").
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from slurmic_store import Store, measure_usage

RATES = [0.01, 0.1, 1.0]
PROJECT = Path(__file__).parent / "project"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="slurmic-demo-") as folder:
        show(Path(folder), Console(width=100, highlight=False))


def show(folder: Path, console: Console) -> None:
    project = folder / "project"
    shutil.copytree(PROJECT, project)
    # What a real project weighs: something for the two sweeps to share.
    for number in range(200):
        (project / "model" / f"layer_{number:03}.py").write_text(f"WIDTH = {number}\n" * 200)
    os.chdir(project)
    sys.path.insert(0, str(project))
    import train

    gate, store = folder / "the-queue-moves", folder / "store"
    sweeps: dict[str, list] = {}

    def sweep(name: str) -> threading.Thread:
        """Submit in a thread: mode "local" returns when its jobs have ended."""
        runs = (RATES, f"runs/{name}", str(store), str(gate))
        thread = threading.Thread(target=lambda: sweeps.update({name: train.submit(*runs)}))
        thread.start()
        while not list(project.glob(f"runs/{name}/*/*_submitted.pkl")):
            time.sleep(0.02)
        return thread

    console.print("[bold]1.[/] submit sweep A; its tasks wait in the queue")
    first = sweep("A")
    console.print("[bold]2.[/] edit model/network.py (v1 → v2) and configs/base.yaml meanwhile")
    network = project / "model" / "network.py"
    network.write_text(network.read_text().replace('"v1"', '"v2"'))
    (project / "configs" / "base.yaml").write_text("steps: 5\n")
    console.print("[bold]3.[/] submit sweep B, then let the queue move")
    second = sweep("B")
    gate.touch()
    first.join()
    second.join()

    table = Table("sweep", "submitted as", "learning rate", "ran", "loss", "imported from")
    for name, submitted in (("A", "v1"), ("B", "v2")):
        for rate, job in zip(RATES, sweeps[name], strict=True):
            result = job.result()
            right = result["version"] == submitted
            mark = "[green]" if right else "[bold red]"
            where = Path(result["file"]).relative_to(project)
            cells = (name, submitted, str(rate), f"{mark}{result['version']}[/]")
            table.add_row(*cells, str(result["loss"]), str(where))
            if not right:
                console.print(table)
                sys.exit("a job ran another version than the one that it was submitted with")
    console.print(table)

    usage = measure_usage(Store.open(store))
    console.print(
        f"[bold]4.[/] the store: {usage.folders} code folders show {usage.apparent_files} files, "
        f"{usage.apparent_size / 1e6:.2f} MB; on disk are {usage.blobs} blobs, "
        f"{usage.size / 1e6:.2f} MB"
    )
    console.print("[bold]5.[/] rm -r runs/A; slurmic gc --grace 0")
    shutil.rmtree(project / "runs" / "A")
    command = [sys.executable, "-m", "slurmic", "gc", "--grace", "0", "--store", str(store)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    console.print(f"   {done.stdout.strip()}: what only sweep A had", style="dim")
    intact = sum(1 for path in project.glob("runs/B/*/code/**/*") if path.is_file())
    console.print(f"   sweep B's code folder still has its {intact} files", style="dim")


if __name__ == "__main__":
    main()

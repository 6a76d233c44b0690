"""Make scripts and pickles as this version of slurmic writes them: ``make.py FOLDER``.

FOLDER gets ``slurm/``, an output folder with a single call (job 11), an array of three (12), a
command (13) and a distributed call (14), and ``jobs.pkl``, the Job objects. The data in ``0.3.0``
were made by this program; they are never made again (that is the point of them).

Paths are put into the files as PLACEHOLDER, of a fixed length, so that whoever reads them can put
another path of that length there: lengths and offsets inside pickles stay right.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

LENGTH = 180
PLACEHOLDER = "/slurmic-wire-root-".ljust(LENGTH, "_")
"""Stands for the folder that holds project, output folder and store."""
PYTHON = "/slurmic-wire-python"
"""Stands for the interpreter, in scripts."""

# A module of the project, so that the function travels by reference: what is pickled by value can
# be read by the same version of Python only.
MODULE = """\
def double(number, plus=0):
    return 2 * number + plus
"""

SUBMIT = """\
import pickle, sys
from pathlib import Path
from slurmic import SlurmConfig, slurm_fn
import wire_example

def config(**more):
    return SlurmConfig(
        mode="slurm", job_name="wire", output_parent_path="..", pack_code=True, code_root=".",
        store_path="../store", **more
    )

double = slurm_fn(wire_example.double)
jobs = [double[config()](4, plus=1), *double[config()].map_array([1, 2, 3])]
from slurmic.submit import Settings, submit_command
submit_command(Settings(config()), ["echo", "said"])
distributed = config(use_distributed_env=True, distributed_launch_command="echo {num_processes}")
jobs.append(double[distributed](5))
Path("../jobs.pkl").write_bytes(pickle.dumps(jobs))
"""

SBATCH = """\
#!/bin/sh
n=$(cat "$0.number" 2>/dev/null || echo 10)
n=$((n + 1)); echo $n >"$0.number"
echo "Submitted batch job $n"
"""


def padded(folder: Path) -> Path:
    """A folder below this one whose path has LENGTH characters."""
    rest = LENGTH - len(str(folder)) - 1
    if not 1 <= rest <= 255:
        raise ValueError(f"{folder} is too long, or too short, to be padded to {LENGTH} characters")
    made = folder / ("p" * rest)
    made.mkdir()
    return made


def make(root: Path) -> None:
    """Submit from a project below `root`, whose path has LENGTH characters."""
    project, programs = root / "project", root / "programs"
    for folder in (project, programs):
        folder.mkdir()
    (project / "wire_example.py").write_text(MODULE)
    (project / "submit.py").write_text(SUBMIT)
    for name, text in {"sbatch": SBATCH, "srun": "#!/bin/sh\n", "squeue": "#!/bin/sh\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    variables = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "submit.py"], cwd=project, env=variables, check=True)


def collect(root: Path, target: Path) -> None:
    """Copy what was written, with the placeholders."""
    for path in [*(root / "slurm").glob("1*"), root / "jobs.pkl"]:
        written = path.read_bytes().replace(os.fsencode(root), PLACEHOLDER.encode())
        if path.suffix == ".sh":
            written = written.replace(os.fsencode(sys.executable), PYTHON.encode())
        place = target / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(written)


def lay(data: Path, root: Path) -> None:
    """Put data down at `root`, whose path has LENGTH characters, for this interpreter."""
    for path in data.rglob("*"):
        if path.is_file():
            place = root / path.relative_to(data)
            place.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_bytes().replace(PLACEHOLDER.encode(), os.fsencode(root))
            place.write_bytes(text.replace(PYTHON.encode(), os.fsencode(sys.executable)))
    (root / "project").mkdir()  # paths lead through it: <project>/../slurm
    for name in ("code", "code-2", "code-3", "code-4"):
        code = root / "slurm" / name
        code.mkdir()
        (code / "wire_example.py").write_text(MODULE)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        made = padded(Path(scratch))
        make(made)
        collect(made, Path(sys.argv[1]))
        print(pickle.format_version, *sorted(os.listdir(Path(sys.argv[1]) / "slurm")))
        shutil.rmtree(made)

"""A real Slurm cluster for the tests: three nodes, accounting and authentication on one machine.

Everything lives below one temporary folder and in one PID namespace (see ``supervisor.py``), on
ports of its own, so that several clusters run side by side and the system's own is not touched.
The client commands find it through SLURM_CONF.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SUPERVISOR = Path(__file__).with_name("supervisor.py")
PROGRAMS = {
    "munged": "munge",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "slurmdbd": "slurmdbd",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "unshare": "util-linux",
}
"""The programs that a cluster needs, each with the Debian package that brings it."""

PARTITIONS = ("main", "short", "spare", "urgent")

WAIT = 60.0
"""Seconds that a test waits for a job before it fails; a job takes about one."""

FINISHED = frozenset(
    {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE"}
)


class ClusterError(Exception):
    """The cluster could not be started, or a job did not get where a test wants it."""


def why_impossible() -> str:
    """Why no cluster can be started here, or "" if one can."""
    path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
    missing = sorted({pkg for name, pkg in PROGRAMS.items() if not shutil.which(name, path=path)})
    if missing:
        return f"a Slurm cluster needs the Debian packages {' '.join(missing)}"
    if os.geteuid() != 0:
        return "a Slurm cluster needs root"
    return ""


class SlurmCluster:
    """One running cluster; use it as a context manager.

    Nodes n1, n2, n3 with 4 CPUs each. Partition "main" is the default and has no time limit;
    "short" allows 30 minutes. A job in "urgent" preempts one in "spare", which is sent submitit's
    signal and requeued. Jobs start within a fraction of a second.

    Attributes:
        environment: what a process needs to submit to this cluster (SLURM_CONF), without any
            SLURM_ or SUBMITIT_ variable of a job that the test session itself may run in.
    """

    def __init__(self) -> None:
        # Short, because a UNIX socket's path is limited to 108 bytes; and traversable, because
        # munge refuses a socket that not everybody can reach.
        self.root = Path(tempfile.mkdtemp(prefix="slurmic-cluster-"))
        self.root.chmod(0o755)
        sbin = ("/usr/local/sbin", "/usr/sbin", "/sbin")
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SLURM", "SBATCH", "SRUN", "SUBMITIT"))
        }
        self.environment["SLURM_CONF"] = str(self.root / "slurm.conf")
        self.environment["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *sbin])
        self._supervisor: subprocess.Popen[str] | None = None

    def __enter__(self) -> SlurmCluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the daemons and wait until all nodes are idle.

        Raises:
            ClusterError: a daemon did not come up, twice; with the end of its log.
        """
        for attempt in (1, 2):  # once more with other ports, in case someone took one in between
            self.root.mkdir(mode=0o755, exist_ok=True)
            namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
            self._supervisor = subprocess.Popen(
                # Mounts that a test makes later must be seen by its jobs: propagation.
                [*namespace, "--propagation", "slave", sys.executable, SUPERVISOR, self.root],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the tests; the pipe tells the supervisor
                text=True,
            )
            assert self._supervisor.stdout is not None
            line = self._supervisor.stdout.readline()
            if line == "ready\n":
                return
            self.stop()
            if attempt == 2:
                reason = json.loads(line.removeprefix("failed: ")) if line else "supervisor ended"
                raise ClusterError(f"no Slurm cluster: {reason}")

    def stop(self) -> None:
        """End every process of the cluster and remove its folder. Harmless if done already."""
        if self._supervisor is not None:
            assert self._supervisor.stdin is not None
            with contextlib.suppress(OSError):
                self._supervisor.stdin.close()
            try:
                self._supervisor.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()  # unshare; --kill-child takes the namespace along
                self._supervisor.wait()
            if self._supervisor.stdout is not None:
                self._supervisor.stdout.close()
            self._supervisor = None
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *command: str) -> str:
        """Run a Slurm client command and return what it printed.

        Raises:
            ClusterError: it failed; with what it said.
        """
        answer = subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise ClusterError(f"{' '.join(command)}: {answer.stdout}{answer.stderr}")
        return answer.stdout

    def state(self, job_id: str) -> str:
        """A job's (or one array task's) state as the controller sees it, e.g. "PENDING"."""
        return self.show(job_id)["JobState"]

    def show(self, job_id: str) -> dict[str, str]:
        """What ``scontrol show job`` knows of one job, field by field."""
        text = self.run("scontrol", "--oneliner", "show", "job", job_id).splitlines()[0]
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def accounted_state(self, job_id: str) -> str:
        """A job's state as accounting (sacct, which submitit asks) has it, or "" if unknown yet."""
        fields = ("--noheader", "--allocations", "--parsable2", "--format=State")
        return self.run("sacct", *fields, "--jobs", job_id).strip()

    def wait_for(self, job_id: str, *states: str) -> str:
        """Wait until a job is in one of these states (default: any final one); return it.

        Raises:
            ClusterError: it is not after :data:`WAIT` seconds, or ended in another one.
        """
        wanted = set(states) or FINISHED
        seen = until(
            lambda: (state := self.state(job_id)) in wanted | FINISHED and state,
            lambda: f"job {job_id} is {self.show(job_id)}, not {sorted(wanted)}",
        )
        if seen not in wanted:
            raise ClusterError(f"job {job_id} is {seen}, not {sorted(wanted)}")
        return seen

    def jobs(self) -> list[str]:
        """Ids of all jobs that the cluster has ever been given (array jobs once)."""
        return sorted(set(self.run("squeue", "--noheader", "--states=all", "--format=%F").split()))

    def last_logs(self) -> str:
        """The last lines of each daemon's log."""
        logs = []
        for path in sorted((self.root / "log").glob("slurm*.log")):
            lines = path.read_text(errors="replace").splitlines()[-30:]
            logs.append("\n".join([f"== {path.name}", *lines]))
        return "\n".join(logs)

    @contextlib.contextmanager
    def queue_closed(self) -> Iterator[None]:
        """Within the block jobs are accepted and stay queued; after it they start."""
        for partition in PARTITIONS:
            self.run("scontrol", "update", f"PartitionName={partition}", "State=DOWN")
        try:
            yield
        finally:
            for partition in PARTITIONS:
                self.run("scontrol", "update", f"PartitionName={partition}", "State=UP")

    def hold(self, job_id: str) -> None:
        self.run("scontrol", "hold", job_id)

    def release(self, job_id: str) -> None:
        self.run("scontrol", "release", job_id)

    def cancel(self, *job_ids: str) -> None:
        self.run("scancel", *job_ids)

    def requeue(self, job_id: str) -> None:
        """Stop a running job and start it anew, as a preemption or a node failure would."""
        self.run("scontrol", "requeue", job_id)
        self.start_requeued(job_id)

    def start_requeued(self, job_id: str) -> None:
        """Spare a requeued job the two minutes that Slurm lets it wait.

        They are there so that nothing of the first run is left when the second one starts; so
        wait for that: each step has a socket in its node's spool folder. And the second run's
        credential must be younger, in whole seconds, than the first one's revocation, or the node
        takes it for the revoked one and fails the job.
        """
        self.wait_for(job_id, "PENDING")
        number = self.show(job_id)["JobId"]
        until(
            lambda: not any((self.root / "spool").glob(f"*/*_{number}.*")),
            lambda: f"job {job_id} still has a step: {self.show(job_id)}",
        )
        self.run("scontrol", "update", f"JobId={job_id}", "StartTime=now+2")


def until(look: Callable[[], object], otherwise: Callable[[], str]) -> str:
    """Look again and again until something is seen, and return it.

    Raises:
        ClusterError: nothing is after :data:`WAIT` seconds; ``otherwise()`` says what instead.
    """
    deadline = time.monotonic() + WAIT
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise ClusterError(otherwise())
        time.sleep(0.1)
    return str(seen)

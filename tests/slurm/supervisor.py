"""Runs one private Slurm cluster below one folder, and takes all its processes along at the end.

Started by :class:`.cluster.SlurmCluster` as the first process of a PID namespace of its own
(``unshare --pid --fork --kill-child``), with a pipe from the test process as its standard input:

- The test process ends, however it ends: the pipe closes, this process removes the folder and
  exits.
- This process ends, however it ends: it is process 1 of its namespace, so the kernel kills every
  other process in it, daemons, job steps and what the jobs have started.

So there is nothing to record and nothing to look for: no daemon can outlive the test session.

Talks on standard output in lines: ``ready``, or ``failed: <why>`` in one line of JSON.
Only the standard library, and no import from the tests: it runs as a plain script.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

NODES = ("n1", "n2", "n3")
START_TIMEOUT = 60.0  # seconds until every node is idle; 5 to 8 are usual on 2 cores


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports that nobody listens on, below the range that the kernel hands out itself.

    A port may be taken between the look and the daemon's bind: the start then fails, and
    :class:`.cluster.SlurmCluster` tries once more with other ports.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            if port not in ports:
                ports.append(port)
    return ports


def slurm_conf(root: Path, ports: list[int]) -> str:
    """The cluster's slurm.conf: three nodes of 4 CPUs, scheduled at once and shared eightfold."""
    host = socket.gethostname().split(".")[0]
    controller, accounting, *node_ports = ports
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4"
        " RealMemory=8000 State=UNKNOWN"
        for name, port in zip(NODES, node_ports, strict=True)
    )
    return f"""\
ClusterName=slurmic
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny

StateSaveLocation={root}/state
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdSpoolDir={root}/spool/%n
SlurmdPidFile={root}/run/slurmd-%n.pid
SlurmdLogFile={root}/log/slurmd-%n.log
SlurmdParameters=config_overrides

AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
AccountingStoragePass={root}/munge/socket
AccountingStorageEnforce=limits
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none

ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PriorityType=priority/basic
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
MaxArraySize=1001
MaxJobCount=50000
MinJobAge=3600
JobRequeue=1
ReturnToService=2
KillWait=2
CompleteWait=0
SlurmctldTimeout=30
SlurmdTimeout=300
InactiveLimit=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal

{nodes}
PartitionName=DEFAULT PreemptMode=OFF PriorityTier=1 State=UP
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=FORCE:8
PartitionName=short Nodes=n1 Default=NO MaxTime=30 OverSubscribe=FORCE:8
PartitionName=spare Nodes=n3 Default=NO OverSubscribe=NO PreemptMode=REQUEUE GraceTime=20
PartitionName=urgent Nodes=n3 Default=NO OverSubscribe=NO PriorityTier=2
"""


def slurmdbd_conf(root: Path, accounting_port: int) -> str:
    """The accounting daemon's configuration; where its database is, the environment says."""
    return f"""\
DbdHost={socket.gethostname().split(".")[0]}
DbdAddr=127.0.0.1
DbdPort={accounting_port}
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
SlurmUser=root
LogFile={root}/log/slurmdbd.log
PidFile={root}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_accounting
"""


class StartError(Exception):
    """A daemon did not come up."""


class Cluster:
    """The daemons of one cluster, as children of this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.deadline = time.monotonic() + START_TIMEOUT
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        # Slurm's database plugin asks for "localhost" without naming a socket; the client
        # library then takes the socket from this variable.
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(root / "slurm.conf"),
            "MYSQL_UNIX_PORT": str(root / "database.sock"),
        }

    def start(self) -> None:
        """Bring the cluster up.

        Raises:
            StartError: a daemon ended or did not answer in time; names it, with the end of its log.
        """
        for folder in ("munge", "state", "run", "log", "spool", "tmp"):
            (self.root / folder).mkdir()
        for node in NODES:
            (self.root / "spool" / node).mkdir()
        self.name_nodes()
        ports = free_ports(2 + len(NODES))
        (self.root / "slurm.conf").write_text(slurm_conf(self.root, ports))
        with open(
            os.open(self.root / "slurmdbd.conf", os.O_CREAT | os.O_WRONLY, 0o600), "w"
        ) as file:  # slurmdbd refuses a file that others may read
            file.write(slurmdbd_conf(self.root, ports[1]))
        self.start_munge()
        self.start_database()
        self.run_daemon("slurmdbd", "slurmdbd", "-D")
        self.until("slurmdbd", "sacctmgr", "--immediate", "add", "cluster", "slurmic")
        # Limits are enforced (there are none until a test sets one), for users with an account.
        self.until("slurmdbd", "sacctmgr", "--immediate", "add", "account", "tests")
        self.until("slurmdbd", "sacctmgr", "--immediate", "add", "user", "root", "account=tests")
        self.run_daemon("slurmctld", "slurmctld", "-D", "-i")
        for node in NODES:
            self.run_daemon(f"slurmd-{node}", "slurmd", "-D", "-N", node)
        self.until("slurmctld", "sinfo", "--noheader", "--format=%D %t", expected="3 idle")

    def name_nodes(self) -> None:
        """Make the nodes' names resolve, as on a cluster: in this mount namespace only."""
        hosts = self.root / "hosts"
        hosts.write_text(Path("/etc/hosts").read_text() + f"127.0.0.1 {' '.join(NODES)}\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)

    def start_munge(self) -> None:
        folder = self.root / "munge"
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        self.run_daemon(
            "munged",
            "munged",
            "--foreground",
            f"--socket={folder}/socket",
            f"--key-file={key}",
            f"--log-file={self.root}/log/munged.log",
            f"--pid-file={self.root}/run/munged.pid",
            f"--seed-file={folder}/seed",
        )
        self.until("munged", "munge", f"--socket={folder}/socket", "--no-input")

    def start_database(self) -> None:
        """A MariaDB without accounts, on a socket that only this cluster's folder leads to."""
        data = self.root / "database"
        # No fsync, no binary log: the data lives as long as the test session.
        # A temporary folder of its own: temporary tables are named after the process, and those of
        # two clusters, each with process ids of its own, would be the same.
        common = ["--no-defaults", f"--datadir={data}", "--user=root", f"--tmpdir={self.root}/tmp"]
        installed = subprocess.run(
            ["mariadb-install-db", *common, "--skip-test-db", "--skip-name-resolve"],
            env=self.environment,
            capture_output=True,
            check=False,
        )
        if installed.returncode:
            raise StartError(f"mariadb-install-db failed: {installed.stderr.decode()[-2000:]}")
        self.run_daemon(
            "mariadbd",
            "mariadbd",
            *common,
            f"--socket={self.root}/database.sock",
            f"--pid-file={self.root}/run/mariadbd.pid",
            "--skip-networking",
            "--skip-grant-tables",
            "--innodb-flush-method=nosync",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=64M",
        )
        self.until("mariadbd", "mariadb-admin", "--no-defaults", "ping")

    def run_daemon(self, name: str, *command: str) -> None:
        with (self.root / "log" / f"{name}.out").open("wb") as log:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def until(self, daemon: str, *command: str, expected: str = "") -> None:
        """Repeat a client command until it succeeds and prints what is expected."""
        while True:
            answer = subprocess.run(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if answer.returncode == 0 and expected in answer.stdout:
                return
            for name, process in self.daemons.items():
                if process.poll() is not None:
                    raise StartError(f"{name} ended with {process.returncode}{self.log_end(name)}")
            if time.monotonic() > self.deadline:
                raise StartError(
                    f"{daemon} did not answer `{' '.join(command)}` within {START_TIMEOUT:.0f} s:"
                    f" {answer.stdout}{answer.stderr}{self.log_end(daemon)}"
                )
            time.sleep(0.05)

    def log_end(self, daemon: str) -> str:
        """The last lines of what a daemon wrote."""
        lines: list[str] = []
        for suffix in (".log", ".out"):
            with contextlib.suppress(OSError):
                text = (self.root / "log" / (daemon + suffix)).read_text(errors="replace")
                lines += text.splitlines()[-20:]
        return "".join(f"\n  {line}" for line in lines)


def main(root: Path) -> None:
    def say(line: str) -> None:
        print(line, flush=True)

    cluster = Cluster(root)
    try:
        cluster.start()
    except (StartError, OSError, subprocess.CalledProcessError) as error:
        say(f"failed: {json.dumps(str(error))}")
    else:
        say("ready")
        # As process 1 we inherit every orphan of the namespace, and reap it.
        while not select.select([sys.stdin], [], [], 0.2)[0]:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # everything in this namespace but process 1
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    if os.getpid() != 1:  # kill(-1) must never reach beyond a namespace of our own
        sys.exit("supervisor.py must be the first process of its own PID namespace")
    main(Path(sys.argv[1]))

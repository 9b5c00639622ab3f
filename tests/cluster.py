"""A SLURM of Debian's packages on this machine: a controller and two nodes of three cores, for tests alone.

Its daemons are children of this process. It needs root, as munge and slurmd do, and no systemd, database or cgroups.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
NODES = ("n1", "n2")
# Seconds; a busy machine may need many times what a quiet one does.
PATIENCE = 600
CONFIGURATION = """\
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={first}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SlurmdTimeout=10
KillWait=10
JobRequeue=1
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{second}-{third}] CPUs=3 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=first Nodes=n1 MaxTime=INFINITE State=UP
"""


def lacking() -> str:
    """Return why there can be none here; empty where there can."""
    if os.geteuid() != 0:
        return "a SLURM of one's own needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"there is no {', '.join(missing)}: apt-get install slurm-wlm slurmd slurmctld munge" if missing else ""


def wait(until: Callable[[], object], what: str, seconds: float = PATIENCE, *, every: float = 0.2) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, what
        time.sleep(every)


class Cluster:
    """A cluster that runs.

    Args:
        folder: of its own, with a short path, as it holds a socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._delayed: dict[str, float] = {}
        for name in ("munge", "state", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir()
        first = _free_ports(3)
        text = CONFIGURATION.format(
            folder=folder, host=os.uname().nodename, first=first, second=first + 1, third=first + 2
        )
        (folder / "slurm.conf").write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Start all, and return when both nodes are idle."""
        place, key = self.folder / "munge", self.folder / "munge/key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for path in (place, key):
            shutil.chown(path, "munge", "munge")
        # munged looks at all folders above its socket.
        place.chmod(0o755)
        files = [f"--{name}={place}/{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
        named = ("setpriv", "--reuid", "munge", "--regid", "munge", "--clear-groups")
        self._spawn("munged", *named, "munged", "--foreground", "--force", f"--key-file={key}", *files)
        wait(lambda: (place / "socket").exists(), "munged", 30)
        self._spawn("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        asked = ("sinfo", "-h", "-N", "-p", "main", "-o", "%T")
        wait(lambda: self.call(*asked).split() == ["idle"] * len(NODES), "no idle nodes", 120)

    def _spawn(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self._children[name] = subprocess.Popen(
                words, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def start_node(self, node: str) -> None:
        """Start a node, also one that was killed."""
        self._spawn(node, "slurmd", "-D", "-N", node)

    def call(self, *words: str) -> str:
        """Return what a command of SLURM prints; nothing where it fails."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    def at_work(self, node: str) -> list[psutil.Process]:
        """Return the processes of a node's jobs, and those that look after them."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = process.environ()
                if ours.get("SLURM_CONF") == str(self.folder / "slurm.conf") and ours.get("SLURMD_NODENAME") == node:
                    found.append(process)
                    parent = process.parent()
                    if parent and "slurmstepd" in parent.name() and parent not in found:
                        found.append(parent)
        return found

    def kill_node(self, node: str) -> None:
        """Kill a node and all that runs on it, as when its power fails."""
        self._children[node].kill()
        self._children[node].wait()
        for process in self.at_work(node):
            with contextlib.suppress(psutil.Error):
                process.kill()

    def begin_now(self) -> None:
        """Let jobs begin that are queued again: SLURM has them wait for two minutes.

        Seconds there have to be: word of the end of a job's first run would be taken for the end of its second.
        """
        for line in self.call("squeue", "-h", "-r", "-o", "%i %r").splitlines():
            place, reason = line.split(maxsplit=1)
            if reason != "BeginTime":
                self._delayed.pop(place, None)
            elif time.monotonic() > self._delayed.setdefault(place, time.monotonic()) + 3:
                self.call("scontrol", "update", f"jobid={place}", "StartTime=now")

    def stop(self) -> None:
        """End all, jobs too."""
        self.call("scancel", "--user=root")
        for node in NODES:
            for process in self.at_work(node):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        for child in reversed(self._children.values()):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _free_ports(count: int) -> int:
    """Return the first of some ports in a row that are free."""
    for first in range(23_400 + os.getpid() % 500 * 8, 32_000, 8):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError("no free ports")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Run a cluster for the block."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()

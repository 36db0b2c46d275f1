"""A private one-node Slurm in a folder of its own: munged, slurmctld and slurmd, for as long as a test runs.

It needs root (slurmd starts jobs as their user) and Debian's slurmctld, slurmd, slurm-client and munge.
It needs no systemd, cgroups, accounting database or network.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "sinfo", "scontrol")
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")
START_SECONDS = 60.0
STOP_SECONDS = 20.0

SLURM_CONF = """\
ClusterName=ci
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=256
SchedulerParameters=sched_interval=2,bf_interval=2
MinJobAge=300
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=ci Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing_reason() -> str | None:
    """Why a one-node Slurm cannot start here; None where it can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "a one-node Slurm needs root"
    missing = [program for program in PROGRAMS if shutil.which(program, path=search_path()) is None]
    if missing:
        return f"{', '.join(missing)} not found (Debian: slurmctld slurmd slurm-client munge)"
    if SYSTEM_CONF.exists() or SYSTEM_CONF.is_symlink():
        return f"{SYSTEM_CONF} exists: this machine has a Slurm of its own"
    return None


def search_path() -> str:
    """PATH with the folders where Debian keeps daemons."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@contextmanager
def one_node_slurm(folder: Path) -> Iterator[Path]:
    """Start the daemons in `folder` (a short path: it holds a socket), yield slurmctld's log, stop them."""
    conf = write_settings(folder)
    munge, key = folder / "munge", folder / "munge" / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    with ExitStack() as stack:
        SYSTEM_CONF.parent.mkdir(parents=True, exist_ok=True)
        SYSTEM_CONF.symlink_to(conf)
        stack.callback(SYSTEM_CONF.unlink)
        start(
            "munged", f"--socket={munge}/munge.sock", f"--key-file={key}", f"--pid-file={munge}/munged.pid",
            f"--log-file={munge}/munged.log", f"--seed-file={munge}/munged.seed",
        )  # fmt: skip
        stack.callback(stop, munge / "munged.pid")
        start("slurmctld", "-f", str(conf))
        stack.callback(stop, folder / "slurmctld.pid")
        start("slurmd", "-f", str(conf), "-N", hostname())
        stack.callback(stop, folder / "slurmd.pid")
        wait_until_idle(folder)
        stack.callback(cancel_all)
        yield folder / "log" / "slurmctld.log"


def hostname() -> str:
    return socket.gethostname().split(".")[0]


def write_settings(folder: Path) -> Path:
    """Make the folders the daemons need, readable by all as munge insists, and slurm.conf."""
    folder.chmod(0o755)
    for name in ("state", "spool", "log", "munge"):
        (folder / name).mkdir(mode=0o755)
        (folder / name).chmod(0o755)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    controller_port, node_port = free_ports(2)
    conf = folder / "slurm.conf"
    settings = SLURM_CONF.format(
        host=hostname(),
        folder=folder,
        cpus=len(os.sched_getaffinity(0)),
        memory_mb=int(0.9 * memory / 2**20),
        controller_port=controller_port,
        node_port=node_port,
    )
    conf.write_text(settings)
    return conf


def free_ports(count: int) -> list[int]:
    """TCP ports nothing listens on at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start(*command: str) -> None:
    """Run a daemon's program, which forks and returns; its own words are the error where it fails."""
    program = shutil.which(command[0], path=search_path())
    assert program is not None, command[0]
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, umask=0o022)
    if done.returncode:
        raise RuntimeError(f"{command[0]} did not start: {done.stdout}{done.stderr}")


def stop(pid_file: Path) -> None:
    """End the daemon that wrote `pid_file` and wait until it is gone."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    os.kill(pid, 15)
    deadline = time.monotonic() + STOP_SECONDS
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} of {pid_file.name} did not end")
        time.sleep(0.1)


def cancel_all() -> None:
    """Cancel every job and wait until none runs, so that no job outlives the daemons."""
    subprocess.run(["scancel", "--user", "root"], check=True)
    deadline = time.monotonic() + STOP_SECONDS
    query = ["squeue", "-h", "-t", "PENDING,RUNNING,COMPLETING"]
    while subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip():
        if time.monotonic() > deadline:
            raise RuntimeError("cancelled jobs are still running")
        time.sleep(0.2)


def wait_until_idle(folder: Path) -> None:
    """Wait until the node takes jobs; both logs are the error where it never does."""
    deadline = time.monotonic() + START_SECONDS
    state = ""
    while state != "idle":
        if time.monotonic() > deadline:
            logs = "".join(path.read_text()[-2000:] for path in sorted((folder / "log").glob("*.log")))
            raise RuntimeError(f"the node is {state!r}, not idle, after {START_SECONDS:.0f} s:\n{logs}")
        time.sleep(0.2)
        done = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True)
        state = done.stdout.strip()


def completed_jobs(log: Path) -> set[int]:
    """Ids of the jobs that, by slurmctld's own log, ended with exit status 0."""
    return {int(job) for job in re.findall(r"_job_complete: JobId=(\d+) WEXITSTATUS 0", log.read_text())}

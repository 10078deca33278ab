"""The servers of the side-by-side benchmark: each starts on a free port of this machine with its
data in a folder of its own, set up to acknowledge a write when it is on stable storage, and is
stopped by its process id."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field

MEMORY_MIB = 512  # caches of those servers that can be told
START_SECONDS = 30
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_times() -> dict[int, tuple[int, float]]:
    """Parent and processor seconds, of reaped children too, of every process."""
    processes = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        processes[int(name)] = (int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
    return processes


@dataclass
class Server:
    """One server, running from Start to Stop. Confined to one thread."""

    name: str
    load_name: str  # what rival_load calls it
    folder: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """What the folder needs before the first start."""

    def user(self) -> dict:
        """Arguments of Popen for another user than the caller."""
        return {}

    def start(self) -> None:
        os.makedirs(self.folder)
        self.prepare()
        with open(self.folder + ".log", "wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd="/", **self.user()
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0 and self.answers():
                    return
            time.sleep(0.1)
        raise SystemExit(f"rivals: {self.name} does not serve; see {self.folder}.log")

    def answers(self) -> bool:
        return True

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal())
            self.process.wait(timeout=60)

    def stop_signal(self) -> int:
        return signal.SIGTERM

    def cpu_seconds(self) -> float:
        """Of the server and the processes below it."""
        processes = process_times()
        family = {self.process.pid}
        while True:
            more = {pid for pid, (parent, _) in processes.items() if parent in family} - family
            if not more:
                return sum(processes[pid][1] for pid in family if pid in processes)
            family |= more

    def disk_bytes(self) -> int:
        """Blocks that its files take."""
        total = 0
        for base, _, files in os.walk(self.folder):
            for name in files:
                try:
                    total += os.lstat(os.path.join(base, name)).st_blocks * 512
                except FileNotFoundError:
                    continue  # removed meanwhile
        return total


@dataclass
class Sopd(Server):
    """Ours; writes are synced by default."""

    program: str = ""

    def command(self) -> list[str]:
        return [
            self.program, "--data", self.folder + "/data", "--listen", f"127.0.0.1:{self.port}",
            "--http", "off", "--memory", str(MEMORY_MIB << 20), "--log-level", "error",
        ]  # fmt: skip


class Etcd(Server):
    """One member; puts and transactions are answered when the log is synced."""

    def command(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{free_port()}"
        return [
            "etcd", "--data-dir", self.folder + "/data", "--logger", "zap", "--log-level", "error",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}", "--quota-backend-bytes", str(8 << 30),
            "--auto-compaction-mode", "revision", "--auto-compaction-retention", "1000",
        ]  # fmt: skip


class Postgres(Server):
    """PostgreSQL 15 with its defaults for durability and memory of its own."""

    BIN = "/usr/lib/postgresql/15/bin"

    def user(self) -> dict:
        if os.geteuid() != 0:
            return {}
        postgres = pwd.getpwnam("postgres")
        return {"user": postgres.pw_uid, "group": postgres.pw_gid, "extra_groups": []}

    def prepare(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        initdb = [f"{self.BIN}/initdb", "-D", self.folder + "/data", "-U", "postgres", "-A", "trust"]
        subprocess.run(
            [*initdb, "-E", "UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **self.user(),
        )  # fmt: skip

    def command(self) -> list[str]:
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "max_connections": 100,
            "unix_socket_directories": self.folder, "shared_buffers": f"{MEMORY_MIB // 2}MB",
            "fsync": "on", "synchronous_commit": "on", "max_wal_size": "2GB",
            "logging_collector": "off",
        }  # fmt: skip
        command = [f"{self.BIN}/postgres", "-D", self.folder + "/data"]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def answers(self) -> bool:
        ready = [f"{self.BIN}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def stop_signal(self) -> int:
        return signal.SIGINT  # fast shutdown


class Redis(Server):
    """Every write is in a synced append-only file before it is answered; no snapshots."""

    def command(self) -> list[str]:
        return [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
            "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no",
        ]  # fmt: skip

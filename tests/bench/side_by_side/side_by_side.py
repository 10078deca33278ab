"""Measures this server beside etcd, PostgreSQL, Redis and sop4py; see tests/bench/rivals.

usage: side_by_side.py FOLDER BUILD SECONDS ITEMS [SERVER ...]
Prints lines for tables.py. The servers are there one after the other, never together.
"""

import json
import os
import shutil
import subprocess
import sys

from servers import Etcd, Postgres, Redis, Server, Sopd

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = (1, 16, 64)
BATCH = 100
USER_BYTES = 108  # a 64-bit key and a value


def emit(table: str, cells: dict) -> None:
    print(json.dumps({"table": table, "cells": cells}), flush=True)


def rounded(value: float) -> float:
    return float(f"{value:.3g}")


class Run:
    """One server's rows. Confined to one thread."""

    def __init__(self, server: Server, load_program: str, seconds: float, items: int) -> None:
        self.server = server
        self.load_program = load_program
        self.seconds = seconds
        self.items = items

    def call(self, kind: str, clients: int, batch: int) -> dict:
        """The figures of one kind of call; an operation is one item."""
        before = self.server.cpu_seconds()
        arguments = [self.server.load_name, self.server.port, kind, clients, batch, self.seconds]
        done = subprocess.run(
            [self.load_program, *map(str, arguments), str(self.items)],
            check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        cpu = self.server.cpu_seconds() - before
        figures = json.loads(done.stdout)
        operations = self.items if kind == "load" else figures["calls"] * batch
        return {
            "server": self.server.name,
            "clients": clients,
            "ops/s": round(operations / figures["seconds"]),
            "p50 us": round(figures["p50_us"]),
            "p99 us": round(figures["p99_us"]),
            "server CPU s per M ops": rounded(cpu / operations * 1e6),
            "client CPU s per M ops": rounded(figures["client_cpu_s"] / operations * 1e6),
        }

    def measure(self) -> None:
        load = self.call("load", 16, BATCH)
        loaded = self.server.disk_bytes()
        for batch, what in ((1, "one item per call"), (BATCH, f"{BATCH} items per call")):
            for clients in CLIENTS:
                emit(f"get, {what}", self.call("get", clients, batch))
                emit(f"put, {what}", self.call("put", clients, batch))
        self.server.stop()
        emit("disk", {
            "server": self.server.name,
            "load ops/s": load["ops/s"],
            "MiB after load": rounded(loaded / 1048576),
            "of user bytes": rounded(loaded / self.items / USER_BYTES),
            "MiB after all puts, stopped": rounded(self.server.disk_bytes() / 1048576),
        })  # fmt: skip


def measure_sop4py(folder: str, python: str, seconds: float, items: int) -> None:
    """The predecessor inside a process of its own, and how often that process syncs."""
    program = [python, os.path.join(HERE, "sop4py_load.py"), folder]
    done = subprocess.run(
        [*program, str(items), str(seconds)],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for line in done.stdout.decode().splitlines():
        if line.startswith("{"):
            emit("sop4py, embedded in Python", json.loads(line))
    shutil.rmtree(folder)
    trace = folder + ".strace"
    subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync,syncfs,sync_file_range,openat",
         "-o", trace, *program, "1000", "2"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with open(trace, encoding="utf-8", errors="replace") as lines:
        calls = [line for line in lines if folder in line or "sync" in line]
    emit("sop4py, system calls of a short run", {
        "fsync, fdatasync, sync": sum("sync(" in line for line in calls),
        "files opened with O_SYNC or O_DSYNC": sum("O_SYNC" in c or "O_DSYNC" in c for c in calls),
        "files opened with O_DIRECT": sum("O_DIRECT" in line for line in calls),
        "other files opened to write": sum(
            ("O_WRONLY" in line or "O_RDWR" in line) and "SYNC" not in line
            and "O_DIRECT" not in line for line in calls
        ),
    })  # fmt: skip


def main() -> int:
    folder, build, seconds, items = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    wanted = sys.argv[5:] or ["sop", "etcd", "postgres", "redis", "sop4py"]
    failed = []
    made = {
        "sop": lambda: Sopd("SOP", "sop", f"{folder}/sop", program=f"{build}/server/sopd"),
        "etcd": lambda: Etcd("etcd", "etcd", f"{folder}/etcd"),
        "postgres": lambda: Postgres("PostgreSQL", "postgres", f"{folder}/postgres"),
        "redis": lambda: Redis("Redis", "redis", f"{folder}/redis"),
    }
    for name in wanted:
        print(f"rivals: {name}", file=sys.stderr, flush=True)
        if name == "sop4py":
            python = f"{folder}/sop4py-venv/bin/python"
            measure_sop4py(f"{folder}/sop4py", python, seconds, items)
            continue
        server = made[name]()
        try:
            server.start()
            Run(server, f"{build}/tests/bench/side_by_side/rival_load", seconds, items).measure()
        except subprocess.CalledProcessError as error:
            # The others are still worth measuring.
            failed.append(name)
            print(f"rivals: {name}: {error}", file=sys.stderr, flush=True)
        finally:
            server.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

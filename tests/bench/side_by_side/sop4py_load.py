"""Drives the predecessor, the package sop4py, which runs inside this process:

usage: sop4py_load.py FOLDER ITEMS SECONDS
A bulk add in one transaction, transactions of one item, and eight threads that add keys of their
own in transactions of 100. Prints a line of JSON for each.
"""

import json
import os
import resource
import sys
import threading
import time

from sop.btree import Item
from sop.context import Context
from sop.database import Database, DatabaseOptions, DatabaseType

STORE = "bench"
VALUE = "v" * 100
LIST = 1000  # items of one call
THREADS = 8
BATCH = 100


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Load:
    """One database of the predecessor under load."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.context = Context()
        self.database = Database(
            DatabaseOptions(stores_folders=[folder], type=DatabaseType.Standalone)
        )
        transaction = self.database.begin_transaction(self.context)
        store = self.database.new_btree(self.context, STORE, transaction)
        # Its manual asks for an item before threads may add concurrently.
        store.add(self.context, Item(key=-1, value=VALUE))
        transaction.commit(self.context)

    def add(self, keys: range) -> None:
        """The keys in one transaction; raises if it does not commit."""
        transaction = self.database.begin_transaction(self.context)
        store = self.database.open_btree(self.context, STORE, transaction)
        for first in range(0, len(keys), LIST):
            items = [Item(key=key, value=VALUE) for key in keys[first : first + LIST]]
            if not store.add(self.context, items):
                raise RuntimeError("an add was refused")
        transaction.commit(self.context)

    def report(self, what: str, items: int, times: list[float], begun: tuple[float, float]) -> None:
        seconds, cpu = time.monotonic() - begun[0], cpu_seconds() - begun[1]
        times.sort()
        size = sum(
            os.lstat(os.path.join(base, name)).st_blocks * 512
            for base, _, files in os.walk(self.folder)
            for name in files
        )
        cells = {
            "what": what,
            "ops/s": round(items / seconds),
            "p50 us": round(times[len(times) // 2] * 1e6),
            "p99 us": round(times[int(len(times) * 0.99)] * 1e6),
            "CPU s per M ops": float(f"{cpu / max(items, 1) * 1e6:.3g}"),
            "MiB on disk": float(f"{size / 1048576:.3g}"),
        }
        print(json.dumps(cells), flush=True)


def begin() -> tuple[float, float]:
    return time.monotonic(), cpu_seconds()


def timed_adds(load: Load, first: int, size: int, seconds: float, times: list, failed: list) -> None:
    """Transactions of `size` following keys for a time. A refused one is repeated once noted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        try:
            load.add(range(first, first + size))
        except Exception as error:  # the predecessor raises bare Exception for a conflict
            failed.append(str(error))
            continue
        times.append(time.monotonic() - start)
        first += size


def main() -> int:
    folder, items, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    os.makedirs(folder)
    load = Load(folder)
    begun = begin()
    load.add(range(items))
    load.report(f"{items} items in one transaction", items, [time.monotonic() - begun[0]], begun)
    begun, times, failed = begin(), [], []
    timed_adds(load, items, 1, seconds, times, failed)
    load.report("transactions of one item, one thread", len(times), times, begun)
    for size in (1, BATCH):
        begun, times, failed = begin(), [], []
        threads = [
            threading.Thread(
                target=timed_adds,
                args=(load, (size + 1) * 10**9 + number * 10**7, size, seconds, times, failed),
            )
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        what = f"transactions of {size}, {THREADS} threads, keys of their own"
        load.report(f"{what}, {len(failed)} refused", len(times) * size, times or [0], begun)
    return 0


if __name__ == "__main__":
    sys.exit(main())

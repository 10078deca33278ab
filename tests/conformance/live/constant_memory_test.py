"""A scan of far more than what may be in memory: flow control keeps server and client small, however slow the reader is.

The store has 192 MiB. The server is read once to fill its caches; what it grows by while slow readers
take everything again, and what a client of its own process grows by, is at most an eighth of that.
"""

import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from typing import Callable

from live_store import LiveCase, write
from sop.pages import read_header
from sop.v1 import btree_pb2

ITEMS = 48 * 1024
VALUE_BYTES = 4096
MOST_GROWTH_MIB = 24.0
READERS = 3


def resident_mib(process: int | str) -> float:
    """The memory of a process that is in RAM."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


class Watcher:
    """Notes the most that a process has while it is watched."""

    def __init__(self, process: int | str) -> None:
        self._process = process
        self._stopping = threading.Event()
        self.begin = self.most = resident_mib(process)
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def growth(self) -> float:
        return self.most - self.begin

    def _watch(self) -> None:
        while not self._stopping.wait(0.01):
            self.most = max(self.most, resident_mib(self._process))


def client(address: str, how: str) -> None:
    """A program of its own: reads everything through the Python client, prints items and growth."""
    import sop

    with sop.Database(sop.DatabaseOptions(address=address)) as db:
        with db.begin_transaction(mode=sop.ForReading) as t:
            store = db.open_btree("large", t)
            read = 0
            # What is loaded once, numpy for example, is no growth of the scan.
            first = next(iter(store.array_pages())) if how == "arrays" else next(iter(store.items()))
            del first
            with Watcher("self") as watcher:
                if how == "arrays":
                    for page in store.array_pages():
                        read += len(page)
                        time.sleep(0.001)
                else:
                    for item in store.items():
                        read += len(item.value) == VALUE_BYTES
            print(read, watcher.growth)


class ConstantMemoryTest(LiveCase):
    flags = ("--memory", "128MiB")

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.create(cls, "large")  # type: ignore[arg-type]
        for start in range(0, ITEMS, 512):
            items = [write(n, b"%08d" % n * (VALUE_BYTES // 8)) for n in range(start, start + 512)]
            cls.btrees.Add(btree_pb2.AddRequest(store="large", items=items))

    def read_all(self, pause: Callable[[int], float]) -> int:
        """Reads everything, pausing after each page; how many items."""
        read = 0
        stream = self.btrees.Scan(btree_pb2.ScanRequest(store="large"))
        for number, answer in enumerate(stream):
            read += read_header(answer.page)[1]
            time.sleep(pause(number))
        return read

    def test_the_server_does_not_read_ahead_of_slow_readers(self) -> None:
        for _ in range(2):
            self.assertEqual(self.read_all(lambda number: 0), ITEMS)
        counts: list[int] = []
        # The first page is taken only after a while, and all others slowly.
        threads = [
            threading.Thread(
                target=lambda: counts.append(
                    self.read_all(lambda number: 2.0 if number == 0 else 0.005)
                )
            )
            for _ in range(READERS)
        ]
        with Watcher(self.server.pid) as watcher:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(counts, [ITEMS] * READERS)
        print(f"server: {watcher.begin:.0f} MiB, grew by {watcher.growth:.1f} MiB")
        self.assertLess(watcher.growth, MOST_GROWTH_MIB)

    def test_the_python_client_keeps_a_few_pages(self) -> None:
        for how in ("items", "arrays"):
            with self.each(how=how):
                program = [sys.executable, __file__, self.server.address, how]
                done = subprocess.run(program, check=True, capture_output=True, text=True)
                read, growth = done.stdout.split()
                print(f"client, {how}: grew by {float(growth):.1f} MiB")
                self.assertEqual(int(read), ITEMS)
                self.assertLess(float(growth), MOST_GROWTH_MIB)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        client(*sys.argv[1:])
    else:
        unittest.main()

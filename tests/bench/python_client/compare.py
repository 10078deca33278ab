"""The Python client beside a C++ loop; see README.md.

usage: compare.py CLIENT_LOOP SOPD FOLDER ITEMS SLICES
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

import sop

STORE = "bench"
# The key of item n in C++ is the int64 whose rank is n.
FIRST_KEY = -(2**63)
PAGE = sop.PagingInfo(page_size=1000)
# A row: what Python does, what C++ does beside it.
ROWS = [
    ("single adds in a transaction", "single", "unary"),
    ("single adds in a transaction", "single", "batched"),
    ("list adds", "list", "batched"),
    ("page reads (get_items)", "pages", "pages"),
    ("page iterator (pages)", "page_iterator", "pages"),
    ("scans into numpy", "scan", "scan"),
]


class CppClient:
    """The C++ loop and the server that it starts."""

    def __init__(self, program: str, sopd: str, folder: str) -> None:
        self._process = subprocess.Popen(
            [program, sopd, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address = self._process.stdout.readline().strip()

    def run(self, kind: str, begin: int, end: int) -> tuple[float, float]:
        """Seconds and processor seconds."""
        self._process.stdin.write(f"{kind} {begin} {end}\n")
        self._process.stdin.flush()
        done = json.loads(self._process.stdout.readline())
        return done["seconds"], done["cpu"]

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait()


class PythonClient:
    """The same through the package."""

    def __init__(self, address: str) -> None:
        self._db = sop.Database(sop.DatabaseOptions(address=address))
        self._values = [os.urandom(100) for _ in range(1000)]

    def run(self, kind: str, begin: int, end: int) -> tuple[float, float]:
        """Seconds and processor seconds."""
        cpu, start = time.process_time(), time.perf_counter()
        getattr(self, kind)(begin, end)
        return time.perf_counter() - start, time.process_time() - cpu

    def single(self, begin: int, end: int) -> None:
        values = self._values
        with self._db.begin_transaction() as t:
            store = self._db.open_btree(STORE, t)
            for n in range(begin, end):
                store.add(sop.Item(FIRST_KEY + n, values[n % 1000]))
        assert t.unseen_outcomes == 0

    def list(self, begin: int, end: int) -> None:
        values = self._values
        with self._db.begin_transaction() as t:
            store = self._db.open_btree(STORE, t)
            store.add([sop.Item(FIRST_KEY + n, values[n % 1000]) for n in range(begin, end)])
        assert t.unseen_outcomes == 0

    def pages(self, begin: int, end: int) -> None:
        items = 0
        with self._db.begin_transaction(sop.ForReading) as t:
            store = self._db.open_btree(STORE, t)
            store.first()
            while page := store.get_items(PAGE):
                items += len(page)
        assert items == end - begin

    def page_iterator(self, begin: int, end: int) -> None:
        with self._db.begin_transaction(sop.ForReading) as t:
            pages = self._db.open_btree(STORE, t).pages(PAGE.page_size)
            assert sum(len(page.items) for page in pages) == end - begin

    def scan(self, begin: int, end: int) -> None:
        with self._db.begin_transaction(sop.ForReading) as t:
            found = self._db.open_btree(STORE, t).to_numpy()
        assert len(found.key) == end - begin and found.values.dtype == "V100"


@dataclass
class Row:
    """Microseconds per item of both sides, a figure per slice."""

    python: list[tuple[float, float]] = field(default_factory=list)
    cpp: list[tuple[float, float]] = field(default_factory=list)

    def cells(self) -> list[str]:
        def middle(side: list[tuple[float, float]], which: int) -> str:
            return f"{statistics.median(figures[which] for figures in side):.2f}"

        def ratio(which: int) -> str:
            pairs = [(p[which], c[which]) for p, c in zip(self.python, self.cpp) if p[which] > 0]
            return f"{statistics.median(c / p for p, c in pairs):.2f}"

        return [
            middle(self.python, 0), middle(self.cpp, 0), ratio(0),
            middle(self.python, 1), middle(self.cpp, 1), ratio(1),
        ]  # fmt: skip


def measure(cpp: CppClient, python: PythonClient, items: int, slices: int) -> list[Row]:
    rows = [Row() for _ in ROWS]
    known = 0
    for slice_number in range(slices + 1):
        for row, (_, kind, beside) in zip(rows, ROWS):
            sides = [(python, kind, row.python), (cpp, beside, row.cpp)]
            # Who goes first changes, so that neither always finds the other's work in the caches.
            for client, what, figures in sides[:: 1 if slice_number % 2 else -1]:
                adds = what in ("single", "list", "unary", "batched")
                begin, end = (known, known + items) if adds else (0, known)
                seconds, cpu = client.run(what, begin, end)
                if adds:
                    known = end
                if slice_number:  # the first one connects and warms up
                    figures.append((seconds / (end - begin) * 1e6, cpu / (end - begin) * 1e6))
    return rows


def main() -> None:
    program, sopd, folder, items, slices = sys.argv[1:]
    cpp = CppClient(program, sopd, folder)
    try:
        rows = measure(cpp, PythonClient(cpp.address), int(items), int(slices))
    finally:
        cpp.stop()
    print("| what | Python us/item | C++ us/item | C++ / Python | Python cpu | C++ cpu | cpu ratio |")
    print("|---|---|---|---|---|---|---|")
    for (what, _, beside), row in zip(ROWS, rows):
        print(f"| {what}, beside {beside} | {' | '.join(row.cells())} |")


if __name__ == "__main__":
    main()

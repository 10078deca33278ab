"""A server that is offered far more than its memory stays within it and answers afterwards: memory_test.py [--seconds N].

Threads fill transactions that they never commit, read large answers slowly, and write; each would
take many times the budget. What is refused must be OVERLOADED with a time to come again, RSS must stay
below 1.2 times the budget, and what was acknowledged must be there in the end.
"""

import argparse
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from sop.testing import Server
from sop.v1 import btree_pb2, btree_pb2_grpc, transaction_pb2, transaction_pb2_grpc, types_pb2

BUDGET_MIB = 256
HOARDERS = 16
READERS = 16
WRITERS = 8
SECONDS = 10.0


def items(first: int, count: int, size: int) -> list[types_pb2.WriteItem]:
    value = types_pb2.Value(content=b"v" * size)
    return [
        types_pb2.WriteItem(key=types_pb2.Key(int64_value=first + i), value=value)
        for i in range(count)
    ]


class Load:
    """What the threads share. Thread-safe."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.stopping = threading.Event()
        self.mu = threading.Lock()
        self.refused = 0
        self.without_retry = 0
        self.served = 0
        self.failures: list[str] = []
        self.acknowledged: set[int] = set()

    def note(self, error: grpc.RpcError) -> None:
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        retry = error_details_pb2.RetryInfo()
        told = any(detail.Unpack(retry) for detail in status_pb2.Status.FromString(details).details)
        with self.mu:
            if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
                self.refused += 1
                self.without_retry += not told
            elif error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.failures.append(f"{error.code()}: {error.details()}")
        self.stopping.wait(0.02)

    def run(self, work: Any, number: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(self.server.address, options) as channel:
            while not self.stopping.is_set():
                try:
                    work(self, channel, number)
                    with self.mu:
                        self.served += 1
                except grpc.RpcError as error:
                    self.note(error)


def hoard(load: Load, channel: grpc.Channel, number: int) -> None:
    """Fills a transaction with writes and lets it lie."""
    btrees = btree_pb2_grpc.BtreeServiceStub(channel)
    begun = transaction_pb2_grpc.TransactionServiceStub(channel).Begin(
        transaction_pb2.BeginRequest()
    )
    for round_ in range(8):
        btrees.Upsert(
            btree_pb2.UpsertRequest(
                store="hoard",
                transaction_id=begun.transaction_id,
                items=items(number * 1_000_000 + round_ * 1_000, 60, 50_000),
            )
        )


def read(load: Load, channel: grpc.Channel, number: int) -> None:
    """Asks for large pages and takes its time."""
    page = btree_pb2_grpc.BtreeServiceStub(channel).Scan(
        btree_pb2.ScanRequest(store="large", page_bytes=3 << 20), timeout=30
    )
    for _ in page:
        if load.stopping.wait(0.2):
            page.cancel()


def write(load: Load, channel: grpc.Channel, number: int) -> None:
    """Small durable writes, remembered when acknowledged."""
    key = number * 1_000_000 + time.monotonic_ns() // 1000 % 1_000_000
    btree_pb2_grpc.BtreeServiceStub(channel).Upsert(
        btree_pb2.UpsertRequest(store="small", items=items(key, 1, 100))
    )
    with load.mu:
        load.acknowledged.add(key)


class MemoryTest(unittest.TestCase):
    seconds = SECONDS

    def resident(self, server: Server) -> int:
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
        return pages * 4096

    def fill(self, server: Server) -> None:
        with grpc.insecure_channel(server.address) as channel:
            btrees = btree_pb2_grpc.BtreeServiceStub(channel)
            for store in ("hoard", "large", "small"):
                btrees.CreateBtree(btree_pb2.CreateBtreeRequest(store=store))
            for first in range(0, 2_000, 50):
                btrees.Upsert(
                    btree_pb2.UpsertRequest(store="large", items=items(first, 50, 60_000))
                )

    def test_stays_within_its_budget_and_serves_afterwards(self) -> None:
        with tempfile.TemporaryDirectory(prefix="sop-memory-") as folder:
            server = Server(Path(folder), ["--memory", f"{BUDGET_MIB}MiB"])
            server.start()
            self.addCleanup(server.stop)
            self.fill(server)
            load = Load(server)
            plan = [(hoard, HOARDERS), (read, READERS), (write, WRITERS)]
            threads = [
                threading.Thread(target=load.run, args=(work, number), daemon=True)
                for work, count in plan
                for number in range(count)
            ]
            for thread in threads:
                thread.start()
            most = 0
            end = time.monotonic() + self.seconds
            while time.monotonic() < end:
                most = max(most, self.resident(server))
                time.sleep(0.05)
            load.stopping.set()
            for thread in threads:
                thread.join(40)
            print(
                f"memory: at most {most >> 20} MiB of {BUDGET_MIB}, {load.served} served, "
                f"{load.refused} refused",
                file=sys.stderr,
            )
            self.assertEqual(load.failures[:3], [])
            self.assertEqual(load.without_retry, 0)
            self.assertGreater(len(load.acknowledged), 0)
            self.check_acknowledged(server, load.acknowledged)
            self.assertLessEqual(most, BUDGET_MIB * 1.2 * (1 << 20))
            server.stop()

    def check_acknowledged(self, server: Server, keys: set[int]) -> None:
        with grpc.insecure_channel(server.address) as channel:
            btrees = btree_pb2_grpc.BtreeServiceStub(channel)
            wanted = [types_pb2.Key(int64_value=key) for key in sorted(keys)]
            end = time.monotonic() + 30
            for first in range(0, len(wanted), 1_000):
                part = wanted[first : first + 1_000]
                while True:
                    try:
                        found = btrees.Get(btree_pb2.GetRequest(store="small", keys=part))
                        break
                    except grpc.RpcError as error:
                        self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
                        self.assertLess(time.monotonic(), end, "not served afterwards")
                        time.sleep(0.2)
                self.assertEqual(list(found.missing), [])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options, rest = parser.parse_known_args()
    MemoryTest.seconds = options.seconds
    unittest.main(argv=[sys.argv[0], *rest])

"""What a live server shows: metrics, dashboard, documentation and slow log agree."""

import json
import re
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path
from typing import Any

import grpc
from sop.testing import Server
from sop.v1 import btree_pb2, btree_pb2_grpc, transaction_pb2, transaction_pb2_grpc, types_pb2

ROOT = Path(__file__).resolve().parents[2]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NAME = re.compile(r"\bsop_[a-z0-9_]+")


def stem(name: str) -> str:
    """A histogram's series are named after their family."""
    return re.sub(r"_(bucket|sum|count)$", "", name)


class WatchTest(unittest.TestCase):
    server: Server
    folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="sop-watch-")
        cls.server = Server(
            Path(cls.folder.name), ["--slow-operation", "0s", "--log-format", "json"]
        )
        cls.server.start()
        cls.channel = grpc.insecure_channel(cls.server.address)
        cls.btrees = btree_pb2_grpc.BtreeServiceStub(cls.channel)
        cls.transactions = transaction_pb2_grpc.TransactionServiceStub(cls.channel)
        cls.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(store="watched"))
        cls.add("a")
        cls.make_conflict()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.channel.close()
        cls.server.stop()
        cls.folder.cleanup()

    @classmethod
    def add(cls, key: str, transaction: bytes = b"") -> None:
        item = types_pb2.WriteItem(
            key=types_pb2.Key(string_value=key),
            value=types_pb2.Value(content=b"secret", format=types_pb2.VALUE_FORMAT_BYTES),
        )
        cls.btrees.Upsert(
            btree_pb2.UpsertRequest(store="watched", transaction_id=transaction, items=[item]),
            metadata=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")],
        )

    @classmethod
    def make_conflict(cls) -> None:
        begun = [
            cls.transactions.Begin(
                transaction_pb2.BeginRequest(mode=types_pb2.TRANSACTION_MODE_READ_WRITE)
            ).transaction_id
            for _ in range(2)
        ]
        for transaction in begun:
            cls.btrees.Count(btree_pb2.CountRequest(store="watched", transaction_id=transaction))
            cls.add(f"by-{transaction.hex()}", transaction)
        outcomes = []
        for transaction in begun:
            try:
                cls.transactions.Commit(transaction_pb2.CommitRequest(transaction_id=transaction))
                outcomes.append("OK")
            except grpc.RpcError as error:
                outcomes.append(error.code().name)
        if sorted(outcomes) != ["ABORTED", "OK"]:
            raise AssertionError(f"two writers that counted: {outcomes}")

    def exported(self) -> dict[str, float]:
        """Series of /metrics with their values."""
        with urllib.request.urlopen(f"http://{self.server.http_address}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        series = {}
        for line in lines:
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                series[name] = float(value)
        return series

    def names(self) -> set[str]:
        return {stem(name.split("{")[0]) for name in self.exported() if name.startswith("sop_")}

    def test_every_metric_of_the_dashboard_is_exported(self) -> None:
        board: dict[str, Any] = json.loads((ROOT / "deploy/grafana.json").read_text())
        texts = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        texts += [variable["query"] for variable in board["templating"]["list"]]
        used = {stem(name) for text in texts for name in NAME.findall(text)}
        self.assertGreater(len(used), 25)
        self.assertEqual(used - self.names(), set())

    def test_every_metric_is_documented_and_every_documented_one_exported(self) -> None:
        rows = re.findall(r"^\| (`sop_.*)$", (ROOT / "docs/operations.md").read_text(), re.M)
        documented = {stem(name) for row in rows for name in NAME.findall(row.split("|")[0])}
        documented |= {f"sop_storage_level{level}_files" for level in range(7)}
        self.assertEqual(self.names() - documented, set(), "not documented")
        self.assertEqual(documented - self.names(), set(), "not exported")

    def test_commits_are_counted_by_stage_and_conflicts_by_store(self) -> None:
        series = self.exported()
        for stage in ("queue", "validate", "apply", "write", "publish"):
            name = f'sop_commit_stage_seconds_count{{database="default",stage="{stage}"}}'
            self.assertGreaterEqual(series[name], 3, stage)
        self.assertEqual(series['sop_conflicts_total{database="default",store="watched"}'], 1)
        self.assertGreater(series['sop_memory_bytes{kind="resident"}'], 1 << 20)
        self.assertGreaterEqual(series['sop_storage_wal_syncs_total{database="default"}'], 3)

    def test_slow_operations_are_logged_with_stages_and_trace_and_without_values(self) -> None:
        wanted: list[dict[str, str]] = []
        for _ in range(50):
            lines = [json.loads(line) for line in self.server.log().splitlines() if line[:1] == "{"]
            slow = [line for line in lines if line["event"] == "slow operation"]
            wanted = [line for line in slow if line["method"].endswith("/Upsert")]
            if wanted:
                break
            time.sleep(0.1)
        first = wanted[0]
        self.assertEqual(first["trace"], TRACE)
        self.assertEqual((first["store"], first["keys"], first["code"]), ("watched", "1", "OK"))
        self.assertGreater(int(first["bytes"]), 10)
        # A commit that is alone waits for nobody.
        self.assertGreaterEqual(float(first["queue_ms"]), 0)
        for stage in ("validate_ms", "apply_ms", "write_ms", "publish_ms"):
            self.assertGreater(float(first[stage]), 0, stage)
        self.assertNotIn("secret", self.server.log())


if __name__ == "__main__":
    unittest.main()

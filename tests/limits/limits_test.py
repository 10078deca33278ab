"""Every limit of a request, over the network: one less and the limit itself are served, one more is refused.

Each refusal has its code and reason, and names the limit.
"""

import http.client
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

import grpc
from google.rpc import error_details_pb2, status_pb2
from sop.calls import make_request_id
from sop.testing import Server
from sop.v1 import admin_pb2, admin_pb2_grpc, btree_pb2, btree_pb2_grpc
from sop.v1 import database_pb2, database_pb2_grpc, filter_pb2, transaction_pb2, transaction_pb2_grpc, types_pb2

MESSAGE_BYTES = 4 << 20
TRANSPORT_BYTES = 16 << 20
KEPT_BYTES = 64 << 10
HTTP_BODY_BYTES = 1 << 16


class Refusal:
    """What a failed call says."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: str = error.code().name
        self.reason = ""
        self.metadata: dict[str, str] = {}
        self.retry_seconds = 0.0
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                for detail in status_pb2.Status.FromString(value).details:
                    self._read(detail)

    def _read(self, detail: Any) -> None:
        info = error_details_pb2.ErrorInfo()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            self.reason = info.reason
            self.metadata = dict(info.metadata)
        elif detail.Unpack(retry):
            self.retry_seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9


def text(value: str) -> types_pb2.Key:
    return types_pb2.Key(string_value=value)


def number(value: int) -> types_pb2.Key:
    return types_pb2.Key(int64_value=value)


def on(name: str, value: int = 1) -> filter_pb2.Filter:
    """A filter of one condition."""
    made = filter_pb2.Filter()
    made.condition.field.names.append(name)
    made.condition.equal.scalar.int64_value = value
    return made


class LimitsTest(unittest.TestCase):
    folder: tempfile.TemporaryDirectory[str]
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="sop-limits-")
        flags = ["--max-open-transactions", "3", "--max-databases", "4", "--max-streams", "3"]
        cls.server = Server(Path(cls.folder.name), flags)
        cls.server.start()
        # The client must not be what refuses.
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        cls.channel = grpc.insecure_channel(cls.server.address, options)
        cls.admin = admin_pb2_grpc.AdminServiceStub(cls.channel)
        cls.btrees = btree_pb2_grpc.BtreeServiceStub(cls.channel)
        cls.databases = database_pb2_grpc.DatabaseServiceStub(cls.channel)
        cls.transactions = transaction_pb2_grpc.TransactionServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.channel.close()
        cls.server.stop()
        cls.folder.cleanup()

    def create(self, store: str, **options: Any) -> None:
        self.btrees.CreateBtree(
            btree_pb2.CreateBtreeRequest(store=store, options=types_pb2.BtreeOptions(**options))
        )

    def upsert(self, store: str, key: types_pb2.Key, value: bytes = b"") -> None:
        item = types_pb2.WriteItem(key=key, value=types_pb2.Value(content=value))
        self.btrees.Upsert(btree_pb2.UpsertRequest(store=store, items=[item]))

    def refused(self, call: Callable[[], Any]) -> Refusal:
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        return Refusal(raised.exception)

    def edge(self, limit: int, send: Callable[[int], Any], expected: Sequence[str]) -> Refusal:
        """`send(n)` for n at the limit and beside it; `expected`: code and reason beyond it."""
        send(limit - 1)
        send(limit)
        refusal = self.refused(lambda: send(limit + 1))
        self.assertEqual([refusal.code, refusal.reason], list(expected))
        return refusal

    def overhead(self, send: Callable[[int], Any], size: int) -> int:
        """What the server counts beside `size` bytes of content."""
        return int(self.refused(lambda: send(size)).metadata["size"]) - size

    def test_key_size(self) -> None:
        self.create("keys")
        send = lambda size: self.upsert("keys", text("k" * size))
        beside = self.overhead(send, 4096)
        refusal = self.edge(4096 - beside, send, ["INVALID_ARGUMENT", "INVALID_KEY"])
        self.assertEqual(refusal.metadata["limit"], "4096")

    def test_ride_on_size(self) -> None:
        index = types_pb2.IndexSpecification(fields=[types_pb2.IndexField(name="id")])
        self.create("riding", index=index)

        def send(size: int) -> None:
            fields = [
                types_pb2.Field(name="id", value=types_pb2.Scalar(int64_value=1)),
                types_pb2.Field(name="note", value=types_pb2.Scalar(string_value="n" * size)),
            ]
            self.upsert("riding", types_pb2.Key(record=types_pb2.Record(fields=fields)))

        send(1)
        beside = self.overhead(send, 4096)
        refusal = self.edge(4096 - beside, send, ["INVALID_ARGUMENT", "INVALID_KEY"])
        self.assertEqual(refusal.metadata["limit"], "4096")

    def test_key_fields(self) -> None:
        def send(count: int) -> None:
            self.create(f"fields{count}")
            fields = [
                types_pb2.Field(name=f"f{i}", value=types_pb2.Scalar(int64_value=i))
                for i in range(count)
            ]
            self.upsert(f"fields{count}", types_pb2.Key(record=types_pb2.Record(fields=fields)))

        refusal = self.edge(32, send, ["INVALID_ARGUMENT", "INVALID_KEY"])
        self.assertEqual(refusal.metadata["limit"], "32")

    def put_value(self, store: str, key: int, sizes: Sequence[int]) -> None:
        """A value in parts of these sizes."""

        def messages() -> Iterator[btree_pb2.PutValueRequest]:
            item = types_pb2.WriteItem(key=number(key))
            yield btree_pb2.PutValueRequest(store=store, item=item)
            for size in sizes:
                yield btree_pb2.PutValueRequest(content=b"v" * size)
            yield btree_pb2.PutValueRequest(end=True)

        self.btrees.PutValue(messages())

    def test_value_size(self) -> None:
        self.create("values")
        most, part = 64 << 20, 1 << 20
        send = lambda size: self.put_value("values", 1, [part] * (size // part) + [size % part])
        refusal = self.edge(most, send, ["INVALID_ARGUMENT", "INVALID_VALUE"])
        self.assertEqual(refusal.metadata["limit"], str(most))

    def test_value_part_size(self) -> None:
        self.create("parts")
        send = lambda size: self.put_value("parts", 1, [size])
        refusal = self.edge(1 << 20, send, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        self.assertEqual(refusal.metadata["limit"], str(1 << 20))

    def test_store_name_size(self) -> None:
        refusal = self.edge(
            128, lambda size: self.create("s" * size), ["INVALID_ARGUMENT", "INVALID_NAME"]
        )
        self.assertEqual(refusal.metadata["limit"], "128")

    def test_slot_length(self) -> None:
        send = lambda slots: self.create(f"slots{slots}", slot_length=slots)
        self.edge(20_000, send, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        send(2)
        self.assertEqual(self.refused(lambda: send(1)).reason, "INVALID_ARGUMENT")

    def test_description_size(self) -> None:
        send = lambda size: self.create(f"described{size}", description="d" * size)
        self.edge(4096, send, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])

    def test_items_per_read(self) -> None:
        self.create("read")
        self.upsert("read", number(1))
        send = lambda count: self.btrees.Get(
            btree_pb2.GetRequest(store="read", keys=[number(i) for i in range(count)])
        )
        refusal = self.edge(65_536, send, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        self.assertEqual(refusal.metadata["limit"], "65536")

    def test_items_per_write(self) -> None:
        self.create("written")
        send = lambda count: self.btrees.Upsert(
            btree_pb2.UpsertRequest(
                store="written", items=[types_pb2.WriteItem(key=number(i)) for i in range(count)]
            )
        )
        refusal = self.edge(65_536, send, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        self.assertEqual(refusal.metadata["limit"], "65536")

    def test_message_size(self) -> None:
        def send(size: int) -> None:
            # The field's tag and the length of its length: 1 and 4 bytes.
            request = admin_pb2.EchoRequest(payload=b"e" * (size - 7), response_bytes=1)
            self.assertEqual(request.ByteSize(), size)
            self.admin.Echo(request)

        refusal = self.edge(MESSAGE_BYTES, send, ["INVALID_ARGUMENT", "MESSAGE_TOO_LARGE"])
        self.assertEqual(refusal.metadata["limit"], str(MESSAGE_BYTES))
        self.assertIn("EchoStream", refusal.metadata["use"])

    def test_transport_message_size(self) -> None:
        def send(size: int) -> None:
            self.admin.Echo(admin_pb2.EchoRequest(payload=b"e" * (size - 7), response_bytes=1))

        for size in (TRANSPORT_BYTES - 1, TRANSPORT_BYTES):
            self.assertEqual(self.refused(lambda: send(size)).reason, "MESSAGE_TOO_LARGE")
        beyond = self.refused(lambda: send(TRANSPORT_BYTES + 1))  # is not received at all
        self.assertEqual([beyond.code, beyond.reason], ["RESOURCE_EXHAUSTED", ""])
        send(100)

    def test_kept_reply(self) -> None:
        self.create("kept")

        def repeat(value_bytes: int) -> Any:
            """Executes a read of so large a value twice: the size of its reply, the second reply."""
            self.upsert("kept", number(1), b"v" * value_bytes)
            read = btree_pb2.GetRequest(store="kept", keys=[number(1)])
            write = btree_pb2.UpsertRequest(
                store="kept", items=[types_pb2.WriteItem(key=number(2))]
            )
            request = transaction_pb2.ExecuteRequest(
                request_id=make_request_id(),
                operations=[
                    transaction_pb2.Operation(get=read),
                    transaction_pb2.Operation(upsert=write),
                ],
            )
            first = self.transactions.Execute(request)
            again = self.transactions.Execute(request)
            self.assertTrue(again.repeated_request)
            self.assertEqual(again.commit_version, first.commit_version)
            first.ClearField("commit_version")
            return first.ByteSize(), again

        repeat(0)  # from now on the second key is replaced
        overhead = repeat(65_000)[0] - 65_000
        for size in (KEPT_BYTES - 1, KEPT_BYTES, KEPT_BYTES + 1):
            kept, again = repeat(size - overhead)
            self.assertEqual(kept, size)
            self.assertEqual(len(again.results), 2 if size <= KEPT_BYTES else 0)

    def test_http_body(self) -> None:
        host, port = self.server.http_address.rsplit(":", 1)
        statuses = []
        for size in (HTTP_BODY_BYTES - 1, HTTP_BODY_BYTES, HTTP_BODY_BYTES + 1):
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
            connection.request("POST", "/healthz", b"b" * size)
            statuses.append(connection.getresponse().status)
            connection.close()
        self.assertEqual(statuses, [404, 404, 413])

    def test_page_size(self) -> None:
        self.create("paged")
        self.upsert("paged", number(1))
        read = lambda **page: self.btrees.ReadPage(btree_pb2.ReadPageRequest(store="paged", **page))
        self.edge(
            10_000, lambda n: read(page_size=n), ["INVALID_ARGUMENT", "INVALID_ARGUMENT"]
        )
        self.edge(
            3 << 20, lambda n: read(page_bytes=n), ["INVALID_ARGUMENT", "INVALID_ARGUMENT"]
        )

    def test_sample_size(self) -> None:
        self.create("sampled")
        self.upsert("sampled", number(1))
        send = lambda n: self.btrees.Sample(btree_pb2.SampleRequest(store="sampled", size=n))
        refusal = self.edge(10_000, send, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        self.assertEqual(refusal.metadata["limit"], "10000")

    def test_filter(self) -> None:
        self.create("filtered")
        self.upsert("filtered", number(1), b"{}")

        def send(given: filter_pb2.Filter) -> None:
            self.btrees.Count(btree_pb2.CountRequest(store="filtered", filter=given))

        def nested(levels: int) -> filter_pb2.Filter:
            made = on("x")
            for _ in range(levels - 1):
                made = filter_pb2.Filter(negation=made)
            return made

        def joined(parts: int) -> filter_pb2.Filter:
            return filter_pb2.Filter(any_of=filter_pb2.FilterList(filters=[on("x")] * (parts - 1)))

        def listed(operands: int) -> filter_pb2.Filter:
            made = on("x")
            operand = filter_pb2.Operand(null_value=True)
            made.condition.one_of.operands.extend([operand] * operands)
            return made

        def path(names: int) -> filter_pb2.Filter:
            made = on("x")
            made.condition.field.names[:] = ["x"] * names
            return made

        limits = ((nested, 20), (joined, 1_000), (listed, 10_000), (path, 20))
        for make, limit in limits:
            refusal = self.edge(
                limit, lambda n: send(make(n)), ["INVALID_ARGUMENT", "INVALID_ARGUMENT"]
            )
            self.assertEqual(refusal.metadata["limit"], str(limit))

    def test_watch(self) -> None:
        self.create("watched", feed=True)

        def watch(**asked: int) -> None:
            stream = self.btrees.Watch(btree_pb2.WatchRequest(store="watched", **asked), timeout=20)
            next(stream)
            stream.cancel()

        wrong = ["INVALID_ARGUMENT", "INVALID_ARGUMENT"]
        self.edge(1 << 20, lambda n: watch(page_bytes=n), wrong)
        self.edge(600, lambda n: watch(heartbeat_seconds=n), wrong)

    def test_list_page_size(self) -> None:
        send = lambda n: self.databases.ListStores(database_pb2.ListStoresRequest(page_size=n))
        refusal = self.edge(1_000, send, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        self.assertEqual(refusal.metadata["limit"], "1000")

    def test_operations_per_execute(self) -> None:
        self.create("executed")
        count_one = transaction_pb2.Operation(
            get=btree_pb2.GetRequest(store="executed", keys=[number(1)])
        )
        self.upsert("executed", number(2))
        send = lambda count: self.transactions.Execute(
            transaction_pb2.ExecuteRequest(operations=[count_one] * count)
        )
        refusal = self.edge(10_000, send, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        self.assertEqual(refusal.metadata["limit"], "10000")

    def test_echo(self) -> None:
        def parts(count: int) -> None:
            self.admin.Echo(admin_pb2.EchoRequest(response_parts=count, response_bytes=1))

        refusal = self.edge(65_536, parts, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        self.assertEqual(refusal.metadata["field"], "response_parts")

        def messages(count: int) -> None:
            call = self.admin.EchoStream(
                admin_pb2.EchoStreamRequest(messages=count, response_bytes=0)
            )
            next(call)  # the rest of a million need not be read
            call.cancel()

        refusal = self.edge(1_000_000, messages, ["INVALID_ARGUMENT", "INVALID_ARGUMENT"])
        self.assertEqual(refusal.metadata["field"], "messages")

    def test_transaction_terms(self) -> None:
        hour = 3_600_000

        def send(field: str, millis: int, mode: "types_pb2.TransactionMode.ValueType") -> None:
            request = transaction_pb2.BeginRequest(mode=mode)
            getattr(request, field).seconds = millis // 1000
            getattr(request, field).nanos = millis % 1000 * 1_000_000
            begun = self.transactions.Begin(request)
            self.transactions.Rollback(
                transaction_pb2.RollbackRequest(transaction_id=begun.transaction_id)
            )

        read_write, read_only = types_pb2.TRANSACTION_MODE_READ_WRITE, types_pb2.TRANSACTION_MODE_READ_ONLY
        for field, mode, hours in (
            ("max_duration", read_write, 1),
            ("max_duration", read_only, 24),
            ("idle_limit", read_write, 1),
            ("idle_limit", read_only, 1),
        ):
            refusal = self.edge(
                hours * hour,
                lambda millis, field=field, mode=mode: send(field, millis, mode),  # type: ignore[misc]
                ["INVALID_ARGUMENT", "INVALID_ARGUMENT"],
            )
            self.assertEqual(refusal.metadata["field"], field)

    def test_open_transactions(self) -> None:
        begin = lambda: self.transactions.Begin(transaction_pb2.BeginRequest()).transaction_id
        begun = [begin() for _ in range(3)]
        refusal = self.refused(begin)
        self.assertEqual(
            (refusal.code, refusal.reason, refusal.metadata["limit"]),
            ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", "3"),
        )
        for transaction in begun:
            self.transactions.Rollback(transaction_pb2.RollbackRequest(transaction_id=transaction))
        self.transactions.Rollback(transaction_pb2.RollbackRequest(transaction_id=begin()))

    def test_databases(self) -> None:
        create = lambda name: self.databases.CreateDatabase(
            database_pb2.CreateDatabaseRequest(name=name)
        )
        for name in ("b", "c", "d"):  # and `default`
            create(name)
        refusal = self.refused(lambda: create("e"))
        self.assertEqual(
            (refusal.code, refusal.reason, refusal.metadata["limit"]),
            ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", "4"),
        )
        create("d")  # known already

    def test_streams(self) -> None:
        def open_stream() -> Any:
            stream = self.transactions.Session(iter_forever(), timeout=20)
            next(stream)  # its first answer: it was admitted
            return stream

        def iter_forever() -> Any:
            yield transaction_pb2.SessionRequest(
                id=1, begin=transaction_pb2.BeginRequest(mode=types_pb2.TRANSACTION_MODE_READ_ONLY)
            )
            done.wait(20)

        done = threading.Event()
        streams = [open_stream() for _ in range(3)]
        refusal = self.refused(open_stream)
        done.set()
        for stream in streams:
            stream.cancel()
        self.assertEqual(
            (refusal.code, refusal.reason, refusal.metadata["limit"]),
            ("RESOURCE_EXHAUSTED", "OVERLOADED", "3"),
        )
        self.assertGreater(refusal.retry_seconds, 0)


if __name__ == "__main__":
    unittest.main()

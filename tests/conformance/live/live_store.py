"""What the cases here share: a server of their own, its stubs, and short ways to ask."""

import tempfile
import unittest
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

import grpc
from sop.errors import SopError, from_rpc_error
from sop.filters import to_filter
from sop.scalars import from_key, from_value, to_key, to_value
from sop.testing import Server
from sop.v1 import admin_pb2_grpc, btree_pb2, btree_pb2_grpc, database_pb2, database_pb2_grpc
from sop.v1 import transaction_pb2, transaction_pb2_grpc, types_pb2

FORWARD, BACKWARD = types_pb2.DIRECTION_FORWARD, types_pb2.DIRECTION_BACKWARD
KEYS, ITEMS = types_pb2.ITEM_CONTENT_KEYS, types_pb2.ITEM_CONTENT_ITEMS


def write(key: Any, value: Any = None, **more: Any) -> types_pb2.WriteItem:
    """An item to be written; without a value that is left out."""
    message = types_pb2.WriteItem(key=to_key(key), **more)
    if value is not None:
        message.value.CopyFrom(to_value(value))
    return message


def key_range(**bounds: Any) -> types_pb2.KeyRange:
    """begin, end and prefix as Python keys, the rest as in the message."""
    keys = ("begin", "end", "prefix")
    message = types_pb2.KeyRange(**{n: v for n, v in bounds.items() if n not in keys})
    for name in keys:
        if name in bounds:
            getattr(message, name).CopyFrom(to_key(bounds[name]))
    return message


def keys_of(items: Sequence[types_pb2.Item]) -> list[Any]:
    """Their keys as Python objects."""
    return [from_key(item.key) for item in items]


def pair_of(item: types_pb2.Item) -> tuple[Any, Any]:
    """Key and value as Python objects."""
    return from_key(item.key), from_value(item.value)


class LiveCase(unittest.TestCase):
    """A server for the cases of one class, over raw messages."""

    flags: Sequence[str] = ()
    server: Server
    folder: tempfile.TemporaryDirectory[str]
    channel: grpc.Channel
    admin: Any
    btrees: Any
    databases: Any
    transactions: Any

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="sop-conformance-")
        cls.server = Server(Path(cls.folder.name), cls.flags)
        cls.server.start()
        cls.connect()

    @classmethod
    def connect(cls) -> None:
        """The stubs, on a channel that knows nothing of an earlier run of the server."""
        options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
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

    def crash(self) -> None:
        """Ends the server by SIGKILL and starts it again."""
        self.channel.close()
        self.server.kill()
        self.server.start()
        self.connect()

    def create(self, store: str, index: Any = None, **options: Any) -> None:
        """Creates a store; `index` is {field: ascending}."""
        message = types_pb2.BtreeOptions(**options)
        for name, ascending in (index or {}).items():
            message.index.fields.add(name=name, ascending=ascending)
        self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(store=store, options=message))

    def add(self, store: str, items: Mapping[Any, Any] | Sequence[types_pb2.WriteItem]) -> list[int]:
        """Adds items, in requests as large as they may be; their outcomes."""
        if isinstance(items, Mapping):
            items = [write(key, value) for key, value in items.items()]
        outcomes: list[int] = []
        for start in range(0, len(items), 10_000):
            request = btree_pb2.AddRequest(store=store, items=items[start : start + 10_000])
            outcomes += self.btrees.Add(request).report.outcomes
        return outcomes

    def upsert(self, store: str, items: Mapping[Any, Any], **request: Any) -> Any:
        """Upsert, in a transaction or not."""
        written = [write(key, value) for key, value in items.items()]
        return self.btrees.Upsert(btree_pb2.UpsertRequest(store=store, items=written, **request))

    def page(self, store: str, **request: Any) -> Any:
        """ReadPage; `filter` as a dict."""
        if isinstance(request.get("filter"), dict):
            request["filter"] = to_filter(request["filter"])
        return self.btrees.ReadPage(btree_pb2.ReadPageRequest(store=store, **request))

    def pages(self, store: str, **request: Any) -> list[types_pb2.Item]:
        """The items of all pages."""
        items: list[types_pb2.Item] = []
        while True:
            answer = self.page(store, **request)
            items += answer.items
            if answer.end:
                return items
            request.pop("offset", None)
            request.pop("after", None)
            request["page_token"] = answer.next_page_token

    def count(self, store: str, filter: Optional[dict[Any, Any]] = None, **bounds: Any) -> int:
        """Count of a range."""
        request = btree_pb2.CountRequest(store=store, range=key_range(**bounds))
        if filter is not None:
            request.filter.CopyFrom(to_filter(filter))
        count: int = self.btrees.Count(request).count
        return count

    def get(self, store: str, *keys: Any, **request: Any) -> Any:
        """Get by keys."""
        wanted = [to_key(key) for key in keys]
        return self.btrees.Get(btree_pb2.GetRequest(store=store, keys=wanted, **request))

    def seek(self, store: str, key: Any, target: int, **request: Any) -> Any:
        """Seek to a key; None for a target that takes none."""
        message = btree_pb2.SeekRequest(store=store, target=target, **request)
        if key is not None:
            message.key.CopyFrom(to_key(key))
        return self.btrees.Seek(message)

    def schema(self, store: str) -> types_pb2.KeySchema:
        """What the server knows of the store's keys."""
        return self.databases.GetStore(database_pb2.GetStoreRequest(store=store)).store.schema

    def begin(self, mode: int = types_pb2.TRANSACTION_MODE_READ_WRITE, **more: Any) -> bytes:
        """Begins a transaction; its id."""
        request = transaction_pb2.BeginRequest(mode=mode, **more)
        token: bytes = self.transactions.Begin(request).transaction_id
        return token

    def commit(self, token: bytes) -> bytes:
        """Commits a transaction; its commit version."""
        request = transaction_pb2.CommitRequest(transaction_id=token)
        version: bytes = self.transactions.Commit(request).commit_version
        return version

    def rollback(self, token: bytes) -> bytes:
        """Rolls a transaction back; the commit that it read."""
        request = transaction_pb2.RollbackRequest(transaction_id=token)
        version: bytes = self.transactions.Rollback(request).commit_version
        return version

    def refused(self, call: Callable[[], Any], reason: str, **metadata: str) -> SopError:
        """The failure of a call, which has that reason with its code, and these details."""
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        failure = from_rpc_error(raised.exception)
        self.assertEqual(failure.reason, reason, failure)
        self.assertEqual(failure.code, failure.default_code, failure)
        for name, value in metadata.items():
            self.assertEqual(failure.metadata.get(name), value, failure)
        return failure

    @contextmanager
    def each(self, **what: Any) -> Iterator[None]:
        """A subtest."""
        with self.subTest(**what):
            yield


class NumbersCase(LiveCase):
    """Each case has a store of its own, of the even numbers below 100 in small nodes."""

    def setUp(self) -> None:
        self.store = self.id().rsplit(".", 1)[-1]
        self.create(self.store, slot_length=8)
        self.add(self.store, {n: "old" for n in range(0, 100, 2)})

    def put(self, key: int, value: str = "new", **request: Any) -> Any:
        """Adds or replaces one item."""
        return self.upsert(self.store, {key: value}, **request)

    def take(self, key: int, **request: Any) -> Any:
        """Removes one item."""
        return self.btrees.Remove(btree_pb2.RemoveRequest(store=self.store, items=[write(key)], **request))

    def read(self, key: int, **request: Any) -> Any:
        """The value of a key, None if it is not there."""
        items = self.get(self.store, key, **request).items
        return from_value(items[0].value) if items else None

    def conflicts(self, token: bytes, key: int) -> None:
        """The commit of a transaction fails, because of that key."""
        self.refused(lambda: self.commit(token), "CONFLICT", store=self.store, key=str(key))

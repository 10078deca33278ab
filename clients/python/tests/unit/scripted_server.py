"""A gRPC server for tests of what the client sends: counts calls, fails when told to."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from sop.v1 import btree_pb2, btree_pb2_grpc, database_pb2, database_pb2_grpc
from sop.v1 import transaction_pb2, transaction_pb2_grpc, types_pb2


@dataclass
class Failure:
    """What a call answers instead: `reason` with `metadata`."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str] = field(default_factory=dict)
    retry_seconds: float = 0.0
    # The call does its work first, and only its answer is lost.
    after_work: bool = False


def abort_with(context, failure):
    status = status_pb2.Status(code=failure.code.value[0], message=f"scripted {failure.reason}")
    details = [
        error_details_pb2.ErrorInfo(
            reason=failure.reason, domain="sop", metadata=failure.metadata
        )
    ]
    if failure.retry_seconds:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(failure.retry_seconds * 1e9))
        details.append(retry)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
    context.abort(failure.code, status.message)


class Script:
    """Stores of one database as dicts, without isolation: enough to answer."""

    def __init__(self):
        self.lock = threading.RLock()
        self.calls = Counter()
        self.requests = []
        self.failures = {}
        self.stores = {}
        self.committed = Counter()
        self.next_token = 0
        # Keys that a whole request is refused for, as the real server does.
        self.bad_keys = set()
        # What ReadPage and Scan answer, and the types of keys of every store.
        self.page = b""
        self.schema = types_pb2.KeySchema()
        self.max_items = 65536

    def fail(self, rpc, *failures):
        """Lets the next calls of `rpc` fail, one after the other."""
        self.failures.setdefault(rpc, []).extend(failures)

    def run(self, rpc, request, context, work):
        with self.lock:
            self.calls[rpc] += 1
            self.requests.append((rpc, request))
            scripted = self.failures.get(rpc)
            failure = scripted.pop(0) if scripted else None
            if failure is None:
                return work(request, context)
            if failure.after_work:
                work(request, context)
        abort_with(context, failure)


def key_of(key):
    return key.SerializeToString()


class Databases(database_pb2_grpc.DatabaseServiceServicer):
    def __init__(self, script):
        self.script = script

    def CreateDatabase(self, request, context):
        return self.script.run("CreateDatabase", request, context, self._create)

    def RemoveStore(self, request, context):
        return self.script.run("RemoveStore", request, context, self._remove)

    def _create(self, request, context):
        made = database_pb2.Database(name=request.name or "default", uuid=bytes(16))
        return database_pb2.CreateDatabaseResponse(database=made)

    def _remove(self, request, context):
        self.script.stores.pop(request.store, None)
        return database_pb2.RemoveStoreResponse()


class Transactions(transaction_pb2_grpc.TransactionServiceServicer):
    def __init__(self, script):
        self.script = script

    def Begin(self, request, context):
        return self.script.run("Begin", request, context, self._begin)

    def Commit(self, request, context):
        return self.script.run("Commit", request, context, self._commit)

    def Rollback(self, request, context):
        return self.script.run(
            "Rollback", request, context, lambda *_: transaction_pb2.RollbackResponse()
        )

    def _begin(self, request, context):
        self.script.next_token += 1
        token = self.script.next_token.to_bytes(16, "big")
        return transaction_pb2.BeginResponse(transaction_id=token, commit_version=b"v")

    def _commit(self, request, context):
        self.script.committed[request.transaction_id] += 1
        return transaction_pb2.CommitResponse(commit_version=b"w")


class Btrees(btree_pb2_grpc.BtreeServiceServicer):
    def __init__(self, script):
        self.script = script

    def CreateBtree(self, request, context):
        return self.script.run("CreateBtree", request, context, self._create)

    def Add(self, request, context):
        return self.script.run("Add", request, context, self._add)

    def Remove(self, request, context):
        return self.script.run("Remove", request, context, self._remove)

    def Seek(self, request, context):
        return self.script.run("Seek", request, context, self._seek)

    def Get(self, request, context):
        return self.script.run("Get", request, context, self._get)

    def Count(self, request, context):
        return self.script.run("Count", request, context, self._count)

    def ReadPage(self, request, context):
        return self.script.run("ReadPage", request, context, self._read_page)

    def Scan(self, request, context):
        yield btree_pb2.ScanResponse(page=self.script.page)
        yield btree_pb2.ScanResponse(end=True)

    def _read_page(self, request, context):
        return btree_pb2.ReadPageResponse(packed=self.script.page, end=True)

    def _create(self, request, context):
        self.script.stores.setdefault(request.store, {})
        schema = self.script.schema
        store = types_pb2.Store(name=request.store, options=request.options, schema=schema)
        return btree_pb2.CreateBtreeResponse(store=store)

    def _check(self, request, context):
        bad = [i for i in request.items if key_of(i.key) in self.script.bad_keys]
        if bad:
            abort_with(context, Failure(grpc.StatusCode.INVALID_ARGUMENT, "KEY_TYPE_DIFFERS"))
        if len(request.items) > self.script.max_items:
            abort_with(context, Failure(grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_TOO_LARGE"))
        return self.script.stores.setdefault(request.store, {})

    def _add(self, request, context):
        store = self._check(request, context)
        response = btree_pb2.AddResponse()
        for item in request.items:
            there = key_of(item.key) in store
            if not there:
                store[key_of(item.key)] = item
            outcome = "WRITE_OUTCOME_ALREADY_THERE" if there else "WRITE_OUTCOME_ADDED"
            response.report.outcomes.append(outcome)
        return response

    def _remove(self, request, context):
        store = self._check(request, context)
        response = btree_pb2.RemoveResponse()
        for item in request.items:
            there = store.pop(key_of(item.key), None) is not None
            outcome = "WRITE_OUTCOME_REMOVED" if there else "WRITE_OUTCOME_NOT_FOUND"
            response.report.outcomes.append(outcome)
        return response

    def _seek(self, request, context):
        item = self.script.stores.get(request.store, {}).get(key_of(request.key))
        response = btree_pb2.SeekResponse()
        if item is not None:
            response.item.key.CopyFrom(item.key)
            response.item.value.CopyFrom(item.value)
        return response

    def _get(self, request, context):
        store = self.script.stores.get(request.store, {})
        if len(request.keys) > 10 and len(request.keys) > self.script.max_items:
            abort_with(context, Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"))
        response = btree_pb2.GetResponse()
        for key in request.keys:
            item = store.get(key_of(key))
            if item is not None:
                response.items.add(key=item.key, value=item.value)
        return response

    def _count(self, request, context):
        count = len(self.script.stores.get(request.store, {}))
        return btree_pb2.CountResponse(count=count)


@contextmanager
def serve(address="127.0.0.1:0"):
    """A running scripted server: its script and its address."""
    script = Script()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    database_pb2_grpc.add_DatabaseServiceServicer_to_server(Databases(script), server)
    transaction_pb2_grpc.add_TransactionServiceServicer_to_server(Transactions(script), server)
    btree_pb2_grpc.add_BtreeServiceServicer_to_server(Btrees(script), server)
    port = server.add_insecure_port(address)
    server.start()
    try:
        yield script, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()

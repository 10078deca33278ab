"""TransactionService.Session from Python: pipelining, poisoning, clients that are killed."""

import queue
import signal
import subprocess
import sys
import textwrap
import time

import grpc
import pytest
from google.rpc import error_details_pb2
from sop.v1 import btree_pb2, transaction_pb2, transaction_pb2_grpc

import sop


class Stream:
    """One Session; answers are kept by the id of their request."""

    def __init__(self, server):
        self.channel = grpc.insecure_channel(server.address)
        self.stub = transaction_pb2_grpc.TransactionServiceStub(self.channel)
        self.requests = queue.SimpleQueue()
        self.call = self.stub.Session(iter(self.requests.get, None), timeout=60)
        self.answers = {}
        self.last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.requests.put(None)
        self.call.cancel()
        self.channel.close()

    def send(self, transaction=0, **parts):
        self.last_id += 1
        self.requests.put(
            transaction_pb2.SessionRequest(id=self.last_id, transaction=transaction, **parts)
        )
        return self.last_id

    def begin(self, database):
        return self.send(begin=transaction_pb2.BeginRequest(database=database))

    def commit(self, transaction):
        return self.send(transaction, commit=transaction_pb2.CommitRequest())

    def add(self, transaction, *keys, store="s", database=""):
        request = btree_pb2.AddRequest(store=store, database=database)
        for key in keys:
            request.items.add().key.int64_value = key
        return self.send(transaction, operation=transaction_pb2.Operation(add=request))

    def answer(self, id):
        while id not in self.answers:
            response = next(self.call)
            self.answers[response.id] = response
        return self.answers[id]

    def reason(self, id):
        response = self.answer(id)
        if response.WhichOneof("response") != "status":
            return "OK"
        info = error_details_pb2.ErrorInfo()
        assert response.status.details[0].Unpack(info)
        return info.reason


@pytest.fixture
def store(db):
    with db.begin_transaction() as t:
        options = sop.BtreeOptions(name="s", is_unique=True)
        db.new_btree("s", t, options).add(sop.Item(0, ""))
    return db


def keys(db):
    with db.begin_transaction(sop.ForReading) as t:
        return [item.key for item in db.open_btree("s", t)]


def open_transactions(server, db):
    with grpc.insecure_channel(server.address) as channel:
        stub = transaction_pb2_grpc.TransactionServiceStub(channel)
        request = transaction_pb2.ListTransactionsRequest(database=db.name)
        return len(stub.List(request).transactions)


def test_many_transactions_on_one_stream(server, store):
    with Stream(server) as stream:
        begun = [stream.begin(store.name) for _ in range(50)]
        for number, transaction in enumerate(begun):
            for i in range(20):
                stream.add(transaction, 1 + 20 * number + i)
        commits = [stream.commit(transaction) for transaction in begun]
        assert [stream.reason(commit) for commit in commits] == ["OK"] * 50
    assert keys(store) == list(range(1001))


def test_a_failure_poisons_its_transaction_alone(server, store):
    with Stream(server) as stream:
        poisoned = stream.begin(store.name)
        healthy = stream.begin(store.name)
        stream.add(poisoned, 1)
        failed = stream.add(poisoned, 2, store="nowhere")
        commit = stream.commit(poisoned)
        stream.add(healthy, 3)
        assert stream.reason(failed) == "STORE_NOT_FOUND"
        assert stream.reason(commit) == "TRANSACTION_POISONED"
        assert "nowhere" in stream.answer(commit).status.message
        assert stream.reason(stream.commit(healthy)) == "OK"
        alone = stream.add(0, 4, database=store.name)
        assert stream.reason(alone) == "OK"
    assert keys(store) == [0, 3, 4]


CLIENT = textwrap.dedent(
    """
    import sys, time
    from test_session import Stream
    class Server: address = sys.argv[1]
    stream = Stream(Server)
    transactions = [stream.begin(sys.argv[2]) for _ in range(20)]
    added = [stream.add(t, 100 + i) for i, t in enumerate(transactions)]
    assert [stream.reason(a) for a in added] == ["OK"] * 20
    print("ready", flush=True)
    time.sleep(60)
    """
)


def test_a_killed_client_leaves_nothing_behind(server, store):
    for _ in range(3):
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, server.address, store.name],
            stdout=subprocess.PIPE,
            cwd=__file__.rpartition("/")[0],
        )
        assert client.stdout.readline() == b"ready\n"
        assert open_transactions(server, store) == 20
        client.send_signal(signal.SIGKILL)
        client.wait()
        client.stdout.close()
        end = time.monotonic() + 5
        while open_transactions(server, store) and time.monotonic() < end:
            time.sleep(0.02)
        assert open_transactions(server, store) == 0
    assert keys(store) == [0]


def test_a_stream_ends_with_the_server(server, db):
    with sop.testing.server() as other:
        stream = Stream(other)
        assert stream.reason(stream.begin("")) == "OK"
        other.stop()
        with pytest.raises(grpc.RpcError) as ended:
            next(stream.call)
        assert ended.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        stream.channel.close()

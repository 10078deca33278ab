"""Connections and streams: which database, which event loop, what happens when they end."""

import asyncio
import re
import threading
from pathlib import Path

import grpc
import pytest
from scripted_server import serve

import sop
import sop.aio
from sop.calls import CHANNEL_OPTIONS, Acquaintance
from sop.link import StreamLink
from sop.streams import Stream
from sop.v1 import transaction_pb2

GRPC_FACE_CC = Path(__file__).resolve().parents[4] / "server/rpc/grpc_face.cc"


@pytest.fixture
def scripted():
    with serve() as (script, address):
        yield script, address


def database(address, name="shop"):
    return sop.Database(sop.DatabaseOptions(name=name, address=address, patience=5.0))


def test_connections_are_pinged_as_often_as_the_server_allows():
    (least,) = re.findall(r"kLeastPingIntervalMillis = ([\d']+)", GRPC_FACE_CC.read_text())
    options = dict(CHANNEL_OPTIONS)
    assert int(least.replace("'", "")) < options["grpc.keepalive_time_ms"] <= 60_000
    assert options["grpc.keepalive_timeout_ms"] <= 20_000
    assert options["grpc.http2.ping_timeout_ms"] <= 20_000
    # A watch of which nothing is told for hours is pinged all the time, an idle connection is not.
    assert options["grpc.http2.max_pings_without_data"] == 0
    assert options["grpc.keepalive_permit_without_calls"] == 0


def test_transaction_of_another_database_is_refused(scripted):
    script, address = scripted
    with database(address) as shop, database(address) as again, database(address, "bank") as bank:
        with shop.begin_transaction() as t, bank.begin_transaction() as other:
            store = shop.new_btree("s", t)
            for use in (
                lambda: bank.open_btree("s", t),
                lambda: bank.new_btree("s", t),
                lambda: bank.list_btrees(t),
                lambda: bank.remove_btree("s", t),
                lambda: store.in_transaction(other),
            ):
                with pytest.raises(sop.InvalidArgumentError, match="another database") as caught:
                    use()
                assert caught.value.metadata["address"] == address
            assert again.new_btree("s", t).in_transaction(t).add(sop.Item(1, ""))
        with again.begin_transaction() as t:
            assert store.in_transaction(t).add(sop.Item(2, ""))
    assert len(script.stores["s"]) == 2


def test_transaction_of_another_server_is_refused(scripted):
    _, address = scripted
    with serve() as (_, elsewhere):
        with database(address) as here, database(elsewhere) as there:
            with here.begin_transaction() as t, pytest.raises(sop.InvalidArgumentError):
                there.new_btree("s", t)


def test_another_event_loop_is_refused(scripted):
    _, address = scripted
    db = sop.aio.Database(sop.DatabaseOptions(address=address))

    async def use():
        async with db.begin_transaction() as t:
            await db.new_btree("s", t)

    asyncio.run(use())
    with pytest.raises(sop.InvalidArgumentError, match="event loop"):
        asyncio.run(use())


def test_nothing_is_tried_again_after_close(scripted):
    _, address = scripted
    db = sop.Database(sop.DatabaseOptions(address=address, patience=30.0))
    t = db.begin_transaction()
    watch, run = db.watch("s"), lambda: db.run(lambda t: None)
    session = db.session()
    db.close()
    for use in (lambda: next(iter(watch)), run, lambda: session.run(lambda t: None), t.commit):
        ended = []
        attempt = threading.Thread(target=lambda: ended.append(failure_of(use)), daemon=True)
        attempt.start()
        attempt.join(5.0)
        assert [type(each) for each in ended] == [sop.UnavailableError]


def failure_of(call):
    with pytest.raises(sop.SopError) as caught:
        call()
    return caught.value


def test_call_that_is_cancelled_says_so():
    told = Acquaintance("host:1").explain(grpc.FutureCancelledError())
    assert type(told) is sop.CancelledError and told.reason == "CANCELLED"


class BreakingConnection:
    """Its streams break when told to; afterwards it refuses others."""

    patience = 1.0
    is_closed = False

    def __init__(self):
        self.breaks = threading.Event()

    def check_usable(self):
        pass

    def open_stream(self, rpc, requests, timeout):
        if self.breaks.is_set():
            raise sop.UnavailableError("the connection is closed")
        return self

    def __iter__(self):
        self.breaks.wait()
        raise grpc.RpcError
        yield

    def explain_end(self, error):
        return sop.UnavailableError("the session broke", metadata={"address": "host:1"})

    def cancel(self):
        pass


def test_everybody_is_told_by_an_exception_of_their_own():
    connection = BreakingConnection()
    stream = Stream(connection)
    sent = [stream.send(transaction_pb2.SessionRequest()) for _ in range(2)]
    connection.breaks.set()
    failures = [failure_of(lambda: stream.answer(each)) for each in sent]
    failures += [failure_of(lambda: stream.send(transaction_pb2.SessionRequest(), 1)) for _ in range(2)]
    failures[0].metadata["outcome"] = "unknown"
    assert len(set(map(id, failures))) == 4
    assert [each.message for each in failures] == ["the session broke"] * 4
    assert [each.metadata for each in failures[1:]] == [{"address": "host:1"}] * 3


def test_stream_that_cannot_be_opened_anew_says_so_every_time():
    connection = BreakingConnection()
    stream = Stream(connection)
    sent = stream.send(transaction_pb2.SessionRequest())
    connection.breaks.set()
    failure_of(lambda: stream.answer(sent))
    for _ in range(3):
        failure = failure_of(lambda: stream.send(transaction_pb2.SessionRequest()))
        assert failure.message == "the connection is closed"


def test_commit_that_was_not_sent_is_a_lost_transaction():
    connection = BreakingConnection()
    stream = Stream(connection)
    t = sop.Transaction(StreamLink(stream, lambda: "shop"), sop.TransactionOptions())
    t.begin()
    connection.breaks.set()
    failure_of(lambda: stream.answer(t.link._begun))
    with pytest.raises(sop.TransactionLostError, match="not sent") as caught:
        t.commit()
    assert "outcome" not in caught.value.metadata

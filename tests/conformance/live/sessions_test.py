"""Sessions on a live server: requests of many transactions pipelined over one stream, and what a failure poisons."""

import itertools
import queue
import time
import unittest
from typing import Any, Optional

import grpc
from google.protobuf.duration_pb2 import Duration
from live_store import NumbersCase, from_value, write
from sop.calls import make_request_id
from sop.errors import from_status, has_reason
from sop.scalars import to_key
from sop.v1 import btree_pb2, database_pb2, transaction_pb2, types_pb2
from sop.v1.types_pb2 import WRITE_OUTCOME_ALREADY_THERE as ALREADY_THERE

PATIENCE = 30.0


class Stream:
    """A Session: what is sent goes out at once, answers are read when they are asked for."""

    def __init__(self, stub: Any, store: str) -> None:
        self.store = store
        self._requests: queue.SimpleQueue[Optional[transaction_pb2.SessionRequest]] = queue.SimpleQueue()
        self._call = stub.Session(iter(self._requests.get, None), timeout=PATIENCE)
        self._ids = itertools.count(1)
        self._answers: dict[int, transaction_pb2.SessionResponse] = {}
        self.arrivals: list[int] = []

    def send(self, transaction: int = 0, **request: Any) -> int:
        """Sends a request without waiting; its id."""
        number: int = request.pop("id", None) or next(self._ids)
        self._requests.put(transaction_pb2.SessionRequest(id=number, transaction=transaction, **request))
        return number

    def begin(self, **request: Any) -> int:
        return self.send(begin=transaction_pb2.BeginRequest(**request))

    def commit(self, transaction: int) -> int:
        return self.send(transaction, commit=transaction_pb2.CommitRequest())

    def rollback(self, transaction: int) -> int:
        return self.send(transaction, rollback=transaction_pb2.RollbackRequest())

    def put(self, transaction: int, key: Any, value: str = "new", **more: Any) -> int:
        request = btree_pb2.UpsertRequest(store=self.store, items=[write(key, value)], **more)
        return self.send(transaction, operation=transaction_pb2.Operation(upsert=request))

    def get(self, transaction: int, key: int, store: str = "") -> int:
        request = btree_pb2.GetRequest(store=store or self.store, keys=[to_key(key)])
        return self.send(transaction, operation=transaction_pb2.Operation(get=request))

    def answer(self, number: int) -> Any:
        """The answer to a request, waited for."""
        while number not in self._answers:
            got = next(self._call)
            self._answers[got.id] = got
            self.arrivals.append(got.id)
        return self._answers[number]

    def value(self, number: int) -> Any:
        """What a get has found."""
        return from_value(self.answer(number).result.get.items[0].value)

    def end(self) -> None:
        """Sends no more and waits for the end of the stream."""
        self._requests.put(None)
        for got in self._call:
            self._answers[got.id] = got

    def cancel(self) -> None:
        """Ends the stream as a client that dies does."""
        self._call.cancel()
        self._requests.put(None)

    def broken(self) -> Any:
        """How the stream is ended by the server."""
        try:
            for _ in self._call:
                pass
        except grpc.RpcError as error:
            return error
        raise AssertionError("the stream ended well")


class SessionsTest(NumbersCase):
    def setUp(self) -> None:
        super().setUp()
        self.stream = Stream(self.transactions, self.store)
        self.addCleanup(self.stream.cancel)

    def fails(self, number: int, reason: str, **metadata: str) -> None:
        """A request has failed with that reason."""
        answer = self.stream.answer(number)
        self.assertEqual(answer.WhichOneof("response"), "status", answer)
        failure = from_status(answer.status)
        self.assertEqual((failure.reason, failure.code), (reason, failure.default_code), failure)
        for name, value in metadata.items():
            self.assertEqual(failure.metadata.get(name), value, failure)

    def succeeds(self, *numbers: int) -> None:
        """None of these requests has failed."""
        for number in numbers:
            answer = self.stream.answer(number)
            self.assertNotEqual(answer.WhichOneof("response"), "status", answer)

    def listed(self) -> list[types_pb2.Transaction]:
        return list(self.transactions.List(transaction_pb2.ListTransactionsRequest(page_size=1000)).transactions)

    def open_transactions(self) -> int:
        return len(self.listed())

    def wait_until_none_is_open(self) -> None:
        """The end of a stream is seen by the server soon, not at once."""
        end = time.monotonic() + PATIENCE
        while self.open_transactions() and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(self.open_transactions(), 0)

    def test_a_transaction_is_sent_without_waiting_for_its_answers(self) -> None:
        stream = self.stream
        t = stream.begin()
        sent = [t, *(stream.put(t, key) for key in range(200)), stream.get(t, 150), stream.commit(t)]
        self.succeeds(*sent)
        self.assertEqual([stream.answer(number).id for number in sent], sent)
        self.assertEqual(stream.arrivals, sent)
        self.assertEqual(stream.value(sent[-2]), "new")
        self.assertGreater(stream.answer(sent[-1]).commit.commit_version, stream.answer(t).begin.commit_version)
        self.assertEqual(self.count(self.store), 200)

    def test_transactions_of_one_stream_are_apart(self) -> None:
        stream = self.stream
        first, second = stream.begin(), stream.begin()
        reads = [stream.get(first, 0), stream.put(second, 0, "second"), stream.get(second, 0), stream.get(first, 0)]
        self.succeeds(*reads, stream.put(first, 2, "first"))
        self.assertEqual([stream.value(reads[at]) for at in (0, 2, 3)], ["old", "second", "old"])
        self.succeeds(stream.commit(second))
        self.fails(stream.commit(first), "CONFLICT", store=self.store, key="0")
        self.assertEqual((self.read(0), self.read(2)), ("second", "old"))

    def test_many_transactions_are_open_on_one_stream(self) -> None:
        stream = self.stream
        begun = [stream.begin() for _ in range(100)]
        for at, t in enumerate(begun):
            stream.put(t, 1001 + at)
        commits = [stream.commit(t) for t in begun]
        self.succeeds(*begun, *commits)
        self.assertEqual(self.count(self.store, begin=1000), 100)

    def test_operations_on_their_own_commit_themselves(self) -> None:
        stream = self.stream
        written = stream.put(0, 0)
        self.succeeds(written)
        self.assertEqual(self.read(0), "new")
        self.assertTrue(stream.answer(written).result.upsert.commit_version)
        self.databases.CreateDatabase(database_pb2.CreateDatabaseRequest(name="elsewhere"))
        self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(database="elsewhere", store=self.store))
        self.succeeds(stream.put(0, 0, "elsewhere", database="elsewhere"))
        self.assertEqual((self.read(0), self.read(0, database="elsewhere")), ("new", "elsewhere"))
        self.fails(stream.get(0, 0, "nowhere"), "STORE_NOT_FOUND", store="nowhere")
        self.succeeds(stream.get(0, 0))

    def test_an_operation_with_a_request_id_happens_once(self) -> None:
        stream, request_id = self.stream, make_request_id()
        first = stream.answer(stream.put(0, 0, "once", request_id=request_id)).result
        self.put(0, "since")
        self.assertEqual(stream.answer(stream.put(0, 0, "once", request_id=request_id)).result, first)
        self.assertEqual(self.read(0), "since")
        t = stream.begin()
        self.fails(stream.put(t, 0, request_id=request_id), "INVALID_ARGUMENT")

    def test_a_failure_poisons_its_transaction_until_rollback(self) -> None:
        stream = self.stream
        t, other = stream.begin(), stream.begin()
        before, failed = stream.put(t, 0), stream.get(t, 0, "nowhere")
        after = [stream.put(t, 2), stream.get(t, 0), stream.commit(t), stream.commit(t)]
        self.succeeds(before)
        self.fails(failed, "STORE_NOT_FOUND", store="nowhere")
        for number in after:
            self.fails(
                number, "TRANSACTION_POISONED", first_reason="STORE_NOT_FOUND", first_request=str(failed)
            )
            first = from_status(stream.answer(failed).status).message
            self.assertIn(first, from_status(stream.answer(number).status).message)
        states = {each.transaction_id: each.poisoned for each in self.listed()}
        tokens = [stream.answer(begun).begin.transaction_id for begun in (t, other)]
        self.assertEqual([states[token] for token in tokens], [True, False])
        self.succeeds(stream.put(other, 4), stream.put(0, 6), stream.rollback(t), stream.commit(other))
        self.assertEqual([self.read(key) for key in (0, 2, 4, 6)], ["old", "old", "new", "new"])

    def test_a_rollback_that_comes_too_late_is_done_all_the_same(self) -> None:
        stream = self.stream
        t = stream.begin()
        self.succeeds(t, stream.put(t, 0))
        late = transaction_pb2.SessionRequest().timeout
        late.nanos = 1
        self.fails(stream.send(t, rollback=transaction_pb2.RollbackRequest(), timeout=late), "DEADLINE_EXCEEDED")
        self.assertEqual(self.open_transactions(), 0)

    def test_outcomes_of_items_do_not_poison(self) -> None:
        t = self.stream.begin()
        add = btree_pb2.AddRequest(store=self.store, items=[write(0, "again"), write(1, "new")])
        added = self.stream.send(t, operation=transaction_pb2.Operation(add=add))
        missed = self.stream.get(t, 3)
        self.succeeds(added, missed, self.stream.commit(t))
        self.assertEqual(self.stream.answer(added).result.add.report.outcomes[0], ALREADY_THERE)
        self.assertEqual((self.read(0), self.read(1)), ("old", "new"))

    def test_a_write_in_a_read_only_transaction_poisons_it(self) -> None:
        t = self.stream.begin(mode=types_pb2.TRANSACTION_MODE_READ_ONLY)
        self.fails(self.stream.put(t, 0), "READ_ONLY_TRANSACTION")
        self.fails(self.stream.get(t, 0), "TRANSACTION_POISONED", first_reason="READ_ONLY_TRANSACTION")
        self.succeeds(self.stream.rollback(t))

    def test_what_ends_a_stream_rolls_back_what_is_open(self) -> None:
        for end in (Stream.end, Stream.cancel):
            with self.each(end=end.__name__):
                stream = Stream(self.transactions, self.store)
                kept, left = stream.begin(), stream.begin()
                stream.put(kept, 0, end.__name__)
                for number in (stream.put(left, 2, "left"), stream.commit(kept)):
                    stream.answer(number)
                end(stream)
                self.wait_until_none_is_open()
                self.assertEqual((self.read(0), self.read(2)), (end.__name__, "old"))

    def test_what_was_sent_before_the_end_is_answered(self) -> None:
        t = self.stream.begin()
        sent = [t, *(self.stream.put(t, key) for key in range(50)), self.stream.commit(t)]
        self.stream.end()
        self.succeeds(*sent)
        self.assertEqual(self.count(self.store, end=50), 50)

    def test_requests_that_make_no_sense_leave_the_stream_as_it_is(self) -> None:
        stream = self.stream
        self.fails(stream.get(12_345, 0), "TRANSACTION_NOT_FOUND")
        self.fails(stream.commit(12_345), "TRANSACTION_NOT_FOUND")
        self.fails(stream.commit(0), "INVALID_ARGUMENT")
        self.fails(stream.rollback(0), "INVALID_ARGUMENT")
        self.fails(stream.send(), "INVALID_ARGUMENT")
        self.fails(stream.send(operation=transaction_pb2.Operation()), "INVALID_ARGUMENT")
        t = stream.begin()
        self.succeeds(t, stream.get(t, 0), stream.commit(t))

    def test_an_expired_transaction_says_so(self) -> None:
        t = self.stream.begin(max_duration=Duration(nanos=1_000_000))
        self.succeeds(t)
        time.sleep(0.01)
        self.fails(self.stream.get(t, 0), "TRANSACTION_EXPIRED")
        self.fails(self.stream.commit(t), "TRANSACTION_POISONED", first_reason="TRANSACTION_EXPIRED")
        self.succeeds(self.stream.rollback(t))

    def test_a_server_that_stops_ends_its_streams(self) -> None:
        t = self.stream.begin()
        self.succeeds(t, self.stream.put(t, 0), self.stream.commit(t))
        self.assertEqual(self.server.stop(), 0)
        broken = self.stream.broken()
        self.assertEqual((broken.code(), has_reason(broken)), (grpc.StatusCode.UNAVAILABLE, True))
        self.crash()
        self.assertEqual(self.read(0), "new")

    def test_a_crash_leaves_nothing_of_an_open_transaction(self) -> None:
        t = self.stream.begin()
        self.succeeds(t, self.stream.put(t, 0, "lost"))
        self.server.kill()
        self.assertEqual(self.stream.broken().code(), grpc.StatusCode.UNAVAILABLE)
        self.crash()
        self.assertEqual((self.read(0), self.open_transactions()), ("old", 0))


if __name__ == "__main__":
    unittest.main()

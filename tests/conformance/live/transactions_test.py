"""Transactions on a live server: their snapshots, how they begin, are described and end, and what happens once."""

import time
import unittest
from typing import Any, Callable

from google.protobuf.duration_pb2 import Duration
from live_store import NumbersCase, write
from sop.calls import make_request_id
from sop.v1 import btree_pb2, database_pb2, transaction_pb2, types_pb2

READ_ONLY, READ_WRITE = types_pb2.TRANSACTION_MODE_READ_ONLY, types_pb2.TRANSACTION_MODE_READ_WRITE
SERIALIZABLE, SNAPSHOT = types_pb2.ISOLATION_SERIALIZABLE, types_pb2.ISOLATION_SNAPSHOT
SHORTEST = Duration(nanos=1_000_000)


class TransactionsTest(NumbersCase):
    def describe(self, token: bytes) -> Any:
        request = transaction_pb2.GetTransactionRequest(transaction_id=token)
        return self.transactions.Get(request).transaction

    def test_a_transaction_reads_its_snapshot_and_its_own_writes(self) -> None:
        token, reader = self.begin(), self.begin(READ_ONLY)
        self.put(0, "own", transaction_id=token)
        self.put(2, "theirs")
        mine, theirs = {"transaction_id": token}, {"transaction_id": reader}
        self.assertEqual([self.read(0, **mine), self.read(2, **mine)], ["own", "old"])
        self.assertEqual([self.read(0), self.read(2)], ["old", "theirs"])
        self.assertEqual([self.read(0, **theirs), self.read(2, **theirs)], ["old", "old"])

    def test_all_of_a_transaction_is_there_after_its_commit_or_nothing(self) -> None:
        other = f"{self.store} too"
        self.create(other)
        for end, expected in ((self.rollback, (50, 0)), (self.commit, (49, 1))):
            token = self.begin()
            self.take(0, transaction_id=token)
            self.upsert(other, {0: "moved"}, transaction_id=token)
            self.assertEqual((self.count(self.store), self.count(other)), (50, 0))
            end(token)
            self.assertEqual((self.count(self.store), self.count(other)), expected)

    def test_a_description_says_how_it_was_begun(self) -> None:
        plain = self.describe(self.begin(types_pb2.TRANSACTION_MODE_UNSPECIFIED))
        self.assertEqual((plain.mode, plain.isolation, plain.database), (READ_WRITE, SERIALIZABLE, "default"))
        self.assertEqual(len(plain.transaction_id), 16)
        self.assertLessEqual(plain.remaining.seconds, 900)
        self.assertLessEqual(plain.remaining_idle.seconds, 60)
        self.assertFalse(plain.poisoned)
        terms = {"max_duration": Duration(seconds=600), "idle_limit": Duration(seconds=300)}
        begun = transaction_pb2.BeginRequest(mode=READ_ONLY, isolation=SNAPSHOT, **terms)
        answer = self.transactions.Begin(begun)
        found = self.describe(answer.transaction_id)
        self.assertEqual((found.mode, found.isolation), (READ_ONLY, SNAPSHOT))
        self.assertEqual(found.transaction_id, answer.transaction_id)
        self.assertEqual(found.snapshot_version, answer.commit_version)
        self.assertTrue(300 < found.remaining.seconds <= 600 and 100 < found.remaining_idle.seconds <= 300, found)
        self.assertGreater(found.begin_time.seconds, 0)

    def test_open_transactions_are_listed_oldest_first_in_pages(self) -> None:
        tokens: list[bytes] = []
        for _ in range(5):
            tokens.append(self.begin())
        self.rollback(tokens.pop(1))

        def listed(**request: Any) -> list[bytes]:
            ids: list[bytes] = []
            while True:
                answer = self.transactions.List(transaction_pb2.ListTransactionsRequest(**request))
                ids += [each.transaction_id for each in answer.transactions]
                if not answer.next_page_token:
                    return ids
                request["page_token"] = answer.next_page_token

        for size in (1, 2, 1000):
            with self.each(size=size):
                self.assertEqual([token for token in listed(page_size=size) if token in tokens], tokens)
        self.refused(lambda: listed(page_token="not one of theirs"), "INVALID_ARGUMENT", field="page_token")
        self.databases.CreateDatabase(database_pb2.CreateDatabaseRequest(name="quiet"))
        self.assertEqual(listed(database="quiet"), [])

    def test_a_snapshot_includes_the_version_that_is_asked_for(self) -> None:
        version = self.put(0, "seen").commit_version
        token = self.begin(at_least_version=version)
        self.assertEqual(self.read(0, transaction_id=token), "seen")
        ahead = (int.from_bytes(version, "big") + 1_000_000).to_bytes(len(version), "big")
        self.refused(lambda: self.begin(at_least_version=ahead), "UNAVAILABLE")
        self.refused(lambda: self.begin(at_least_version=b"none"), "INVALID_ARGUMENT", field="at_least_version")
        self.refused(lambda: self.begin(read_at=version), "UNIMPLEMENTED")

    def test_commit_versions_grow_in_commit_order(self) -> None:
        first, second = self.begin(), self.begin()
        self.put(1, transaction_id=first)
        self.put(3, transaction_id=second)
        versions = [self.commit(second), self.commit(first), self.put(5).commit_version]
        self.assertEqual(versions, sorted(set(versions)))

    def test_a_commit_without_writes_has_the_version_of_its_snapshot(self) -> None:
        for mode in (READ_ONLY, READ_WRITE):
            begun = self.transactions.Begin(transaction_pb2.BeginRequest(mode=mode))
            self.read(0, transaction_id=begun.transaction_id)
            self.put(0)
            self.assertEqual(self.commit(begun.transaction_id), begun.commit_version)

    def test_a_repeated_commit_gives_the_first_outcome(self) -> None:
        kept, lost = self.begin(), self.begin()
        self.read(0, transaction_id=lost)
        for token in (kept, lost):
            self.put(0, "once", transaction_id=token)
        version = self.commit(kept)
        self.conflicts(lost, 0)
        self.put(0, "since")
        self.assertEqual(self.commit(kept), version)
        self.conflicts(lost, 0)
        self.assertEqual(self.read(0), "since")

    def test_what_has_ended_does_nothing_more(self) -> None:
        committed, rolled_back, failed = self.begin(), self.begin(), self.begin()
        for token in (committed, rolled_back, failed):
            self.read(0, transaction_id=token)
            self.put(0, transaction_id=token)
        self.commit(committed)
        snapshot = self.describe(rolled_back).snapshot_version
        self.assertEqual(self.rollback(rolled_back), snapshot)
        self.conflicts(failed, 0)
        for token in (committed, rolled_back, failed):
            self.refused(lambda: self.put(2, transaction_id=token), "TRANSACTION_ENDED")
            self.refused(lambda: self.read(2, transaction_id=token), "TRANSACTION_ENDED")
            self.refused(lambda: self.describe(token), "TRANSACTION_ENDED")
        self.refused(lambda: self.rollback(committed), "TRANSACTION_ENDED")
        self.refused(lambda: self.commit(rolled_back), "TRANSACTION_ENDED")
        self.assertEqual([self.rollback(rolled_back), self.rollback(failed)], [b"", b""])

    def test_a_read_only_transaction_refuses_writes_and_never_aborts(self) -> None:
        token = self.begin(READ_ONLY)
        self.page(self.store, transaction_id=token)
        item: dict[str, Any] = {"store": self.store, "items": [write(0, 1)], "transaction_id": token}
        for rpc in ("Add", "AddIfNotExists", "Update", "Upsert", "Remove"):
            request = getattr(btree_pb2, f"{rpc}Request")(**item)
            self.refused(lambda: getattr(self.btrees, rpc)(request), "READ_ONLY_TRANSACTION")
        made = btree_pb2.CreateBtreeRequest(store=f"{self.store} made", transaction_id=token)
        self.refused(lambda: self.btrees.CreateBtree(made), "READ_ONLY_TRANSACTION")
        self.put(0)
        self.assertEqual(self.read(0, transaction_id=token), "old")
        self.commit(token)

    def test_a_failed_unary_request_leaves_its_transaction_usable(self) -> None:
        token = self.begin()
        self.put(0, transaction_id=token)
        self.refused(lambda: self.upsert(self.store, {"text": 1}, transaction_id=token), "KEY_TYPE_DIFFERS")
        self.refused(lambda: self.page("nowhere", transaction_id=token), "STORE_NOT_FOUND")
        self.assertFalse(self.describe(token).poisoned)
        self.commit(token)
        self.assertEqual(self.read(0), "new")

    def test_ids_that_name_no_transaction_are_refused(self) -> None:
        token = self.begin()
        unknown = token[:-1] + bytes([token[-1] ^ 1])
        for use in (self.commit, self.rollback, self.describe, lambda given: self.put(0, transaction_id=given)):
            self.refused(lambda: use(unknown), "TRANSACTION_NOT_FOUND")
            self.refused(lambda: use(b"short"), "INVALID_ARGUMENT", field="transaction_id")
        for require in (self.commit, self.rollback, self.describe):
            self.refused(lambda: require(b""), "INVALID_ARGUMENT", field="transaction_id")

    def test_terms_end_a_transaction(self) -> None:
        for term in ("idle_limit", "max_duration"):
            with self.each(term=term):
                token = self.begin(**{term: SHORTEST})
                time.sleep(0.01)
                self.refused(lambda: self.describe(token), "TRANSACTION_EXPIRED")
                self.refused(lambda: self.put(0, transaction_id=token), "TRANSACTION_EXPIRED")
                self.refused(lambda: self.read(0, transaction_id=token), "TRANSACTION_EXPIRED")
                self.refused(lambda: self.commit(token), "TRANSACTION_EXPIRED")
                self.assertEqual(self.rollback(token), b"")
        for wrong in (Duration(nanos=999_999), Duration(seconds=-1)):
            self.refused(lambda: self.begin(idle_limit=wrong), "INVALID_ARGUMENT", field="idle_limit")
            self.refused(lambda: self.begin(max_duration=wrong), "INVALID_ARGUMENT", field="max_duration")
        self.assertEqual(self.read(0), "old")

    def test_open_transactions_are_lost_in_a_crash_and_outcomes_are_not(self) -> None:
        lost, kept = self.begin(), self.begin()
        self.put(0, "lost", transaction_id=lost)
        self.put(2, "kept", transaction_id=kept)
        version = self.commit(kept)
        request_id = make_request_id()
        added = self.put(4, "once", request_id=request_id)
        self.crash()
        self.refused(lambda: self.read(0, transaction_id=lost), "TRANSACTION_LOST")
        self.refused(lambda: self.put(0, transaction_id=lost), "TRANSACTION_LOST")
        self.refused(lambda: self.describe(lost), "TRANSACTION_LOST")
        self.refused(lambda: self.commit(lost), "TRANSACTION_LOST")
        # Nothing of it is there; the other has committed, and cannot be rolled back.
        self.assertEqual(self.rollback(lost), b"")
        self.refused(lambda: self.rollback(kept), "TRANSACTION_ENDED")
        self.assertEqual([self.read(key) for key in (0, 2, 4)], ["old", "kept", "once"])
        self.put(2, "since")
        self.put(4, "since")
        self.assertEqual(self.commit(kept), version)
        self.assertEqual(self.put(4, "once", request_id=request_id), added)
        self.assertEqual([self.read(key) for key in (0, 2, 4)], ["old", "since", "since"])

    def test_a_write_with_a_request_id_happens_once(self) -> None:
        def write_of(rpc: str, key: int, **more: Any) -> Callable[[], Any]:
            request = getattr(btree_pb2, f"{rpc}Request")(
                store=self.store, items=[write(key, "again")], request_id=make_request_id(), **more
            )
            return lambda: getattr(self.btrees, rpc)(request)

        writes = [("Add", 1), ("AddIfNotExists", 3), ("Update", 0), ("Upsert", 2), ("Upsert", 5)]
        for rpc, key in writes:
            with self.each(rpc=rpc, key=key):
                call = write_of(rpc, key)
                first = call()
                self.put(key, "between")
                self.assertEqual(call(), first)
                self.assertEqual(self.read(key), "between")
        removal = btree_pb2.RemoveRequest(store=self.store, items=[write(4)], request_id=make_request_id())
        removed = self.btrees.Remove(removal)
        self.put(4, "between")
        self.assertEqual(self.btrees.Remove(removal), removed)
        self.assertEqual(self.read(4), "between")

    def test_a_refused_request_may_be_repeated_with_its_id(self) -> None:
        request = btree_pb2.AddRequest(store=self.store, items=[write(0, "again")], require_all=True)
        request.request_id = make_request_id()
        self.refused(lambda: self.btrees.Add(request), "KEY_EXISTS")
        self.take(0)
        self.btrees.Add(request)
        self.assertEqual(self.read(0), "again")

    def test_request_ids_are_of_version_7_and_outside_transactions(self) -> None:
        token = self.begin()
        wrong: list[dict[str, Any]] = [
            {"request_id": b"short"},
            {"request_id": bytes([255] * 16)},
            {"request_id": make_request_id(), "transaction_id": token},
        ]
        for request in wrong:
            with self.each(**request):
                self.refused(lambda: self.put(0, **request), "INVALID_ARGUMENT", field="request_id")
        self.assertEqual(self.read(0), "old")


if __name__ == "__main__":
    unittest.main()

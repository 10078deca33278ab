"""Conflicts on a live server: which reads and writes of others make a commit fail, and which merge."""

import unittest
from typing import Any, Callable, Optional

from live_store import KEYS, NumbersCase, key_range, keys_of, write
from sop.v1 import btree_pb2, types_pb2

SERIALIZABLE, SNAPSHOT = types_pb2.ISOLATION_SERIALIZABLE, types_pb2.ISOLATION_SNAPSHOT
AT_OR_AFTER = btree_pb2.SEEK_TARGET_AT_OR_AFTER
Read = Callable[[bytes], Any]
Change = Callable[[], Any]


class ConflictsTest(NumbersCase):
    def get_of(self, key: int, **request: Any) -> Read:
        return lambda token: self.get(self.store, key, transaction_id=token, **request)

    def page_of(self, begin: int, end: int, **request: Any) -> Read:
        within = key_range(begin=begin, end=end)
        return lambda token: self.page(self.store, range=within, transaction_id=token, **request)

    def count_of(self, token: bytes) -> Any:
        within = key_range(begin=40, end=50)
        return self.btrees.Count(btree_pb2.CountRequest(store=self.store, range=within, transaction_id=token))

    def scan(self, token: bytes) -> Any:
        return list(self.btrees.Scan(btree_pb2.ScanRequest(store=self.store, transaction_id=token)))

    def seek_31(self, token: bytes) -> Any:
        return self.seek(self.store, 31, AT_OR_AFTER, transaction_id=token)

    def add_80(self, token: bytes) -> Any:
        return self.btrees.Add(btree_pb2.AddRequest(store=self.store, items=[write(80)], transaction_id=token))

    def read_and_changed(self, at: int, read: Read, change: Change) -> bytes:
        """A transaction that has read and written, before a change of another."""
        token = self.begin()
        read(token)
        self.put(1001 + 2 * at, transaction_id=token)
        change()
        return token

    def test_what_would_be_read_differently_conflicts(self) -> None:
        cases: list[tuple[str, Read, Change, int]] = [
            ("value", self.get_of(4), lambda: self.put(4), 4),
            ("removed key", self.get_of(6, content=KEYS), lambda: self.take(6), 6),
            ("missed key", self.get_of(5), lambda: self.put(5), 5),
            ("phantom in a page", self.page_of(10, 20), lambda: self.put(11), 11),
            ("value in a page", self.page_of(10, 20), lambda: self.put(12), 12),
            ("removed from a page of keys", self.page_of(20, 30, content=KEYS), lambda: self.take(22), 22),
            ("phantom beside a sought key", self.seek_31, lambda: self.put(31), 31),
            ("outcome of an addition", self.add_80, lambda: self.take(80), 80),
            ("phantom in a scan", self.scan, lambda: self.put(61), 61),
        ]
        for at, (name, read, change, key) in enumerate(cases):
            with self.each(case=name):
                self.conflicts(self.read_and_changed(at, read, change), key)
        token = self.read_and_changed(99, self.count_of, lambda: self.put(45))
        self.refused(lambda: self.commit(token), "CONFLICT", store=self.store)

    def test_what_would_be_read_the_same_does_not(self) -> None:
        cases: list[tuple[str, Read, Change]] = [
            ("another key of the node", self.get_of(8), lambda: self.put(9)),
            ("value beside a key alone", self.get_of(4, content=KEYS), lambda: self.put(4)),
            ("value in a page of keys", self.page_of(20, 30, content=KEYS), lambda: self.put(24)),
            ("behind a page", self.page_of(10, 20), lambda: self.put(20)),
            ("before a page", self.page_of(10, 20), lambda: self.put(7)),
            ("beyond a sought key", self.seek_31, lambda: self.put(33)),
            ("value in a count", self.count_of, lambda: self.put(42)),
            ("count that comes out the same", self.count_of, lambda: (self.put(43), self.take(44))),
        ]
        for at, (name, read, change) in enumerate(cases):
            with self.each(case=name):
                self.commit(self.read_and_changed(at, read, change))
                self.assertEqual(self.read(1001 + 2 * at), "new")

    def test_write_skew_is_allowed_to_snapshots_only(self) -> None:
        for isolation in (SNAPSHOT, SERIALIZABLE):
            first, second = self.begin(isolation=isolation), self.begin(isolation=isolation)
            for token, read, written in ((first, 0, 2), (second, 2, 0)):
                self.read(read, transaction_id=token)
                self.put(written, f"{isolation}", transaction_id=token)
            self.commit(first)
            if isolation == SNAPSHOT:
                self.commit(second)
            else:
                self.conflicts(second, 2)
        self.assertEqual((self.read(0), self.read(2)), (f"{SNAPSHOT}", f"{SERIALIZABLE}"))

    def test_an_update_is_not_lost_to_a_snapshot(self) -> None:
        for key in (0, 1):
            with self.each(key=key):
                first, second = self.begin(isolation=SNAPSHOT), self.begin(isolation=SNAPSHOT)
                for token in (first, second):
                    self.put(key, "mine", transaction_id=token)
                self.commit(first)
                self.conflicts(second, key)

    def test_different_keys_merge_also_in_an_empty_store(self) -> None:
        empty = f"{self.store} empty"
        self.create(empty)
        tokens = [self.begin() for _ in range(5)]
        for at, token in enumerate(tokens):
            self.upsert(empty, {at: "first"}, transaction_id=token)
            self.put(2 * at, "merged", transaction_id=token)
        for token in tokens:
            self.commit(token)
        self.assertEqual(keys_of(self.pages(empty)), list(range(5)))
        self.assertEqual([self.read(2 * at) for at in range(6)], ["merged"] * 5 + ["old"])

    def test_a_store_created_twice_at_once_is_one_if_both_agree(self) -> None:
        def create(name: str, token: bytes, **options: Any) -> None:
            made = types_pb2.BtreeOptions(**options)
            self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(store=name, options=made, transaction_id=token))

        same, other = f"{self.store} same", f"{self.store} other"
        tokens = [self.begin() for _ in range(3)]
        for at, token in enumerate(tokens):
            create(same, token, slot_length=100)
            self.upsert(same, {at: "created"}, transaction_id=token)
        for token in tokens:
            self.commit(token)
        self.assertEqual(keys_of(self.pages(same)), [0, 1, 2])
        first, second = self.begin(), self.begin()
        create(other, first, slot_length=100)
        create(other, second, slot_length=200)
        self.upsert(same, {3: "never"}, transaction_id=second)
        self.commit(first)
        self.refused(lambda: self.commit(second), "SCHEMA_DECIDED", store=other)
        self.assertEqual(self.count(same), 3)

    def test_the_first_commit_decides_the_type_of_keys(self) -> None:
        untyped = f"{self.store} untyped"
        self.create(untyped)
        first, second = self.begin(), self.begin()
        self.upsert(untyped, {"text": 1}, transaction_id=first)
        self.upsert(untyped, {1: 1}, transaction_id=second)
        self.commit(first)
        self.refused(lambda: self.commit(second), "SCHEMA_DECIDED", store=untyped)

    def test_a_store_that_was_missed_conflicts_with_its_creation(self) -> None:
        missed = f"{self.store} missed"
        token = self.begin()
        self.refused(lambda: self.page(missed, transaction_id=token), "STORE_NOT_FOUND")
        self.put(0, transaction_id=token)
        self.create(missed)
        self.refused(lambda: self.commit(token), "CONFLICT", store=missed)


if __name__ == "__main__":
    unittest.main()

"""Large values on a live server: written and read in parts, left out of other reads, all or nothing."""

import random
import unittest
from typing import Any, Iterator

import grpc
from live_store import ITEMS, KEYS, LiveCase, write
from sop.calls import make_request_id
from sop.pages import VALUE_LEFT_OUT, parse_columns
from sop.scalars import to_key
from sop.v1 import btree_pb2, database_pb2, transaction_pb2, types_pb2

MIB = 1 << 20
JSON, TEXT = types_pb2.VALUE_FORMAT_JSON, types_pb2.VALUE_FORMAT_TEXT


def large(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def parts(
    store: str, key: Any, value: bytes, size: int = 300_000, format: Any = None, **header: Any
) -> Iterator[btree_pb2.PutValueRequest]:
    """The messages of one value, `size` bytes each."""
    item = write(key)
    item.value.format = format or types_pb2.VALUE_FORMAT_BYTES
    first = btree_pb2.PutValueRequest(store=store, item=item, content=value[:size], **header)
    first.end = len(value) <= size
    yield first
    for at in range(size, len(value), size):
        content = value[at : at + size]
        yield btree_pb2.PutValueRequest(content=content, end=at + size >= len(value))


class LargeValuesTest(LiveCase):
    def setUp(self) -> None:
        self.store = f"values {self.id().rsplit('.', 1)[-1]}"
        self.create(self.store)
        self.add(self.store, [write(0, "small")])

    def put(self, key: Any, value: bytes, **more: Any) -> btree_pb2.PutValueResponse:
        answer: btree_pb2.PutValueResponse = self.btrees.PutValue(parts(self.store, key, value, **more))
        return answer

    def read(self, key: Any, **more: Any) -> list[btree_pb2.ReadValueResponse]:
        request = btree_pb2.ReadValueRequest(store=self.store, key=to_key(key), **more)
        return list(self.btrees.ReadValue(request))

    def value(self, key: Any, **more: Any) -> bytes:
        return b"".join(answer.content for answer in self.read(key, **more))

    def found(self, key: Any, content: Any = ITEMS) -> types_pb2.Item:
        """The item; without a key if there is none."""
        items = self.get(self.store, key, content=content).items
        return items[0] if items else types_pb2.Item()

    def test_what_went_in_in_parts_comes_out_in_parts(self) -> None:
        for size in (0, 1, 70_000, MIB, MIB + 1, 5 * MIB + 7):
            value = large(size, size)
            report = self.put(size + 1, value).report
            self.assertEqual(list(report.outcomes), [types_pb2.WRITE_OUTCOME_ADDED])
            answers = self.read(size + 1)
            self.assertEqual(b"".join(answer.content for answer in answers), value)
            self.assertEqual(answers[0].size, size)
            self.assertEqual([answer.end for answer in answers], [False] * (len(answers) - 1) + [True])
            self.assertLessEqual(max(len(answer.content) for answer in answers), MIB)

    def test_other_reads_leave_out_what_has_more_than_a_mebibyte(self) -> None:
        self.put(1, large(MIB))
        self.put(2, large(MIB + 1))
        self.assertEqual(self.found(1).value.content, large(MIB))
        self.assertEqual(self.found(1).value_size, 0)
        self.assertFalse(self.found(2).HasField("value"))
        self.assertEqual(self.found(2).value_size, MIB + 1)
        self.assertEqual(self.found(2, KEYS).value_size, 0)
        page = self.btrees.ReadPage(btree_pb2.ReadPageRequest(store=self.store, packed=True, page_bytes=3 * MIB))
        columns = parse_columns(page.packed)
        self.assertEqual(list(columns.flags), [0, 0, VALUE_LEFT_OUT])
        self.assertEqual([len(value) for value in columns.values], [5, MIB, 0])
        scanned = [
            flag
            for answer in self.btrees.Scan(btree_pb2.ScanRequest(store=self.store))
            if answer.page
            for flag in parse_columns(answer.page).flags
        ]
        self.assertEqual(scanned, [0, 0, VALUE_LEFT_OUT])
        found = self.btrees.Seek(
            btree_pb2.SeekRequest(store=self.store, target=btree_pb2.SEEK_TARGET_LAST)
        ).item
        self.assertEqual(found.value_size, MIB + 1)

    def test_filters_do_not_look_into_them(self) -> None:
        for key, size in ((1, 10), (2, MIB + 1)):
            document = b'{"a":1,"b":"' + b"x" * size + b'"}'
            self.put(key, document, format=JSON)
        for op, expected in (("equal", [1]), ("not_equal", [0, 2])):
            request = btree_pb2.ReadPageRequest(store=self.store)
            request.filter.condition.field.names.append("a")
            getattr(request.filter.condition, op).scalar.int64_value = 1
            page = self.btrees.ReadPage(request)
            self.assertEqual([item.key.int64_value for item in page.items], expected)

    def test_a_transaction_sees_its_own_and_others_only_what_is_committed(self) -> None:
        token = self.begin()
        self.put(1, large(2 * MIB), transaction_id=token)
        self.assertEqual(self.value(1, transaction_id=token), large(2 * MIB))
        self.refused(lambda: self.read(1), "KEY_NOT_FOUND")
        self.put(1, large(3 * MIB, 2), transaction_id=token)
        self.commit(token)
        self.assertEqual(self.value(1), large(3 * MIB, 2))
        token = self.begin()
        self.put(2, large(2 * MIB), transaction_id=token)
        self.transactions.Rollback(transaction_pb2.RollbackRequest(transaction_id=token))
        self.assertEqual(self.found(2), types_pb2.Item())

    def test_a_store_and_its_first_large_value_are_made_in_one_transaction(self) -> None:
        token = self.begin()
        made = f"{self.store} made"
        self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(store=made, transaction_id=token))
        self.btrees.PutValue(parts(made, 1, large(20 * MIB), size=MIB, transaction_id=token))
        self.commit(token)
        self.store = made
        self.assertEqual(self.value(1), large(20 * MIB))

    def test_a_read_goes_on_where_it_broke_off(self) -> None:
        value = large(3 * MIB)
        self.put(1, value)
        version = self.found(1).version
        for offset in (0, 1, 262_144, 2 * MIB + 5, 3 * MIB):
            self.assertEqual(self.value(1, offset=offset, expected_version=version), value[offset:])
        self.refused(lambda: self.read(1, offset=3 * MIB + 1), "INVALID_ARGUMENT", field="offset")
        self.put(1, large(2 * MIB))
        self.refused(lambda: self.read(1, expected_version=version), "PRECONDITION_NOT_MET")

    def test_a_read_is_of_one_snapshot(self) -> None:
        self.put(1, large(8 * MIB))
        request = btree_pb2.ReadValueRequest(store=self.store, key=to_key(1))
        stream = self.btrees.ReadValue(request)
        found = next(stream).content
        self.put(1, large(8 * MIB, 2))
        self.assertEqual(found + b"".join(answer.content for answer in stream), large(8 * MIB))

    def test_a_transaction_that_writes_while_it_reads_is_told(self) -> None:
        self.put(1, large(16 * MIB))
        token = self.begin()
        request = btree_pb2.ReadValueRequest(store=self.store, key=to_key(1), transaction_id=token)
        stream = self.btrees.ReadValue(request)
        next(stream)
        self.put(1, large(2 * MIB, 2), transaction_id=token)
        self.refused(lambda: list(stream), "PRECONDITION_NOT_MET")
        self.assertEqual(self.value(1, transaction_id=token), large(2 * MIB, 2))

    def test_a_repeated_request_happened_once(self) -> None:
        request_id = make_request_id()
        first = self.put(1, large(2 * MIB), request_id=request_id, kind=btree_pb2.PUT_KIND_ADD)
        again = self.put(1, large(3 * MIB), request_id=request_id, kind=btree_pb2.PUT_KIND_ADD)
        self.assertEqual(again, first)
        self.assertEqual(self.value(1), large(2 * MIB))

    def test_kinds_are_those_of_the_calls(self) -> None:
        value = large(2 * MIB)
        outcomes = [
            self.put(key, value, kind=kind).report.outcomes[0]
            for key, kind in (
                (1, btree_pb2.PUT_KIND_UPDATE),
                (1, btree_pb2.PUT_KIND_ADD),
                (1, btree_pb2.PUT_KIND_ADD),
                (1, btree_pb2.PUT_KIND_ADD_IF_NOT_EXISTS),
                (1, btree_pb2.PUT_KIND_UPDATE),
                (1, btree_pb2.PUT_KIND_UPSERT),
                (2, btree_pb2.PUT_KIND_UPSERT),
            )
        ]
        names = [types_pb2.WriteOutcome.Name(each).removeprefix("WRITE_OUTCOME_") for each in outcomes]
        self.assertEqual(
            names,
            ["NOT_FOUND", "ADDED", "ALREADY_THERE", "ALREADY_THERE", "UPDATED", "REPLACED", "ADDED"],
        )
        self.refused(
            lambda: self.put(3, value, kind=btree_pb2.PUT_KIND_UPDATE, require_all=True),
            "KEY_NOT_FOUND",
        )

    def test_equal_keys_are_told_apart(self) -> None:
        self.create(f"{self.store} equal", unique=False)
        self.store = f"{self.store} equal"
        ids = [
            self.put(1, large(2 * MIB, seed), kind=btree_pb2.PUT_KIND_ADD).report.item_ids[0]
            for seed in (1, 2)
        ]
        for seed, item_id in enumerate(ids, 1):
            self.assertEqual(self.value(1, item_id=item_id), large(2 * MIB, seed))
        self.assertEqual(self.value(1), large(2 * MIB, 1))

    def test_a_stream_that_ends_badly_changes_nothing(self) -> None:
        messages = list(parts(self.store, 1, large(3 * MIB)))
        cut = lambda: self.btrees.PutValue(iter(messages[:-1]))
        self.refused(cut, "INVALID_ARGUMENT", field="end")

        def breaks() -> Iterator[btree_pb2.PutValueRequest]:
            yield from messages[:-1]
            raise ConnectionError("the source of the value broke")

        with self.assertRaises(grpc.RpcError):
            self.btrees.PutValue(breaks())
        self.assertEqual(self.found(1), types_pb2.Item())
        self.put(1, large(3 * MIB))
        self.assertEqual(self.value(1), large(3 * MIB))

    def test_text_is_checked_across_parts(self) -> None:
        text = ("\u20ac" * 500_000).encode()
        self.put(1, text, size=100_001, format=TEXT)
        self.assertEqual(self.read(1)[0].format, TEXT)
        for broken in (text[:-1], text[:700_000] + b"\xff" + text[700_000:]):
            put = lambda: self.put(2, broken, size=100_001, format=TEXT)
            self.refused(put, "INVALID_VALUE")
        self.assertEqual(self.found(2), types_pb2.Item())

    def test_preconditions_compare_them_whole(self) -> None:
        value = large(2 * MIB)
        self.put(1, value)
        other = value[:-1] + bytes([value[-1] ^ 1])
        for wanted, holds in ((b"", False), (value[:-1], False), (other, False), (value, True)):
            request = transaction_pb2.ExecuteRequest()
            condition = request.preconditions.add(store=self.store, key=to_key(1))
            condition.value.content, condition.value.format = wanted, types_pb2.VALUE_FORMAT_BYTES
            request.operations.add().upsert.store = self.store
            request.operations[0].upsert.items.append(write(1, "overwritten"))
            if holds:
                self.transactions.Execute(request)
            else:
                self.refused(lambda: self.transactions.Execute(request), "PRECONDITION_NOT_MET")
                self.assertEqual(self.found(1).value_size, len(value))
        self.assertEqual(self.value(1), b"overwritten")

    def test_they_go_with_their_database(self) -> None:
        folder = self.server.stores_root.resolve() / "large"
        self.databases.CreateDatabase(
            database_pb2.CreateDatabaseRequest(name="large", stores_folders=[str(folder)])
        )
        self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(database="large", store=self.store))
        self.btrees.PutValue(parts(self.store, 1, large(2 * MIB), database="large"))
        self.databases.DeleteDatabase(database_pb2.DeleteDatabaseRequest(database="large"))
        self.assertEqual(list(folder.iterdir()), [])

    def test_what_a_message_holds_needs_no_stream(self) -> None:
        value = large(3 * MIB + 5)
        self.add(self.store, [write(1, value)])
        self.assertEqual(self.found(1).value_size, len(value))
        self.assertEqual(self.value(1), value)


if __name__ == "__main__":
    unittest.main()

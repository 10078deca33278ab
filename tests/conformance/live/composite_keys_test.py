"""Keys of several fields on a live server: found by plain records, ordered as specified, ranged by their first fields."""

import datetime
import unittest
import uuid

from live_store import KEYS, LiveCase, from_key, key_range, keys_of, pair_of, write
from sop.scalars import to_key
from sop.v1 import btree_pb2, types_pb2

TIMES = [datetime.datetime(2000 + year, 1, 1, tzinfo=datetime.timezone.utc) for year in range(3)]


def employee(region: str, department: str, number: int, **rides: object) -> dict[str, object]:
    """A key; what rides on comes after."""
    return {"region": region, "department": department, "number": number, **rides}


PEOPLE = [
    employee(region, department, number, active=number % 2 == 0, name=f"{region}{number}")
    for region in ("AT", "JP", "US")
    for department in ("Eng", "Ops")
    for number in (3, 2, 1)
]


class CompositeKeysTest(LiveCase):
    def setUp(self) -> None:
        self.store = f"people {self.id().rsplit('.', 1)[-1]}"
        self.create(self.store, {"region": True, "department": True, "number": False})
        self.add(self.store, [write(key, f"file of {key['name']}") for key in PEOPLE])

    def test_the_first_item_decides_types_and_a_store_is_opened_without_any_schema(self) -> None:
        fields = {each.name: each for each in self.schema(self.store).fields}
        self.assertEqual(fields["number"].type, types_pb2.SCALAR_TYPE_INT64)
        self.assertTrue(fields["number"].descending)
        self.assertEqual(fields["number"].index_position, 2)
        self.assertFalse(fields["active"].HasField("index_position"))
        opened = self.btrees.OpenBtree(btree_pb2.OpenBtreeRequest(store=self.store))
        self.assertEqual(opened.store.schema, self.schema(self.store))

    def test_order_is_ascending_and_descending_as_specified(self) -> None:
        self.assertEqual(keys_of(self.pages(self.store, content=KEYS)), PEOPLE)

    def test_plain_records_find_in_any_order_of_fields_and_without_what_rides(self) -> None:
        wanted = {"number": 2, "region": "JP", "department": "Ops"}
        answer = self.get(self.store, wanted)
        key, value = pair_of(answer.items[0])
        self.assertEqual((key["name"], value), ("JP2", "file of JP2"))
        self.assertEqual(list(self.get(self.store, {**wanted, "number": 9}).missing), [0])

    def test_prefixes_of_the_fields_are_ranges(self) -> None:
        def within(**bounds: object) -> list[object]:
            return keys_of(self.pages(self.store, range=key_range(**bounds), content=KEYS))

        us = [key for key in PEOPLE if key["region"] == "US"]
        self.assertEqual(within(prefix={"region": "US"}), us)
        ops = {"region": "US", "department": "Ops"}
        self.assertEqual(within(prefix=ops), us[3:])
        self.assertEqual(within(prefix={"region": "U"}, partial_last_field=True), us)
        self.assertEqual(within(prefix={"region": "U"}), [])
        self.assertEqual(within(begin={"region": "US"}), us)
        self.assertEqual(within(begin={"region": "JP"}, begin_exclusive=True), us)
        self.assertEqual(within(end={"region": "AT"}, end_inclusive=True), PEOPLE[:6])
        self.assertEqual(self.count(self.store, prefix=ops), 3)

    def test_ride_on_fields_are_read_without_values(self) -> None:
        answer = self.get(self.store, PEOPLE[0], content=KEYS)
        self.assertFalse(answer.items[0].HasField("value"))
        self.assertEqual(from_key(answer.items[0].key), PEOPLE[0])

    def test_update_key_changes_what_rides_and_nothing_else(self) -> None:
        before = self.get(self.store, PEOPLE[0]).items[0]
        changed = employee("AT", "Eng", 3, active=True)
        request = btree_pb2.UpdateKeyRequest(store=self.store, items=[write(changed)])
        self.assertEqual(self.btrees.UpdateKey(request).report.outcomes, [types_pb2.WRITE_OUTCOME_UPDATED])
        after = self.get(self.store, PEOPLE[0]).items[0]
        self.assertEqual(from_key(after.key), {**PEOPLE[0], "active": True})
        self.assertEqual(after.value, before.value)
        self.assertGreater(after.version, before.version)
        missing = btree_pb2.UpdateKeyRequest(
            store=self.store, items=[write(employee("AT", "Eng", 9, active=True))]
        )
        self.assertEqual(
            self.btrees.UpdateKey(missing).report.outcomes, [types_pb2.WRITE_OUTCOME_NOT_FOUND]
        )

    def test_filters_on_what_rides_read_no_values(self) -> None:
        active = [key for key in PEOPLE if key["active"]]
        read = self.pages(self.store, filter={"active": True}, content=KEYS)
        self.assertEqual(keys_of(read), active)
        self.assertEqual(self.count(self.store, {"name": {"$prefix": "US"}}), 6)

    def test_key_only_reads_do_not_conflict_with_changes_of_values(self) -> None:
        # With a filter on what rides, too; a filter on values reads them.
        for condition, conflicts in (({"active": True}, False), ({"$value": "x"}, True)):
            with self.each(filter=condition):
                token = self.begin()
                self.pages(self.store, filter=condition, content=KEYS, transaction_id=token)
                update = write(PEOPLE[1], "new file")
                self.btrees.Update(btree_pb2.UpdateRequest(store=self.store, items=[update]))
                own = write(employee("ZZ", "Eng", 1 + conflicts), "x")
                self.btrees.Upsert(
                    btree_pb2.UpsertRequest(store=self.store, items=[own], transaction_id=token)
                )
                if conflicts:
                    self.refused(lambda: self.commit(token), "CONFLICT", store=self.store)
                else:
                    self.commit(token)

    def test_errors_name_the_field(self) -> None:
        cases = [
            (employee("US", "Eng", "1"), "KEY_TYPE_DIFFERS", "number"),  # type: ignore[arg-type]
            (employee("US", 1, 1), "KEY_TYPE_DIFFERS", "department"),  # type: ignore[arg-type]
            ({"region": "US", "number": 1}, "FIELD_MISSING", "department"),
            (employee("US", "Eng", 1, active="yes"), "KEY_TYPE_DIFFERS", "active"),
        ]
        for key, reason, field in cases:
            with self.each(key=key):
                self.refused(lambda: self.add(self.store, [write(key, "v")]), reason, field=field)
                self.refused(lambda: self.get(self.store, key), reason, field=field)
        self.refused(lambda: self.get(self.store, employee("US", "Eng", 1, other=1)), "FIELD_UNKNOWN", field="other")
        self.refused(
            lambda: self.page(self.store, range=key_range(prefix={"department": "Eng"})),
            "FIELD_MISSING",
            field="region",
        )

    def test_scalar_keys_of_every_type_are_ordered_by_value(self) -> None:
        values: dict[str, list[object]] = {
            "bool": [False, True],
            "int64": [-(2**63), -1, 0, 7, 2**63 - 1],
            "double": [float("-inf"), -1.5, 0.0, 5e-324, 2.0, float("inf")],
            "string": ["", "a", "a\0b", "b", "\xe9"],
            "bytes": [b"\0", b"\0\1", b"a", b"\xff"],
            "uuid": [uuid.UUID(int=0), uuid.UUID(int=1), uuid.UUID(int=2**127)],
            "timestamp": list(TIMES),
        }
        for name, ordered in values.items():
            with self.each(type=name):
                store = f"scalars {name}"
                self.create(store)
                self.add(store, [write(key, "v") for key in reversed(ordered)])
                self.assertEqual(keys_of(self.pages(store, content=KEYS)), ordered)
                self.assertEqual(self.count(store, begin=ordered[1]), len(ordered) - 1)


class GrowingSchemaTest(LiveCase):
    """Fields that ride on may come later: dictionaries need not all have the same ones."""

    def setUp(self) -> None:
        self.store = f"books {self.id().rsplit('.', 1)[-1]}"
        self.create(self.store, {"id": True})
        self.add(self.store, [write({"id": 1, "title": "one"}, "v")])

    def test_a_later_item_brings_a_field(self) -> None:
        version = self.schema(self.store).version
        self.add(self.store, [write({"id": 2, "title": "two", "pages": 90, "author": "ann"}, "v")])
        self.add(self.store, [write({"id": 3}, "v")])
        read = keys_of(self.pages(self.store))
        self.assertEqual(read[0], {"id": 1, "title": "one"})
        self.assertEqual(read[1], {"id": 2, "title": "two", "pages": 90, "author": "ann"})
        self.assertEqual(read[2], {"id": 3})
        self.assertGreater(self.schema(self.store).version, version)
        # From now on it has its type.
        self.refused(
            lambda: self.add(self.store, [write({"id": 4, "pages": "many"}, "v")]),
            "KEY_TYPE_DIFFERS",
            field="pages",
        )
        self.assertEqual(keys_of(self.pages(self.store, filter={"pages": {"$gt": 80}}))[0]["id"], 2)
        self.assertEqual(self.count(self.store, {"pages": None}), 2)

    def test_update_key_brings_a_field_and_a_failed_request_brings_none(self) -> None:
        patch = btree_pb2.UpdateKeyRequest(store=self.store, items=[write({"id": 1, "pages": 7})])
        self.btrees.UpdateKey(patch)
        self.assertEqual(
            keys_of(self.pages(self.store)), [{"id": 1, "title": "one", "pages": 7}]
        )
        before = self.schema(self.store)
        failing = btree_pb2.AddRequest(
            store=self.store, require_all=True, items=[write({"id": 1, "shelf": 3}, "v")]
        )
        self.refused(lambda: self.btrees.Add(failing), "KEY_EXISTS")
        self.assertEqual(self.schema(self.store), before)

    def test_equal_additions_meanwhile_both_commit_and_others_run_again(self) -> None:
        def adding(number: int, **rides: object) -> bytes:
            token = self.begin()
            item = write({"id": number, **rides}, "v")
            self.btrees.Add(
                btree_pb2.AddRequest(store=self.store, items=[item], transaction_id=token)
            )
            return token

        first, equal, plain = adding(10, pages=1), adding(11, pages=2), adding(12, title="x")
        further, other, typed = adding(13, pages=3, size=1), adding(14, shelf=4), adding(15, pages="x")
        self.commit(first)
        self.commit(equal)
        self.commit(plain)
        self.commit(further)
        for token in (other, typed):
            self.refused(lambda: self.commit(token), "SCHEMA_DECIDED", store=self.store)
        self.commit(adding(14, shelf=4))
        numbers = [key["id"] for key in keys_of(self.pages(self.store))]
        self.assertEqual(numbers, [1, 10, 11, 12, 13, 14])
        self.assertEqual(
            [each.name for each in self.schema(self.store).fields],
            ["id", "title", "pages", "size", "shelf"],
        )

    def test_a_snapshot_keeps_the_schema_that_it_has(self) -> None:
        token = self.begin(types_pb2.TRANSACTION_MODE_READ_ONLY)
        self.assertEqual(len(self.pages(self.store, transaction_id=token)), 1)
        self.add(self.store, [write({"id": 2, "pages": 1}, "v")])
        self.assertEqual(len(self.pages(self.store, transaction_id=token)), 1)
        self.refused(
            lambda: self.btrees.Get(
                btree_pb2.GetRequest(
                    store=self.store, keys=[to_key({"id": 1, "pages": 1})], transaction_id=token
                )
            ),
            "FIELD_UNKNOWN",
            field="pages",
        )
        self.assertEqual(len(self.pages(self.store)), 2)

    def test_the_number_of_fields_is_limited(self) -> None:
        many = {f"f{number}": number for number in range(31)}
        self.refused(
            lambda: self.add(self.store, [write({"id": 5, **many}, "v")]), "INVALID_KEY", limit="32"
        )
        del many["f30"]
        self.add(self.store, [write({"id": 5, **many}, "v")])

    def test_where_all_fields_make_the_order_none_is_added(self) -> None:
        store = "points"
        self.create(store)
        self.add(store, [write({"x": 1, "y": 2}, "v")])
        self.refused(
            lambda: self.add(store, [write({"x": 1, "y": 2, "z": 3}, "v")]),
            "FIELD_UNKNOWN",
            field="z",
        )


class EqualKeysTest(LiveCase):
    """Stores that are not unique."""

    def setUp(self) -> None:
        self.store = f"equal {self.id().rsplit('.', 1)[-1]}"
        self.create(self.store, {"day": True}, unique=False)
        items = [write({"day": day, "mood": mood}, f"{day}{mood}") for day in (1, 2) for mood in "abc"]
        report = self.btrees.Add(btree_pb2.AddRequest(store=self.store, items=items)).report
        self.ids = list(report.item_ids)

    def test_equal_keys_are_all_kept_in_the_order_of_their_ids(self) -> None:
        read = self.pages(self.store)
        self.assertEqual([item.item_id for item in read], self.ids)
        self.assertEqual(self.ids, sorted(self.ids))
        self.assertEqual(self.count(self.store, prefix={"day": 2}), 3)

    def test_find_with_id_gives_that_very_item(self) -> None:
        for number, item_id in enumerate(self.ids):
            day = 1 + number // 3
            found = self.seek(self.store, {"day": day}, btree_pb2.SEEK_TARGET_EXACT, item_id=item_id)
            self.assertTrue(found.exact)
            self.assertEqual(pair_of(found.item)[1], f"{day}{'abc'[number % 3]}")
        other = self.seek(
            self.store, {"day": 2}, btree_pb2.SEEK_TARGET_EXACT, item_id=self.ids[0]
        )
        self.assertFalse(other.HasField("item"))

    def test_calls_by_key_act_on_the_first_and_say_its_id(self) -> None:
        update = btree_pb2.UpdateRequest(store=self.store, items=[write({"day": 1}, "new")])
        self.assertEqual(list(self.btrees.Update(update).report.item_ids), [self.ids[0]])
        by_id = btree_pb2.RemoveRequest(
            store=self.store, items=[write({"day": 1}, item_id=self.ids[1])]
        )
        self.assertEqual(list(self.btrees.Remove(by_id).report.item_ids), [self.ids[1]])
        by_value = btree_pb2.RemoveRequest(store=self.store, items=[write({"day": 1}, "1c")])
        self.assertEqual(list(self.btrees.Remove(by_value).report.item_ids), [self.ids[2]])
        left = [pair_of(item)[1] for item in self.pages(self.store)]
        self.assertEqual(left, ["new", "2a", "2b", "2c"])

    def test_the_python_client_finds_with_id(self) -> None:
        with self.server.database() as db, db.begin_transaction() as t:
            store = db.open_btree(self.store, t)
            wanted = store.get_items()[4]
            self.assertTrue(store.find_with_id(wanted.key, wanted.id))
            self.assertEqual(store.get_current_value(), "2b")


if __name__ == "__main__":
    unittest.main()

"""Filters on a live server: what they let through, what they seek, and what they say to nonsense."""

import json
import random
import unittest
import uuid
from typing import Any, Callable, Optional

import grpc
from live_store import BACKWARD, FORWARD, KEYS, LiveCase, from_key, key_range, keys_of, pair_of, write
from sop.filters import to_filter
from sop.pages import parse_page
from sop.v1 import btree_pb2, filter_pb2, transaction_pb2, types_pb2

SEED = 20261128
REGIONS = ("AT", "JP", "US")


def person(number: int) -> tuple[dict[str, Any], Any]:
    """Key and value of one of some people; the value has members of every kind, and some have not."""
    key: dict[str, Any] = {"region": REGIONS[number % 3], "number": number // 3}
    if number % 2:
        key["vip"] = number % 5 == 0
    value: dict[str, Any] = {
        "n": number if number % 4 else number + 0.5,
        "name": f"p{number:03}",
        "tags": [f"t{number % 7}", f"t{number % 11}"],
        "address": {"city": "Linz" if number % 3 else None, "zip": number % 9},
    }
    if number % 6 == 0:
        del value["address"]
    if number % 10 == 3:
        value["n"] = str(number)
    return key, value


PEOPLE = sorted(
    (person(number) for number in range(240)), key=lambda each: (each[0]["region"], -each[0]["number"])
)


class Oracle:
    """The same filters, on Python objects: docs/filters.md in other words."""

    KEY_FIELDS = ("region", "number", "vip")

    def passes(self, given: dict[str, Any], key: dict[str, Any], value: Any) -> bool:
        return all(self._member(name, test, key, value) for name, test in given.items())

    def _member(self, name: str, test: Any, key: dict[str, Any], value: Any) -> bool:
        if name == "$not":
            return not self.passes(test, key, value)
        if name in ("$and", "$or", "$nor"):
            held = [self.passes(each, key, value) for each in test]
            return all(held) if name == "$and" else any(held) == (name == "$or")
        found = self._found(name, key, value)
        tests = test if isinstance(test, dict) else {"$eq": test}
        return all(self._holds(found, op, operand) for op, operand in tests.items())

    def _found(self, name: str, key: dict[str, Any], value: Any) -> Optional[list[Any]]:
        if name in self.KEY_FIELDS:
            return [key[name]] if name in key else None
        at: Optional[list[Any]] = [value]
        for part in name.split("."):
            at = [each[part] for each in at or [] if isinstance(each, dict) and part in each]
        if not at:
            return None
        return at[0] if isinstance(at[0], list) else at

    def _holds(self, found: Optional[list[Any]], op: str, operand: Any) -> bool:
        if op == "$not":
            return not all(self._holds(found, *each) for each in operand.items())
        if op in ("$ne", "$nin"):
            return not self._holds(found, "$eq" if op == "$ne" else "$in", operand)
        if op == "$exists":
            return (found is not None) == operand
        values = [None] if found is None else found
        operands = operand if op == "$in" else [operand]
        return any(self._meets(value, op, each) for value in values for each in operands)

    @staticmethod
    def _meets(value: Any, op: str, operand: Any) -> bool:
        def kind(each: Any) -> str:
            number = isinstance(each, (int, float)) and not isinstance(each, bool)
            return "number" if number else type(each).__name__

        if kind(value) != kind(operand) or isinstance(value, (dict, list)):
            return False
        if op in ("$eq", "$in"):
            return bool(value == operand)
        if value is None:
            return False
        compare: dict[str, Callable[[Any, Any], bool]] = {
            "$gt": lambda a, b: a > b, "$gte": lambda a, b: a >= b,
            "$lt": lambda a, b: a < b, "$lte": lambda a, b: a <= b,
            "$prefix": lambda a, b: a.startswith(b),
        }
        return compare[op](value, operand)


HAND_MADE: list[dict[str, Any]] = [
    {},
    {"region": "US"},
    {"region": "US", "number": 7},
    {"region": "US", "number": {"$gte": 10, "$lt": 20}},
    {"region": {"$in": ["AT", "US", "XX"]}},
    {"region": {"$prefix": "J"}, "n": {"$gt": 100}},
    {"number": {"$lte": 2.5}},
    {"vip": True},
    {"vip": None},
    {"vip": {"$exists": True}},
    {"vip": {"$ne": True}},
    {"n": {"$gte": 100.5}},
    {"n": {"$in": [4.5, 5, "13", None]}},
    {"tags": "t3"},
    {"tags": {"$ne": "t3"}},
    {"tags": {"$prefix": "t1"}},
    {"address.city": "Linz", "address.zip": {"$lt": 4}},
    {"address.city": None},
    {"address.city": {"$exists": False}},
    {"address": {"$exists": True}},
    {"$or": [{"region": "AT", "n": {"$lt": 10}}, {"vip": True, "tags": "t5"}]},
    {"$nor": [{"region": "AT"}, {"n": {"$gt": 50}}]},
    {"$not": {"region": {"$in": ["AT", "JP"]}}},
    {"name": {"$not": {"$lt": "p200"}}},
    {"name": {"$gte": "p100", "$lt": "p110"}, "$and": [{"region": "JP"}]},
    {"region": {"$gt": "AT", "$lt": "US"}},
]


class FiltersTest(LiveCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        index = {"region": True, "number": False}
        cls.create(cls, "people", index, slot_length=16)  # type: ignore[arg-type]
        cls.add(cls, "people", [write(key, value) for key, value in PEOPLE])  # type: ignore[arg-type]

    def expected(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        oracle = Oracle()
        return [key for key, value in PEOPLE if oracle.passes(given, key, value)]

    def scan(self, given: dict[str, Any], **request: Any) -> int:
        """How many items a scan gives."""
        message = btree_pb2.ScanRequest(store="people", filter=to_filter(given), **request)
        answers = list(self.btrees.Scan(message))
        self.assertTrue(answers[-1].end)
        return sum(len(parse_page(answer.page)) for answer in answers if answer.page)

    def check(self, given: dict[str, Any]) -> None:
        """The same items by pages both ways, scan and count."""
        wanted = self.expected(given)
        self.assertEqual(keys_of(self.pages("people", filter=given, page_size=17)), wanted)
        backward = self.pages("people", filter=given, direction=BACKWARD, content=KEYS)
        self.assertEqual(keys_of(backward), wanted[::-1])
        self.assertEqual(self.scan(given), len(wanted))
        self.assertEqual(self.scan(given, content=KEYS), len(wanted))
        self.assertEqual(self.count("people", given), len(wanted))

    def test_filters_let_through_what_they_say(self) -> None:
        empty = 0
        for given in HAND_MADE:
            with self.each(filter=json.dumps(given)):
                self.check(given)
                empty += not self.expected(given)
        self.assertLess(empty, 3)

    def test_random_filters_let_through_what_they_say(self) -> None:
        chosen = random.Random(SEED)
        operands: dict[str, list[Any]] = {
            "region": [*REGIONS, "", "B"],
            "number": [-1, 0, 7, 7.5, 40, 79],
            "vip": [True, False],
            "n": [0, 0.5, 13, "13", 100, 999, None, True],
            "name": ["p", "p0", "p100", "p23", 7],
            "tags": ["t1", "t10", "t", None],
            "address.zip": [0, 3, 8, None],
        }

        def condition() -> dict[str, Any]:
            name = chosen.choice(list(operands))
            op = chosen.choice(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists"])
            if op == "$exists":
                return {name: {op: chosen.random() < 0.5}}
            if op in ("$in", "$nin"):
                return {name: {op: chosen.choices(operands[name], k=chosen.randrange(4))}}
            operand = chosen.choice(operands[name])
            if operand is None and op not in ("$eq", "$ne"):
                op = "$ne"
            return {name: {op: operand}}

        def made(depth: int) -> dict[str, Any]:
            if depth == 0 or chosen.random() < 0.3:
                return condition()
            how = chosen.choice(["$and", "$and", "$or", "$nor"])
            return {how: [made(depth - 1) for _ in range(chosen.randrange(1, 4))]}

        for _ in range(60):
            given = made(3)
            with self.each(seed=SEED, filter=json.dumps(given)):
                self.check(given)

    def test_offsets_and_ranges_go_with_filters(self) -> None:
        # By a filter that is a range, and by one that is not.
        for given in ({"region": "JP"}, {"region": "JP", "n": {"$gt": 50}}):
            wanted = self.expected(given)
            page = self.page("people", filter=given, offset=10, page_size=5)
            self.assertEqual(keys_of(page.items), wanted[10:15])
            page = self.page("people", filter=given, offset=10, page_size=5, direction=BACKWARD)
            self.assertEqual(keys_of(page.items), wanted[::-1][10:15])
        within = key_range(prefix={"region": "US"})
        both = self.pages("people", filter={"number": {"$lt": 9}}, range=within)
        self.assertEqual(keys_of(both), self.expected({"region": "US", "number": {"$lt": 9}}))
        self.assertEqual(self.count("people", {"region": "AT"}, prefix={"region": "US"}), 0)

    def test_filters_see_own_writes_and_run_in_execute(self) -> None:
        request = transaction_pb2.ExecuteRequest()
        operation = request.operations.add().upsert
        operation.store = "people"
        operation.items.append(write({"region": "ZZ", "number": 1}, {"n": 1}))
        counted = request.operations.add().count
        counted.store = "people"
        counted.filter.CopyFrom(to_filter({"region": "ZZ", "n": 1}))
        page = request.operations.add().read_page
        page.store = "people"
        page.filter.CopyFrom(to_filter({"$value.n": 1, "$key.region": "ZZ"}))
        sample = request.operations.add().sample
        sample.store, sample.size = "people", 1
        sample.range.CopyFrom(key_range(prefix={"region": "ZZ"}))
        removed = request.operations.add().remove
        removed.store = "people"
        removed.items.append(write({"region": "ZZ", "number": 1}))
        results = self.transactions.Execute(request).results
        self.assertEqual(results[1].count.count, 1)
        self.assertEqual(pair_of(results[2].read_page.items[0])[1], {"n": 1})
        self.assertEqual(from_key(results[3].sample.items[0].key)["region"], "ZZ")

    def test_nonsense_names_the_field(self) -> None:
        cases: list[tuple[dict[str, Any], str, str]] = [
            ({"region": 3}, "KEY_TYPE_DIFFERS", "region"),
            ({"number": "3"}, "KEY_TYPE_DIFFERS", "number"),
            ({"vip": {"$in": [True, "no"]}}, "KEY_TYPE_DIFFERS", "vip"),
            ({"number": {"$prefix": "3"}}, "KEY_TYPE_DIFFERS", "number"),
            ({"$key.other": 3}, "FIELD_UNKNOWN", "other"),
            ({"$key": 3}, "FIELD_UNKNOWN", "key"),
            ({"$key.region.x": 3}, "INVALID_ARGUMENT", "region.x"),
            ({"name": {"$gt": None}}, "INVALID_ARGUMENT", "name"),
            ({"address.zip": uuid.UUID(int=1)}, "INVALID_ARGUMENT", "address.zip"),
            ({"address.zip": b"1"}, "INVALID_ARGUMENT", "address.zip"),
            ({"n": float("nan")}, "INVALID_ARGUMENT", "n"),
            ({"name": {"$prefix": 3}}, "INVALID_ARGUMENT", "name"),
            ({"region": {"$prefix": "x" * 5000}}, "INVALID_KEY", "region"),
        ]
        for given, reason, field in cases:
            with self.each(filter=str(given)[:80]):
                self.refused(lambda: self.page("people", filter=given), reason, field=field)
                self.refused(lambda: self.count("people", given), reason, field=field)
                self.refused(lambda: self.scan(given), reason, field=field)

    def test_messages_that_say_nothing_are_refused(self) -> None:
        nothing = filter_pb2.Filter()
        without_test = filter_pb2.Filter()
        without_test.condition.field.names.append("x")
        without_operand = filter_pb2.Filter()
        without_operand.condition.CopyFrom(without_test.condition)
        without_operand.condition.equal.SetInParent()
        without_field = filter_pb2.Filter()
        without_field.condition.exists = True
        unknown_source = filter_pb2.Filter()
        unknown_source.condition.field.source = 7  # type: ignore[assignment]
        unknown_source.condition.exists = True
        inside = filter_pb2.Filter()
        inside.all_of.filters.add().any_of.filters.add()
        for given in (
            nothing, without_test, without_operand, without_field, unknown_source, inside
        ):
            with self.each(filter=str(given)):
                request = btree_pb2.CountRequest(store="people", filter=given)
                self.refused(lambda: self.btrees.Count(request), "INVALID_ARGUMENT")

    def test_the_python_client_takes_dicts(self) -> None:
        with self.server.database() as db, db.begin_transaction() as t:
            people = db.open_btree("people", t)
            given = {"region": "JP", "address.zip": {"$gte": 5}}
            wanted = self.expected(given)
            self.assertEqual([item.key for item in people.items(filter=given)], wanted)
            self.assertEqual(people.count(filter=given), len(wanted))
            pages = list(people.pages(4, filter=given, offset=2, backward=True, keys_only=True))
            self.assertEqual([i.key for page in pages for i in page.items], wanted[::-1][2:])
            sampled = people.sample(5, seed=3, within=None)
            self.assertEqual(len(sampled), 5)
            self.assertEqual(sampled, people.sample(5, seed=3))
            some = people.sample(3, filter=given, seed=3)
            self.assertEqual(some, people.sample(3, filter=given, seed=3))
            self.assertEqual(len(some), 3)
            self.assertEqual([i.key for i in people.sample(100, filter=given)], wanted)

    def test_samples_are_of_what_is_let_through(self) -> None:
        for given in ({"region": "JP"}, {"n": {"$gte": 30}}, {"region": "US", "tags": "t3"}):
            with self.each(filter=given):
                wanted = self.expected(given)
                request = btree_pb2.SampleRequest(store="people", size=5, seed=1)
                request.filter.CopyFrom(to_filter(given))
                chosen: set[str] = set()
                for seed in range(200):
                    request.seed = seed
                    answer = self.btrees.Sample(request)
                    self.assertEqual(answer.range_count, len(wanted))
                    keys = keys_of(answer.items)
                    self.assertEqual(keys, [key for key in wanted if key in keys])
                    self.assertEqual(len(keys), 5)
                    chosen.update(map(str, keys))
                # 1,000 draws: many would be missing only if chance were broken.
                self.assertGreater(len(chosen), 0.9 * len(wanted))


class ManyItemsTest(LiveCase):
    """Ten items between 150,000 and 150,000 others: more than one page looks at."""

    EXAMINED = 100_000

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.create(cls, "many", {"region": True, "number": True})  # type: ignore[arg-type]
        for region, number in (("A", 150_000), ("M", 10), ("Z", 150_000)):
            rows = [write({"region": region, "number": n}, "v") for n in range(number)]
            cls.add(cls, "many", rows)  # type: ignore[arg-type]

    def test_leading_fields_seek_and_do_not_scan(self) -> None:
        # A read that began at the first item, or went on behind the last one that it gives, would
        # look at so many that its page ended before.
        for given in (
            {"region": "M"},
            {"region": {"$in": ["M"]}},
            {"region": {"$in": ["M", "N"]}},
            {"region": {"$prefix": "M"}},
            {"region": {"$gt": "A", "$lt": "Z"}},
            {"region": {"$gte": "M", "$lte": "M"}},
            {"region": "M", "number": {"$gte": 0}},
            {"region": "M", "$value": "v"},
            {"$and": [{"$and": [{"region": "M"}]}, {"number": {"$exists": True}}]},
        ):
            for direction in (FORWARD, BACKWARD):
                with self.each(filter=str(given), direction=direction):
                    page = self.page("many", filter=given, content=KEYS, direction=direction)
                    self.assertEqual(len(page.items), 10)
                    self.assertTrue(page.end)
                    self.assertEqual(self.count("many", given), 10)
        # The same ten, hidden from the plan.
        page = self.page("many", filter={"$nor": [{"region": {"$ne": "M"}}]}, content=KEYS)
        self.assertEqual(len(page.items), 0)
        self.assertFalse(page.end)

    def test_a_page_looks_at_so_many_items_and_says_where_to_go_on(self) -> None:
        pages = read = 0
        request: dict[str, Any] = {"filter": {"$value": "w"}, "content": KEYS}
        while True:
            answer = self.page("many", **request)
            pages, read = pages + 1, read + len(answer.items)
            if answer.end:
                break
            self.assertTrue(answer.next_page_token)
            request["page_token"] = answer.next_page_token
        self.assertEqual((pages, read), (-(-300_010 // self.EXAMINED), 0))

    def test_a_scan_that_finds_nothing_says_that_it_goes_on(self) -> None:
        request = btree_pb2.ScanRequest(store="many", filter=to_filter({"$value": "w"}))
        answers = list(self.btrees.Scan(request))
        self.assertEqual(len(answers), -(-300_010 // self.EXAMINED))
        self.assertEqual([answer.end for answer in answers], [False] * (len(answers) - 1) + [True])

    def test_a_count_that_looks_at_all_ends_with_its_deadline(self) -> None:
        request = btree_pb2.CountRequest(store="many", filter=to_filter({"$value": "w"}))
        with self.assertRaises(grpc.RpcError) as raised:
            self.btrees.Count(request, timeout=0.005)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


if __name__ == "__main__":
    unittest.main()

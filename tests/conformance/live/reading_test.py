"""Reading in order on a live server: seeks with neighbours, pages both ways from anywhere, counts, scans, samples."""

import bisect
import collections
import random
import unittest
from typing import Any, Optional

from live_store import BACKWARD, FORWARD, ITEMS, KEYS, LiveCase, from_key, from_value, key_range
from live_store import keys_of, pair_of, write
from sop.filters import to_filter
from sop.pages import parse_page
from sop.scalars import to_key
from sop.v1 import btree_pb2, transaction_pb2, types_pb2

SEED = 20261127
NUMBERS = range(0, 2000, 2)
AT_OR_AFTER = btree_pb2.SEEK_TARGET_AT_OR_AFTER
AFTER, BEFORE = btree_pb2.SEEK_TARGET_AFTER, btree_pb2.SEEK_TARGET_BEFORE
AT_OR_BEFORE, EXACT = btree_pb2.SEEK_TARGET_AT_OR_BEFORE, btree_pb2.SEEK_TARGET_EXACT


def position(key: Any) -> btree_pb2.Position:
    return btree_pb2.Position(key=to_key(key))


class ReadingTest(LiveCase):
    """Even numbers below 2,000, in small nodes, so that every read crosses some."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.create(cls, "numbers", slot_length=16)  # type: ignore[arg-type]
        cls.add(cls, "numbers", {n: {"n": n, "third": n % 3 == 0} for n in NUMBERS})  # type: ignore[arg-type]

    def test_seek_finds_by_every_target_and_tells_the_neighbours(self) -> None:
        def expected(target: int, key: int) -> Optional[int]:
            at = bisect.bisect_left(NUMBERS, key)
            there = key in NUMBERS
            place = {EXACT: at if there else -1, AT_OR_AFTER: at, AFTER: at + there}
            place |= {AT_OR_BEFORE: at if there else at - 1, BEFORE: at - 1}
            found = place[target]
            return NUMBERS[found] if 0 <= found < len(NUMBERS) else None

        for target in (EXACT, AT_OR_AFTER, AFTER, AT_OR_BEFORE, BEFORE):
            for key in (-1, 0, 1, 2, 31, 32, 33, 999, 1000, 1997, 1998, 1999):
                with self.each(target=target, key=key):
                    answer = self.seek("numbers", key, target, with_neighbours=True)
                    found = expected(target, key)
                    self.assertEqual(answer.HasField("item"), found is not None)
                    self.assertEqual(answer.exact, found == key)
                    # Beside what was found, or beside the place where it would be.
                    low = found if found is not None else key + (target in (AFTER, AT_OR_BEFORE))
                    high = found + 1 if found is not None else low
                    beside = [n for n in NUMBERS if n < low], [n for n in NUMBERS if n >= high]
                    self.assertEqual(answer.HasField("previous"), bool(beside[0]))
                    self.assertEqual(answer.HasField("next"), bool(beside[1]))
                    if beside[0]:
                        self.assertEqual(from_key(answer.previous.key), beside[0][-1])
                    if beside[1]:
                        self.assertEqual(from_key(answer.next.key), beside[1][0])
                    if found is not None:
                        self.assertEqual(pair_of(answer.item)[1]["n"], found)

    def test_first_and_last(self) -> None:
        first = self.seek("numbers", None, btree_pb2.SEEK_TARGET_FIRST, with_neighbours=True)
        self.assertEqual(from_key(first.item.key), 0)
        self.assertFalse(first.HasField("previous"))
        self.assertEqual(from_key(first.next.key), 2)
        last = self.seek("numbers", None, btree_pb2.SEEK_TARGET_LAST, content=KEYS)
        self.assertEqual(from_key(last.item.key), 1998)
        self.assertFalse(last.item.HasField("value"))

    def test_pages_go_both_ways_by_offset_key_and_token(self) -> None:
        chosen = random.Random(SEED)
        for _ in range(40):
            low, high = sorted(chosen.sample(range(-5, 2005), 2))
            within = key_range(begin=low, end=high)
            there = [n for n in NUMBERS if low <= n < high]
            for direction in (FORWARD, BACKWARD):
                ordered = there if direction == FORWARD else there[::-1]
                size, offset = chosen.choice([5, 17, 100, 1000]), chosen.randrange(len(there) + 3)
                common: dict[str, Any] = {
                    "range": within, "direction": direction, "page_size": size, "content": KEYS
                }
                with self.each(seed=SEED, low=low, high=high, direction=direction, size=size):
                    read = keys_of(self.pages("numbers", **common))
                    self.assertEqual(read, ordered)
                    page = self.page("numbers", offset=offset, **common)
                    self.assertEqual(keys_of(page.items), ordered[offset : offset + size])
                    self.assertEqual(page.end, offset + size >= len(ordered))
                    key = chosen.randrange(-5, 2005)
                    behind = [n for n in ordered if (n > key if direction == FORWARD else n < key)]
                    page = self.page("numbers", after=position(key), **common)
                    self.assertEqual(keys_of(page.items), behind[:size])

    def test_tokens_go_with_their_range_and_direction_only(self) -> None:
        token = self.page("numbers", page_size=3).next_page_token
        self.assertEqual(keys_of(self.page("numbers", page_size=2, page_token=token).items), [6, 8])
        for wrong in (
            {"direction": BACKWARD},
            {"range": key_range(begin=4)},
            {"filter": {"$key": {"$gt": 100}}},
        ):
            with self.each(**{name: str(value) for name, value in wrong.items()}):
                self.refused(
                    lambda: self.page("numbers", page_token=token, **wrong), "INVALID_ARGUMENT", field="page_token"
                )
        self.refused(
            lambda: self.page("numbers", page_token=b"x" * 20), "INVALID_ARGUMENT", field="page_token"
        )

    def test_paging_is_stable_in_a_read_only_transaction(self) -> None:
        store = "moving"
        self.create(store, slot_length=16)
        self.add(store, {n: n for n in range(300)})
        reader = self.begin(types_pb2.TRANSACTION_MODE_READ_ONLY)
        read: list[int] = []
        request: dict[str, Any] = {"transaction_id": reader, "page_size": 50}
        while True:
            page = self.page(store, **request)
            read += keys_of(page.items)
            if page.end:
                break
            request["page_token"] = page.next_page_token
            taken = read[-50:] + [read[-1] + 1]
            items = [write(n) for n in taken] + [write(1000 + read[-1])]
            self.btrees.Remove(btree_pb2.RemoveRequest(store=store, items=items))
            self.add(store, {1000 + read[-1]: 0})
        self.assertEqual(read, list(range(300)))

    def test_counts_of_ranges_are_exact_with_own_writes(self) -> None:
        chosen = random.Random(SEED + 1)
        token = self.begin()
        added = [write(n, "own") for n in range(1, 400, 2)]
        self.btrees.Add(
            btree_pb2.AddRequest(store="numbers", items=added, transaction_id=token)
        )
        there = sorted([*NUMBERS, *range(1, 400, 2)])
        for _ in range(100):
            low, high = sorted(chosen.sample(range(-5, 2005), 2))
            request = btree_pb2.CountRequest(
                store="numbers", range=key_range(begin=low, end=high), transaction_id=token
            )
            expected = bisect.bisect_left(there, high) - bisect.bisect_left(there, low)
            self.assertEqual(self.btrees.Count(request).count, expected)
            # The page that begins at a rank is the rank's.
            offset = chosen.randrange(len(there))
            page = self.page("numbers", offset=offset, page_size=1, transaction_id=token)
            self.assertEqual(keys_of(page.items), [there[offset]])
        self.transactions.Rollback(transaction_pb2.RollbackRequest(transaction_id=token))

    def scan(self, **request: Any) -> list[Any]:
        """Keys of a scan."""
        if "filter" in request:
            request["filter"] = to_filter(request["filter"])
        read: list[Any] = []
        for answer in self.btrees.Scan(btree_pb2.ScanRequest(store="numbers", **request)):
            read += [item.key for item in parse_page(answer.page)] if answer.page else []
        return read

    def test_scans_cover_ranges_both_ways_up_to_a_limit(self) -> None:
        self.assertEqual(len(self.scan()), len(NUMBERS))
        some = self.scan(range=key_range(begin=100, end=200), content=KEYS)
        self.assertEqual(len(some), 50)
        self.assertEqual(
            self.scan(range=key_range(begin=100, end=200), direction=BACKWARD, limit=7),
            some[::-1][:7],
        )
        self.assertEqual(self.scan(range=key_range(begin=100, end=200), after=position(150)), some[26:])
        self.assertEqual(len(self.scan(filter={"third": True})), sum(n % 3 == 0 for n in NUMBERS))
        self.assertEqual(
            self.scan(filter={"$key": {"$gte": 100, "$lt": 200}}, page_bytes=1), some
        )

    def sample(self, store: str = "numbers", **request: Any) -> Any:
        return self.btrees.Sample(btree_pb2.SampleRequest(store=store, **request))

    def test_samples_are_different_items_of_the_range_in_order(self) -> None:
        answer = self.sample(range=key_range(begin=100, end=300), size=40, seed=1, content=ITEMS)
        keys = keys_of(answer.items)
        self.assertEqual(len(set(keys)), 40)
        self.assertEqual(keys, sorted(keys))
        self.assertTrue(all(100 <= key < 300 for key in keys))
        self.assertEqual(answer.range_count, 100)
        self.assertTrue(all(from_value(i.value)["n"] == from_key(i.key) for i in answer.items))
        again = self.sample(range=key_range(begin=100, end=300), size=40, seed=1)
        self.assertEqual(keys_of(again.items), keys)
        packed = self.sample(range=key_range(begin=100, end=300), size=40, seed=1, packed=True)
        self.assertEqual(len(parse_page(packed.packed)), 40)
        other = self.sample(range=key_range(begin=100, end=300), size=40, seed=2)
        self.assertNotEqual(keys_of(other.items), keys)
        everything = self.sample(size=10_000, content=KEYS)
        self.assertEqual(keys_of(everything.items), list(NUMBERS))
        self.assertEqual(len(self.sample().items), 100)
        self.assertEqual(len(self.sample(range=key_range(begin=5000)).items), 0)

    def test_samples_are_uniform(self) -> None:
        # Pearson's chi-squared of 10,000 items in 50 classes of 20; above 85.4 once in 1,000.
        drawn: collections.Counter[int] = collections.Counter()
        for seed in range(100):
            answer = self.sample(size=100, seed=SEED + seed, content=KEYS)
            drawn.update(key // 40 for key in keys_of(answer.items))
        self.assertEqual(sum(drawn.values()), 10_000)
        self.assertLess(sum((drawn[each] - 200) ** 2 / 200 for each in range(50)), 85.4)

    def test_samples_see_own_writes_and_conflict_with_what_moves_their_ranks(self) -> None:
        token = self.begin()
        own = [write(n, "own") for n in range(5001, 5101, 2)]
        self.btrees.Add(btree_pb2.AddRequest(store="numbers", items=own, transaction_id=token))
        answer = self.sample(range=key_range(begin=5000), size=1000, transaction_id=token)
        self.assertEqual(keys_of(answer.items), list(range(5001, 5101, 2)))
        self.sample(range=key_range(end=1000), size=5, seed=3, transaction_id=token)
        self.add("numbers", {-7: "before all ranks"})
        self.refused(lambda: self.commit(token), "CONFLICT", store="numbers")
        self.btrees.Remove(btree_pb2.RemoveRequest(store="numbers", items=[write(-7)]))

    def test_a_store_without_any_item_is_read_as_empty(self) -> None:
        self.create("empty")
        self.assertEqual(self.pages("empty", filter={"$key": 3}), [])
        self.assertEqual(self.count("empty", {"x": {"$gt": 3}}), 0)
        self.assertEqual(len(self.sample("empty").items), 0)
        self.assertFalse(self.seek("empty", 3, AT_OR_AFTER).HasField("item"))


if __name__ == "__main__":
    unittest.main()

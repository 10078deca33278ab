"""Execute on a live server: batches with an outcome per item, all of them required or not, under preconditions."""

import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from live_store import KEYS, LiveCase, from_value, keys_of, write
from sop.calls import make_request_id
from sop.errors import from_rpc_error
from sop.scalars import to_key, to_value
from sop.v1 import btree_pb2, transaction_pb2, types_pb2
from sop.v1.types_pb2 import WRITE_OUTCOME_ADDED as ADDED
from sop.v1.types_pb2 import WRITE_OUTCOME_ALREADY_THERE as ALREADY_THERE
from sop.v1.types_pb2 import WRITE_OUTCOME_NOT_FOUND as NOT_FOUND
from sop.v1.types_pb2 import WRITE_OUTCOME_REMOVED as REMOVED
from sop.v1.types_pb2 import WRITE_OUTCOME_REPLACED as REPLACED
from sop.v1.types_pb2 import WRITE_OUTCOME_UPDATED as UPDATED


class Batch:
    """A request to Execute, put together step by step."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.request = transaction_pb2.ExecuteRequest()

    def write(self, kind: str, *items: types_pb2.WriteItem, **more: Any) -> "Batch":
        """add, add_if_not_exists, update, upsert, update_key or remove."""
        operation = getattr(self.request.operations.add(), kind)
        operation.store = self.store
        operation.items.extend(items)
        for name, value in more.items():
            setattr(operation, name, value)
        return self

    def get(self, *keys: Any) -> "Batch":
        operation = self.request.operations.add().get
        operation.store = self.store
        operation.keys.extend(to_key(key) for key in keys)
        return self

    def count(self) -> "Batch":
        self.request.operations.add().count.store = self.store
        return self

    def require(self, key: Any, **condition: Any) -> "Batch":
        """exists, version or value of a key."""
        made = self.request.preconditions.add(store=self.store, key=to_key(key))
        for name, value in condition.items():
            if name == "value":
                made.value.CopyFrom(to_value(value))
            else:
                setattr(made, name, value)
        return self


class ExecuteTest(LiveCase):
    def setUp(self) -> None:
        self.store = f"items {self.id().rsplit('.', 1)[-1]}"
        self.create(self.store)
        self.add(self.store, {"a": 1, "b": 2})

    def run_batch(self, batch: Batch) -> Any:
        return self.transactions.Execute(batch.request)

    def content(self) -> dict[str, Any]:
        return {
            key: from_value(item.value)
            for item in self.pages(self.store)
            for key in keys_of([item])
        }

    def version(self, key: Any) -> int:
        number: int = self.get(self.store, key).items[0].version
        return number

    def test_every_item_has_its_outcome(self) -> None:
        batch = Batch(self.store)
        batch.write("add", write("a", 9), write("c", 3), write("c", 4))
        batch.write("add_if_not_exists", write("b", 9), write("d", 4))
        batch.write("update", write("a", 10), write("x", 10))
        batch.write("upsert", write("b", 20), write("e", 5))
        batch.write("remove", write("c"), write("c"), write("x"))
        answer = self.run_batch(batch)
        outcomes = [list(getattr(r, r.WhichOneof("response")).report.outcomes) for r in answer.results]
        self.assertEqual(
            outcomes,
            [
                [ALREADY_THERE, ADDED, ALREADY_THERE],
                [ALREADY_THERE, ADDED],
                [UPDATED, NOT_FOUND],
                [REPLACED, ADDED],
                [REMOVED, NOT_FOUND, NOT_FOUND],
            ],
        )
        self.assertEqual(self.content(), {"a": 10, "b": 20, "d": 4, "e": 5})
        self.assertTrue(answer.commit_version)

    def test_require_all_makes_any_other_outcome_undo_everything(self) -> None:
        cases = [
            ("add", [write("c", 3), write("a", 9)], "KEY_EXISTS", "a"),
            ("add_if_not_exists", [write("c", 3), write("b", 9)], "KEY_EXISTS", "b"),
            ("update", [write("a", 9), write("x", 9)], "KEY_NOT_FOUND", "x"),
            ("remove", [write("a"), write("x")], "KEY_NOT_FOUND", "x"),
        ]
        for kind, items, reason, key in cases:
            with self.each(kind=kind):
                batch = Batch(self.store).write("upsert", write("new", 1))
                batch.write(kind, *items, require_all=True).write("upsert", write("later", 1))
                failure = self.refused(
                    lambda: self.run_batch(batch), reason, store=self.store, operation="1"
                )
                self.assertIn(key, failure.metadata["key"])
                self.assertEqual(self.content(), {"a": 1, "b": 2})
        kept = Batch(self.store).write("add", write("c", 3), write("d", 4), require_all=True)
        self.run_batch(kept)
        self.assertEqual(self.content(), {"a": 1, "b": 2, "c": 3, "d": 4})

    def test_require_all_of_a_single_request(self) -> None:
        request = btree_pb2.AddRequest(
            store=self.store, items=[write("c", 3), write("a", 9)], require_all=True
        )
        self.refused(lambda: self.btrees.Add(request), "KEY_EXISTS", store=self.store)
        self.assertEqual(self.content(), {"a": 1, "b": 2})

    def test_preconditions_hold_or_nothing_runs(self) -> None:
        version = self.version("a")

        def batch(key: Any, **condition: Any) -> Batch:
            made = Batch(self.store).require("b", exists=True).require(key, **condition)
            return made.write("upsert", write("a", 1), write("ran", len(self.content())))

        holds: list[tuple[str, dict[str, Any]]] = [
            ("a", {"exists": True}), ("x", {"exists": False}), ("a", {"version": version}),
        ]
        fails: list[tuple[str, dict[str, Any]]] = [
            ("a", {"exists": False}), ("x", {"exists": True}), ("a", {"version": version + 1}),
            ("x", {"version": version}), ("a", {"value": 2}), ("x", {"value": 1}),
            ("a", {"value": "1"}),
        ]
        for key, condition in fails:
            with self.each(key=key, condition=str(condition)):
                self.refused(
                    lambda: self.run_batch(batch(key, **condition)),
                    "PRECONDITION_NOT_MET",
                    store=self.store,
                    precondition="1",
                )
                self.assertEqual(self.content(), {"a": 1, "b": 2})
        for key, condition in [*holds, ("a", {"value": 1})]:
            with self.each(key=key, condition=str(condition)):
                if "version" in condition:
                    condition["version"] = self.version("a")
                before = self.version("a")
                self.run_batch(batch(key, **condition))
                self.assertGreater(self.version("a"), before)

    def test_expected_versions_of_items_are_preconditions_too(self) -> None:
        version = self.version("a")
        right = write("a", 5, expected_version=version)
        wrong = write("a", 6, expected_version=version)
        self.run_batch(Batch(self.store).write("update", right))
        self.refused(
            lambda: self.run_batch(Batch(self.store).write("upsert", write("n", 1)).write("update", wrong)),
            "PRECONDITION_NOT_MET",
            store=self.store,
            operation="1",
        )
        self.assertEqual(self.content(), {"a": 5, "b": 2})

    def test_compare_and_set_by_version_counts_every_increment(self) -> None:
        def increment(_: int) -> int:
            tries = 0
            while True:
                item = self.get(self.store, "a").items[0]
                batch = Batch(self.store).require("a", version=item.version)
                batch.write("update", write("a", from_value(item.value) + 1))
                try:
                    self.run_batch(batch)
                    return tries
                except grpc.RpcError as error:
                    self.assertIn(from_rpc_error(error).reason, ("PRECONDITION_NOT_MET", "CONFLICT"))
                    tries += 1

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(increment, range(80)))
        self.assertEqual(self.content()["a"], 81)

    def test_reads_and_writes_are_mixed_and_see_what_came_before(self) -> None:
        batch = Batch(self.store).get("a", "c").count().write("upsert", write("c", 3))
        batch.get("a", "c").count().write("remove", write("a")).get("a").count()
        page = batch.request.operations.add().read_page
        page.store, page.content = self.store, KEYS
        seek = batch.request.operations.add().seek
        seek.store = self.store
        seek.key.CopyFrom(to_key("b"))
        results = self.run_batch(batch).results
        self.assertEqual(list(results[0].get.missing), [1])
        self.assertEqual([results[i].count.count for i in (1, 4, 7)], [2, 3, 2])
        self.assertEqual([from_value(i.value) for i in results[3].get.items], [1, 3])
        self.assertEqual(list(results[6].get.missing), [0])
        self.assertEqual(keys_of(results[8].read_page.items), ["b", "c"])
        self.assertTrue(results[9].seek.exact)

    def test_several_stores_change_together_or_not_at_all(self) -> None:
        other = f"{self.store} other"
        self.create(other)
        request = transaction_pb2.ExecuteRequest()
        for store in (self.store, other):
            operation = request.operations.add().add
            operation.store, operation.require_all = store, True
            operation.items.append(write("both", 1))
        self.transactions.Execute(request)
        self.assertEqual((self.count(self.store), self.count(other)), (3, 1))
        request.operations[0].add.items[0].CopyFrom(write("again", 1))
        self.refused(lambda: self.transactions.Execute(request), "KEY_EXISTS", store=other)
        self.assertEqual((self.count(self.store), self.count(other)), (3, 1))

    def test_a_repetition_is_answered_like_the_first_and_not_run(self) -> None:
        batch = Batch(self.store).write("add", write("c", 3)).count()
        batch.request.request_id = make_request_id()
        first = self.run_batch(batch)
        self.btrees.Remove(self._removal("c"))
        second = self.run_batch(batch)
        self.assertEqual(second.results, first.results)
        self.assertEqual(second.commit_version, first.commit_version)
        self.assertTrue(second.repeated_request)
        self.assertEqual(self.content(), {"a": 1, "b": 2})

    def _removal(self, key: Any) -> Any:
        return btree_pb2.RemoveRequest(store=self.store, items=[write(key)])

    def test_answers_about_stores_are_as_large_as_a_message(self) -> None:
        request = transaction_pb2.ExecuteRequest()
        for at in range(40):
            self.create(f"described {at}", description="d" * 1000)
        for _ in range(200):
            request.operations.add().list_stores.page_size = 1000
        self.refused(lambda: self.transactions.Execute(request), "LIMIT_EXCEEDED")

    def test_a_read_only_batch_refuses_writes(self) -> None:
        batch = Batch(self.store).get("a").write("upsert", write("z", 1))
        batch.request.mode = types_pb2.TRANSACTION_MODE_READ_ONLY
        self.refused(lambda: self.run_batch(batch), "READ_ONLY_TRANSACTION", operation="1")

    def test_what_names_nothing_is_refused(self) -> None:
        empty = transaction_pb2.ExecuteRequest()
        empty.operations.add()
        self.refused(lambda: self.transactions.Execute(empty), "INVALID_ARGUMENT")
        bare = Batch(self.store)
        bare.request.preconditions.add(store=self.store, key=to_key("a"))
        self.refused(lambda: self.run_batch(bare), "INVALID_ARGUMENT")


if __name__ == "__main__":
    unittest.main()

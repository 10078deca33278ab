"""The stores of a database on a live server: lists, descriptions with exact counts, and what a removal leaves."""

import unittest
from typing import Any

from live_store import LiveCase, keys_of, write
from sop.calls import make_request_id
from sop.v1 import btree_pb2, database_pb2, types_pb2

READ_ONLY = types_pb2.TRANSACTION_MODE_READ_ONLY


class StoresTest(LiveCase):
    """Each case has stores of names of its own."""

    def describe(self, store: str, **request: Any) -> Any:
        return self.databases.GetStore(database_pb2.GetStoreRequest(store=store, **request)).store

    def remove(self, store: str, **request: Any) -> Any:
        return self.databases.RemoveStore(database_pb2.RemoveStoreRequest(store=store, **request))

    def listed(self, **request: Any) -> dict[str, int]:
        """Names and counts of all pages."""
        stores: dict[str, int] = {}
        while True:
            answer = self.databases.ListStores(database_pb2.ListStoresRequest(**request))
            stores |= {store.name: store.item_count for store in answer.stores}
            if not answer.next_page_token:
                return stores
            request["page_token"] = answer.next_page_token

    def test_stores_are_listed_by_name_with_exact_counts_in_pages(self) -> None:
        expected = {"list B": 3, "list a": 0, "list b": 700, "list é": 1}
        for name, count in reversed(expected.items()):
            self.create(name, slot_length=16)
            self.add(name, {n: n for n in range(count)})
        everything = self.listed()
        self.assertEqual({name: everything[name] for name in expected}, expected)
        self.assertEqual(list(everything), sorted(everything, key=str.encode))
        whole = database_pb2.ListStoresRequest(page_size=len(everything))
        self.assertEqual(self.databases.ListStores(whole).next_page_token, "")
        for token in ("list a", "s2x", "deadbeeflist a"):
            foreign = database_pb2.ListStoresRequest(page_token=token)
            self.refused(lambda: self.databases.ListStores(foreign), "INVALID_ARGUMENT", field="page_token")
        for size in (1, 2, 1000):
            with self.each(size=size):
                paged = self.listed(page_size=size)
                self.assertEqual(list(paged.items()), list(everything.items()))

    def test_a_new_store_has_its_id_from_the_commit(self) -> None:
        token = self.begin()
        made = self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(store="id made", transaction_id=token))
        self.assertEqual(made.store.id, 0)
        self.assertEqual(self.describe("id made", transaction_id=token).id, 0)
        self.commit(token)
        first = self.describe("id made").id
        self.assertGreater(first, 0)
        self.remove("id made")
        self.create("id made")
        self.assertGreater(self.describe("id made").id, first)

    def test_a_transaction_lists_its_snapshot_and_its_own_changes(self) -> None:
        for name in ("tx kept", "tx removed"):
            self.create(name)
            self.add(name, {1: "one"})
        token, reader = self.begin(), self.begin(READ_ONLY)
        self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(store="tx made", transaction_id=token))
        self.upsert("tx made", {1: "one", 2: "two"}, transaction_id=token)
        self.upsert("tx kept", {1: "one", 2: "two", 3: "three"}, transaction_id=token)
        self.remove("tx removed", transaction_id=token)
        ours = lambda **request: {n: c for n, c in self.listed(**request).items() if n.startswith("tx ")}
        before, after = {"tx kept": 1, "tx removed": 1}, {"tx kept": 3, "tx made": 2}
        self.assertEqual(ours(transaction_id=token), after)
        self.assertEqual(self.describe("tx made", transaction_id=token).item_count, 2)
        self.assertEqual((ours(), ours(transaction_id=reader)), (before, before))
        self.commit(token)
        self.assertEqual((ours(), ours(transaction_id=reader)), (after, before))

    def test_counts_that_were_told_join_the_read_set(self) -> None:
        self.create("told")
        described = lambda token: self.describe("told", transaction_id=token).item_count
        listed = lambda token: self.listed(transaction_id=token)["told"]
        for read in (described, listed):
            token = self.begin()
            before = read(token)
            self.upsert("told", {-1: "own"}, transaction_id=token)
            self.add("told", {before: "another"})
            self.refused(lambda: self.commit(token), "CONFLICT", store="told")

    def test_a_list_conflicts_with_a_store_made_meanwhile(self) -> None:
        self.create("made before")
        token = self.begin()
        self.listed(transaction_id=token)
        self.upsert("made before", {1: "one"}, transaction_id=token)
        self.create("made meanwhile")
        self.refused(lambda: self.commit(token), "CONFLICT", store="made meanwhile")

    def test_a_description_has_every_option_and_the_schema(self) -> None:
        self.create("plain")
        plain = self.describe("plain")
        self.assertEqual((plain.name, plain.kind), ("plain", types_pb2.STORE_KIND_BTREE))
        self.assertTrue(plain.options.unique)
        self.assertEqual(plain.options.value_size, types_pb2.VALUE_SIZE_MEDIUM)
        for option in ("unique", "slot_length", "value_size", "description", "feed"):
            self.assertTrue(plain.options.HasField(option), option)
        self.assertEqual((plain.options.description, plain.options.feed), ("", False))
        self.assertEqual(plain.schema.shape, types_pb2.KEY_SHAPE_UNSPECIFIED)
        relation = types_pb2.Relation(source_fields=["owner"], target_store="people", target_fields=["id"])
        given: dict[str, Any] = {"unique": False, "slot_length": 100, "description": "pets", "feed": True}
        given |= {"value_size": types_pb2.VALUE_SIZE_BIG, "relations": [relation]}
        self.create("pets", index={"owner": True, "age": False}, **given)
        self.add("pets", [write({"owner": "Ann", "age": 7, "name": "Rex"}, "dog")])
        pets = self.describe("pets")
        for name, value in given.items():
            self.assertEqual(getattr(pets.options, name), value, name)
        order = [(field.name, field.ascending) for field in pets.options.index.fields]
        self.assertEqual(order, [("owner", True), ("age", False)])
        fields = {f.name: (f.index_position, f.descending) for f in pets.schema.fields if f.HasField("index_position")}
        self.assertEqual(fields, {"owner": (0, False), "age": (1, True)})
        self.assertEqual({field.name for field in pets.schema.fields}, {"owner", "age", "name"})
        self.assertEqual(pets.item_count, 1)
        self.assertNotEqual(pets.id, plain.id)

    def test_sizes_are_told_when_asked_for(self) -> None:
        self.create("sized")
        self.add("sized", {n: "v" * 1000 for n in range(100)})
        self.assertEqual(self.describe("sized").size_bytes, 0)
        self.assertGreater(self.describe("sized", with_size=True).size_bytes, 0)

    def test_a_removed_store_is_read_by_earlier_snapshots_only(self) -> None:
        self.create("removed")
        self.add("removed", {1: "one", 2: "two"})
        earlier, token = self.begin(READ_ONLY), self.begin()
        self.remove("removed", transaction_id=token)
        self.refused(lambda: self.describe("removed", transaction_id=token), "STORE_NOT_FOUND")
        self.assertEqual(self.describe("removed").item_count, 2)
        self.commit(token)
        self.refused(lambda: self.describe("removed"), "STORE_NOT_FOUND", store="removed")
        self.refused(lambda: self.page("removed"), "STORE_NOT_FOUND", store="removed")
        later = self.begin()
        self.refused(lambda: self.page("removed", transaction_id=later), "STORE_NOT_FOUND")
        self.assertEqual(keys_of(self.pages("removed", transaction_id=earlier)), [1, 2])
        self.assertEqual(self.describe("removed", transaction_id=earlier).item_count, 2)

    def test_a_removal_that_is_rolled_back_leaves_the_store(self) -> None:
        self.create("left")
        self.add("left", {1: "one"})
        token = self.begin()
        self.remove("left", transaction_id=token)
        self.rollback(token)
        self.assertEqual(self.describe("left").item_count, 1)

    def test_an_open_writer_of_a_removed_store_is_told(self) -> None:
        self.create("written")
        self.create("written too")
        writer = self.begin()
        for name in ("written", "written too"):
            self.upsert(name, {1: "one"}, transaction_id=writer)
        self.remove("written")
        self.refused(lambda: self.commit(writer), "STORE_REMOVED", store="written")
        self.assertEqual(self.count("written too"), 0)

    def test_a_store_of_the_same_name_is_another(self) -> None:
        self.create("twice")
        self.add("twice", {1: "one"})
        first, reader, writer = self.describe("twice"), self.begin(READ_ONLY), self.begin()
        self.upsert("twice", {2: "two"}, transaction_id=writer)
        self.remove("twice")
        self.create("twice")
        second = self.describe("twice")
        self.assertNotEqual(second.id, first.id)
        self.assertEqual((second.item_count, second.schema.shape), (0, types_pb2.KEY_SHAPE_UNSPECIFIED))
        self.assertEqual(self.describe("twice", transaction_id=reader), first)
        self.refused(lambda: self.commit(writer), "STORE_REMOVED", store="twice")

    def test_a_removal_happens_once_for_its_request_id(self) -> None:
        self.create("once")
        request_id = make_request_id()
        first = self.remove("once", request_id=request_id)
        self.create("once")
        self.assertEqual(self.remove("once", request_id=request_id), first)
        self.assertEqual(self.describe("once").item_count, 0)
        token = self.begin()
        both = {"transaction_id": token, "request_id": make_request_id()}
        self.refused(lambda: self.remove("once", **both), "INVALID_ARGUMENT", field="request_id")

    def test_removals_that_cannot_be_are_refused(self) -> None:
        self.create("firm")
        reader = self.begin(READ_ONLY)
        self.refused(lambda: self.remove("firm", transaction_id=reader), "READ_ONLY_TRANSACTION")
        self.refused(lambda: self.remove("absent"), "STORE_NOT_FOUND", store="absent")
        self.refused(lambda: self.remove(""), "INVALID_NAME")
        self.assertEqual(self.describe("firm").item_count, 0)

    def test_relations_are_given_at_creation_only(self) -> None:
        self.create("related")
        change = database_pb2.SetRelationsRequest(store="related")
        self.refused(lambda: self.databases.SetRelations(change), "UNIMPLEMENTED")
        check = database_pb2.CheckRelationsRequest(store="related")
        self.refused(lambda: self.databases.CheckRelations(check), "UNIMPLEMENTED")


if __name__ == "__main__":
    unittest.main()

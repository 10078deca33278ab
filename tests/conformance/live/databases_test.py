"""Databases on a live server: their names and folders, lists of them, and what a deletion leaves."""

import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

import grpc
from live_store import LiveCase
from sop.testing import Server
from sop.v1 import btree_pb2, database_pb2, database_pb2_grpc, transaction_pb2

STANDALONE, CLUSTERED = database_pb2.DATABASE_TYPE_STANDALONE, database_pb2.DATABASE_TYPE_CLUSTERED


class DatabasesTest(LiveCase):
    """Each case has databases of names of its own."""

    def open(self, **request: Any) -> Any:
        """CreateDatabase."""
        return self.databases.CreateDatabase(database_pb2.CreateDatabaseRequest(**request))

    def folder_of(self, name: str) -> str:
        """A folder that clients may name."""
        return str(self.server.stores_root.resolve() / name)

    def names(self, **request: Any) -> list[str]:
        """The databases of all pages."""
        names: list[str] = []
        while True:
            answer = self.databases.ListDatabases(database_pb2.ListDatabasesRequest(**request))
            names += [database.name for database in answer.databases]
            if not answer.next_page_token:
                return names
            request["page_token"] = answer.next_page_token

    def delete(self, name: str, **request: Any) -> None:
        self.databases.DeleteDatabase(database_pb2.DeleteDatabaseRequest(database=name, **request))

    def describe(self, name: str = "") -> Any:
        return self.databases.GetDatabase(database_pb2.GetDatabaseRequest(database=name))

    def put(self, database: str, store: str, key: int, value: Any) -> None:
        """Adds to a store of that database, which is made if needed."""
        self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(database=database, store=store))
        self.upsert(store, {key: value}, database=database)

    def count_of(self, database: str, store: str) -> int:
        request = database_pb2.GetStoreRequest(database=database, store=store)
        count: int = self.databases.GetStore(request).store.item_count
        return count

    def test_default_is_there_from_the_first_use(self) -> None:
        found = self.describe().database
        self.assertEqual((found.name, found.type), ("default", STANDALONE))
        opened = self.open()
        self.assertFalse(opened.created)
        self.assertEqual(opened.database, found)
        self.assertIn(str((self.server.folder / "data").resolve()), found.folder)

    def test_a_database_is_created_once_and_opened_from_then_on(self) -> None:
        made = self.open(name="once", type=STANDALONE)
        self.assertTrue(made.created)
        self.assertEqual((made.database.name, made.database.type), ("once", STANDALONE))
        self.assertEqual(len(made.database.uuid), 16)
        self.assertGreater(made.database.create_time.seconds, 0)
        self.assertTrue(Path(made.database.folder).is_dir())
        self.put("once", "items", 1, "one")
        again, found = self.open(name="once"), self.describe("once")
        self.assertFalse(again.created)
        self.assertEqual((again.database, found.database), (made.database, made.database))
        self.assertEqual(again.commit_version, found.commit_version)
        self.assertGreater(again.commit_version, made.commit_version)

    def test_a_name_is_what_was_given_else_the_keyspace_else_made_of_the_folder(self) -> None:
        self.assertEqual(self.open(name="given", keyspace="space").database.name, "given")
        self.assertEqual(self.open(keyspace="space").database.name, "space")
        folder = self.folder_of("deep/down")
        self.assertEqual(self.open(keyspace="spaced", stores_folders=[folder]).database.name, "spaced")
        made = self.open(stores_folders=[self.folder_of("deep/nameless")])
        self.assertRegex(made.database.name, re.compile(r"\Anameless-[0-9a-f]{8}\Z"))
        self.assertEqual(made.database.folder, self.folder_of("deep/nameless"))
        self.assertEqual(self.describe(made.database.name).database, made.database)

    def test_a_folder_is_one_database_under_its_first_name(self) -> None:
        folder, link = self.folder_of("first"), Path(self.folder_of("link"))
        made = self.open(name="first", stores_folders=[folder])
        self.assertEqual(made.database.folder, folder)
        link.symlink_to(folder)
        for more in ({"name": "second"}, {"keyspace": "second"}, {}):
            for path in (folder, str(link), f"{folder}/../first/"):
                with self.each(path=path, **more):
                    again = self.open(stores_folders=[path], **more)
                    self.assertFalse(again.created)
                    self.assertEqual(again.database, made.database)
        self.assertNotIn("second", self.names())
        other = [self.folder_of("other")]
        self.refused(lambda: self.open(name="first", stores_folders=other), "OPTIONS_DIFFER")

    def test_folders_lie_under_a_root(self) -> None:
        outside = Path(self.server.folder.resolve(), "outside")
        outside.mkdir()
        Path(self.folder_of("way out")).symlink_to(outside)
        for path in (str(outside), self.folder_of("../outside"), self.folder_of("way out/in"), "/"):
            with self.each(path=path):
                self.refused(lambda: self.open(name="out", stores_folders=[path]), "FOLDER_NOT_ALLOWED")
        two = [self.folder_of("one"), self.folder_of("two")]
        self.refused(lambda: self.open(name="out", stores_folders=two), "INVALID_ARGUMENT", field="stores_folders")
        self.assertEqual(list(outside.iterdir()), [])
        self.assertNotIn("out", self.names())

    def test_names_that_are_none_are_refused(self) -> None:
        for name in ("a/b", "a\\b", "a\0b", "a..b", "..", ".", "n" * 129, "é" * 65):
            with self.each(name=name):
                self.refused(lambda: self.open(name=name), "INVALID_NAME")
                self.refused(lambda: self.open(keyspace=name), "INVALID_NAME")
                self.refused(lambda: self.open(name=name, stores_folders=[self.folder_of("n")]), "INVALID_NAME")
        self.assertEqual(self.open(name="é" * 64).database.name, "é" * 64)

    def test_what_needs_several_servers_is_not_implemented(self) -> None:
        self.refused(lambda: self.open(name="many", type=CLUSTERED), "UNIMPLEMENTED")
        self.refused(lambda: self.open(name="many", redis_url="redis://localhost:6379/0"), "UNIMPLEMENTED")
        self.assertNotIn("many", self.names())

    def test_a_folder_that_another_server_holds_is_refused(self) -> None:
        folder = self.folder_of("held")
        self.open(name="held", stores_folders=[folder])
        with tempfile.TemporaryDirectory(prefix="sop-conformance-") as second:
            other = Server(Path(second), ["--stores-root", str(self.server.stores_root)])
            other.start()
            try:
                with grpc.insecure_channel(other.address) as channel:
                    stub = database_pb2_grpc.DatabaseServiceStub(channel)
                    request = database_pb2.CreateDatabaseRequest(stores_folders=[folder])
                    failure = self.refused(lambda: stub.CreateDatabase(request), "FOLDER_IN_USE")
            finally:
                other.stop()
        self.assertIn(str(self.server.pid), failure.message)

    def test_databases_are_listed_by_name_in_pages(self) -> None:
        for name in ("list b", "list Z", "list é", "list a"):
            self.open(name=name)
        everything = self.names()
        self.assertEqual(everything, sorted(everything, key=str.encode))
        self.assertLessEqual({"list a", "list b", "list Z", "list é"}, set(everything))
        for size in (1, 2, 3, 1000):
            with self.each(size=size):
                self.assertEqual(self.names(page_size=size), everything)
        whole = database_pb2.ListDatabasesRequest(page_size=len(everything))
        self.assertEqual(self.databases.ListDatabases(whole).next_page_token, "")
        for token in ("list a", "../..", "0123456789abcdef", "0"):
            foreign = database_pb2.ListDatabasesRequest(page_token=token)
            self.refused(lambda: self.databases.ListDatabases(foreign), "INVALID_ARGUMENT", field="page_token")
        page = self.databases.ListDatabases(database_pb2.ListDatabasesRequest(page_size=2))
        self.assertEqual(list(page.databases), [self.describe(name).database for name in everything[:2]])

    def test_databases_outlive_a_crash(self) -> None:
        folder = self.folder_of("outlive it")
        made = [self.open(name="outlives").database]
        made += [self.open(name="outlives outside", stores_folders=[folder]).database]
        self.put("outlives outside", "items", 1, "one")
        self.crash()
        listed = self.databases.ListDatabases(database_pb2.ListDatabasesRequest(page_size=1000)).databases
        self.assertEqual([each for each in listed if each.name.startswith("outlives")], made)
        self.assertEqual(self.count_of("outlives outside", "items"), 1)

    def test_stores_belong_to_one_database(self) -> None:
        for name in ("mine", "yours"):
            self.open(name=name)
        self.put("mine", "items", 1, "mine")
        absent = lambda: self.count_of("yours", "items")
        self.refused(absent, "STORE_NOT_FOUND", store="items")
        self.put("yours", "items", 2, "yours")
        self.put("yours", "items", 3, "yours")
        self.assertEqual((self.count_of("mine", "items"), self.count_of("yours", "items")), (1, 2))

    def test_a_deleted_database_is_gone_with_its_files_alone(self) -> None:
        folder = Path(self.folder_of("gone"))
        made = self.open(name="gone", stores_folders=[str(folder)]).database
        self.put("gone", "items", 1, "one")
        (folder / "notes.txt").write_text("not the server's")
        self.delete("gone", expected_uuid=made.uuid)
        self.assertEqual([path.name for path in folder.iterdir()], ["notes.txt"])
        self.refused(lambda: self.delete("gone"), "DATABASE_NOT_FOUND")
        self.refused(lambda: self.describe("gone"), "DATABASE_NOT_FOUND")
        self.assertNotIn("gone", self.names())
        again = self.open(name="gone", stores_folders=[str(folder)])
        self.assertTrue(again.created)
        self.assertNotEqual(again.database.uuid, made.uuid)
        self.refused(lambda: self.count_of("gone", "items"), "STORE_NOT_FOUND")

    def test_open_transactions_end_with_their_database(self) -> None:
        self.open(name="ending")
        self.put("ending", "items", 1, "one")
        token = self.begin(database="ending")
        self.upsert("items", {2: "two"}, database="ending", transaction_id=token)
        self.delete("ending")
        commit = transaction_pb2.CommitRequest(database="ending", transaction_id=token)
        self.refused(lambda: self.transactions.Commit(commit), "TRANSACTION_LOST")

    def test_a_deletion_says_which_database(self) -> None:
        self.open(name="stays")
        self.refused(lambda: self.delete(""), "INVALID_ARGUMENT", field="database")
        self.refused(lambda: self.delete("stays", expected_uuid=b"u" * 16), "PRECONDITION_NOT_MET")
        self.refused(lambda: self.delete("stays", expected_uuid=b"u"), "INVALID_ARGUMENT", field="expected_uuid")
        self.refused(lambda: self.delete("nowhere"), "DATABASE_NOT_FOUND")
        self.assertLessEqual({"default", "stays"}, set(self.names()))

    def test_unknown_databases_are_named(self) -> None:
        stores = database_pb2.ListStoresRequest(database="nowhere")
        calls = [lambda: self.describe("nowhere"), lambda: self.count_of("nowhere", "items")]
        calls += [lambda: self.databases.ListStores(stores), lambda: self.begin(database="nowhere")]
        for call in calls:
            self.refused(call, "DATABASE_NOT_FOUND", database="nowhere")


if __name__ == "__main__":
    unittest.main()

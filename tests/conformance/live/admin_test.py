"""Operating a live server over the network: echoes, statistics, checks, compaction, backups that add up."""

import unittest
from pathlib import Path
from typing import Any

from live_store import LiveCase
from sop.v1 import admin_pb2, btree_pb2, database_pb2, transaction_pb2

MESSAGE_BYTES = 4 << 20


class EchoTest(LiveCase):
    def echo(self, **request: Any) -> list[bytes]:
        return list(self.admin.Echo(admin_pb2.EchoRequest(**request)).parts)

    def stream(self, **request: Any) -> list[list[bytes]]:
        return [list(m.parts) for m in self.admin.EchoStream(admin_pb2.EchoStreamRequest(**request))]

    # What is asked for, and the sizes of the parts that come.
    shapes: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [0]),
        ({"payload": b"three"}, [5]),
        ({"payload": b"three", "response_parts": 3}, [5, 5, 5]),
        ({"payload": b"three", "response_parts": 0}, []),
        ({"payload": b"three", "response_bytes": 0}, [0]),
        ({"payload": b"three", "response_bytes": 2, "response_parts": 4}, [2, 2, 2, 2]),
        ({"response_bytes": MESSAGE_BYTES // 64, "response_parts": 64}, [MESSAGE_BYTES // 64] * 64),
    ]

    def test_an_echo_has_the_shape_that_was_asked_for(self) -> None:
        for request, sizes in self.shapes:
            with self.each(request=str(request)[:80]):
                self.assertEqual([len(part) for part in self.echo(**request)], sizes)
        self.assertEqual(self.echo(payload=b"as given", response_parts=2), [b"as given"] * 2)

    def test_a_stream_of_echoes_repeats_one_message(self) -> None:
        for request, sizes in self.shapes:
            for messages in (0, 1, 3):
                with self.each(request=str(request)[:80], messages=messages):
                    answers = self.stream(messages=messages, **request)
                    self.assertEqual([[len(p) for p in parts] for parts in answers], [sizes] * messages)
        self.assertEqual(self.stream(payload=b"as given"), [[b"as given"]])
        self.assertEqual(len(self.stream(messages=5000)), 5000)

    def test_a_session_of_echoes_answers_each_message_in_order(self) -> None:
        sent = [admin_pb2.EchoSessionRequest(payload=b"%d" % n, response_parts=n % 3) for n in range(500)]
        answers = [list(answer.parts) for answer in self.admin.EchoSession(iter(sent))]
        self.assertEqual(answers, [[b"%d" % n] * (n % 3) for n in range(500)])

    def test_more_than_a_message_holds_is_refused(self) -> None:
        over: dict[str, Any] = {"response_bytes": MESSAGE_BYTES // 2 + 1, "response_parts": 2}
        self.refused(lambda: self.echo(**over), "INVALID_ARGUMENT", limit=str(MESSAGE_BYTES))
        self.refused(lambda: self.stream(**over), "INVALID_ARGUMENT", limit=str(MESSAGE_BYTES))
        session = [admin_pb2.EchoSessionRequest(), admin_pb2.EchoSessionRequest(**over)]
        answers = self.admin.EchoSession(iter(session))
        self.assertEqual(list(next(answers).parts), [b""])
        self.refused(lambda: next(answers), "INVALID_ARGUMENT", limit=str(MESSAGE_BYTES))


class UpkeepTest(LiveCase):
    """Databases of each case's own."""

    def setUp(self) -> None:
        self.name = self.id().rsplit(".", 1)[-1]
        request = database_pb2.CreateDatabaseRequest(name=self.name)
        self.uuid = self.databases.CreateDatabase(request).database.uuid

    def fill(self, store: str, count: int, value: str = "small") -> bytes:
        """A store of that many items; the commit that wrote them."""
        self.btrees.CreateBtree(btree_pb2.CreateBtreeRequest(database=self.name, store=store))
        items = {n: value for n in range(count)}
        version: bytes = self.upsert(store, items, database=self.name).commit_version if items else b""
        return version

    def check(self, database: str = "") -> Any:
        return self.admin.Check(admin_pb2.CheckRequest(database=database or self.name))

    def statistics(self) -> dict[str, int]:
        return dict(self.admin.Statistics(admin_pb2.StatisticsRequest(database=self.name)).values)

    def folder_of(self, name: str = "backups") -> str:
        return str(self.server.stores_root.resolve() / self.name / name)

    def backup(self, folder: str, **request: Any) -> list[Any]:
        """The messages of one backup."""
        request.setdefault("database", self.name)
        return list(self.admin.Backup(admin_pb2.BackupRequest(folder=folder, **request)))

    def backups(self, folder: str) -> list[Any]:
        return list(self.admin.ListBackups(admin_pb2.ListBackupsRequest(folder=folder)).backups)

    def prune(self, folder: str, keep: int) -> list[Any]:
        return list(self.admin.PruneBackups(admin_pb2.PruneBackupsRequest(folder=folder, keep=keep)).backups)

    def test_statistics_are_of_one_database_and_name_their_units(self) -> None:
        before = self.statistics()
        self.fill("items", 100)
        after = self.statistics()
        self.assertLessEqual({"pending_trees_count", "reclaimed_trees_count"}, set(after))
        self.assertEqual(after["engine_commits_count"] - before["engine_commits_count"], 2)
        for name in after:
            self.assertRegex(name, "_(bytes|count|microseconds)$")
        self.name = "default"
        self.assertEqual(self.statistics()["engine_commits_count"], 0)

    def test_a_sound_database_is_found_sound_and_counted(self) -> None:
        self.fill("small", 1000)
        version = self.fill("large", 20, "v" * 5000)
        self.fill("empty", 0)
        found = self.check()
        self.assertTrue(found.sound)
        self.assertEqual((found.finding_count, list(found.findings)), (0, []))
        self.assertEqual(found.database_uuid, self.uuid)
        self.assertGreaterEqual(found.commit_version, version)
        self.assertEqual((found.stores, found.trees, found.values), (3, 4, 20))
        self.assertGreaterEqual(found.items, 1020)
        self.assertGreaterEqual(found.nodes, found.trees)
        self.assertGreater(found.bytes, 20 * 5000)

    def test_a_check_reads_what_is_committed_and_waits_for_nothing(self) -> None:
        self.fill("items", 10)
        before = self.check()
        token = self.begin(database=self.name)
        self.upsert("items", {n: "open" for n in range(100)}, database=self.name, transaction_id=token)
        self.assertEqual((self.check().items, self.check().sound), (before.items, True))
        commit = transaction_pb2.CommitRequest(database=self.name, transaction_id=token)
        self.transactions.Commit(commit)
        after = self.check()
        self.assertEqual((after.items - before.items, after.sound), (90, True))
        self.assertGreater(after.commit_version, before.commit_version)

    def test_compaction_changes_nothing_but_files(self) -> None:
        self.fill("items", 1000, "v" * 2000)
        before = self.check()
        for _ in range(2):
            self.admin.Compact(admin_pb2.CompactRequest(database=self.name))
        after = self.check()
        for field in ("sound", "stores", "trees", "nodes", "items", "values"):
            self.assertEqual(getattr(after, field), getattr(before, field), field)
        self.assertGreater(after.files, 0)
        self.assertEqual(len(self.pages("items", database=self.name)), 1000)

    def test_a_backup_is_told_as_it_goes_and_checked(self) -> None:
        version = self.fill("items", 500, "v" * 2000)
        messages = self.backup(self.folder_of())
        done = [message.done_bytes for message in messages]
        self.assertEqual(done, sorted(done))
        for message in messages:
            self.assertLessEqual(message.done_bytes, message.total_bytes)
        for message in messages[:-1]:
            self.assertFalse(message.HasField("backup") or message.HasField("verified"))
        last = messages[-1]
        self.assertEqual(last.done_bytes, last.total_bytes)
        self.assertEqual(last.backup.database_uuid, self.uuid)
        self.assertGreaterEqual(last.backup.commit_version, version)
        self.assertGreater(min(last.backup.files, last.backup.bytes, last.backup.unix_seconds), 0)
        self.assertTrue(last.verified.sound)
        self.assertEqual(last.verified.items, self.check().items)
        self.assertEqual(last.verified.database_uuid, self.uuid)

    def test_each_backup_adds_one_and_pruning_keeps_the_newest(self) -> None:
        folder, made = self.folder_of(), []
        for count in (10, 20, 30):
            self.fill("items", count)
            last = self.backup(folder, skip_verification=True)[-1]
            self.assertFalse(last.HasField("verified"))
            made.append(last.backup)
            self.assertEqual(self.backups(folder), made)
        self.assertEqual([b.number for b in made], sorted({b.number for b in made}))
        versions = [b.commit_version for b in made]
        self.assertEqual(versions, sorted(set(versions)))
        self.refused(lambda: self.prune(folder, 0), "INVALID_ARGUMENT", field="keep")
        self.assertEqual(self.prune(folder, 5), made)
        self.assertEqual(self.prune(folder, 2), made[1:])
        self.assertEqual(self.prune(folder, 2), made[1:])
        self.assertEqual(self.backups(folder), made[1:])
        self.fill("items", 40)
        verified = self.backup(folder)[-1]
        self.assertGreater(verified.backup.number, made[-1].number)
        self.assertTrue(verified.verified.sound)

    def test_a_folder_has_backups_of_one_database(self) -> None:
        self.fill("items", 10)
        folder = self.folder_of()
        self.backup(folder, skip_verification=True)
        self.refused(lambda: self.backup(folder, database="default"), "PRECONDITION_NOT_MET")
        self.assertEqual([each.database_uuid for each in self.backups(folder)], [self.uuid])

    def test_folders_without_backups_are_told(self) -> None:
        empty = Path(self.folder_of("empty"))
        empty.mkdir(parents=True)
        for folder in (str(empty), self.folder_of("absent")):
            with self.each(folder=Path(folder).name):
                self.refused(lambda: self.backups(folder), "DATABASE_NOT_FOUND")
                self.refused(lambda: self.prune(folder, 1), "DATABASE_NOT_FOUND")
        self.assertFalse(Path(self.folder_of("absent")).exists())

    def test_backups_lie_under_a_root(self) -> None:
        outside = Path(self.server.folder.resolve(), "outside")
        outside.mkdir()
        (self.server.stores_root / "way out").symlink_to(outside)
        for folder in (str(outside), self.folder_of("../../../outside"), str(self.server.stores_root / "way out/in")):
            with self.each(folder=Path(folder).name):
                self.refused(lambda: self.backup(folder), "FOLDER_NOT_ALLOWED")
                self.refused(lambda: self.backups(folder), "FOLDER_NOT_ALLOWED")
                self.refused(lambda: self.prune(folder, 1), "FOLDER_NOT_ALLOWED")
        self.assertEqual(list(outside.iterdir()), [])

    def test_unknown_databases_are_named(self) -> None:
        self.name = "nowhere"
        compact = admin_pb2.CompactRequest(database="nowhere")
        calls = [self.check, self.statistics, lambda: self.backup(self.folder_of())]
        for call in (*calls, lambda: self.admin.Compact(compact)):
            self.refused(call, "DATABASE_NOT_FOUND", database="nowhere")
        self.assertFalse(Path(self.folder_of()).exists())


if __name__ == "__main__":
    unittest.main()

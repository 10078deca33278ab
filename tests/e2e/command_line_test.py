"""Every command of sop against a live server: what it prints, where, and its exit code.

Usage: command_line_test.py BUILD_DIR, the folder with server/sopd and clients/cli/sop.
"""

import itertools
import json
import os
import subprocess

from program_runner import ProgramCase, main

NUMBERS = itertools.count()


class CommandLineTest(ProgramCase):
    """Each test has stores of its own."""

    def setUp(self):
        self.store = f"store-{next(NUMBERS)}"

    def count(self, store: str = "") -> int:
        return int(self.sop.good("count", store or self.store))

    def names(self) -> list[str]:
        return [store["name"] for store in self.sop.json_lines("store", "list")]

    # ---- the program itself

    def test_help_and_version_go_to_stdout(self):
        help_text = self.sop.good("--help")
        for command in ("db", "store", "put", "get", "scan", "count", "rm", "import", "export", "tx", "bench", "backup", "check", "shell"):
            self.assertRegex(help_text, rf"(?m)^  {command} ")
            self.assertIn("--help", self.sop.good(command, "--help"))
        for later in ("vector", "search", "model", "blob", "query"):
            self.assertNotRegex(help_text, rf"(?m)^  {later} ")
        self.assertRegex(self.sop.good("--version"), r"^sop \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_2_and_refusals_are_1(self):
        for arguments in ([], ["bogus"], ["get"], ["scan", "s", "--limit", "x"], ["tx", "fetch s k"]):
            self.assertEqual(self.sop.run(*arguments).returncode, 2, arguments)
        self.assertEqual(self.sop.run("get", "no-such-store", "k").returncode, 1)
        self.assertIn('no command "bogus"', self.sop.run("bogus").stderr)

    def test_a_reader_that_has_enough_ends_the_program_in_silence(self):
        text = "".join(f"{number:07}\n" for number in range(50_000))
        self.sop.good("import", self.store, "-", "--format", "lines", stdin=text.encode())
        done = subprocess.run(
            f"'{self.sop.sop}' scan {self.store} | head -n 1", shell=True,
            capture_output=True, env=self.sop.environment(), check=True,
        )  # fmt: skip
        self.assertEqual((done.stdout, done.stderr), (b"0000000\n", b""))

    def test_an_error_has_code_reason_message_and_metadata_in_words(self):
        done = self.sop.run("get", "no-such-store", "k")
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"^sop: NOT_FOUND / STORE_NOT_FOUND: .*store = no-such-store")
        self.assertIn("sop store list", done.stderr)
        error = self.sop.refusal("get", "no-such-store", "k")
        self.assertEqual(error["reason"], "STORE_NOT_FOUND")
        self.assertEqual(error["metadata"]["store"], "no-such-store")

    def test_a_server_that_is_not_there_is_said_so(self):
        done = self.sop.run("--address", "127.0.0.1:1", "ping")
        self.assertEqual(done.returncode, 1)
        self.assertIn("UNAVAILABLE", done.stderr)
        self.assertIn("SOP_ADDRESS", done.stderr)

    def test_ping_and_echo(self):
        self.assertRegex(self.sop.good("ping"), rf"^{self.sop.address} answers in \d+ us\n$")
        self.assertEqual(self.sop.json_lines("ping", "--count", "3")[0]["answers"], 3)
        self.assertEqual(self.sop.good("echo", "grüß dich"), "grüß dich\n")

    # ---- databases and stores

    def test_databases(self):
        folder = os.path.join(self.sop.stores_root, "mine")
        made = self.sop.json_lines("db", "create", "mine", "--folder", folder)[0]
        self.assertEqual((made["name"], made["folder"]), ("mine", folder))
        self.assertEqual(self.sop.json_lines("db", "create", "mine", "--folder", folder)[0], made)
        self.assertIn(made, self.sop.json_lines("db", "list"))
        self.assertEqual(self.sop.json_lines("db", "info", "mine"), [made])
        self.sop.good("--database", "mine", "store", "create", "inside")
        self.assertNotIn("inside", self.names())
        error = self.sop.refusal("db", "delete", "mine", exit_code=2)
        self.assertIn("--yes", error["message"])
        self.assertEqual(self.sop.json_lines("db", "info", "mine"), [made])
        self.sop.good("db", "delete", "mine", "--yes")
        self.assertEqual(self.sop.refusal("db", "info", "mine")["reason"], "DATABASE_NOT_FOUND")
        error = self.sop.refusal("db", "create", "out", "--folder", "/var/sop-outside")
        self.assertEqual(error["reason"], "FOLDER_NOT_ALLOWED")

    def test_stores(self):
        made = self.sop.json_lines(
            "store", "create", self.store, "--index", "category,code:desc", "--ride-on", "note",
            "--types", "code=int64", "--slot-length", "100", "--description", "for people",
        )[0]  # fmt: skip
        self.assertEqual(made["slot_length"], 100)
        self.assertEqual([field["name"] for field in made["index"]], ["category", "code"])
        types = {field["name"]: field["type"] for field in made["schema"]["fields"]}
        self.assertEqual(types, {"category": "string", "code": "int64", "note": "string"})
        described = self.sop.json_lines("store", "info", self.store)[0]
        self.assertEqual(described["description"], "for people")
        self.sop.good("put", self.store, "Lu,65", "x")
        info = self.sop.lines("store", "info", self.store)
        self.assertTrue({f"name: {self.store}", "items: 1", "slot_length: 100"} <= set(info), info)
        listed = [line for line in self.sop.lines("store", "list") if line.startswith(self.store + "\t")]
        self.assertRegex(listed[0], "\t1 items\tunique; keys: category string, code int64 descending; riding on: note")
        error = self.sop.refusal("store", "create", self.store, "--slot-length", "200")
        self.assertEqual((error["reason"], error["metadata"]["option"]), ("OPTIONS_DIFFER", "slot_length"))
        self.sop.refusal("store", "rm", self.store, exit_code=2)
        self.assertIn(self.store, self.names())
        self.sop.good("--yes", "store", "rm", self.store)
        self.assertNotIn(self.store, self.names())
        self.assertEqual(self.sop.refusal("store", "rm", self.store, "--yes")["reason"], "STORE_NOT_FOUND")

    # ---- items

    def test_items_are_written_read_and_removed(self):
        self.sop.good("store", "create", self.store)
        self.assertEqual(self.sop.json_lines("put", self.store, "k", '{"n":1}')[0]["outcome"], "added")
        self.assertEqual(self.sop.json_lines("put", self.store, "k", '{"n":2}')[0]["outcome"], "replaced")
        self.assertEqual(self.sop.good("get", self.store, "k"), '{"n":2}\n')
        item = self.sop.json_lines("get", self.store, "k")[0]
        self.assertEqual((item["key"], item["value"]), ("k", {"n": 2}))
        self.assertEqual(self.sop.refusal("put", self.store, "k", "x", "--add")["reason"], "KEY_EXISTS")
        self.assertEqual(self.sop.refusal("put", self.store, "l", "x", "--update")["reason"], "KEY_NOT_FOUND")
        error = self.sop.refusal("put", self.store, "k", "x", "--if-version", str(item["version"] - 1))
        self.assertEqual(error["reason"], "PRECONDITION_NOT_MET")
        self.sop.good("put", self.store, "k", "x", "--if-version", str(item["version"]))
        self.assertEqual(self.sop.json_lines("get", self.store, "k")[0]["text"], "x")
        self.assertEqual(self.sop.refusal("rm", self.store, "k", "missing")["reason"], "KEY_NOT_FOUND")
        self.assertEqual(self.count(), 1)
        self.sop.good("rm", self.store, "k")
        self.assertEqual(self.count(), 0)

    def test_bytes_come_back_as_they_are(self):
        self.sop.good("store", "create", self.store)
        content = bytes(range(256)) * 200
        path = self.sop.write("bytes", content)
        self.sop.good("put", self.store, "k", "--value-file", path)
        self.assertEqual(self.raw("get", self.store, "k", "--raw"), content)

    def test_values_of_any_size_go_in_and_come_out(self):
        self.sop.good("store", "create", self.store)
        for key, size in (("mebibyte", 1 << 20), ("more", (1 << 20) + 1), ("most", 64 << 20)):
            content = os.urandom(1 << 20) * (size >> 20) + b"x" * (size % (1 << 20))
            path = self.sop.write("large", content)
            self.assertIn("added", self.sop.run("put", self.store, key, "--value-file", path, "--add").stderr)
            got = self.raw("get", self.store, key, "--raw")
            self.assertTrue(got == content, key)
        self.assertEqual(self.sop.refusal("put", self.store, "more", "--value-file", path, "--add")["reason"], "KEY_EXISTS")
        path = self.sop.write("large", b"x" * ((64 << 20) + 1))
        self.assertEqual(self.sop.refusal("put", self.store, "over", "--value-file", path)["reason"], "INVALID_VALUE")
        self.sop.good("tx", f"put {self.store} small s", f"get {self.store} more")

    def raw(self, *arguments: str) -> bytes:
        """What a run printed, as it is."""
        return subprocess.run(
            [self.sop.sop, *arguments], capture_output=True, env=self.sop.environment(), check=True
        ).stdout

    def test_a_missing_key_is_said_and_the_others_are_printed(self):
        self.sop.good("store", "create", self.store)
        self.sop.good("put", self.store, "a", "1")
        done = self.sop.run("get", self.store, "a", "b", "c")
        self.assertEqual((done.returncode, done.stdout), (1, "a\t1\n"))
        self.assertIn("not found: b\nnot found: c\n", done.stderr)
        self.assertIn("KEY_NOT_FOUND", done.stderr)

    def test_keys_have_the_type_of_the_store(self):
        self.sop.good("store", "create", self.store, "--key-type", "int64")
        for number in (10, 9, 0x41):
            self.sop.good("put", self.store, str(number))
        self.assertEqual(self.sop.lines("scan", self.store), ["9", "10", "65"])
        self.assertEqual(self.sop.lines("scan", self.store, "--from", "10", "--to", "0x41"), ["10"])
        self.assertEqual(self.sop.refusal("put", self.store, "x")["code"], "INVALID_ARGUMENT")

    def test_a_watch_goes_on_from_where_the_last_one_ended(self):
        self.sop.good("store", "create", self.store, "--feed")
        self.sop.good("put", self.store, "a", "1")
        self.sop.good("put", self.store, "a", "2")
        self.sop.good("rm", self.store, "a")
        seen = [json.loads(line) for line in self.sop.lines("watch", self.store, "--oldest", "--limit", "2")]
        self.assertEqual([change["change"] for change in seen], ["added", "updated"])
        self.assertEqual([change["key"] for change in seen], ["a", "a"])
        rest = self.sop.lines("watch", self.store, "--position", seen[-1]["position"], "--limit", "1")
        self.assertEqual([json.loads(line)["change"] for line in rest], ["removed"])

    def test_filters_say_which_items_are_scanned_and_counted(self):
        self.sop.good("store", "create", self.store, "--index", "region,number:desc")
        for number, region in enumerate(["US", "AT", "US", "JP"]):
            value = json.dumps({"n": number, "address": {"city": f"c{number}"}})
            self.sop.good("put", self.store, f'{{"region":"{region}","number":{number}}}', value)
        for given, keys in (
            ('{"region":"US"}', ["US,2", "US,0"]),
            ('{"region":"US","n":{"$lt":1.5}}', ["US,0"]),
            ('{"$or":[{"address.city":"c1"},{"number":{"$gte":3}}]}', ["AT,1", "JP,3"]),
        ):
            self.assertEqual(self.sop.lines("scan", self.store, "--keys-only", "--filter", given), keys)
            self.assertEqual(self.sop.lines("count", self.store, "--filter", given), [str(len(keys))])
        self.assertEqual(
            self.sop.lines("scan", self.store, "--keys-only", "--reverse", "--limit", "1", "--filter", '{"region":"US"}'),
            ["US,0"],
        )
        for given, code in (
            ("{", "INVALID_ARGUMENT"), ('{"n":{"$like":"x"}}', "INVALID_ARGUMENT"), ('{"number":"x"}', "INVALID_ARGUMENT"),
        ):  # fmt: skip
            self.assertEqual(self.sop.refusal("scan", self.store, "--filter", given)["code"], code)

    def test_many_items_are_removed_at_once(self):
        text = "".join(f"{head}{number:05}\n" for head in "ab" for number in range(12_000))
        self.sop.good("import", self.store, "-", "--format", "lines", stdin=text.encode())
        self.sop.refusal("rm", self.store, "--prefix", "a", exit_code=2)
        self.assertEqual(self.count(), 24_000)
        self.assertEqual(self.sop.json_lines("--yes", "rm", self.store, "--prefix", "a")[0]["removed"], 12_000)
        self.assertEqual(self.sop.lines("scan", self.store, "--limit", "1"), ["b00000"])
        self.sop.good("--yes", "rm", self.store, "--all")
        self.assertEqual(self.count(), 0)
        self.sop.refusal("rm", self.store, exit_code=2)

    # ---- import and export

    def test_csv_with_quotes_and_types(self):
        text = 'id,name,n\r\n1,"Ann ""A"", Jr.",5\r\n2,"two\nlines",\r\n'
        path = self.sop.write("people.csv", text.encode())
        self.sop.good("import", self.store, path, "--types", "id=int64,n=int64")
        items = self.sop.json_lines("scan", self.store)
        self.assertEqual([item["key"] for item in items], [1, 2])
        self.assertEqual(items[0]["value"], {"name": 'Ann "A", Jr.', "n": 5})
        self.assertEqual(items[1]["value"], {"name": "two\nlines", "n": None})

    def test_a_malformed_line_is_named_and_nothing_is_imported(self):
        rows = [f"{i},x" for i in range(20_000)]
        rows[15_000] = "15000"
        rows[16_000] = '16000,"x'
        path = self.sop.write("bad.csv", ("id,name\n" + "\n".join(rows) + "\n").encode())
        for more in ([], ["--one-transaction"], ["--batch", "10"]):
            error = self.sop.refusal("import", self.store, path, "--on-error", "check", *more)
            self.assertEqual(error["metadata"]["line"], "15002")
            self.assertRegex(error["message"], "2 malformed lines, the first is line 15002: 1 fields")
            self.assertNotIn(self.store, self.names())
        error = self.sop.refusal("import", self.store, path, "--one-transaction")
        self.assertEqual(error["metadata"]["line"], "15002")
        self.assertNotIn(self.store, self.names())
        error = self.sop.refusal("import", self.store, path)
        self.assertEqual(error["metadata"]["line"], "15002")
        self.assertEqual(self.count(), 15_000)
        self.sop.good("--yes", "store", "rm", self.store)
        done = self.sop.run("import", self.store, path, "--on-error", "skip")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("line 15002: 1 fields instead of 2", done.stderr)
        self.assertIn("line 16002: a quote that is never closed", done.stderr)
        self.assertIn("2 malformed lines left out", done.stderr)
        self.assertRegex(done.stderr, r"19,998 items in [\d.]+ s, [\d,]+ items/s")
        self.assertEqual(self.count(), 19_998)

    def test_a_key_that_the_store_would_refuse_is_a_malformed_line(self):
        path = self.sop.write("long.txt", b"good\n" + b"k" * 5000 + b"\n")
        error = self.sop.refusal("import", self.store, path)
        self.assertEqual(error["metadata"]["line"], "2")
        self.assertIn("4096", error["message"])

    def test_what_is_there_is_replaced_kept_or_refused(self):
        first = self.sop.write("first.csv", b"id,n\na,1\nb,1\n")
        second = self.sop.write("second.csv", b"id,n\nb,2\nc,2\n")
        self.sop.good("import", self.store, first)
        kept = self.sop.json_lines("import", self.store, second, "--existing", "keep")[0]
        self.assertEqual((kept["added"], kept["already_there"]), (1, 1))
        self.assertEqual(self.sop.good("get", self.store, "b"), '{"n":"1"}\n')
        replaced = self.sop.json_lines("import", self.store, second)[0]
        self.assertEqual((replaced["added"], replaced["replaced"]), (0, 2))
        self.assertEqual(self.sop.good("get", self.store, "b"), '{"n":"2"}\n')
        third = self.sop.write("third.csv", b"id,n\nd,3\na,3\n")
        error = self.sop.refusal("import", self.store, third, "--existing", "fail", "--one-transaction")
        self.assertEqual(error["reason"], "KEY_EXISTS")
        self.assertEqual(self.count(), 3)

    def test_messages_stay_below_their_limit(self):
        value = "v" * 60_000
        lines = [json.dumps({"id": i, "value": value}) for i in range(200)]
        path = self.sop.write("large.jsonl", "\n".join(lines).encode())
        for more in ([], ["--one-transaction"]):
            self.sop.good("import", self.store, path, "--key", "id", "--value", "value", *more)
            self.assertEqual(self.count(), 200)
        self.assertEqual(len(self.sop.good("get", self.store, "7", "--raw")), 60_000)
        exported = self.sop.lines("export", self.store)
        self.assertTrue(all(json.loads(line)["text"] == value for line in exported[1:]))

    def test_other_key_columns_than_the_store_has_are_refused(self):
        path = self.sop.write("pairs.csv", b"a,b,n\nx,y,1\n")
        self.sop.good("import", self.store, path, "--key", "a,b")
        error = self.sop.refusal("import", self.store, path, "--key", "b,a")
        self.assertEqual(error["reason"], "OPTIONS_DIFFER")
        self.assertEqual(self.sop.lines("scan", self.store), ['x,y\t{"n":"1"}'])

    def check_round_trip(self, lines: list[str]):
        """An export is read into another store, whose export is the same."""
        exported = self.sop.lines("export", self.store)
        self.assertEqual(exported[1:], lines)
        path = os.path.join(self.sop.folder, self.store + ".export")
        self.sop.good("export", self.store, path)
        for number, more in enumerate(([], ["--one-transaction"])):
            copy = f"{self.store}-copy-{number}"
            self.sop.good("import", copy, path, *more)
            again = self.sop.lines("export", copy)
            self.assertEqual(again[1:], exported[1:])
            header = json.loads(again[0])
            header["store"]["name"] = self.store
            self.assertEqual(header, json.loads(exported[0]))

    def test_an_export_of_every_kind_of_value_reads_back_identically(self):
        self.sop.good("store", "create", self.store)
        lines = [
            '{"key":"a","value":{"z":1,"a":[1.5,"x",null]}}',
            '{"key":"b","text":"plain text"}',
            '{"key":"c","bytes":"AAH//g=="}',
            '{"key":"d","json":"{ \\"spaced\\" : 1.10 }"}',
            '{"key":"e"}',
            '{"key":"f\\nß","text":""}',
        ]
        self.sop.good("import", self.store, "-", "--format", "export", stdin="\n".join(lines).encode())
        self.check_round_trip(lines)

    def test_an_export_of_every_type_of_key_reads_back_identically(self):
        types = {
            "bool": ["false", "true"],
            "int64": ["-9223372036854775808", "0", "9223372036854775807"],
            "double": ["-1e+300", "0.1", "1.0"],
            "uuid": ['{"$uuid":"00000000-0000-4000-8000-000000000001"}'],
            "timestamp": ['{"$timestamp":"2026-01-31T12:00:00.000000001+00:00"}'],
            "bytes": ['{"$bytes":"AAE="}', '{"$bytes":"/w=="}'],
        }
        prefix = self.store
        for name, keys in types.items():
            with self.subTest(name):
                self.store = f"{prefix}-{name}"
                self.sop.good("store", "create", self.store, "--key-type", name)
                lines = [f'{{"key":{key},"value":1}}' for key in keys]
                self.sop.good("import", self.store, "-", "--format", "export", stdin="\n".join(lines).encode())
                self.check_round_trip(lines)

    def test_an_export_of_records_reads_back_identically(self):
        self.sop.good(
            "store", "create", self.store, "--index", "b:desc,a", "--ride-on", "note",
            "--types", "b=int64", "--description", "records", "--value-size", "small",
        )  # fmt: skip
        for key in ('{"b":2,"a":"x","note":"n"}', '{"b":10,"a":"x"}', '{"b":2,"a":"a","note":""}'):
            self.sop.good("put", self.store, key, "v")
        keys = [item["key"] for item in self.sop.json_lines("scan", self.store)]
        self.assertEqual([(key["b"], key["a"]) for key in keys], [(10, "x"), (2, "a"), (2, "x")])
        self.check_round_trip(self.sop.lines("export", self.store)[1:])

    def test_duplicates_are_exported_and_imported(self):
        self.sop.good("store", "create", self.store, "--duplicates")
        for value in ("one", "two", "three"):
            self.sop.good("put", self.store, "k", value, "--add")
        values = [item["text"] for item in self.sop.json_lines("scan", self.store)]
        self.assertEqual(values, ["one", "two", "three"])
        self.check_round_trip(self.sop.lines("export", self.store)[1:])

    # ---- transactions

    def test_a_script_from_stdin_and_from_a_file(self):
        self.sop.good("store", "create", self.store)
        script = f"# opening\nput {self.store} 'a key' {{\"n\": 1}}\n\nget {self.store} 'a key'\ncount {self.store}\n"
        results = self.sop.json_lines("tx", stdin=script.encode())
        self.assertEqual([line.get("result") for line in results[:-1]], ["added", {"n": 1}, 1])
        self.assertTrue(results[-1]["committed"])
        path = self.sop.write("script", script.encode())
        self.assertEqual(self.sop.json_lines("tx", "--file", path)[0]["result"], "replaced")

    def test_a_dry_run_and_a_failure_write_nothing(self):
        self.sop.good("store", "create", self.store)
        self.sop.good("tx", "--dry-run", f"put {self.store} k 1")
        self.assertEqual(self.count(), 0)
        error = self.sop.run("tx", f"put {self.store} k 1", f"update {self.store} missing 1", f"put {self.store} l 1")
        self.assertEqual(error.returncode, 1)
        self.assertRegex(error.stderr, r'operation 2 "update .* missing 1": .*')
        self.assertIn(f"left out: put {self.store} l 1", error.stderr)
        self.assertEqual(self.count(), 0)

    def test_other_items_of_a_store_are_no_conflict(self):
        self.sop.good("tx", f"create {self.store}", f"put {self.store} a 1", f"put {self.store} b 1")
        self.sop.good(
            "tx", f"one: change {self.store} a +1", f"two: put {self.store} c 1",
            f"two: rm {self.store} b", "two: commit", "one: commit",
        )  # fmt: skip
        self.assertEqual(self.sop.lines("scan", self.store), ["a\t2", "c\t1"])

    def test_a_write_in_a_read_only_transaction_is_refused(self):
        self.sop.good("store", "create", self.store)
        done = self.sop.run("tx", "--read-only", f"count {self.store}", f"put {self.store} k 1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("READ_ONLY_TRANSACTION", done.stderr)

    def test_an_idle_transaction_expires(self):
        self.sop.good("store", "create", self.store)
        done = self.sop.run("tx", "--idle", "0.05", f"put {self.store} k 1", "pause 0.5", f"put {self.store} l 1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("TRANSACTION_EXPIRED", done.stderr)
        self.assertEqual(self.count(), 0)

    def test_concurrent_transfers_with_retries_keep_the_sum(self):
        self.sop.good("tx", f"create {self.store}", f"put {self.store} a 100", f"put {self.store} b 100")
        command = [self.sop.sop, "tx", "--retry", "50", f"change {self.store} a -1", f"change {self.store} b +1"]
        running = [
            subprocess.Popen(command, env=self.sop.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for _ in range(8)
        ]
        for process in running:
            _, stderr = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, stderr)
        self.assertEqual(self.sop.lines("scan", self.store), ["a\t92", "b\t108"])


if __name__ == "__main__":
    main()

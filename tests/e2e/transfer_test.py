"""Import and export at full length: round trips of random stores, and kills in the middle.

Usage: transfer_test.py BUILD_DIR, the folder with server/sopd and clients/cli/sop.
SOP_SEED=N repeats a run.
"""

import base64
import csv
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import uuid
from typing import Any, Callable, Optional

from program_runner import ProgramCase, Programs, main

NUMBERS = itertools.count()
SEED = int(os.environ.get("SOP_SEED", "0")) or random.randrange(1, 2**31)


class RandomStore:
    """Options and items of a store, and its items as lines of an export in the store's order."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.arguments: list[str] = []
        self.duplicates = rng.random() < 0.3
        self.makers: dict[str, Callable[[], tuple[Any, Any]]] = {
            "bool": self.bool_, "int64": self.int64, "double": self.double, "string": self.string,
            "bytes": self.bytes_, "uuid": self.uuid_, "timestamp": self.timestamp,
        }  # fmt: skip
        if rng.random() < 0.4:
            self.type = rng.choice(sorted(self.makers))
            self.fields: list[tuple[str, str, bool]] = []
            self.riding: list[tuple[str, str]] = []
            self.arguments += ["--key-type", self.type]
        else:
            names = rng.sample(["a", "b", "größe", "value", "key", "with,comma", "n"], k=rng.randint(2, 5))
            count = rng.randint(1, len(names) - 1)
            types = sorted(self.makers)
            self.fields = [(name, rng.choice(types), rng.random() < 0.3) for name in names[:count]]
            self.riding = [(name, rng.choice(types)) for name in names[count:]]
        if self.duplicates:
            self.arguments.append("--duplicates")

    def bool_(self):
        value = self.rng.random() < 0.5
        return value, value

    def int64(self):
        value = self.rng.choice([self.rng.randint(-5, 5), self.rng.randint(-(2**63), 2**63 - 1)])
        return value, value

    def double(self):
        value = self.rng.choice([float(self.rng.randint(-3, 3)), self.rng.uniform(-1e9, 1e9), 1e300, -1e-300])
        return value + 0.0 if value else 0.0, value or 0.0

    def text(self) -> str:
        pieces = ["a", "B", ",", '"', "\n", "\r\n", "\r", "ß", "日", "\t", " ", ";empty=0", "\\", "\x00", "{}", "'"]
        return "".join(self.rng.choice(pieces) for _ in range(self.rng.randint(0, 6)))

    def string(self):
        value = self.text()
        return value, value.encode()

    def bytes_(self):
        value = self.rng.randbytes(self.rng.randint(0, 5))
        return {"$bytes": base64.b64encode(value).decode()}, value

    def uuid_(self):
        value = uuid.UUID(bytes=self.rng.randbytes(16))
        return {"$uuid": str(value)}, value.bytes

    def timestamp(self):
        seconds = self.rng.randint(-(10**9), 4 * 10**9)
        nanos = self.rng.choice([0, 1, 999_999_999, 500_000_000])
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        fraction = f".{nanos:09}".rstrip("0") if nanos else ""
        return {"$timestamp": f"{text}{fraction}+00:00"}, (seconds, nanos)

    def key(self) -> tuple[Any, Any]:
        """As JSON, and as what it is equal to."""
        if not self.fields:
            return self.makers[self.type]()
        record: dict[str, Any] = {}
        order = []
        for name, kind, _ in self.fields:
            record[name], part = self.makers[kind]()
            order.append(part)
        for name, kind in self.riding:
            if self.rng.random() < 0.6:
                record[name], _ = self.makers[kind]()
        return record, tuple(order)

    def value(self) -> dict[str, Any]:
        choice = self.rng.randrange(6)
        if choice == 0:
            return {}
        if choice == 1:
            return {"text": self.text()}
        if choice == 2:
            return {"bytes": base64.b64encode(self.rng.randbytes(self.rng.randint(1, 9))).decode()}
        if choice == 3:
            return {"json": '{ "spaced" : [1.10, null] }'}
        if choice == 4:
            return {"text": ""}
        return {"value": {"n": self.rng.randint(0, 9), "s": self.text(), "l": [True, None, 1.5]}}

    def items(self, count: int) -> list[dict[str, Any]]:
        found: dict[Any, dict[str, Any]] = {}
        for _ in range(count):
            key, identity = self.key()
            if identity in found and not self.duplicates:
                continue
            place = (identity, len(found)) if self.duplicates else identity
            found[place] = {"key": key, **self.value()}
        return list(found.values())

    def heading(self) -> str:
        """The first line of an export of the store."""
        store: dict[str, Any] = {"unique": not self.duplicates, "value_size": "medium"}
        if self.fields:
            store["index"] = [{"name": name, "ascending": not down} for name, _, down in self.fields]
            described = [{"name": name, "type": kind} for name, kind, _ in self.fields]
            described += [{"name": name, "type": kind} for name, kind in self.riding]
            store["schema"] = {"shape": "record", "fields": described}
        else:
            store["schema"] = {"shape": "scalar", "fields": [{"name": "", "type": self.type}]}
        return json.dumps({"sop_export": 1, "store": store}, separators=(",", ":"))


class TransferTest(ProgramCase):
    """Each test has stores of its own."""

    def setUp(self):
        self.store = f"goods-{next(NUMBERS)}"

    def path(self, name: str) -> str:
        return os.path.join(self.sop.folder, name)

    def count(self, store: str) -> int:
        return int(self.sop.good("count", store))

    def export(self, store: str, *more: str) -> list[str]:
        return self.sop.good("export", store, *more).split("\n")

    # ---- round trips

    def test_random_stores_come_back_identically(self):
        for number in range(12):
            seed = SEED + number
            with self.subTest(seed=seed):
                self.check_round_trip(RandomStore(random.Random(seed)), f"{self.store}-{number}")

    def check_round_trip(self, made: RandomStore, name: str):
        items = made.items(300)
        lines = [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items]
        source = self.sop.write(f"{name}.source", "\n".join([made.heading(), *lines]).encode())
        self.sop.good("import", name, source, "--format", "export")
        self.assertEqual(self.count(name), len(items), f"seed {SEED}")
        exported = self.export(name)
        # What was written is what is there, in whatever order the store has it.
        normal = lambda line: json.dumps(json.loads(line), sort_keys=True)  # noqa: E731
        self.assertEqual(sorted(map(normal, exported[1:-1])), sorted(map(normal, lines)))
        for kind in ("jsonl", "csv"):
            path = self.path(f"{name}.{kind}")
            self.sop.good("export", name, path)
            copy = f"{name}-{kind}"
            self.sop.good("import", copy, path, "--batch", "70")
            self.assertEqual(self.export(copy)[1:], exported[1:], kind)
            self.assertEqual(self.without_name(copy), self.without_name(name), kind)
        with open(self.path(f"{name}.csv"), encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        self.assertEqual(len(rows), len(items) + 1, "every other program reads as many rows")

    def without_name(self, store: str) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(self.export(store)[0])["store"]
        del described["name"]
        return described

    def test_large_values_come_back_identically(self):
        size = (1 << 20) + 5
        lines = [
            json.dumps({"key": "a", "text": "small"}),
            json.dumps({"key": "b", "text": "\u00df" * size}, ensure_ascii=False),
            json.dumps({"key": "c", "bytes": base64.b64encode(os.urandom(3 * size)).decode()}),
            json.dumps({"key": "d", "value": {"rows": ["x" * 100] * 20_000}}),
            json.dumps({"key": "e", "text": "last"}),
        ]
        source = self.sop.write(f"{self.store}.source", "\n".join(lines).encode())
        self.sop.good("import", self.store, source, "--format", "export")
        exported = self.export(self.store)
        read = lambda line: json.loads(line)  # noqa: E731
        self.assertEqual(list(map(read, exported[1:-1])), list(map(read, lines)))
        for kind in ("jsonl", "csv"):
            path = self.path(f"{self.store}.{kind}")
            self.sop.good("export", self.store, path)
            copy = f"{self.store}-{kind}"
            self.sop.good("import", copy, path, "--existing", "fail")
            self.assertEqual(self.export(copy)[1:], exported[1:], kind)
        self.sop.good("import", self.store, source, "--format", "export", "--existing", "keep")
        self.sop.good("import", self.store, source, "--format", "export", "--one-transaction")
        self.assertEqual(self.export(self.store), exported)

    def test_a_range_is_exported(self):
        text = "".join(f"{number:05}\n" for number in range(1000))
        self.sop.good("import", self.store, "-", "--format", "lines", stdin=text.encode())
        lines = self.export(self.store, "--from", "00100", "--to", "00103", "--format", "csv")
        self.assertEqual(lines[1:], ["00100,,", "00101,,", "00102,,", ""])
        self.assertEqual(len(self.export(self.store, "--prefix", "0001")), 12)

    def test_an_export_is_of_one_snapshot(self):
        self.sop.good("tx", f"create {self.store}", *[f"put {self.store} {n} 0" for n in range(50)])
        writer = subprocess.Popen(
            [self.sop.sop, "tx"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.sop.environment()
        )
        assert writer.stdin is not None
        for round_number in range(1, 20):
            lines = [f"put {self.store} {n} {round_number}" for n in range(50)]
            writer.stdin.write(("\n".join([*lines, "commit"]) + "\n").encode())
            writer.stdin.flush()
            values = {json.loads(line)["value"] for line in self.export(self.store)[1:-1]}
            self.assertEqual(len(values), 1, values)
        writer.stdin.close()
        self.assertEqual(writer.wait(timeout=60), 0)

    # ---- kills

    def kill_after(self, command: list[str], seconds: float) -> Optional[int]:
        """Runs sop and kills it; its exit code if it was faster."""
        process = subprocess.Popen(
            [self.sop.sop, *command], env=self.sop.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return None

    def test_an_import_that_is_killed_goes_on_and_writes_everything_once(self):
        # Equal keys may be there twice: what is written twice is counted twice.
        self.sop.good("store", "create", self.store, "--key-type", "int64", "--duplicates")
        count = 120_000
        rows = "".join(f"{(n * 7919) % count},{n:060}\n" for n in range(count))
        path = self.sop.write(f"{self.store}.csv", ("id,text\n" + rows).encode())
        command = ["import", self.store, path, "--resume", "--batch", "1500"]
        kills = 0
        rng = random.Random(SEED)
        while kills < 12 and self.kill_after(command, rng.uniform(0.02, 0.4)) is None:
            kills += 1
        done = self.sop.run(*command)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(kills, 0, "no kill came before the end")
        items = [json.loads(line) for line in self.export(self.store)[1:-1]]
        self.assertEqual(len(items), count, f"after {kills} kills, seed {SEED}")
        self.assertEqual([item["key"] for item in items], list(range(count)))
        again = self.sop.run(*command)
        self.assertIn("imported before", again.stderr)
        self.assertEqual(self.count(self.store), count)
        rows = [item for item in self.sop.json_lines("scan", "sop.imports") if item["value"]["store"] == self.store]
        self.assertEqual([(row["value"]["items"], row["value"]["lines"]) for row in rows], [(count, count + 1)])

    def test_an_import_goes_on_over_a_crash_of_the_server(self):
        self.sop.good("store", "create", self.store, "--duplicates")
        path = self.sop.write(f"{self.store}.csv", "id,n\n".encode() + b"".join(b"%d,x\n" % n for n in range(100_000)))
        command = [self.sop.sop, "import", self.store, path, "--resume", "--batch", "1000", "--types", "n=string"]
        process = subprocess.Popen(command, env=self.sop.environment(), stderr=subprocess.DEVNULL)
        while self.count(self.store) == 0 and process.poll() is None:
            pass
        self.sop.kill()
        self.sop.start()
        process.wait(timeout=120)
        self.sop.good(*command[1:])
        self.assertEqual(self.count(self.store), 100_000)

    def test_a_file_that_has_changed_is_not_gone_on_with(self):
        text = "id,n\n" + "".join(f"{n},x\n" for n in range(3000)) + "3000,x,y\n" + "".join(f"{n},x\n" for n in range(3001, 5000))
        path = self.sop.write(f"{self.store}.csv", text.encode())
        command = ["import", self.store, path, "--resume", "--batch", "1000"]
        error = self.sop.refusal(*command)
        self.assertEqual(error["metadata"]["line"], "3002")
        self.assertEqual(self.count(self.store), 3000)
        changed = text.replace("2999,x\n", "2999,z\n")
        self.sop.write(f"{self.store}.csv", changed.encode())
        self.assertEqual(self.sop.refusal(*command)["reason"], "PRECONDITION_NOT_MET")
        # The line that stopped it is mended: what stands before it is as it was.
        self.sop.write(f"{self.store}.csv", text.replace("3000,x,y\n", "3000,x\n").encode())
        done = self.sop.json_lines(*command)[0]
        self.assertEqual((done["items"], done["imported_earlier"]), (2000, 3000))
        self.assertEqual(self.count(self.store), 5000)

    def test_a_small_import_leaves_no_record(self):
        other = Programs(self.build_dir)
        self.addCleanup(other.close)
        other.start()
        other.good("import", self.store, self.sop.write("small.csv", b"id,n\n1,2\n"))
        self.assertEqual([store["name"] for store in other.json_lines("store", "list")], [self.store])
        self.assertEqual(other.run("import", self.store, "-", "--resume").returncode, 2)

    def test_unsorted_lines_with_equal_keys_end_with_the_last(self):
        rng = random.Random(SEED)
        expected: dict[int, int] = {}
        lines = []
        for number in range(60_000):
            key = rng.randrange(2000)
            expected[key] = number
            lines.append(f"{key},{number}\n")
        path = self.sop.write(f"{self.store}.csv", ("id,n\n" + "".join(lines)).encode())
        self.sop.good("import", self.store, path, "--types", "id=int64,n=int64", "--batch", "500")
        got = {item["key"]: item["value"]["n"] for item in map(json.loads, self.export(self.store)[1:-1])}
        self.assertEqual(got, expected, f"seed {SEED}")

    def large_store(self, count: int):
        """Rows of 90 bytes: an export saves its state every 8 MiB."""
        text = "id,t\n" + "".join(f"{n},{n:080}\n" for n in range(count))
        source = self.sop.write(f"{self.store}.source", text.encode())
        self.sop.good("import", self.store, source, "--format", "csv", "--types", "id=int64")

    def killed_at(self, size_bytes: int, command: list[str]):
        """Runs sop until a file that it writes would be larger: then the system kills it."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

        done = subprocess.run(
            [self.sop.sop, *command], env=self.sop.environment(), capture_output=True, preexec_fn=limit, check=False
        )
        self.assertEqual(done.returncode, -signal.SIGXFSZ, done.stderr)

    def test_an_export_that_is_killed_goes_on_in_the_same_snapshot(self):
        count = 300_000
        self.large_store(count)
        for kind in ("csv", "jsonl"):
            whole = self.sop.good("export", self.store, "--format", kind)
            path = self.path(f"{self.store}.{kind}")
            self.killed_at(10_000_000, ["export", self.store, path])
            # Written since: not part of the snapshot.
            self.sop.good("put", self.store, str(count), "later")
            self.sop.good("put", self.store, "0", "changed")
            self.killed_at(20_000_000, ["export", self.store, path, "--resume"])
            self.assertFalse(os.path.exists(path))
            done = self.sop.run("export", self.store, path, "--resume")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stderr, r"; [\d,]{7} by earlier runs\n")
            with open(path, encoding="utf-8", newline="") as stream:
                self.assertEqual(stream.read(), whole)
            self.assertEqual([name for name in os.listdir(self.sop.folder) if ".partial" in name], [])

    def test_an_export_whose_snapshot_is_gone_says_so(self):
        count = 200_000
        self.large_store(count)
        path = self.path(f"{self.store}.jsonl")
        self.killed_at(10_000_000, ["export", self.store, path])
        self.sop.kill()
        self.sop.start()
        self.sop.good("put", self.store, str(count), "later")
        done = self.sop.run("export", self.store, path, "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("of a later one", done.stderr)
        self.assertIn("of 2 snapshots", done.stderr)
        with open(path, encoding="utf-8") as stream:
            keys = [json.loads(line)["key"] for line in stream.read().splitlines()[1:]]
        self.assertEqual(keys, list(range(count + 1)))
        other = self.sop.run("export", self.store, path, "--resume")
        self.assertIn("complete", other.stderr)

    def test_an_unfinished_export_of_something_else_is_refused(self):
        path = self.path("other.jsonl")
        self.sop.good("store", "create", self.store)
        state = {"size_bytes": 0, "state": {"store": "another", "csv": False}}
        self.sop.write("other.jsonl.partial", b"")
        self.sop.write("other.jsonl.partial.state", json.dumps(state).encode())
        self.assertEqual(self.sop.run("export", self.store, path, "--resume").returncode, 2)


if __name__ == "__main__":
    print(f"SOP_SEED={SEED}", file=sys.stderr)
    main()

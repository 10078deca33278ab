"""The main job through sop: two real files, ranges, a transfer, a conflict, SIGKILL, restart.

Usage: main_job_test.py BUILD_DIR, the folder with server/sopd and clients/cli/sop.
"""

import json
import sys
import unittest

from program_runner import Programs, in_byte_order, read_lines

WORDS = "/usr/share/dict/american-english"
CHARACTERS = "/usr/share/unicode/UnicodeData.txt"
COLUMNS = (
    "code_point,name,category,combining,bidi,decomposition,decimal,digit,numeric,mirrored,"
    "unicode_1_name,comment,uppercase,lowercase,titlecase"
)
BUILD_DIR = "build/release"


class MainJobTest(unittest.TestCase):
    """What is printed is compared with what the files say."""

    programs: Programs

    @classmethod
    def setUpClass(cls):
        cls.programs = Programs(BUILD_DIR)
        cls.addClassCleanup(cls.programs.close)
        cls.programs.start()
        cls.words = in_byte_order(read_lines(WORDS))
        rows = [line.split(";") for line in read_lines(CHARACTERS)]
        cls.rows = {(row[2], int(row[0], 16)): row for row in rows}
        cls.keys = sorted(cls.rows)
        cls.programs.good("import", "words", WORDS)
        cls.imported = cls.programs.json_lines(
            "import", "characters", CHARACTERS, "--separator", ";", "--columns", COLUMNS,
            "--key", "category,code_point", "--types", "code_point=hex", "--one-transaction",
        )  # fmt: skip

    def count(self, store: str, *arguments: str) -> int:
        return int(self.programs.good("count", store, *arguments))

    def test_every_word_is_there_in_byte_order(self):
        self.assertEqual(self.count("words"), len(self.words))
        self.assertEqual(self.programs.lines("scan", "words"), self.words)

    def test_ranges_of_words(self):
        trans = [word for word in self.words if word.startswith("trans")]
        self.assertEqual(self.programs.lines("scan", "words", "--prefix", "trans"), trans)
        self.assertEqual(self.count("words", "--prefix", "trans"), len(trans))
        between = [word for word in self.words if b"cat" <= word.encode() < b"dog"]
        self.assertEqual(self.programs.lines("scan", "words", "--from", "cat", "--to", "dog"), between)
        self.assertEqual(self.count("words", "--from", "cat", "--to", "dog"), len(between))
        backwards = self.programs.lines("scan", "words", "--reverse", "--limit", "7", "--to", "dog")
        before = [word for word in self.words if word.encode() < b"dog"]
        self.assertEqual(backwards, before[:-8:-1])
        # "étude" is above every ASCII letter.
        last = self.programs.lines("scan", "words", "--reverse", "--limit", "1")
        self.assertEqual(last, self.words[-1:])

    def test_characters_by_category_and_code_point(self):
        self.assertEqual(self.imported[0]["items"], len(self.rows))
        self.assertEqual(self.count("characters"), len(self.rows))
        for category in ("Sc", "Lu", "Zs"):
            expected = [f"{c},{p}" for c, p in self.keys if c == category]
            found = self.programs.lines("scan", "characters", "--prefix", category, "--keys-only")
            self.assertEqual(found, expected)
        letters = sum(category.startswith("L") for category, _ in self.keys)
        self.assertEqual(self.count("characters", "--prefix", "L*"), letters)
        greek = [f"{c},{p}" for c, p in self.keys if c == "Lu" and 0x391 <= p < 0x3AA]
        found = self.programs.lines(
            "scan", "characters", "--from", "Lu,0x391", "--to", "Lu,0x3AA", "--keys-only"
        )
        self.assertEqual(found, greek)

    def test_a_character_has_its_properties(self):
        item = self.programs.json_lines("get", "characters", "So,0x2603")[0]
        self.assertEqual(item["key"], {"category": "So", "code_point": 0x2603})
        names = [name for name in COLUMNS.split(",") if name not in ("category", "code_point")]
        row = dict(zip(COLUMNS.split(","), self.rows["So", 0x2603]))
        self.assertEqual(item["value"], {name: row[name] for name in names})
        self.assertEqual(item["value"]["name"], "SNOWMAN")

    def test_transfer_across_two_stores_is_all_or_nothing(self):
        run = self.programs
        run.good(
            "tx", "create accounts", "create transfers",
            'put accounts alice {"balance":500}', 'put accounts bob {"balance":100}',
        )  # fmt: skip
        run.good(
            "tx", "change accounts alice balance -100", "check accounts alice balance >= 0",
            "change accounts bob balance +100", 'add transfers 1 {"from":"alice","amount":100}',
        )  # fmt: skip
        error = run.refusal(
            "tx", 'add transfers 2 {"from":"alice","amount":1000}',
            "change accounts bob balance +1000", "change accounts alice balance -1000",
            "check accounts alice balance >= 0",
        )  # fmt: skip
        self.assertEqual(error["reason"], "PRECONDITION_NOT_MET")
        self.assertIn("-600", error["message"])
        self.assertEqual(json.loads(run.good("get", "accounts", "alice")), {"balance": 400})
        self.assertEqual(json.loads(run.good("get", "accounts", "bob")), {"balance": 200})
        self.assertEqual(self.count("transfers"), 1)

    def test_the_loser_of_a_conflict_is_told_why(self):
        run = self.programs
        run.good("tx", "create stock", "put stock lamps 10", "put stock chairs 10")
        script = [
            "one: change stock lamps -1", "two: change stock lamps -2", "two: change stock chairs -2",
            "one: commit", "two: commit",
        ]  # fmt: skip
        done = run.run("tx", *script)
        self.assertEqual(done.returncode, 1)
        self.assertIn("one: committed", done.stdout)
        self.assertNotIn("two: committed", done.stdout)
        self.assertRegex(done.stderr, r"ABORTED / CONFLICT: two: .*lamps.*store = stock")
        self.assertIn("Run it again", done.stderr)
        self.assertEqual(run.lines("scan", "stock"), ["chairs\t10", "lamps\t9"])
        # Different keys are no conflict.
        run.good("tx", "one: change stock lamps -1", "two: change stock chairs -1", "one: commit", "two: commit")
        self.assertEqual(run.lines("scan", "stock"), ["chairs\t9", "lamps\t8"])

    def test_phantoms_conflict(self):
        run = self.programs
        run.good("tx", "create shifts", "put shifts monday,ann 1")
        done = run.run(
            "tx", "one: count shifts monday", "one: put shifts tuesday,ann 1",
            "two: put shifts monday,bob 1", "two: commit", "one: commit",
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("CONFLICT", done.stderr)
        self.assertEqual(self.count("shifts"), 2)

    def test_zz_sigkill_loses_nothing_that_was_acknowledged(self):
        run = self.programs
        run.good("store", "create", "late")
        for number in range(20):
            run.good("put", "late", f"key {number:02}", f"value {number}")
        stores = [store["name"] for store in run.json_lines("store", "list")]
        before = {name: run.lines("export", name) for name in stores}
        run.kill()
        run.start()
        self.assertEqual([store["name"] for store in run.json_lines("store", "list")], stores)
        for name in stores:
            self.assertEqual(self.count(name), len(before[name]) - 1, name)
            self.assertEqual(run.lines("export", name), before[name], name)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        BUILD_DIR = sys.argv.pop(1)
    unittest.main()

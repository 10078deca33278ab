"""Checks, damage, repair, backups and the return of space, by the commands that operators type.

Usage: upkeep_commands_test.py BUILD_DIR, the folder with server/sopd and clients/cli/sop.
"""

import glob
import json
import os
import signal
import subprocess
import sys
import time
import unittest

from program_runner import Programs

BUILD_DIR = "build/release"
LINES = 30_000


class UpkeepCommandsTest(unittest.TestCase):
    """Each test has a server of its own, with one database of three stores."""

    def setUp(self):
        self.sop = Programs(BUILD_DIR)
        self.addCleanup(self.sop.close)
        self.sop.start()
        self.backups = os.path.join(self.sop.stores_root, "backups")
        self.folder = os.path.join(self.sop.folder, "data/databases/default")
        for store in ("a", "b", "c"):
            text = "".join(f"{store}{number:07}{'x' * 40}\n" for number in range(LINES))
            self.sop.good("import", store, "-", "--format", "lines", stdin=text.encode())

    def stop(self):
        self.sop.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.sop.process.wait(timeout=60), 0)
        self.sop.process = None

    def sopd(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.sop.sopd, *arguments], capture_output=True, timeout=120, check=False, text=True
        )

    def check_folder(self, folder: str, code: int):
        done = self.sopd("check", folder, "--json")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def disk_bytes(self) -> int:
        files = glob.glob(os.path.join(self.folder, "db/*.sst"))
        return sum(os.path.getsize(file) for file in files)

    def test_a_database_is_checked_while_it_is_used_and_when_it_is_closed(self):
        report = self.sop.json_lines("check")[0]
        self.assertTrue(report["sound"])
        self.assertEqual(report["stores"], 3)
        self.assertGreaterEqual(report["items"], 3 * LINES)
        self.assertIn("sound", self.sop.good("check"))
        self.assertEqual(self.sop.run("check", "--database", "no-such").returncode, 2)
        held = self.sopd("check", self.folder)
        self.assertEqual(held.returncode, 2)
        self.assertIn("FOLDER_IN_USE", held.stderr)
        self.stop()
        self.assertEqual(self.check_folder(self.folder, 0)["items"], report["items"])
        upgraded = self.sopd("upgrade", self.folder)
        self.assertEqual((upgraded.returncode, upgraded.stdout[:18]), (0, "nothing to upgrade"))

    def test_damage_takes_one_store_offline_until_it_is_repaired(self):
        self.stop()
        self.sop.start()  # what was in memory is in tables now
        self.stop()
        table = max(glob.glob(os.path.join(self.folder, "db/*.sst")), key=os.path.getsize)
        with open(table, "r+b") as file:
            file.seek(os.path.getsize(table) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0x20]))
        self.assertGreater(self.check_folder(self.folder, 1)["finding_count"], 0)
        self.sop.start()
        codes = {}
        for store in ("a", "b", "c"):
            done = self.sop.run("export", store)
            codes[store] = done.returncode
            if done.returncode != 0:
                self.assertIn("DATA_LOSS / DAMAGED", done.stderr)
                self.assertIn(f"store = {store}", done.stderr)
            else:
                self.assertEqual(len(done.stdout.splitlines()), 1 + LINES)
        self.assertEqual(sorted(codes.values()), [0, 0, 1], codes)
        damaged = next(store for store, code in codes.items() if code == 1)
        sound = "a" if damaged != "a" else "b"
        self.sop.good("put", sound, "new", "value")
        self.assertEqual(self.sop.run("put", damaged, "new", "value").returncode, 1)
        self.assertEqual(self.sop.run("check").returncode, 1)
        self.stop()
        done = self.sopd("repair", self.folder, "--json")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual({loss["store"] for loss in report["losses"]}, {damaged})
        self.assertGreater(report["lost_items"], 0)
        self.check_folder(self.folder, 0)
        self.sop.start()
        self.assertEqual(int(self.sop.good("count", damaged)), LINES - report["lost_items"])
        self.assertEqual(int(self.sop.good("count", sound)), LINES + 1)
        self.sop.good("put", damaged, "new", "value")

    def test_a_backup_is_made_while_the_database_is_used_and_restored(self):
        made = self.sop.json_lines("backup", "make", self.backups)[0]
        self.assertEqual(made["number"], 1)
        self.sop.good("put", "a", "later", "value")
        self.sop.good("backup", "make", self.backups, "--no-verify")
        self.assertEqual(
            [backup["number"] for backup in self.sop.json_lines("backup", "list", self.backups)],
            [1, 2],
        )
        self.assertEqual(os.listdir(os.path.join(self.backups)).count("verification"), 0)
        self.assertEqual(
            self.sop.refusal("backup", "make", "/nowhere")["reason"], "FOLDER_NOT_ALLOWED"
        )
        self.sop.good("db", "create", "other")
        refused = self.sop.refusal("backup", "make", self.backups, "--database", "other")
        self.assertEqual(refused["reason"], "PRECONDITION_NOT_MET")
        for number, items in (("1", LINES), ("2", LINES + 1)):
            target = os.path.join(self.sop.stores_root, "restored" + number)
            done = self.sopd("restore", self.backups, target, "--number", number)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.sop.good("db", "create", "restored" + number, "--folder", target)
            self.assertEqual(
                int(self.sop.good("count", "a", "--database", "restored" + number)), items
            )
        full = self.sopd("restore", self.backups, self.sop.stores_root)
        self.assertEqual(full.returncode, 2)
        self.assertIn("not empty", full.stderr)
        left = self.sop.json_lines("--yes", "backup", "prune", self.backups, "--keep", "1")
        self.assertEqual([backup["number"] for backup in left], [2])

    def test_space_of_a_removed_store_comes_back(self):
        self.stop()
        self.sop.start()
        full = self.disk_bytes()
        self.sop.good("--yes", "store", "rm", "a")
        self.sop.good("--yes", "store", "rm", "b")
        end = time.monotonic() + 30
        while self.disk_bytes() > full / 2 and time.monotonic() < end:
            time.sleep(0.2)
        self.assertLess(self.disk_bytes(), full / 2)
        self.assertEqual(int(self.sop.good("count", "c")), LINES)


if __name__ == "__main__":
    BUILD_DIR = sys.argv.pop(1)
    unittest.main()

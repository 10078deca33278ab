"""deploy/run from an empty folder to a running server, and once more.

Usage: first_run_test.py BUILD_DIR, the folder with server/sopd and clients/cli/sop.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORDS = "/usr/share/dict/american-english"
CHARACTERS = "/usr/share/unicode/UnicodeData.txt"
BUILD_DIR = "build/release"


def free_port() -> int:
    """A port that is free together with the next one, which the server uses for HTTP."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue
    raise RuntimeError("no two neighbouring ports are free")


def read_lines(path: str) -> list[str]:
    with open(path, encoding="utf-8") as stream:
        return stream.read().splitlines()


def ended(pid: int) -> bool:
    """Whether the process is gone, or a zombie that nobody has reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
            return stream.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class FirstRunTest(unittest.TestCase):
    """What a newcomer sees."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sop-first-run-")
        self.addCleanup(self.folder.cleanup)
        self.data = os.path.join(self.folder.name, "data")
        self.port = free_port()
        self.addCleanup(self.stop)

    def pid(self) -> int:
        with open(self.data + ".pid", encoding="utf-8") as stream:
            return int(stream.read())

    def stop(self):
        if not os.path.exists(self.data + ".pid"):
            return
        pid = self.pid()
        if not ended(pid):
            os.kill(pid, signal.SIGKILL)

    def run_it(self) -> str:
        command = [os.path.join(ROOT, "deploy/run"), "--data", self.data, "--port", str(self.port)]
        command += ["--build-dir", BUILD_DIR]
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def answer(self, output: str, question: str) -> str:
        """What was printed below the command that answers `question`."""
        match = re.search(re.escape(question) + r"[^$]*\$ sop [^\n]*\n(.*?)\n    \(\d+ ms\)", output, re.S)
        self.assertIsNotNone(match, f"{question!r} is not in\n{output}")
        return match.group(1)

    def check_reads(self, output: str):
        words = read_lines(WORDS)
        categories = [line.split(";")[2] for line in read_lines(CHARACTERS)]
        self.assertEqual(int(self.answer(output, "How many words")), len(words))
        trans = sum(word.startswith("trans") for word in words)
        self.assertEqual(int(self.answer(output, "How many begin with 'trans'")), trans)
        self.assertEqual(int(self.answer(output, "How many characters")), len(categories))
        currencies = categories.count("Sc")
        self.assertEqual(int(self.answer(output, "How many are currency")), currencies)
        between = [word for word in words if "lighthouse" <= word < "lightning"]
        shown = self.answer(output, "Words from 'lighthouse'")
        for word in between:
            self.assertIn(word, shown)
        last = sorted(words, key=lambda word: word.encode())[-3:]
        for word in last:
            self.assertIn(word, self.answer(output, "The last three words"))
        self.assertIn("SNOWMAN", self.answer(output, "One character"))
        self.assertIn("DOLLAR SIGN", self.answer(output, "The first three of them"))

    def test_from_nothing_and_again(self):
        first = self.run_it()
        self.check_reads(first)
        self.assertRegex(self.answer(first, "The accounts:"), r"400[^$]*200")
        self.assertIn("CONFLICT", self.answer(first, "Both read alice's balance"))
        self.assertIn("390", self.answer(first, "Only the first one's change"))
        for store, count in (("words", len(read_lines(WORDS))), ("transfers", 1)):
            self.assertIn(f"{store}: {count} before, {count} after", first)
        pid = self.pid()
        self.assertFalse(ended(pid))

        start = time.monotonic()
        again = self.run_it()
        self.assertLess(time.monotonic() - start, 10)
        self.check_reads(again)
        self.assertNotIn("== Import", again)
        self.assertEqual(self.pid(), pid)

        os.kill(pid, signal.SIGTERM)
        limit = time.monotonic() + 20
        while not ended(pid) and time.monotonic() < limit:
            time.sleep(0.05)
        self.assertTrue(ended(pid), "sopd does not end on SIGTERM")

        self.check_reads(self.run_it())
        self.assertNotEqual(self.pid(), pid)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        BUILD_DIR = sys.argv.pop(1)
    unittest.main()

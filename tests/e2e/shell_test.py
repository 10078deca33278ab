"""`sop shell` at a pseudo-terminal and from a script, against a live server.

Usage: shell_test.py BUILD_DIR, the folder with server/sopd and clients/cli/sop.
"""

import itertools
import json
import os
import re
import stat
import subprocess
import time

from program_runner import ProgramCase, main
from pseudo_terminal import PseudoTerminal

NUMBERS = itertools.count()


class ShellTest(ProgramCase):
    """Each test has stores and a state folder of its own."""

    def setUp(self):
        number = next(NUMBERS)
        self.store = f"shop-{number}"
        self.state = os.path.join(self.sop.folder, f"state-{number}")

    def environment(self) -> dict[str, str]:
        return {**self.sop.environment(), "XDG_STATE_HOME": self.state, "HOME": self.sop.folder, "LC_ALL": "C.UTF-8"}

    def shell(self, *arguments: str) -> PseudoTerminal:
        """A shell at its prompt."""
        terminal = PseudoTerminal([self.sop.sop, "shell", *arguments], self.environment())
        self.addCleanup(terminal.close)
        terminal.expect(r"sop default> ")
        return terminal

    def script(self, text: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.sop.run("shell", *arguments, stdin=text.encode())

    def history(self) -> list[str]:
        with open(os.path.join(self.state, "sop/history"), encoding="utf-8") as stream:
            return stream.read().splitlines()

    # ---- at a terminal

    def test_commands_are_those_of_the_command_line(self):
        shell = self.shell()
        shell.enter(f"store create {self.store}")
        shell.expect(r"created\n[^\n]*unique[^\n]*\nsop default> ")
        shell.enter(f"put {self.store} 'a key' {{\"n\":1}}")
        shell.expect(r"added\nsop default> ")
        shell.enter(f"sop get {self.store} 'a key'")
        shell.expect(r'\{"n":1\}\nsop default> ')
        shell.enter(f"get {self.store} missing")
        shell.expect(r"NOT_FOUND / KEY_NOT_FOUND[^\n]*\nsop default> ")
        shell.enter("bogus")
        shell.expect(r'no command "bogus"[^\n]*\nsop default> ')
        shell.enter("shell")
        shell.expect(r"no command \"shell\"[^\n]*\nsop default> ")
        shell.enter("\\q")
        self.assertEqual(shell.wait(), 0)
        self.assertEqual(self.sop.good("get", self.store, "a key"), '{"n":1}\n')

    def test_a_command_goes_on_over_lines(self):
        shell = self.shell()
        shell.enter(f"store create {self.store}")
        shell.expect("sop default> ")
        shell.enter(f"put {self.store} k {{")
        shell.expect(r"\.\.\.> ")
        shell.enter('  "n": [1,')
        shell.expect(r"\.\.\.> ")
        shell.enter("2]}")
        shell.expect(r"added\nsop default> ")
        shell.enter(f"put {self.store} l 'two")
        shell.expect(r"\.\.\.> ")
        shell.enter("lines'")
        shell.expect(r"added\nsop default> ")
        shell.enter(f"get {self.store} \\")
        shell.expect(r"\.\.\.> ")
        shell.enter("l")
        shell.expect(r"two\nlines\nsop default> ")
        self.assertEqual(json.loads(self.sop.json_lines("get", self.store, "k")[0]["json"]), {"n": [1, 2]})
        self.assertIn(f"put {self.store} l 'two\\nlines'", self.history())

    def test_tab_completes_commands_options_and_stores(self):
        self.sop.good("store", "create", self.store)
        self.sop.good("put", self.store, "k", "found")
        shell = self.shell()
        shell.type("co\t")
        shell.expect(r"count ")
        shell.type(self.store[:-1] + "\t")
        names = [name for name in self.stores() if name.startswith(self.store[:-1])]
        if len(names) == 1:
            shell.expect(re.escape(self.store) + " ")
        else:
            shell.type(self.store[-1])
        shell.enter("")
        shell.expect(r"\n1\nsop default> ")
        shell.type("imp\t")
        shell.expect("import ")
        shell.type("--form\t")
        shell.expect("--format ")
        shell.type("js\t")
        shell.expect("jsonl ")
        shell.type("\x03")
        shell.expect(r"\^C\nsop default> ")
        shell.type("store i\t")
        shell.expect("store info ")
        shell.type("\x03")
        shell.expect("sop default> ")
        shell.type("s\t\t")
        shell.expect(r"scan  store")

    def stores(self) -> list[str]:
        return [store["name"] for store in self.sop.json_lines("store", "list")]

    def test_a_store_made_since_is_completed_too(self):
        shell = self.shell()
        shell.type(f"count {self.store}-x\t")
        shell.type("\x03")
        shell.expect(r"\^C\nsop default> ")
        shell.enter(f"store create {self.store}-xyz")
        shell.expect(r"created[^$]*sop default> ")
        shell.type(f"count {self.store}-x\t")
        shell.expect(f"{self.store}-xyz ")
        shell.enter("")
        shell.expect(r"\n0\nsop default> ")

    def test_the_history_is_kept_for_its_owner_alone(self):
        shell = self.shell()
        shell.enter("echo remembered")
        shell.expect(r"\nremembered\nsop default> ")
        shell.enter(" echo not-kept")
        shell.expect(r"\nnot-kept\nsop default> ")
        shell.type("\x04")
        self.assertEqual(shell.wait(), 0)
        path = os.path.join(self.state, "sop/history")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(self.history(), ["echo remembered"])
        again = self.shell()
        again.type("\x10\r")
        again.expect(r"\nremembered\nsop default> ")

    def test_a_transaction_is_shared_by_commands_and_shown(self):
        self.sop.good("store", "create", self.store)
        shell = self.shell()
        shell.enter("\\tx")
        shell.expect(r"transaction begun[^$]*sop default \(transaction\)> ")
        shell.enter(f"put {self.store} k 1")
        shell.expect(r"added\nsop default \(transaction\)> ")
        shell.enter(f"scan {self.store}")
        shell.expect(r"k\t? *1\nsop default \(transaction\)> ")
        self.assertEqual(self.sop.good("count", self.store), "0\n")
        shell.enter("\\tx commit")
        shell.expect(r"committed\nsop default> ")
        self.assertEqual(self.sop.good("count", self.store), "1\n")
        shell.enter("\\tx begin 60")
        shell.expect(r"60 seconds[^$]*\(transaction\)> ")
        shell.enter(f"rm {self.store} --all --yes")
        shell.expect(r"1 removed\nsop default \(transaction\)> ")
        shell.enter(f"tx 'get {self.store} k'")
        shell.expect(r"transactions of its own[^$]*\(transaction\)> ")
        shell.enter("\\tx rollback")
        shell.expect(r"rolled back[^$]*sop default> ")
        self.assertEqual(self.sop.good("count", self.store), "1\n")
        shell.enter("\\tx commit")
        shell.expect("no transaction is open")

    def test_a_conflict_is_told_at_commit(self):
        self.sop.good("store", "create", self.store)
        self.sop.good("put", self.store, "k", "1")
        shell = self.shell()
        shell.enter("\\tx")
        shell.expect(r"\(transaction\)> ")
        shell.enter(f"get {self.store} k")
        shell.expect(r"\n1\nsop default \(transaction\)> ")
        shell.enter(f"put {self.store} l 2")
        shell.expect(r"added\nsop default \(transaction\)> ")
        self.sop.good("put", self.store, "k", "3")
        shell.enter("\\tx commit")
        shell.expect(r"nothing of the transaction was stored\n[^\n]*CONFLICT[^\n]*\nsop default> ")
        self.assertEqual(self.sop.lines("scan", self.store), ["k\t3"])

    def test_an_expired_transaction_is_said_so_and_runs_nothing_outside(self):
        self.sop.good("store", "create", self.store)
        shell = self.shell()
        shell.enter("\\tx begin 3")
        shell.expect(r"\(transaction\)> ")
        shell.enter(f"put {self.store} k 1")
        shell.expect(r"added\nsop default \(transaction\)> ")
        time.sleep(3.2)
        shell.enter(f"put {self.store} l 1")
        shell.expect(r"the transaction has expired[^$]*the command was not run\nsop default> ")
        self.assertEqual(self.sop.good("count", self.store), "0\n")

    def test_ctrl_c_cancels_the_call_and_not_the_shell(self):
        text = "".join(f"{number:07}\n" for number in range(400_000))
        self.sop.good("import", self.store, "-", "--format", "lines", stdin=text.encode())
        shell = self.shell()
        shell.enter("\\tx")
        shell.expect(r"\(transaction\)> ")
        shell.enter(f"scan {self.store}")
        shell.expect(r"\n0000000\n")
        shell.type("\x03")
        shell.expect(r"CANCELLED[^$]*still open[^$]*sop default \(transaction\)> ", seconds=60)
        shell.enter("echo alive")
        shell.expect(r"\nalive\nsop default \(transaction\)> ")
        shell.type("half a line\x03")
        shell.expect(r"\^C\nsop default \(transaction\)> ")
        shell.enter("\\q")
        shell.expect("rolled back")
        self.assertEqual(shell.wait(), 0)

    def test_forms_of_output(self):
        self.sop.good("store", "create", self.store, "--index", "a,b", "--types", "b=int64")
        self.sop.good("put", self.store, "x,1", "one")
        shell = self.shell()
        shell.enter("\\table")
        shell.enter(f"scan {self.store}")
        shell.expect(r"key\.a +key\.b +text +version\n-+ +-+ +-+ +-+\nx +1 +one +\d+\nsop default> ")
        shell.enter("\\json")
        shell.enter(f"scan {self.store}")
        shell.expect(r'\{"key":\{"a":"x","b":1\},"text":"one","version":\d+\}\nsop default> ')
        shell.enter("\\text")
        shell.enter(f"scan {self.store}")
        shell.expect(r"x,1\s+one\nsop default> ")

    # ---- scripts

    def test_a_script_runs_without_prompts(self):
        done = self.script(
            f"store create {self.store}\n# a comment\n\nput {self.store} k {{\n \"n\": 1}}\n"
            f"\\json\nget {self.store} k\n"
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(json.loads(done.stdout.splitlines()[-1])["json"]), {"n": 1})
        self.assertNotIn("sop default", done.stdout + done.stderr)

    def test_a_script_stops_at_its_first_error(self):
        script = f"store create {self.store}\nget {self.store} k\nput {self.store} k 1\n"
        done = self.script(script)
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 2: stopped", done.stderr)
        self.assertEqual(self.sop.good("count", self.store), "0\n")
        self.assertEqual(self.script("scan\n").returncode, 2)
        kept = self.script(script, "--keep-going")
        self.assertEqual(kept.returncode, 1)
        self.assertEqual(self.sop.good("count", self.store), "1\n")

    def test_a_script_commits_or_leaves_nothing(self):
        self.sop.good("store", "create", self.store)
        done = self.script(f"\\tx begin\nput {self.store} a 1\nput {self.store} b 1\n\\tx commit\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.sop.good("count", self.store), "2\n")
        done = self.script(f"\\tx\nput {self.store} c 1\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("rolled back", done.stderr)
        done = self.script(f"\\tx\nput {self.store} c 1\nupdate-nothing\n\\tx commit\n")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(self.sop.good("count", self.store), "2\n")

    def test_what_is_cut_off_is_an_error(self):
        done = self.script(f"put {self.store} k 'open\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("never closed", done.stderr)

    def test_commands_of_a_script_do_not_read_its_lines(self):
        self.sop.good("store", "create", self.store)
        for command in (f"import {self.store} - --format lines", "tx", f"put {self.store} k --value-file -"):
            done = self.script(f"{command}\nput {self.store} k 1\n")
            self.assertEqual(done.returncode, 2, command)
            self.assertIn("stdin holds the commands", done.stderr)
        self.assertEqual(self.sop.good("count", self.store), "0\n")

    def test_destructive_commands_of_a_script_need_agreement(self):
        self.sop.good("store", "create", self.store)
        self.assertEqual(self.script(f"store rm {self.store}\n").returncode, 2)
        self.assertEqual(self.script(f"store rm {self.store} --yes\n").returncode, 0)


if __name__ == "__main__":
    main()

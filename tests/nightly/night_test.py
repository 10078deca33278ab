"""Tests of the night's frame: rounds, counters, time, and how a failure is told."""

import contextlib
import io
import json
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import night
from night import Family, Night

COUNTS = "echo counter states {size}; echo counter lost 0"
FAILS_AT_SEED_7 = "echo plan: power at sync 3, seed {seed}; test {seed} != 7"


def family(script: str, **changes) -> Family:
    values = {"name": "power.states", "unit": "states", "night": 10, "round": 4, "minutes": 1.0}
    return Family(command=["sh", "-c", script], **(values | changes))


class NightTest(unittest.TestCase):
    """One family at a time."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name)

    def run_quietly(self, one: Family, **options):
        run = Night(options.pop("seed", 5), options.pop("hours", 5.0), options.pop("size", 1.0), self.out)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            outcome = run.run(one)
        run.report({one.name: outcome})
        run.add_to_totals(one.name, outcome)
        return outcome, said.getvalue()

    def test_rounds_reach_the_number_and_counters_add_up(self):
        outcome, _ = self.run_quietly(family(COUNTS))
        self.assertEqual((outcome.cases, outcome.failure), (10, ""))
        self.assertEqual(outcome.counters, {"states": 10, "lost": 0})

    def test_size_scales_the_number(self):
        outcome, _ = self.run_quietly(family(COUNTS), size=0.1)
        self.assertEqual(outcome.counters["states"], 1)

    def test_time_ends_a_family_after_a_whole_round(self):
        outcome, _ = self.run_quietly(family(COUNTS, minutes=0.0))
        self.assertEqual((outcome.cases, outcome.verdict), (4, "passed"))

    def test_a_failure_ends_the_family_and_says_how_to_replay_it(self):
        one = family(FAILS_AT_SEED_7, environment={"SOP_SEED": "{seed}"})
        outcome, said = self.run_quietly(one)
        self.assertEqual((outcome.cases, outcome.verdict), (8, "FAILED"))
        self.assertTrue(outcome.failure.startswith("SOP_SEED=7 sh -c "), outcome.failure)
        for words in ("seed    7", "plan    power at sync 3, seed 7", f"replay  {outcome.failure}"):
            self.assertIn(words, said)
        self.assertIn("plan: power", (self.out / "power.states-7.log").read_text())

    def test_a_program_that_is_not_there_is_a_failure(self):
        one = Family("a", "b", 1, 1, 1.0, ["/nowhere/program"])
        self.assertEqual(self.run_quietly(one)[0].verdict, "FAILED")

    def test_totals_add_up_over_runs(self):
        self.run_quietly(family(COUNTS))
        self.run_quietly(family(FAILS_AT_SEED_7), seed=7)
        totals = json.loads((self.out / "totals.json").read_text())
        self.assertEqual(list(totals), ["format 1"])
        total = totals["format 1"]["power.states"]
        self.assertEqual((total["cases"], total["failures"]), (10, 1))
        report = json.loads((self.out / "report.json").read_text())
        self.assertEqual(report["families"]["power.states"]["verdict"], "FAILED")


    def test_those_that_wait_run_beside_the_others(self):
        waits = family("until [ -e $0/go ]; do sleep 0.01; done; echo counter waited {size}", night=20,
                       round=20, beside=True, name="long.open")
        waits.command.append(str(self.out))
        goes = family("touch $0/go; echo counter states {size}", night=1)
        goes.command.append(str(self.out))
        run = Night(5, 2.5, 1.0, self.out)
        done = {one.name: outcome for one, outcome in run.run_all([waits, goes])}
        self.assertEqual(list(done), ["power.states", "long.open"])
        self.assertEqual(done["long.open"].counters, {"waited": 10})


class FamiliesTest(unittest.TestCase):
    """The file of families."""

    def test_the_file_fits_a_night(self):
        families = night.load(night.FAMILIES)
        self.assertTrue(families)
        for one in families:
            self.assertLessEqual(one.round, one.night, one.name)

    def test_every_target_is_one(self):
        words = set()
        for folder in ("core", "storage", "server", "clients", "tests"):
            for path in (night.ROOT / folder).rglob("CMakeLists.txt"):
                words.update(re.findall(r"\w+", path.read_text()))
        for one in night.load(night.FAMILIES):
            self.assertEqual(set(one.targets) - words, set(), one.name)
        sanitized = (night.ROOT / "tests" / "sanitize" / "run").read_text()
        programs = set(re.findall(r"\w+/(\w+_test)\b", sanitized))
        self.assertGreater(len(programs), 16)
        self.assertEqual(programs - words, set(), "tests/sanitize/run")

    def test_a_group_or_a_name_is_chosen(self):
        one = family(COUNTS)
        self.assertTrue(one.is_chosen([]) and one.is_chosen(["power"]))
        self.assertTrue(one.is_chosen(["power.states"]))
        self.assertFalse(one.is_chosen(["crash"]))


if __name__ == "__main__":
    unittest.main()

"""Tests of the summary: what a run prints is what happened."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import summary
from summary import Counts

GTEST = "[==========] 7 tests ran.\n[  PASSED  ] 4 tests.\n"
GTEST_BAD = GTEST + "[  FAILED  ] 2 tests, listed below:\n[  FAILED  ] A.B\n\n 2 FAILED TESTS\n"
CASE = '<testcase name="{name}" status="{status}"><system-out>{output}</system-out></testcase>'


class OutputTest(unittest.TestCase):
    """Counts from what test programs print."""

    def test_gtest(self):
        self.assertEqual(summary.counts_of_output(GTEST), Counts(4, 0))
        self.assertEqual(summary.counts_of_output(GTEST_BAD), Counts(4, 2))
        one = "[  PASSED  ] 1 test.\n[  FAILED  ] 1 test, listed below:\n"
        self.assertEqual(summary.counts_of_output(one), Counts(1, 1))

    def test_pytest(self):
        line = "==== 1 failed, 12 passed, 1 skipped, 2 errors in 0.52s ====\n"
        self.assertEqual(summary.counts_of_output(line), Counts(12, 3, 1))
        self.assertEqual(summary.counts_of_output("3 passed in 1.20s\n"), Counts(3, 0))

    def test_unittest(self):
        self.assertEqual(summary.counts_of_output("Ran 3 tests in 0.0s\n\nOK\n"), Counts(3, 0))
        bad = "Ran 5 tests in 0.010s\n\nFAILED (failures=1, errors=1, skipped=1)\n"
        self.assertEqual(summary.counts_of_output(bad), Counts(2, 2, 1))

    def test_closing_line(self):
        self.assertEqual(summary.counts_of_output("kill 50\n49 passed, 1 failed\n"), Counts(49, 1))
        self.assertEqual(summary.counts_of_output("49 passed, 1 failed\nand more\n"), Counts())


class RunTest(unittest.TestCase):
    """The exit code and the last line of a whole run."""

    def run_of(self, *cases: tuple[str, str]) -> tuple[int, Counts]:
        text = "".join(CASE.format(name="t", status=status, output=output) for status, output in cases)
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as stream:
            stream.write(f"<testsuite>{text}</testsuite>")
            stream.flush()
            total = Counts()
            for case in summary.ElementTree.parse(stream.name).getroot().iter("testcase"):
                total.add(summary.counts_of_test(case))
            with open(os.devnull, "w", encoding="utf-8") as sink:
                shown, sys.stdout = sys.stdout, sink
                try:
                    return summary.main(stream.name), total
                finally:
                    sys.stdout = shown

    def test_all_well(self):
        self.assertEqual(self.run_of(("run", GTEST), ("run", "no report")), (0, Counts(5, 0)))

    def test_a_failed_program_counts_even_if_it_reports_nothing_wrong(self):
        self.assertEqual(self.run_of(("fail", GTEST)), (1, Counts(4, 1)))
        self.assertEqual(self.run_of(("notrun", "")), (1, Counts(0, 1)))
        self.assertEqual(self.run_of(("run", GTEST), ("fail", GTEST_BAD)), (1, Counts(8, 2)))

    def test_nothing_run_is_a_failure(self):
        self.assertEqual(self.run_of()[0], 1)


if __name__ == "__main__":
    unittest.main()

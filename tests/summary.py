"""Sums the cases of a ctest run: python3 tests/summary.py RESULTS.xml.

Reads the JUnit file that ctest wrote. A ctest test is one program with many cases, so its own
report (gtest, pytest, unittest or a closing "N passed, N failed") is counted where there is one; a
program without one counts as one case. A program that ctest calls failed counts at least one failure,
whatever it printed.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

GTEST_PASSED = re.compile(r"^\[  PASSED  \] (\d+) tests?\.", re.M)
GTEST_FAILED = re.compile(r"^\[  FAILED  \] (\d+) tests?, listed below", re.M)
GTEST_SKIPPED = re.compile(r"^\[  SKIPPED \] (\d+) tests?, listed below", re.M)
PYTEST = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.M)
UNITTEST = re.compile(r"^Ran (\d+) tests? in [\d.]+s\s+(OK|FAILED)(?: \(([^)]*)\))?", re.M)
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed\s*\Z", re.M)


@dataclass
class Counts:
    """How many cases passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: "Counts") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def total(pattern: re.Pattern[str], text: str) -> int:
    return sum(int(match.group(1)) for match in pattern.finditer(text))


def pytest_counts(words: str) -> Counts:
    found = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", words)}
    failed = found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
    return Counts(found.get("passed", 0), failed, found.get("skipped", 0))


def unittest_counts(match: re.Match[str]) -> Counts:
    ran = int(match.group(1))
    found = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", match.group(3) or "")}
    failed = found.get("failures", 0) + found.get("errors", 0)
    skipped = found.get("skipped", 0)
    return Counts(ran - failed - skipped, failed, skipped)


def counts_of_output(output: str) -> Counts:
    counts = Counts(
        total(GTEST_PASSED, output), total(GTEST_FAILED, output), total(GTEST_SKIPPED, output)
    )
    for match in PYTEST.finditer(output):
        counts.add(pytest_counts(match.group(1)))
    for match in UNITTEST.finditer(output):
        counts.add(unittest_counts(match))
    closing = CLOSING.search(output.rstrip())
    if closing:
        counts.add(Counts(int(closing.group(1)), int(closing.group(2))))
    return counts


def counts_of_test(case: ElementTree.Element) -> Counts:
    output = "".join(case.findtext(name) or "" for name in ("system-out", "failure"))
    counts = counts_of_output(output)
    status = case.get("status")
    if status in ("notrun", "disabled"):
        return Counts(failed=1)
    if status != "run":
        return Counts(counts.passed, max(counts.failed, 1), counts.skipped)
    if counts == Counts():
        return Counts(passed=1)
    return counts


def main(path: str) -> int:
    counts = Counts()
    failed_tests = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        of_test = counts_of_test(case)
        counts.add(of_test)
        if of_test.failed:
            failed_tests.append(case.get("name", "?"))
    if failed_tests:
        print("failed: " + ", ".join(failed_tests))
    if counts.skipped:
        print(f"{counts.skipped} skipped")
    print(f"{counts.passed} passed, {counts.failed} failed")
    return 1 if counts.failed or not counts.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

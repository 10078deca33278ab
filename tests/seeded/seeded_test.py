"""Every bug put in on purpose is found: seeded_test.py SUITE [--bugs N] [--bug NAME] [--seed N].

SUITE is the program `seeded_suite`. Each bug has the tests that have to fail with it; the same tests
have to pass without it. The last line is `N passed, N failed`, one for each bug and one for each
group of tests without a bug.
"""

import argparse
import os
import subprocess
import sys
import time

LONGEST_SECONDS = 240
SEEDS = 3  # of bugs that show only when threads meet; one that fails is enough

POWER_LOSS = ("PowerLossTest.*", {"SOP_STATES": "400"})
DISK_FAILS = ("DiskErrorTest.NothingIs*", {"SOP_CASES": "30"})
DISK_FULL = ("DiskErrorTest.FullDisk*:EngineFaultTest.*", {"SOP_CASES": "20"})
ISOLATION = ("Engines/IsolationTest.*", {})
ENGINE = ("EngineTest.*:EngineGroupTest.*:RemovedStoreTest.*", {})
CACHE = ("NodeCache*", {})
OVERLAY = ("OverlayTest.Agrees*", {})
READ_SET = ("ReadSetTest.*", {})

BUGS = {
    "skip_conflict_check": ISOLATION,
    "skip_fsync": POWER_LOSS,
    "acknowledge_before_log": POWER_LOSS,
    "drop_delta": POWER_LOSS,
    "hole_in_version_chain": CACHE,
    "forget_count": POWER_LOSS,
    "apply_token_twice": ENGINE,
    "lose_phantom": ISOLATION,
    "budget_loses_coverage": READ_SET,
    "ignore_failed_write": DISK_FAILS,
    "wrong_floor": CACHE,
    "spill_loses_write": OVERLAY,
    "ignore_counts": ISOLATION,
    "keep_refused_group": DISK_FULL,
    "forget_removed_store": ENGINE,
    "forget_unpublished_group": ISOLATION,
    "merge_loses_items": POWER_LOSS,
    "cut_nothing": POWER_LOSS,
    "forget_value": POWER_LOSS,
    "forget_tail": POWER_LOSS,
}


def fails(suite: str, bug: str, tests: tuple[str, dict[str, str]], seed: int) -> tuple[bool, str]:
    """Whether the tests fail (or crash, or hang) with the bug, and how they ended."""
    names, size = tests
    added = {**size, "SOP_SEEDED_BUG": bug}
    if tests in (POWER_LOSS, DISK_FAILS, DISK_FULL, ISOLATION):  # of others it replays one round only
        added["SOP_SEED"] = str(seed)
    command = [suite, f"--gtest_filter={names}", "--gtest_brief=1", "--gtest_fail_fast"]
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, env=os.environ | added, capture_output=True, text=True, errors="replace",
            timeout=LONGEST_SECONDS, check=False,
        )
        code, output = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        code, output = -1, "hung"
    took = time.monotonic() - start
    first = next((line for line in output.splitlines() if "FAILED" in line), f"exit code {code}")
    if "[  PASSED  ] 0 tests" in output and code == 0:
        return True, "no test ran"
    return code != 0, f"{first.strip()} after {took:.1f} s" if code else f"passed in {took:.1f} s"


def is_found(suite: str, bug: str, seed: int) -> bool:
    for attempt in range(SEEDS):
        found, how = fails(suite, bug, BUGS[bug], seed + attempt)
        print(f"{bug}: {'found' if found else 'NOT FOUND'}, seed {seed + attempt}: {how}", flush=True)
        if found:
            return True
    print(f"plan: SOP_SEEDED_BUG={bug} SOP_SEED={seed} {suite} --gtest_filter='{BUGS[bug][0]}'")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite")
    parser.add_argument("--bugs", type=int, default=len(BUGS), help="the first so many")
    parser.add_argument("--bug", choices=BUGS, help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chosen = [given.bug] if given.bug else list(BUGS)[: given.bugs]
    groups = {BUGS[bug][0]: BUGS[bug] for bug in chosen}
    passed = failed = 0
    for tests in groups.values():
        found, how = fails(given.suite, "none", tests, given.seed)
        print(f"without a bug, {tests[0]}: {'FAILED, ' if found else ''}{how}", flush=True)
        passed, failed = passed + (not found), failed + found
    for bug in chosen:
        found = is_found(given.suite, bug, given.seed)
        passed, failed = passed + found, failed + (not found)
    print(f"counter seeded_bugs {len(chosen)}\ncounter baselines {len(groups)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

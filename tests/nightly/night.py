"""Runs the testing families at night size: see README.md beside this file."""

import argparse
import json
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FAMILIES = Path(__file__).resolve().parent / "families.toml"
OUT = ROOT / "build" / "night"
FULL_NIGHT_HOURS = 5.0
COUNTER = re.compile(r"^counter ([a-z][a-z0-9_]*) (\d+)$", re.M)
SHOWN_OF_A_FAILURE = 4000  # characters; the whole of it is in the log
# A round may overrun its family's share by this much before it counts as hanging.
LONGEST_ROUND_SECONDS = 3600


@dataclass(frozen=True)
class Family:
    """One entry of families.toml."""

    name: str
    unit: str
    night: int
    round: int
    minutes: float
    command: list[str]
    targets: list[str] = field(default_factory=list)
    preset: str = "release"
    environment: dict[str, str] = field(default_factory=dict)
    beside: bool = False  # mostly waits: runs beside all the others

    def is_chosen(self, names: list[str]) -> bool:
        return not names or self.name in names or self.name.partition(".")[0] in names


@dataclass
class Outcome:
    """What a family's rounds came to."""

    cases: int = 0
    seconds: float = 0.0
    counters: Counter[str] = field(default_factory=Counter)
    failure: str = ""  # the command that replays it

    @property
    def verdict(self) -> str:
        return "FAILED" if self.failure else "passed"


def load(path: Path) -> list[Family]:
    """The families of a file; raises ValueError for names that repeat or shares above a night."""
    families = [Family(**entry) for entry in tomllib.loads(path.read_text())["family"]]
    repeated = [name for name, count in Counter(f.name for f in families).items() if count > 1]
    if repeated:
        raise ValueError(f"{path}: {repeated[0]} is there twice")
    minutes = sum(family.minutes for family in families if not family.beside)
    if minutes > FULL_NIGHT_HOURS * 60:
        raise ValueError(f"{path}: {minutes:.0f} minutes are more than a night")
    return families


class Night:
    """One run over the chosen families. Confined to one thread, but for `run`."""

    def __init__(self, seed: int, hours: float, size: float, out: Path = OUT) -> None:
        self.seed = seed
        self.time_scale = hours / FULL_NIGHT_HOURS
        self.size_scale = size
        self.out = out
        self.build = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        ).stdout.strip()

    def prepare(self, families: list[Family]) -> None:
        """Builds what the families run."""
        needs_python = any("{python}" in part for family in families for part in family.command)
        if needs_python:
            subprocess.run([ROOT / "deploy" / "venv"], check=True)
        for preset in sorted({family.preset for family in families}):
            chosen = [family for family in families if family.preset == preset]
            targets = sorted({target for family in chosen for target in family.targets})
            if targets:
                subprocess.run([ROOT / "deploy" / "build", preset, *targets], check=True)
        if needs_python:
            install = ["ctest", "--test-dir", "build/release", "-Q", "-R", "^python_client_install$"]
            subprocess.run(install, cwd=ROOT, check=True)

    def wanted(self, family: Family) -> int:
        """How many cases; seconds of the clock become fewer in a shorter night too."""
        scale = self.size_scale * (min(1.0, self.time_scale) if family.beside else 1.0)
        return max(1, round(family.night * scale))

    def run_all(self, families: list[Family]) -> Iterator[tuple[Family, Outcome]]:
        """One after the other, and at the end those that ran beside them."""
        with ThreadPoolExecutor() as pool:
            beside = [(f, pool.submit(self.run, f)) for f in families if f.beside]
            for family in families:
                if not family.beside:
                    yield family, self.run(family)
            for family, running in beside:
                yield family, running.result()

    def run(self, family: Family) -> Outcome:
        """Rounds of growing seeds, until the number or the time is reached, or one fails."""
        outcome = Outcome()
        wanted = self.wanted(family)
        start = time.monotonic()
        end = start + family.minutes * 60 * self.time_scale
        seed = self.seed
        while not outcome.failure and outcome.cases < wanted:
            if outcome.cases and time.monotonic() >= end:
                break
            size = min(family.round, wanted - outcome.cases)
            self.run_round(family, seed, size, outcome)
            outcome.seconds = time.monotonic() - start
            seed += 1
        return outcome

    def run_round(self, family: Family, seed: int, size: int, outcome: Outcome) -> None:
        with tempfile.TemporaryDirectory(prefix="sop-night-") as scratch:
            words = {
                "seed": str(seed), "size": str(size), "scratch": scratch,
                "build": str(ROOT / "build" / family.preset),
                "python": str(ROOT / "build" / "venv" / "bin" / "python"),
            }
            command = [fill(part, words) for part in family.command]
            added = {name: fill(value, words) for name, value in family.environment.items()}
            limit = LONGEST_ROUND_SECONDS + (size if family.beside else 0)
            text, code = execute(command, added, limit)
        for name, number in COUNTER.findall(text):
            outcome.counters[name] += int(number)
        if code == 0:
            outcome.cases += size
            return
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in added.items())
        outcome.failure = f"{variables} {shlex.join(command)}".strip()
        log = self.out / f"{family.name}-{seed}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text)
        print(f"{text[-SHOWN_OF_A_FAILURE:]}\nFAILED {family.name}: exit code {code}")
        print(f"  seed    {seed}\n  build   {self.build} ({family.preset})")
        print(f"  plan    {plan_of(text)}\n  log     {log}\n  replay  {outcome.failure}", flush=True)

    def report(self, outcomes: dict[str, Outcome]) -> None:
        """Writes report.json: what this run has come to so far."""
        self.out.mkdir(parents=True, exist_ok=True)
        families = {
            name: {"verdict": o.verdict, "cases": o.cases, "seconds": round(o.seconds, 1),
                   "counters": dict(o.counters), "replay": o.failure}
            for name, o in outcomes.items()
        }
        report = {"build": self.build, "seed": self.seed, "families": families}
        (self.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")

    def add_to_totals(self, name: str, outcome: Outcome) -> None:
        """Adds to totals.json, which is kept over all runs, per storage format."""
        totals = read_totals(self.out)
        zero = {"cases": 0, "failures": 0, "seconds": 0.0}
        total = totals.setdefault(storage_format(), {}).setdefault(name, zero)
        total["cases"] += outcome.cases
        total["failures"] += bool(outcome.failure)
        total["seconds"] = round(total["seconds"] + outcome.seconds, 1)
        (self.out / "totals.json").write_text(json.dumps(totals, indent=1) + "\n")


def fill(text: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        text = text.replace("{" + name + "}", word)
    return text


def execute(command: list[str], added: dict[str, str], limit: float) -> tuple[str, int]:
    """What the command printed, both streams, and its exit code."""
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        try:
            code = subprocess.run(
                command, cwd=ROOT, env=os.environ | added, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, timeout=limit, check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
            out.write(f"\nplan: hung for {limit} s\n")
        except OSError as error:
            code = -1
            out.write(f"plan: {error}\n")
        out.seek(0)
        return out.read(), code


def plan_of(text: str) -> str:
    """The last fault plan that the program named on a line of its own."""
    plans = re.findall(r"\bplan: (.*)", text)
    return plans[-1] if plans else "see the log"


def storage_format() -> str:
    source = (ROOT / "storage" / "rocksdb" / "database_format.cc").read_text()
    version = re.search(r"kFormatVersion = (\d+)", source)
    return f"format {version.group(1)}" if version else "format unknown"


def read_totals(out: Path) -> dict:
    path = out / "totals.json"
    return json.loads(path.read_text()) if path.exists() else {}


def print_totals(out: Path, families: list[Family]) -> None:
    units = {family.name: family.unit for family in families}
    for name, of_format in read_totals(out).items():
        print(f"| {name.capitalize()} | Cases | Failed | Hours |\n|---|---|---|---|")
        for family, total in of_format.items():
            unit = units.get(family, "")
            hours = total["seconds"] / 3600
            print(f"| {family} ({unit}) | {total['cases']:,} | {total['failures']} | {hours:.2f} |")


def print_list(families: list[Family]) -> None:
    for family in families:
        print(f"{family.name:24} {family.night:>9,} {family.unit} ({family.minutes:g} min)")


def print_outcome(family: Family, outcome: Outcome, wanted: int) -> None:
    short = f" of {wanted:,}" if outcome.cases < wanted else ""
    counters = ", ".join(f"{number:,} {name}" for name, number in sorted(outcome.counters.items()))
    print(
        f"{outcome.verdict} {family.name}: {outcome.cases:,}{short} {family.unit}, "
        f"{outcome.seconds:.0f} s{'; ' + counters if counters else ''}", flush=True,
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/night", description=__doc__)
    parser.add_argument("--families", default="", help="names, comma separated; default all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31))
    parser.add_argument("--hours", type=float, default=FULL_NIGHT_HOURS, help="of a full night's 5")
    parser.add_argument("--size", type=float, default=1.0, help="scale of the night's numbers")
    parser.add_argument("--list", action="store_true", help="show the families")
    parser.add_argument("--totals", action="store_true", help="show the sums of all runs so far")
    parser.add_argument("--no-build", action="store_true", help="run what is built")
    given = parser.parse_args(arguments)
    families = load(FAMILIES)
    if given.totals:
        print_totals(OUT, families)
        return 0
    names = [name for name in given.families.split(",") if name]
    known = {f.name for f in families} | {f.name.partition(".")[0] for f in families}
    if set(names) - known:
        parser.error(f"no family {sorted(set(names) - known)[0]!r}; --list shows them")
    chosen = [family for family in families if family.is_chosen(names)]
    if given.list:
        print_list(chosen)
        return 0
    night = Night(given.seed, given.hours, given.size)
    print(f"seed {night.seed}, build {night.build}, {len(chosen)} families", flush=True)
    if not given.no_build:
        night.prepare(chosen)
    outcomes = {}
    for family, outcome in night.run_all(chosen):
        outcomes[family.name] = outcome
        print_outcome(family, outcome, night.wanted(family))
        night.report(outcomes)
        night.add_to_totals(family.name, outcome)
    failed = sum(bool(outcome.failure) for outcome in outcomes.values())
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

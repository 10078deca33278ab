"""Checks the house rules: python3 tests/tidy/tidy.py [ROOT].

Prints `path:line: rule, do this instead` for each place that breaks one and exits 1 if there is any.
Exceptions stand in exceptions.txt, which may only shrink: an entry that is no longer needed, or whose
figure could be lower, is a finding too, and so is one entry more than EXCEPTION_LIMIT.
"""

import os
import sys
import time
from collections import defaultdict
from dataclasses import dataclass

import rules_calls
import rules_docs
import rules_files
import rules_layers
import rules_names
import rules_proto
import rules_size
from source_tree import Finding, SourceTree, read_tree

RULES = (
    rules_layers,
    rules_size,
    rules_names,
    rules_calls,
    rules_proto,
    rules_docs,
    rules_files,
)
EXCEPTIONS = "tests/tidy/exceptions.txt"
EXCEPTION_LIMIT = 0


@dataclass(frozen=True)
class ExceptionEntry:
    """`path | rule | figure | reason`: the rule may fire on the path up to that figure."""

    line: int
    path: str
    rule: str
    figure: int


def parse_exceptions(text: str) -> list[ExceptionEntry]:
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 4 or not parts[2].isdigit() or not parts[3]:
            raise ValueError(f"{EXCEPTIONS}:{number}: write 'path | rule | figure | reason'")
        entries.append(ExceptionEntry(number, parts[0], parts[1], int(parts[2])))
    return entries


def all_findings(tree: SourceTree) -> list[Finding]:
    return sorted(finding for rule in RULES for finding in rule.check(tree))


def weight(findings: list[Finding]) -> int:
    """The figure an exception must cover: the greatest size, else how many places there are."""
    return max((finding.figure for finding in findings), default=0) or len(findings)


def apply_exceptions(
    findings: list[Finding], entries: list[ExceptionEntry], limit: int
) -> list[Finding]:
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[(finding.path, finding.rule)].append(finding)
    left = []
    for entry in entries:
        found = groups.pop((entry.path, entry.rule), [])
        needed = weight(found)
        if needed > entry.figure:
            left += found
        elif needed < entry.figure:
            what = f"lower its figure to {needed}" if needed else "remove it"
            advice = f"{entry.path} '{entry.rule}' has improved: {what}"
            left.append(Finding(EXCEPTIONS, entry.line, "exception list", advice))
    if len(entries) > limit:
        advice = f"{len(entries)} of at most {limit} entries: mend the code, the list only shrinks"
        left.append(Finding(EXCEPTIONS, 1, "exception list", advice))
    elif len(entries) < limit:
        advice = f"lower EXCEPTION_LIMIT to {len(entries)}"
        left.append(Finding("tests/tidy/tidy.py", 1, "exception list", advice))
    for group in groups.values():
        left += group
    return sorted(left)


def main(root: str) -> int:
    start = time.monotonic()
    tree = read_tree(root)
    with open(os.path.join(root, EXCEPTIONS), encoding="utf-8") as stream:
        entries = parse_exceptions(stream.read())
    findings = apply_exceptions(all_findings(tree), entries, EXCEPTION_LIMIT)
    for finding in findings:
        print(finding)
    seconds = time.monotonic() - start
    print(f"tidy: {len(tree.files)} files, {len(findings)} findings, {seconds:.1f} s")
    return 1 if findings else 0


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))))

"""Reads the rows that the benchmark programs print and shows them against the budgets.

usage: table.py JSON_FILE [KEY=TEXT ...] < rows. One row is a line of JSON: row, unit, and a list of
figures for ours and for the rival, in slices taken side by side. A ratio is the median over the
slices. Rows that JSON_FILE holds and this input has not stay in it and in the table, so that groups
can be measured one after the other. Each KEY=TEXT is noted beside the rows of this input. Exits 1
if a row of the table misses its must.
"""

import json
import os
import statistics
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """A row of "Budgets" in docs/architecture.md."""

    what: str
    rival: str
    must: float
    aim: float
    at_most: bool = False  # the ratio may not exceed the figures, rather than reach them
    absolute: bool = False  # the figures bound ours itself


BUDGETS = {
    "durable_insert": Budget("durable commits, 10 random inserts, 64 committers", "raw", 0.65, 0.9),
    "durable_update": Budget("durable commits, 10 random updates, 64 committers", "raw", 0.65, 0.9),
    "unsynced_insert": Budget("unsynced commits, 10 random inserts, 1 committer", "raw", 0.5, 0.75),
    "unsynced_update": Budget("unsynced commits, 10 random updates, 1 committer", "raw", 0.5, 0.75),
    "node_size": Budget("one-item commits, 16 KiB nodes", "2 KiB nodes", 0.85, 0.95),
    "written": Budget("bytes written to disk per user byte", "raw", 4, 2, at_most=True),
    "disk": Budget("disk after compaction", "raw", 1.6, 1.1, at_most=True),
    "cached_get": Budget("cached point read", "RocksDB get", 1.5, 4),
    "cached_get_lmdb": Budget("cached point read", "LMDB", 0.5, 1),
    "cold_get": Budget("point read, cache a tenth of the items", "raw", 0.3, 0.7),
    "scan": Budget("full scan", "RocksDB iterator", 1.5, 5),
    "scan_lmdb": Budget("full scan", "LMDB cursor", 0.5, 1),
    "load": Budget("load in key order", "raw, batched", 1, 3),
    "unary_get": Budget("unary get over gRPC", "echo", 0.6, 0.85),
    "multi_get": Budget("gets of 100 keys per call, per server core", "unary get", 10, 30),
    "grpc_scan": Budget("packed range scan over gRPC", "in process", 0.4, 0.7),
    "grpc_durable": Budget("durable 10-item Execute, 64 clients", "raw", 0.5, 0.75),
    "latency_p50": Budget("one client, durable commit, p50", "fdatasync + echo", 1.6, 1.25, True),
    "latency_tail": Budget("one client, durable commit, p99", "its p50", 5, 3, True),
    "aborts_one_leaf": Budget("16 writers, disjoint keys, one leaf: aborts", "", 0, 0, True, True),
    "aborts_empty": Budget("16 writers, disjoint keys, empty tree: aborts", "", 0, 0, True, True),
    "aborts_create": Budget("16 writers create the store: aborts", "", 0, 0, True, True),
    "recovery": Budget("kill -9 to serving", "raw reopening", 3, 1.5, at_most=True),
}
BELOW = "BELOW MUST"
COLUMNS = ("what", "ours", "rival", "of", "ratio", "cpu", "must", "aim", "verdict")


def summary(line: dict) -> dict:
    """One row of the table, as figures."""
    budget = BUDGETS[line["row"]]
    ours, rival = line["ours"], line["rival"]
    ratio = None
    figure = float(sum(ours))
    if not budget.absolute:
        figure = ratio = statistics.median(a / b for a, b in zip(ours, rival, strict=True))
    return {
        "row": line["row"],
        "what": budget.what,
        "rival_name": budget.rival,
        "unit": line["unit"],
        "ours": figure if budget.absolute else statistics.median(ours),
        "rival": None if budget.absolute else statistics.median(rival),
        "ratio": ratio,
        "cpu_ratio": cpu_ratio(line),
        "must": budget.must,
        "aim": budget.aim,
        "verdict": verdict(budget, figure),
        "slices": {"ours": ours, "rival": rival},
    }


def cpu_ratio(line: dict) -> float | None:
    """Items per processor second, ours of the rival's: what a busy machine moves least."""
    pairs = list(zip(line.get("our_cpu", []), line.get("rival_cpu", []), strict=True))
    if not pairs or any(ours <= 0 or rival <= 0 for ours, rival in pairs):
        return None
    return statistics.median(rival / ours for ours, rival in pairs)


def verdict(budget: Budget, figure: float) -> str:
    def reaches(bound: float) -> bool:
        return figure <= bound if budget.at_most else figure >= bound

    if reaches(budget.aim):
        return "aim reached"
    return "must reached" if reaches(budget.must) else BELOW


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def cells(row: dict) -> tuple[str, ...]:
    bound = "<=" if BUDGETS[row["row"]].at_most else ">="
    return (
        row["what"],
        f"{number(row['ours'])} {row['unit']}",
        number(row["rival"]),
        row["rival_name"],
        "-" if row["ratio"] is None else f"{row['ratio']:.2f}",
        "-" if row["cpu_ratio"] is None else f"{row['cpu_ratio']:.2f}",
        f"{bound} {row['must']:g}",
        f"{row['aim']:g}",
        row["verdict"],
    )


def table(rows: list[dict]) -> str:
    lines = [COLUMNS, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in lines
    )


def kept_rows(path: str) -> dict[str, dict]:
    """The rows of earlier runs, by name."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as kept:
        return {row["row"]: row for row in json.load(kept)["rows"] if row["row"] in BUDGETS}


def main() -> int:
    path, notes = sys.argv[1], dict(text.split("=", 1) for text in sys.argv[2:])
    lines = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    by_name = kept_rows(path) | {line["row"]: summary(line) | notes for line in lines}
    rows = [by_name[name] for name in BUDGETS if name in by_name]
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"rows": rows}, out, indent=1)
        out.write("\n")
    print(table(rows))
    missing = [budget.what for name, budget in BUDGETS.items() if name not in by_name]
    if missing:
        print("not measured yet: " + "; ".join(missing))
    below = [row["what"] for row in rows if row["verdict"] == BELOW]
    if below:
        print(f"{len(below)} of {len(rows)} rows miss their must")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())

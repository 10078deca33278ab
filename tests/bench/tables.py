"""Prints what the benchmark programs measured without a budget as Markdown tables.

usage: tables.py JSON_FILE [KEY=TEXT ...] < lines. One line is JSON: the name of its table and its
cells by heading. Tables that JSON_FILE holds and this input has not stay in it. Each KEY=TEXT is
noted beside the tables of this input.
"""

import json
import os
import sys


def number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-" if value is None else str(value)
    if isinstance(value, int) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def markdown(rows: list[dict]) -> str:
    """Rows under the headings that any of them has, in the order of their first appearance."""
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    lines = [headings, *([number(row.get(heading)) for heading in headings] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in lines
    )


def main() -> int:
    path, notes = sys.argv[1], dict(text.split("=", 1) for text in sys.argv[2:])
    measured: dict[str, dict] = {}
    for line in sys.stdin:
        if line.startswith("{"):
            entry = json.loads(line)
            measured.setdefault(entry["table"], notes | {"rows": []})["rows"].append(entry["cells"])
    for name, table in measured.items():
        print(f"\n{name}\n\n{markdown(table['rows'])}")
    kept = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as earlier:
            kept = json.load(earlier)
    with open(path, "w", encoding="utf-8") as out:
        json.dump(kept | measured, out, indent=1)
        out.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

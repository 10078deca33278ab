"""Protocol files: everything a caller sees is explained, and every RPC says who may call it."""

import re
from collections.abc import Iterator

from source_tree import Finding, SourceFile, SourceTree

BLOCK = re.compile(r"\s*(message|enum|service|oneof|extend)\s+(\w[\w.]*)\s*\{")
RPC = re.compile(r"\s*rpc\s+(\w+)\s*\(")
FIELD = re.compile(
    r"\s*(?:repeated\s+|optional\s+|required\s+)?(?:map\s*<[^>]+>|[A-Za-z_][\w.]*)\s+"
    r"([a-z_]\w*)\s*=\s*\d+"
)
VALUE = re.compile(r"\s*([A-Z][A-Z0-9_]*)\s*=\s*(-?\d+)")
PACKAGE = re.compile(r"^package (\w+)", re.M)
PERMISSION = re.compile(r"option\s*\(\s*(?:[\w.]+\.)?permission\s*\)")


def is_commented(lines: list[str], index: int) -> bool:
    if re.search(r"[;{]\s*//\s*\S", lines[index]):
        return True
    return index > 0 and bool(re.match(r"\s*//+\s*\S", lines[index - 1]))


def statement_end(lines: list[str], start: int) -> int:
    """Index of the line that ends the rpc which begins at `start`."""
    depth = 0
    for index in range(start, len(lines)):
        code = re.sub(r"//.*", "", lines[index])
        depth += code.count("{") - code.count("}")
        if depth <= 0 and (";" in code or "}" in code):
            return index
    return len(lines) - 1


class Reader:
    """Walks one proto file line by line. Confined to one thread."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.lines = file.lines
        self.blocks: list[str] = []
        self.values_seen = 0
        # What a bench writes down of another server's API has no permissions of ours.
        package = PACKAGE.search(file.text)
        self.is_foreign = package is not None and package.group(1) != "sop"

    def finding(self, index: int, rule: str, advice: str) -> Finding:
        return Finding(self.file.path, index + 1, rule, advice)

    def findings(self) -> Iterator[Finding]:
        index = 0
        while index < len(self.lines):
            rpc = RPC.match(self.lines[index])
            if rpc:
                end = statement_end(self.lines, index)
                yield from self.check_rpc(rpc.group(1), index, end)
                index = end + 1
                continue
            yield from self.check_line(index)
            index += 1

    def check_rpc(self, name: str, start: int, end: int) -> Iterator[Finding]:
        if not is_commented(self.lines, start):
            yield self.finding(start, "proto comment", f"say what rpc {name} does and its errors")
        if not self.is_foreign and not PERMISSION.search("\n".join(self.lines[start : end + 1])):
            advice = f"give rpc {name} its permission option; there is no default"
            yield self.finding(start, "proto permission", advice)

    def check_line(self, index: int) -> Iterator[Finding]:
        line = re.sub(r"//.*", "", self.lines[index])
        inside = self.blocks[-1] if self.blocks else ""
        block = BLOCK.match(line)
        if block:
            kind, name = block.groups()
            if kind not in ("oneof", "extend") and not is_commented(self.lines, index):
                yield self.finding(index, "proto comment", f"say what {kind} {name} is")
            self.values_seen = 0
        elif inside in ("message", "oneof", "extend"):
            yield from self.check_field(index, line)
        elif inside == "enum":
            yield from self.check_value(index, line)
        for mark in re.findall(r"[{}]", line):
            if mark == "{":
                self.blocks.append(block.group(1) if block else "option")
            elif self.blocks:
                self.blocks.pop()

    def check_field(self, index: int, line: str) -> Iterator[Finding]:
        field = FIELD.match(line)
        if field and not is_commented(self.lines, index):
            advice = f"say unit, default and range of field {field.group(1)}"
            yield self.finding(index, "proto comment", advice)

    def check_value(self, index: int, line: str) -> Iterator[Finding]:
        value = VALUE.match(line)
        if not value:
            return
        if not is_commented(self.lines, index):
            yield self.finding(index, "proto comment", f"say what {value.group(1)} means")
        if self.values_seen == 0 and not value.group(1).endswith("_UNSPECIFIED"):
            yield self.finding(index, "proto enum", "call the first value ..._UNSPECIFIED = 0")
        self.values_seen += 1


def check(tree: SourceTree) -> Iterator[Finding]:
    for file in tree.files:
        if file.suffix == ".proto":
            yield from Reader(file).findings()

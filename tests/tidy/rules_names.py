"""Names that say nothing. Foreign names (protocol, libraries) are not ours to change."""

import re
from collections.abc import Iterator

import cpp_scan
from source_tree import Finding, SourceFile, SourceTree

BANNED = {
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "misc",
    "common",
    "processor",
    "data",
    "info",
    "wrapper",
    "new",
    "old",
}
# Whole names in which the word has its own meaning.
ALLOWED = {
    "common_prefix",  # the field's word for what keys share
    "data_loss",  # the status code
    "data_dir",  # what the flag --data of sopd names
    "data_folder",
    "error_info",  # google.rpc.ErrorInfo
    "retry_info",  # google.rpc.RetryInfo
    "histogram_data",  # rocksdb::Statistics::histogramData
    "l2",  # the metric
    "log2",
    "new_btree",  # cookbook names
    "btree_info",
}
TYPE = re.compile(
    r"\b(?:class|struct|union|enum(?:[ ]+class|[ ]+struct)?|concept|namespace)\s+"
    r"(?:[A-Z][A-Z0-9_]+(?:\([^)]*\))?\s+)?(?:\w+::)*([A-Za-z_]\w*)(?=\s*(?:[:{;]|final\b|=))"
)
ALIAS = re.compile(r"\busing\s+([A-Za-z_]\w*)\s*=")
# A word, perhaps with & or *, followed by a name and the mark of a declaration.
VARIABLE = re.compile(r"(?:\b([A-Za-z_]\w*)|>)[ ]*[&*]*[ ]+[&*]*([a-z_]\w*)(?=[ ]*[=;,){(\[:])")
FUNCTIONS_OF_STD = {"data"}  # containers of ours may look like std::string
KEYWORDS = {"return", "new", "delete", "throw", "case", "goto", "else", "co_return", "typename"}
KEYWORDS |= {"using", "operator", "and", "or", "not", "sizeof", "co_await", "co_yield", "default"}
ADVICE = "say the role"


def words_of(name: str) -> list[str]:
    parts = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    parts = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", parts)
    words = [word.lower() for word in parts.split("_") if word]
    return words[1:] if len(words) > 1 and words[0] == "k" else words


def complaint(name: str) -> str:
    words = words_of(name)
    text = "_" + "_".join(words) + "_"
    for allowed in ALLOWED:
        text = text.replace(f"_{allowed}_", "_")
    rest = [word for word in text.split("_") if word]
    for word in rest:
        if word in BANNED:
            return f"'{word}' in {name}: {ADVICE}"
    if rest and re.search(r"(?<!\d)2\Z", rest[-1]):
        return f"a second {name[:-1]} in {name}: {ADVICE}"
    return ""


def type_complaint(name: str) -> str:
    if re.match(r"I[A-Z][a-z]", name):
        return f"prefix I in {name}: an interface is a plain noun"
    if name.endswith("Impl"):
        return f"Impl in {name}: an implementation is adjective and noun"
    return complaint(name)


def declared(file: SourceFile) -> Iterator[tuple[int, str, str]]:
    """(line, name, complaint) of what the file declares."""
    code = file.code
    for pattern in (TYPE, ALIAS):
        for match in pattern.finditer(code):
            if match.group(1) not in ("class", "struct"):
                yield file.line_of(match.start(1)), match.group(1), type_complaint(match.group(1))
    for function in cpp_scan.functions_of(code):
        foreign = function.is_override or function.is_qualified or "," in function.name
        if not foreign and function.name not in FUNCTIONS_OF_STD:
            yield function.line, function.name, complaint(function.name)
    if not file.is_test:
        for match in VARIABLE.finditer(code):
            if match.group(1) not in KEYWORDS:
                yield file.line_of(match.start(2)), match.group(2), complaint(match.group(2))


def check(tree: SourceTree) -> Iterator[Finding]:
    for file in tree.cpp:
        stem = file.name.rpartition(".")[0]
        if complaint(stem):
            yield Finding(file.path, 1, "file name", complaint(stem))
        if not re.fullmatch(r"[a-z0-9_]+", stem):
            yield Finding(file.path, 1, "file name", "write it in snake_case")
        seen = set()
        for line, name, what in declared(file):
            if what and (line, name) not in seen:
                seen.add((line, name))
                yield Finding(file.path, line, "name", what)

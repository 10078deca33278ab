"""Include direction: who may include whom, as in docs/architecture.md."""

import re
from collections.abc import Iterator

from source_tree import Finding, SourceFile, SourceTree

# Lower may not include higher; equal ranks never include each other.
RANKS = {
    "base": 0,
    "persistence": 1,
    "btree": 2,
    "txn": 3,
    "catalog": 4,
    "blob": 5,
    "vector": 6,
    "text": 6,
    "model": 6,
    "query": 7,
}
BACKENDS = {"rocksdb", "memory", "shared_folder", "redis"}
ORDER = "base < persistence < btree < txn < catalog < blob < {vector, text, model} < query < server"
CLIENT_CORE = {"base", "btree"}

# (pattern of the included path, name, folders that may include it)
FOREIGN = (
    (re.compile(r"rocksdb/"), "RocksDB header", ("storage/rocksdb/", "tests/bench/")),
    (re.compile(r"hiredis"), "hiredis header", ("storage/redis/", "tests/bench/")),
    (re.compile(r"libpq"), "libpq header", ("tests/bench/",)),
    (re.compile(r"lmdb\.h"), "LMDB header", ("tests/bench/",)),
    (
        re.compile(r".*\.pb\.h|google/protobuf/|grpcpp/|grpc/"),
        "protobuf or gRPC header",
        ("server/", "clients/", "tests/"),
    ),
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)


def includes(file: SourceFile) -> Iterator[tuple[int, str]]:
    for match in INCLUDE.finditer(file.text):
        yield file.line_of(match.start()), match.group(1) or match.group(2)


def advice_for(file: SourceFile, target: str) -> str:
    """Why `file` may not include the project header `target`; empty if it may."""
    top, _, rest = target.partition("/")
    part = rest.partition("/")[0]
    if file.top == "core":
        return core_advice(file, top, part)
    if file.top == "storage":
        return storage_advice(file, top, part)
    if file.top == "server":
        return server_advice(file, top)
    if file.top == "clients":
        # `sop bench --check` is the history checker for a user's own server.
        if target.startswith("tests/history/append_"):
            return ""
        if top in ("storage", "server", "tests") and not file.is_test:
            return "a client talks to a server and includes only clients, proto and wire formats"
        if top == "core" and part not in CLIENT_CORE and not file.is_test:
            return "a client may include only core/base and the wire formats of core/btree"
    return ""


def core_advice(file: SourceFile, top: str, part: str) -> str:
    own = file.path.split("/")[1]
    if top == "core":
        if part == own:
            return ""
        if own not in RANKS or part not in RANKS:
            return f"name the folder in the layers of tests/tidy/rules_layers.py first: {ORDER}"
        if RANKS[part] >= RANKS[own]:
            return f"includes run only downwards: {ORDER}"
        return ""
    if top in ("storage", "tests") and file.is_test:
        return ""
    if top == "storage":
        return "take the interface of core/persistence; only server/main.cc and tests name a backend"
    if top in ("server", "clients", "tests"):
        return f"core knows nothing of {top}; pass what is needed as an argument"
    return ""


def storage_advice(file: SourceFile, top: str, part: str) -> str:
    own = file.path.split("/")[1]
    if top == "storage" and part != own:
        return "backends never include each other; move what both need to core/persistence"
    if top == "core" and part not in ("base", "persistence") and not file.is_test:
        return "storage includes only core/base and core/persistence; take a function argument"
    if top in ("server", "clients") or (top == "tests" and not file.is_test):
        return f"storage knows nothing of {top}"
    return ""


def server_advice(file: SourceFile, top: str) -> str:
    if top == "storage" and file.path != "server/main.cc" and not file.is_test:
        return "only server/main.cc and tests name a backend; pass the interface"
    if top in ("clients", "tests") and not file.is_test:
        return f"the server knows nothing of {top}"
    return ""


def check(tree: SourceTree) -> Iterator[Finding]:
    for file in tree.cpp:
        for line, target in includes(file):
            advice = advice_for(file, target)
            if advice:
                yield Finding(file.path, line, "include direction", f"{target}: {advice}")
            yield from foreign(file, line, target)


def foreign(file: SourceFile, line: int, target: str) -> Iterator[Finding]:
    for pattern, name, folders in FOREIGN:
        if pattern.match(target) and not file.path.startswith(folders):
            where = " and ".join(folders)
            yield Finding(file.path, line, "foreign header", f"{name} {target}: only in {where}")

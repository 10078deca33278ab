"""The examples, run as a user would; the cookbook's word for word but for address and folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import sop

CLIENT = Path(__file__).resolve().parents[2]
EXAMPLES = CLIENT / "examples"
COOKBOOK = EXAMPLES / "cookbook"


class Machine:
    """Runs examples with their /tmp replaced by a folder of this test."""

    def __init__(self, server, folder):
        self.server = server
        self.folder = folder
        self.folder.mkdir()

    def run(self, name, *changes):
        source = (COOKBOOK / name).read_text()
        return self.run_source(source, ('"/tmp/', f'"{self.folder}/'), *changes)

    def run_source(self, source, *changes):
        for old, new in changes:
            assert old in source, f"the program does not contain {old!r}"
            source = source.replace(old, new)
        program = self.folder / "program.py"
        program.write_text(source)
        done = subprocess.run(
            [sys.executable, str(program)],
            env={**os.environ, "SOP_ADDRESS": self.server.address},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def database(self, folder):
        return self.server.database(stores_folders=[str(self.folder / folder)])


@pytest.fixture
def machine(server, request):
    return Machine(server, server.stores_root / request.node.name)


def all_items(db, name):
    with db.begin_transaction(sop.ForReading) as t:
        return {item.key: item.value for item in db.open_btree(name, t)}


def test_storing_dictionaries(machine):
    assert machine.run("storing_dictionaries.py") == ["Added 1000 users."]
    users = all_items(machine.database("sop_data"), "users")
    assert len(users) == 1000
    assert json.loads(users["user_999"])["email"] == "john999@example.com"
    assert list(users) == sorted(users)


def test_storing_dictionaries_again_changes_nothing(machine):
    machine.run("storing_dictionaries.py")
    assert machine.run("storing_dictionaries.py") == ["Added 1000 users."]
    assert len(all_items(machine.database("sop_data"), "users")) == 1000


def test_bank_transfer(machine):
    db = machine.database("sop_data")
    with db.begin_transaction() as t:
        accounts = db.new_btree("accounts", t)
        for name in ("user_1", "user_2"):
            accounts.add(sop.Item(name, json.dumps({"owner": name, "balance": 500})))
    assert machine.run("bank_transfer.py") == ["Transfer complete."]
    balances = {k: json.loads(v)["balance"] for k, v in all_items(db, "accounts").items()}
    assert balances == {"user_1": 400, "user_2": 600}
    (entry,) = all_items(db, "logs").values()
    assert json.loads(entry) == {
        "action": "transfer", "from": "user_1", "to": "user_2", "amount": 100
    }


def test_complex_keys_by_dataclass_and_by_dictionary(machine):
    assert machine.run("complex_keys.py") == [
        "Added users.", "Found: Alice in Eng", "Found: Bob in Sales"
    ]
    assert machine.run("dictionary_keys.py") == ["Found: Bob"]


def test_ride_on_keys(machine):
    assert machine.run("ride_on_keys.py") == ["Doc 100: [ACTIVE]", "Doc 101: [DELETED]"]


def test_removing_a_store(machine):
    expected = [
        "Created 'temp_store' and added data.",
        "Successfully removed 'temp_store'.",
        "Store not found (expected).",
    ]
    assert machine.run("removing_a_store.py") == expected
    assert machine.run("removing_a_store.py") == expected


def test_relations_and_link_store(machine):
    assert machine.run("relations.py") == []
    db = machine.database("sop_data")
    with db.begin_transaction(sop.ForReading) as t:
        info = db.open_btree("orders", t).get_store_info()
    assert info.relations == [sop.Relation(["user_id"], "users", ["id"])]
    assert all_items(db, "student_classes") == {"s123:cABC": ""}


def test_a_cookbook_program_unchanged_but_for_the_address(tmp_path, monkeypatch):
    # Its folder is one of the system's, which others may use.
    folder = Path("/tmp/sop_complex_db")
    was_there = folder.exists()
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr(tempfile, "tempdir", None)
    with sop.testing.server() as own:
        machine = Machine(own, tmp_path / "programs")
        source = (COOKBOOK / "complex_keys.py").read_text()
        printed = machine.run_source(source)
    if not was_there:
        shutil.rmtree(folder)
    assert printed == ["Added users.", "Found: Alice in Eng", "Found: Bob in Sales"]


def expect_swarm(db, printed, seed):
    # print() of several threads may put two texts before two ends of lines.
    told = re.findall(r"Thread \d committed\.", "\n".join(printed))
    assert sorted(told) == [f"Thread {i} committed." for i in range(5)]
    expected = {
        t * 100 + j: f"Thread {t} - Item {j}" for t in range(5) for j in range(100)
    }
    assert all_items(db, "concurrent_tree") == {**seed, **expected}


def test_swarm(machine):
    printed = machine.run("swarm.py")
    expect_swarm(machine.database("sop_swarm"), printed, {-1: "Root Seed"})


def test_swarm_without_seed_and_without_one_retry(machine):
    pre_seed = re.search(
        r"# 1\. Pre-seed.*?\n\n", (COOKBOOK / "swarm.py").read_text(), re.S
    ).group(0)
    printed = machine.run(
        "swarm.py",
        (pre_seed, ""),
        ("db.open_btree", "db.new_btree"),
        ("retry_count < 10", "retry_count < 1"),
    )
    expect_swarm(machine.database("sop_swarm"), printed, {})


PRINTED = {
    "asyncio_tasks.py": ["120 readings", "[0.5, 1.5, 2.5, 3.5, 4.5]", "already there"],
    "equal_keys.py": ["['visit 1', 'visit 2', 'visit 3']", "['the second visit']", "1"],
    "numpy_arrays.py": [
        "int64 (100000, 2)", "49999.5 [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]", "1874987500"
    ],
    "large_values.py": [
        "3 files: ['film.mp4', 'notes.txt', 'scan.pdf']",
        "film.mp4: 40,000,000 bytes, as written",
        "notes.txt: 2,000 bytes, as written",
        "scan.pdf: 5,000,000 bytes, as written",
    ],
    "paging.py": [
        "[10, 9, 8, 7]", "[6, 5, 4, 3]", "[2, 1]", "['Article 3', 'Article 4', 'Article 5']"
    ],
    "pandas_frames.py": [
        "country        day  units  note",
        "     ES 2024-05-02     13  None",
        "     ES 2024-05-01      8  None",
        "     PT 2024-05-02      5 sunny",
        "     PT 2024-05-01      3  None",
        "{'ES': 21, 'PT': 8}",
        "2 days in PT",
    ],
    "pipelining.py": ["500 transactions committed", "KEY_TYPE_DIFFERS: rolled back", "501 orders"],
    "retries.py": ["40 visitors", "conflict in counters"],
    "typed_records.py": [
        "545,000 Lisbon", "232,000 Porto", "[False, False, True]", "refused: country is string"
    ],
}


@pytest.mark.parametrize("name", PRINTED)
def test_example(machine, name):
    folder = f"stores_folders=[{str(machine.folder / 'examples')!r}]"
    source = (EXAMPLES / name).read_text()
    assert machine.run_source(source, ('name="examples"', folder)) == PRINTED[name]


def test_every_example_is_run():
    ours = Path(__file__).read_text()
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PRINTED)
    for path in COOKBOOK.glob("*.py"):
        assert f'machine.run("{path.name}")' in ours, path.name


@pytest.mark.parametrize(
    "readme, old, printed",
    [
        (
            CLIENT.parents[1] / "README.md",
            'address="localhost:7373"',
            ["refused: ann has not enough", 'ann {"balance": 30}', 'ben {"balance": 90}'],
        ),
        (CLIENT / "README.md", 'name="shop"', ["{'age': 30}"]),
    ],
    ids=["project", "client"],
)
def test_program_of_the_readme(machine, readme, old, printed):
    (source,) = re.findall(r"```python\n(.*?)```", readme.read_text(), re.S)
    folder = f"stores_folders=[{str(machine.folder / 'readme')!r}]"
    assert machine.run_source(source, (old, folder)) == printed

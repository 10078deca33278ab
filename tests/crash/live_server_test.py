"""SIGKILLs of a live server under concurrent gRPC clients: live_server_test.py [--kills N] [--seed N].

Each client moves money between two accounts and writes one entry under the same key to the stores
`ledger` and `mirror`, all in one transaction, and keeps its own record of how each transaction ended.
After every kill and restart, while the clients go on, one read-only transaction must show:

1. every entry whose commit was acknowledged before the reading began;
2. no entry whose commit was refused, and none that nobody tried;
3. the same keys in `ledger` and `mirror`, and counts that say so;
4. balances equal to the start plus exactly the entries that are there.

`SOP_SOPD` names the server to kill. The last line is `N passed, N failed`, one for each kill.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import sop
from sop.testing import Server

CLIENTS = 8
ACCOUNTS = 32
START_BALANCE = 1000
ACKNOWLEDGED_BETWEEN_KILLS = 16
LONGEST_WAIT_SECONDS = 60.0
LONGEST_RUN_SECONDS = 0.3


class Records:
    """What the clients know of their transactions. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tried: set[str] = set()
        self._acknowledged: set[str] = set()
        self._refused: set[str] = set()
        self.conflicts = 0
        self.unknown = 0

    def try_entry(self, key: str) -> None:
        with self._lock:
            self._tried.add(key)

    def acknowledge(self, key: str) -> None:
        with self._lock:
            self._acknowledged.add(key)

    def refuse(self, key: str, is_conflict: bool) -> None:
        with self._lock:
            self._refused.add(key)
            self.conflicts += is_conflict

    def lose_sight(self) -> None:
        with self._lock:
            self.unknown += 1

    @property
    def acknowledged_count(self) -> int:
        with self._lock:
            return len(self._acknowledged)

    def acknowledged(self) -> set[str]:
        with self._lock:
            return set(self._acknowledged)

    def refused_and_tried(self) -> tuple[set[str], set[str]]:
        with self._lock:
            return set(self._refused), set(self._tried)


class Client(threading.Thread):
    """Moves money until told to stop; a dead server does not end it."""

    def __init__(self, number: int, server: Server, records: Records, seed: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.number = number
        self.database = server.database(patience=20.0)
        self.records = records
        self.random = random.Random(seed * 1000 + number)
        self.must_stop = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        turn = 0
        while not self.must_stop.is_set():
            key = f"{self.number}-{turn:06}"
            turn += 1
            self.records.try_entry(key)
            try:
                self.move(key)
                self.records.acknowledge(key)
            except sop.AbortedError as error:
                if error.metadata.get("outcome") == "unknown":
                    self.records.lose_sight()
                else:
                    self.records.refuse(key, isinstance(error, sop.ConflictError))
            except sop.UnavailableError:
                self.records.lose_sight()
                time.sleep(0.01)
            except Exception as error:  # noqa: BLE001: whatever it is, the test has failed
                self.failure = error
                return

    def move(self, key: str) -> None:
        giver, taker = self.random.sample(range(ACCOUNTS), 2)
        amount = self.random.randint(1, 50)
        with self.database.begin_transaction() as transaction:
            accounts = self.database.open_btree("accounts", transaction)
            ledger = self.database.open_btree("ledger", transaction)
            mirror = self.database.open_btree("mirror", transaction)
            balances = {item.key: item.value for item in accounts.get_values([giver, taker])}
            accounts.update(
                [
                    sop.Item(giver, {"balance": balances[giver]["balance"] - amount}),
                    sop.Item(taker, {"balance": balances[taker]["balance"] + amount}),
                ]
            )
            ledger.add(sop.Item(key, {"giver": giver, "taker": taker, "amount": amount}))
            mirror.add(sop.Item(key, {}))


def fill(database: sop.Database) -> None:
    with database.begin_transaction() as transaction:
        accounts = database.new_btree("accounts", transaction)
        database.new_btree("ledger", transaction)
        database.new_btree("mirror", transaction)
        accounts.add([sop.Item(i, {"balance": START_BALANCE}) for i in range(ACCOUNTS)])
        # The first item types a store; done here, so that the clients only meet conflicts of keys.
        for name in ("ledger", "mirror"):
            store = database.open_btree(name, transaction)
            store.add(sop.Item("first", {"giver": 0, "taker": 1, "amount": 0}))


def wrongs(database: sop.Database, records: Records) -> list[str]:
    """Everything in the database that contradicts the clients' records, in words."""
    promised = records.acknowledged() | {"first"}
    with database.begin_transaction(mode=sop.ForReading) as transaction:
        stores = {
            name: database.open_btree(name, transaction) for name in ("accounts", "ledger", "mirror")
        }
        ledger = {item.key: item.value for item in stores["ledger"].items()}
        mirror = {item.key for item in stores["mirror"].items(keys_only=True)}
        balances = {item.key: item.value["balance"] for item in stores["accounts"].items()}
        counts = {name: store.count() for name, store in stores.items()}
    refused, tried = records.refused_and_tried()

    found = []
    for text, keys in (
        ("acknowledged but gone", promised - ledger.keys()),
        ("refused but there", refused & ledger.keys()),
        ("there but never tried", ledger.keys() - tried - {"first"}),
        ("in ledger but not in mirror", ledger.keys() - mirror),
        ("in mirror but not in ledger", mirror - ledger.keys()),
    ):
        if keys:
            found.append(f"{len(keys)} entries {text}, such as {min(keys)}")
    expected = {account: START_BALANCE for account in range(ACCOUNTS)}
    for entry in ledger.values():
        expected[entry["giver"]] -= entry["amount"]
        expected[entry["taker"]] += entry["amount"]
    different = [account for account in expected if balances.get(account) != expected[account]]
    if different or len(balances) != ACCOUNTS:
        found.append(f"the balances of accounts {different} are not those of the entries")
    lengths = {"accounts": len(balances), "ledger": len(ledger), "mirror": len(mirror)}
    if counts != lengths:
        found.append(f"counts {counts}, but {lengths} items were read")
    return found


def wait_for_load(clients: list[Client], records: Records, since: int) -> None:
    """Returns when the clients were acknowledged something more; raises if they cannot be."""
    end = time.monotonic() + LONGEST_WAIT_SECONDS
    while records.acknowledged_count < since + ACKNOWLEDGED_BETWEEN_KILLS:
        for client in clients:
            if client.failure is not None:
                raise client.failure
        if time.monotonic() > end:
            raise RuntimeError(f"no progress in {LONGEST_WAIT_SECONDS:.0f} s")
        time.sleep(0.01)


def run(server: Server, kills: int, seed: int) -> tuple[int, list[str]]:
    """How many kills went well, and what was wrong after the first that did not."""
    chance = random.Random(seed)
    records = Records()
    reader = server.database(patience=20.0)
    fill(reader)
    clients = [Client(number, server, records, seed) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for kill in range(1, kills + 1):
            before = records.acknowledged_count
            wait_for_load(clients, records, before)
            time.sleep(chance.uniform(0, LONGEST_RUN_SECONDS))
            server.kill()
            start = time.monotonic()
            server.start()
            started = time.monotonic() - start
            found = wrongs(reader, records)
            gained = records.acknowledged_count - before
            print(f"kill {kill}: {gained} commits since the last, serving after {started:.2f} s")
            if found:
                return kill - 1, found
    finally:
        for client in clients:
            client.must_stop.set()
        for client in clients:
            client.join(60)
    failures = [f"{client.name}: {client.failure}" for client in clients if client.failure]
    found = failures + wrongs(reader, records)
    print(
        f"{records.acknowledged_count} commits acknowledged, {records.conflicts} refused as conflicts, "
        f"{records.unknown} with unknown outcome"
    )
    print(f"counter kills {kills}\ncounter commits_acknowledged {records.acknowledged_count}")
    return (kills - 1, found) if found else (kills, [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="sop-crash-") as folder:
        server = Server(Path(folder))
        server.start()
        try:
            passed, found = run(server, arguments.kills, arguments.seed)
        except Exception as error:  # noqa: BLE001: reported as the failure that it is
            passed, found = 0, [repr(error)]
        if found:
            print("\n".join(found))
            print(f"the end of the server's log:\n{server.log()[-3000:]}")
        server.stop()
    print(f"{passed} passed, {1 if found else 0} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""SIGKILLs of a live server while clients write and others watch: live_watch_test.py [--kills N] [--seed N].

Writers change, add and remove items of one store in transactions of a few writes. Each watcher follows
the store from the oldest change on, now and then gives up its watch and begins another one at the position that
it has reached, and plays what it is told. At every change it holds that

1. commits ascend, and the changes of one commit are numbered from 0 on, without a gap;
2. the version that the item is said to have had is the one that was played last for its key, none if it was not there;
3. what is added was not there, and what is changed or removed was.

So a change that is missing, or comes twice, is found when it happens. When the writers have stopped, what each watcher has
played is the store, versions included. `SOP_SOPD` names the server to kill. The last line is `N passed, N failed`, one for
each kill.
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

WRITERS = 6
WATCHERS = 4
KEYS = 200
CHANGES_BETWEEN_KILLS = 40
LONGEST_WAIT_SECONDS = 60.0
LONGEST_RUN_SECONDS = 0.3


class Writer(threading.Thread):
    """Writes until told to stop; a dead server does not end it."""

    def __init__(self, number: int, server: Server, seed: int) -> None:
        super().__init__(name=f"writer {number}", daemon=True)
        self.number = number
        self.database = server.database(patience=20.0)
        self.random = random.Random(seed * 1000 + number)
        self.must_stop = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        turn = 0
        while not self.must_stop.is_set():
            turn += 1
            try:
                self.write(f"{self.number}-{turn}")
            except (sop.AbortedError, sop.UnavailableError):
                time.sleep(0.01)
            except Exception as error:  # noqa: BLE001: whatever it is, the test has failed
                self.failure = error
                return

    def write(self, value: str) -> None:
        with self.database.begin_transaction() as transaction:
            store = self.database.open_btree("s", transaction)
            for _ in range(self.random.randint(1, 6)):
                key = f"{self.random.randrange(KEYS):04}"
                if self.random.random() < 0.3:
                    store.remove(key)
                else:
                    store.upsert(sop.Item(key, value * self.random.randint(1, 30)))


class Watcher(threading.Thread):
    """Plays the changes; `items` is what they amount to."""

    def __init__(self, number: int, server: Server, seed: int) -> None:
        super().__init__(name=f"watcher {number}", daemon=True)
        self.database = server.database(patience=20.0)
        self.random = random.Random(seed * 2000 + number)
        self.must_stop = threading.Event()
        self.position: bytes | None = None
        self.items: dict[str, tuple[str, int]] = {}
        self.last = (0, -1)  # version and ordinal
        self.played = self.resumed = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.must_stop.is_set():
                self.resumed += 1
                self.watch(most=self.random.randint(1, 400), follow=not self.must_stop.is_set())
        except Exception as error:  # noqa: BLE001: whatever it is, the test has failed
            self.failure = error

    def watch(self, most: int, follow: bool) -> None:
        watch = self.database.watch(
            "s", self.position, from_oldest=self.position is None, follow=follow
        )
        for change in watch:
            self.play(change)
            self.position = change.position
            most -= 1
            if most == 0 or self.must_stop.is_set():
                return
        self.position = watch.position

    def play(self, change: sop.Change) -> None:
        version, ordinal = self.last
        follows = change.version > version and change.ordinal == 0
        follows |= change.version == version and change.ordinal == ordinal + 1
        if not follows:
            raise AssertionError(f"{change} does not follow commit {version}, ordinal {ordinal}")
        key = change.item.key
        before = self.items.get(key, ("", 0))[1]
        if change.previous_version != before:
            raise AssertionError(f"{change}: version {before} was played before")
        if (change.kind is sop.ChangeKind.Added) != (before == 0):
            raise AssertionError(f"{change}: the key had version {before}")
        if change.kind is sop.ChangeKind.Removed:
            del self.items[key]
        else:
            self.items[key] = (change.item.value, change.version)
        self.last = (change.version, change.ordinal)
        self.played += 1


def contents(database: sop.Database) -> dict[str, tuple[str, int]]:
    with database.begin_transaction(mode=sop.ForReading) as transaction:
        store = database.open_btree("s", transaction)
        return {item.key: (item.value, item.version) for item in store.items()}


def check(threads: list[Writer] | list[Watcher]) -> None:
    for thread in threads:
        if thread.failure is not None:
            raise AssertionError(f"{thread.name}: {thread.failure!r}") from thread.failure


def wait_for_changes(writers: list[Writer], watchers: list[Watcher]) -> None:
    """Returns when every watcher has played some more."""
    goals = [watcher.played + CHANGES_BETWEEN_KILLS for watcher in watchers]
    end = time.monotonic() + LONGEST_WAIT_SECONDS
    while any(watcher.played < goal for watcher, goal in zip(watchers, goals)):
        check(writers)
        check(watchers)
        if time.monotonic() > end:
            raise RuntimeError(f"no progress in {LONGEST_WAIT_SECONDS:.0f} s")
        time.sleep(0.01)


def compare(reader: sop.Database, watchers: list[Watcher]) -> None:
    there = contents(reader)
    for watcher in watchers:
        watcher.must_stop.clear()
        watcher.watch(most=1 << 60, follow=False)
        if watcher.items != there:
            different = [
                key
                for key in there.keys() | watcher.items.keys()
                if there.get(key) != watcher.items.get(key)
            ]
            raise AssertionError(f"{watcher.name} played something else for {sorted(different)}")


def run(server: Server, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    reader = server.database(patience=20.0)
    with reader.begin_transaction() as transaction:
        store = reader.new_btree("s", transaction, sop.BtreeOptions(feed=True))
        store.add(sop.Item("0000", "first"))
    writers = [Writer(number, server, seed) for number in range(WRITERS)]
    watchers = [Watcher(number, server, seed) for number in range(WATCHERS)]
    for thread in [*writers, *watchers]:
        thread.start()
    try:
        for kill in range(1, kills + 1):
            wait_for_changes(writers, watchers)
            time.sleep(chance.uniform(0, LONGEST_RUN_SECONDS))
            server.kill()
            server.start()
            print(f"kill {kill}: {min(w.played for w in watchers)} changes played by every watcher")
        wait_for_changes(writers, watchers)
    finally:
        for writer in writers:
            writer.must_stop.set()
        for writer in writers:
            writer.join(60)
        for watcher in watchers:
            watcher.must_stop.set()
        # One that waits for changes is woken by one.
        with reader.begin_transaction() as transaction:
            reader.open_btree("s", transaction).upsert(sop.Item("0000", "last"))
        for watcher in watchers:
            watcher.join(60)
    check(writers)
    check(watchers)
    compare(reader, watchers)
    print(
        f"{sum(w.played for w in watchers)} changes played by {WATCHERS} watchers, "
        f"which resumed {sum(w.resumed for w in watchers)} times"
    )
    print(f"counter kills {kills}\ncounter changes_played {sum(w.played for w in watchers)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sop-watch-") as folder:
        server = Server(Path(folder))
        server.start()
        try:
            run(server, arguments.kills, arguments.seed)
        except Exception as error:  # noqa: BLE001: reported as the failure that it is
            failed = 1
            print(repr(error))
            print(f"the end of the server's log:\n{server.log()[-3000:]}")
        server.stop()
    print(f"{0 if failed else arguments.kills} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())

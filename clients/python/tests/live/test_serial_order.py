"""Transactions at once mean the same as one after the other in the order of their commits.

Eight threads run random transactions on few keys of a store of tiny nodes and note what they were
answered. The committed ones, in the order of their commit versions, are then run on a dict, which
must answer the same.
"""

import random
import threading
import time
from dataclasses import dataclass

import sop

KEYS = 60
THREADS = 8
SECONDS = 4.0
WRITES = ("add", "update", "upsert", "remove")


class Serial:
    """What the operations mean, on a dict."""

    def __init__(self):
        self.items = {}

    def add(self, key, value):
        is_new = key not in self.items
        self.items.setdefault(key, value)
        return is_new

    def update(self, key, value):
        is_there = key in self.items
        if is_there:
            self.items[key] = value
        return is_there

    def upsert(self, key, value):
        self.items[key] = value
        return True

    def remove(self, key):
        return self.items.pop(key, None) is not None

    def find(self, key):
        return self.items.get(key)

    def is_there(self, key):
        return key in self.items

    def after(self, key, count):
        return sorted(k for k in self.items if k > key)[:count]

    def before(self, key, count):
        return sorted((k for k in self.items if k < key), reverse=True)[:count]

    def between(self, begin, end):
        return [(k, self.items[k]) for k in sorted(self.items) if begin <= k < end]

    def count(self, begin, end):
        return len(self.between(begin, end))

    def first(self):
        return min(self.items, default=None)

    def page(self, number):
        return sorted(self.items.items())[number * 3 : number * 3 + 3]


class Live:
    """The same operations on a store."""

    def __init__(self, store):
        self.store = store
        self.add = lambda key, value: store.add(sop.Item(key, value))
        self.update = lambda key, value: store.update(sop.Item(key, value))
        self.upsert = lambda key, value: store.upsert(sop.Item(key, value))
        self.remove = store.remove
        self.count = store.count

    def find(self, key):
        return self.store.get_current_value() if self.store.find(key) else None

    def is_there(self, key):
        return bool(list(self.store.items(key, key + 1, keys_only=True)))

    def after(self, key, count):
        return self._walk(key, count, self.store.next)

    def before(self, key, count):
        return self._walk(key, count, self.store.previous)

    def between(self, begin, end):
        return [(item.key, item.value) for item in self.store.items(begin, end)]

    def first(self):
        return self.store.get_current_key() if self.store.first() else None

    def page(self, number):
        self.store.first()
        return [(i.key, i.value) for i in self.store.get_items(sop.PagingInfo(number, 3))]

    def _walk(self, key, count, step):
        self.store.find(key)
        return [self.store.get_current_key() for _ in range(count) if step()]


@dataclass
class Done:
    """A committed transaction. One that wrote nothing comes after the commit that it saw."""

    version: bytes
    wrote: bool
    operations: list
    answers: list


def make_operations(rng, read_only):
    operations = []
    for _ in range(rng.randrange(1, 6)):
        key, value = rng.randrange(KEYS), rng.randrange(10**6)
        begin, length = rng.randrange(KEYS), rng.randrange(9)
        choices = [
            ("find", key),
            ("is_there", key),
            ("after", key, 3),
            ("before", key, 2),
            ("between", begin, begin + length),
            ("count", begin, begin + length),
            ("first",),
            ("page", rng.randrange(3)),
        ]
        if not read_only:
            choices += [(name, key, value) for name in WRITES[:3]] + [("remove", key)] * 2
        operations.append(rng.choice(choices))
    return operations


def work(db, rng, end, done):
    while time.monotonic() < end:
        read_only = rng.random() < 0.15
        operations = make_operations(rng, read_only)
        try:
            with db.begin_transaction(sop.ForReading if read_only else sop.ForWriting) as t:
                live = Live(db.open_btree("s", t))
                given = [getattr(live, name)(*args) for name, *args in operations]
                t.flush()
                answers = [bool(a) if isinstance(a, sop.WriteResult) else a for a in given]
        except sop.ConflictError:
            assert not read_only, "reading transactions never abort"
            continue
        pairs = zip(operations, answers)
        wrote = any(name in WRITES and answer for (name, *_), answer in pairs)
        done.append(Done(t.commit_version, wrote, operations, answers))


def test_commits_have_a_serial_order(db):
    seed = random.randrange(2**32)
    print("seed", seed)
    with db.begin_transaction() as t:
        db.new_btree("s", t, sop.BtreeOptions(slot_length=4))
    done, end = [], time.monotonic() + SECONDS
    threads = [
        threading.Thread(target=work, args=(db, random.Random(seed + n), end, done))
        for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    done.sort(key=lambda each: (each.version, not each.wrote))
    versions = [each.version for each in done if each.wrote]
    assert len(set(versions)) == len(versions) > 50
    serial = Serial()
    for each in done:
        expected = [getattr(serial, name)(*args) for name, *args in each.operations]
        assert each.answers == expected, each.operations
    with db.begin_transaction(sop.ForReading) as t:
        assert {item.key: item.value for item in db.open_btree("s", t)} == serial.items

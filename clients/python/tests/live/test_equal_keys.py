"""A store of records that is not unique, with a descending field, against a sorted list."""

import random
from dataclasses import dataclass, replace

import sop

FEW = 6
INDEX = sop.IndexSpecification(
    [sop.IndexFieldSpecification("a"), sop.IndexFieldSpecification("b", False)]
)


@dataclass(frozen=True)
class Row:
    """What the store should hold: an item by its id."""

    id: str
    a: int
    b: int
    note: float
    value: float

    @property
    def place(self):
        return self.a, -self.b, self.id

    @property
    def key(self):
        return {"a": self.a, "b": self.b}


def row_of(item):
    return Row(item.id, item.key["a"], item.key["b"], item.key["note"], item.value)


class Session:
    """Random operations on store and list alike."""

    def __init__(self, rng, rows):
        self.rng = rng
        self.rows = dict(rows)

    def ordered(self):
        return sorted(self.rows.values(), key=lambda row: row.place)

    def any_row(self):
        return self.rows[self.rng.choice(sorted(self.rows))]

    def any_place(self):
        a, b = self.rng.randrange(FEW), self.rng.randrange(FEW)
        return {"a": a, "b": b}, (a, -b)

    def step(self, store):
        actions = [self.add, self.find, self.walk, self.count]
        if self.rows:
            actions += [self.remove, self.update, self.update_key]
        self.rng.choice(actions)(store)

    def add(self, store):
        items = [
            sop.Item({**self.any_place()[0], "note": self.rng.random()}, self.rng.random())
            for _ in range(self.rng.randrange(1, 6))
        ]
        for item, item_id in zip(items, store.add(items).item_ids):
            item.id = item_id
            self.rows[item_id] = row_of(item)

    def remove(self, store):
        row = self.any_row()
        assert store.remove(sop.Item(row.key, id=row.id))
        del self.rows[row.id]

    def update(self, store):
        row = replace(self.any_row(), value=self.rng.random())
        assert store.find_with_id(row.key, row.id)
        assert row_of(store.get_current_item()) == self.rows[row.id]
        store.update_current_value(row.value)
        self.rows[row.id] = row

    def update_key(self, store):
        row = replace(self.any_row(), note=self.rng.random())
        assert store.update_key(sop.Item({**row.key, "note": row.note}, id=row.id))
        self.rows[row.id] = row

    def find(self, store):
        key, place = self.any_place()
        equal = [row for row in self.ordered() if row.place[:2] == place]
        assert store.find(key) == bool(equal)
        if equal:
            assert row_of(store.get_current_item()) == equal[0]

    def walk(self, store):
        key, place = self.any_place()
        found = store.find(key)
        after = [row for row in self.ordered() if row.place[:2] >= place][found:]
        before = [row for row in reversed(self.ordered()) if row.place[:2] < place]
        step, expected = self.rng.choice([(store.next, after), (store.previous, before)])
        walked = [row_of(store.get_current_item()) for _ in range(15) if step()]
        assert walked == expected[:15]

    def count(self, store):
        (low, begin), (high, end) = sorted(
            [self.any_place(), self.any_place()], key=lambda each: each[1]
        )
        rows = self.ordered()
        between = [row for row in rows if begin <= row.place[:2] < end]
        assert [row_of(item) for item in store.items(low, high)] == between
        assert store.count(low, high) == len(between)
        assert store.count(prefix={"a": low["a"]}) == sum(row.a == low["a"] for row in rows)
        assert store.count() == len(rows)


def check_all(store, rows, rng):
    assert [row_of(item) for item in store] == rows
    for direction, expected in ((0, rows), (1, rows[::-1])):
        store.last() if direction else store.first()
        got = []
        paging = sop.PagingInfo(page_size=rng.randrange(1, 9), direction=direction)
        while page := store.get_items(paging):
            got += [row_of(item) for item in page]
        assert got == expected


def test_random_operations(db):
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    with db.begin_transaction() as t:
        db.new_btree("s", t, sop.BtreeOptions(is_unique=False, slot_length=4), INDEX)
    rows = {}
    for _ in range(12):
        session = Session(rng, rows)
        with db.begin_transaction() as t:
            store = db.open_btree("s", t)
            for _ in range(rng.randrange(1, 60)):
                session.step(store)
            if rng.random() < 0.3:
                t.rollback()
            else:
                rows = session.rows
        with db.begin_transaction(sop.ForReading) as t:
            ordered = sorted(rows.values(), key=lambda row: row.place)
            check_all(db.open_btree("s", t), ordered, rng)

"""What stores do, against dicts and lists."""

import random
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Optional
from uuid import UUID

import pytest

import sop


@dataclass
class Place:
    country: str
    city: str
    visits: int = 0


INDEX = sop.IndexSpecification(
    [
        sop.IndexFieldSpecification("country"),
        sop.IndexFieldSpecification("city", ascending_sort_order=False),
    ]
)


@pytest.fixture
def t(db):
    with db.begin_transaction() as transaction:
        yield transaction


def filled(db, t, keys, **options):
    store = db.new_btree("numbers", t, sop.BtreeOptions(**options))
    store.add([sop.Item(key, f"value {key}") for key in keys])
    return store


def test_writes_answer_as_booleans(db, t):
    store = db.new_btree("s", t)
    assert store.add(sop.Item("a", 1))
    assert not store.add(sop.Item("a", 2))
    assert not store.add_if_not_exists(sop.Item("a", 2))
    assert store.add_if_not_exists(sop.Item("b", 2))
    assert store.update(sop.Item("b", 3))
    assert not store.update(sop.Item("c", 3))
    assert store.upsert(sop.Item("c", 4)) and store.upsert(sop.Item("c", 5))
    assert store.remove("a")
    assert not store.remove("a")
    assert not store.remove(["b", "nothing"])
    assert [(i.key, i.value) for i in store] == [("c", 5)]
    assert store.upsert(sop.Item("c", 6)).outcomes == ["REPLACED"]


def test_remove_with_value_takes_only_that(db, t):
    store = db.new_btree("s", t)
    store.add(sop.Item("a", "x"))
    assert not store.remove("a", "y")
    assert store.remove("a", "x")
    assert store.count() == 0


def test_current_item_can_be_read_and_changed(db, t):
    store = filled(db, t, [1, 2, 3])
    assert store.get_current_item() is None
    assert store.find(2)
    assert (store.get_current_key(), store.get_current_value()) == (2, "value 2")
    assert store.update_current_value("changed")
    item = store.get_current_item()
    assert (item.key, item.value) == (2, "changed")
    assert store.update_current_item(sop.Item(2, "again"))
    assert store.get_current_value() == "again"
    assert store.remove_current_item()
    assert store.get_current_item() is None
    assert store.next() and store.get_current_key() == 3
    assert store.previous() and store.get_current_key() == 1


def test_current_item_is_the_one_that_is_changed(db, t):
    store = filled(db, t, [1, 2, 3])
    assert store.find(2)
    for wrong in (sop.Item(3, "x"), sop.Item("2", "x")):
        with pytest.raises(sop.InvalidArgumentError, match="cursor"):
            store.update_current_item(wrong)
    assert [item.value for item in store] == ["value 1", "value 2", "value 3"]


def test_steps_see_own_writes(db, t):
    store = filled(db, t, range(0, 20, 2))
    assert store.first()
    seen = [store.get_current_key()]
    while store.next():
        key = store.get_current_key()
        seen.append(key)
        if key < 18 and key % 2 == 0:
            store.add(sop.Item(key + 1, ""))
    assert seen == [0, 2, *range(3, 19)]
    assert not store.next()
    assert store.get_current_key() is None
    assert store.previous() and store.get_current_key() == 18


def test_missed_find_leads_to_the_neighbours(db, t):
    store = filled(db, t, [10, 20, 30])
    assert not store.find(25)
    assert store.get_current_item() is None
    assert store.next() and store.get_current_key() == 30
    assert not store.find(25)
    assert store.previous() and store.get_current_key() == 20
    assert not store.find(99)
    assert not store.next()
    assert not store.find(15)
    assert [i.key for i in store.get_keys()] == [20, 30]


def test_next_and_previous_from_nowhere(db, t):
    store = filled(db, t, [1, 2])
    assert store.next() and store.get_current_key() == 1
    again = db.open_btree("numbers", t)
    assert again.previous() and again.get_current_key() == 2
    empty = db.new_btree("empty", t)
    assert not (empty.first() or empty.last() or empty.next() or empty.previous())


@pytest.mark.parametrize("direction", list(sop.PagingDirection))
@pytest.mark.parametrize("unique", [True, False])
def test_pages_go_on_where_the_last_one_ended(db, t, direction, unique):
    store = filled(db, t, range(95), is_unique=unique)
    expected = list(range(95))[:: -1 if direction else 1]
    store.last() if direction else store.first()
    paging = sop.PagingInfo(page_size=20, direction=direction)
    pages = []
    while page := store.get_items(paging):
        pages.append(page)
    assert [len(page) for page in pages] == [20, 20, 20, 20, 15]
    assert [item.key for page in pages for item in page] == expected
    assert all(item.value == f"value {item.key}" for page in pages for item in page)
    store.last() if direction else store.first()
    far = store.get_keys(sop.PagingInfo(2, 20, 5, direction))
    assert [item.key for item in far] == expected[40:45]
    assert all(item.value is None for item in far)
    assert store.get_current_key() == expected[45]


def test_values_of_keys_come_in_their_order(db, t):
    store = filled(db, t, range(10))
    assert [i.value for i in store.get_values([7, 99, sop.Item(3)])] == ["value 7", "value 3"]
    assert store.get_values(99) == []
    keys = store.get_keys(sop.PagingInfo(page_size=3))
    assert [i.value for i in store.get_values(keys)] == ["value 0", "value 1", "value 2"]


def test_large_values_are_split_over_messages(db, t):
    store = db.new_btree("large", t)
    content = {i: bytes([i]) * 60_000 for i in range(150)}
    store.add([sop.Item(key, value) for key, value in content.items()])
    assert {i.key: i.value for i in store.get_values(list(content))} == content
    assert {i.key: i.value for i in store.get_items(sop.PagingInfo(page_size=500))} == content
    assert {i.key: i.value for i in store.items()} == content


def test_equal_keys_are_told_apart_by_id(db, t):
    store = db.new_btree("s", t, sop.BtreeOptions(is_unique=False))
    assert not store.is_unique()
    ids = store.add([sop.Item("k", f"v{i}") for i in range(5)]).item_ids
    assert len({UUID(each) for each in ids}) == 5
    assert [i.value for i in store] == [f"v{i}" for i in range(5)]
    assert store.find("k") and store.get_current_value() == "v0"
    assert store.find_with_id("k", ids[3])
    item = store.get_current_item()
    assert (item.value, item.id) == ("v3", ids[3])
    assert store.update_current_value("three")
    assert store.next() and store.get_current_value() == "v4"
    assert [i.value for i in store.get_values([sop.Item("k", id=ids[3])])] == ["three"]
    assert store.find_with_id("k", ids[2])
    assert [i.value for i in store.get_items(sop.PagingInfo(page_size=2))] == ["v2", "three"]
    assert store.remove("k", "v1")
    assert store.remove(sop.Item("k", id=ids[4]))
    assert [i.value for i in store] == ["v0", "v2", "three"]
    assert not store.add_if_not_exists(sop.Item("k", "no"))
    assert store.remove("k") and store.count() == 2


def test_records_are_ordered_by_their_specification(db, t):
    store = db.new_btree("places", t, index_spec=INDEX, key_type=Place)
    places = [("de", "Bonn"), ("at", "Wien"), ("de", "Ulm"), ("at", "Graz")]
    store.add([sop.Item(Place(*place), {"name": place[1]}) for place in places])
    wanted = [Place("at", "Wien"), Place("at", "Graz"), Place("de", "Ulm"), Place("de", "Bonn")]
    assert [i.key for i in store] == wanted
    assert [i.key for i in store.items(prefix={"country": "de"})] == wanted[2:]
    assert store.count(prefix={"country": "at"}) == 2
    begin, end = {"country": "at", "city": "Graz"}, {"country": "de", "city": "Bonn"}
    assert [i.key for i in store.items(begin, end)] == wanted[1:3]
    plain = db.open_btree("places", t)
    assert plain.first()
    assert plain.get_current_key() == {"country": "at", "city": "Wien", "visits": 0}


def test_fields_that_ride_on_change_without_the_value(db, t):
    store = db.new_btree("places", t, index_spec=INDEX, key_type=Place)
    store.add(sop.Item(Place("at", "Wien", 1), "value"))
    assert store.update_key(Place("at", "Wien", 2))
    assert store.find(Place("at", "Wien"))
    assert store.get_current_key() == Place("at", "Wien", 2)
    assert store.update_current_key(Place("at", "Wien", 3))
    item = store.get_current_item()
    assert (item.key.visits, item.value) == (3, "value")
    assert not store.update_key(Place("at", "Linz", 2))


@pytest.mark.parametrize("unique", [True, False])
def test_fields_that_ride_on_are_laid_over_those_of_the_current_item(db, t, unique):
    store = db.new_btree("places", t, sop.BtreeOptions(is_unique=unique), INDEX)
    store.add([sop.Item({"country": "at", "city": city, "visits": 1}, city) for city in ("Graz", "Wien")])
    assert store.find({"country": "at", "city": "Wien"})
    assert store.update_key(sop.Item({"country": "at", "city": "Wien", "visits": 5}))
    assert store.update_current_key({"note": "new"})
    assert store.get_current_key() == {"country": "at", "city": "Wien", "visits": 5, "note": "new"}
    assert store.update_current_item(sop.Item({"city": "Wien", "note": None}, "changed"))
    wien = store.get_current_item()
    assert (wien.key, wien.value) == ({"country": "at", "city": "Wien", "visits": 5}, "changed")
    for update in (
        lambda: store.update_current_key({"city": "Graz", "visits": 7}),
        lambda: store.update_current_item(sop.Item({"country": "at", "city": "Graz"}, "x")),
    ):
        with pytest.raises(sop.InvalidArgumentError, match="'city' is indexed"):
            update()
    assert [item.value for item in store] == ["changed", "Graz"]


@dataclass
class Visit:
    country: str
    city: str
    guide: Annotated[Optional[str], sop.RideOn]


def test_ride_on_field_without_a_default_is_none_where_it_is_absent(db, t):
    store = db.new_btree("visits", t, index_spec=Visit, key_type=Visit)
    visits = [Visit("at", "Graz", "Eva"), Visit("at", "Wien", None)]
    store.add([sop.Item(visit, "") for visit in visits])
    assert [item.key for item in store] == visits
    assert [item.key for item in store.get_items()] == visits


def test_every_type_of_key_and_value(db, t):
    keys = {
        "bool": [False, True],
        "int": [-(2**63), -1, 0, 2**63 - 1],
        "float": [float("-inf"), -1.5, 0.0, 5e-324, 1e300],
        "str": ["", "a", "a\0b", "ab", "zoë", "😀"],
        "bytes": [b"", b"\0", b"\0\xff", b"\xff"],
        "uuid": [UUID(int=0), UUID(int=2**127)],
        "datetime": [datetime(1969, 1, 1, tzinfo=timezone.utc), datetime.now(timezone.utc)],
    }
    values = ["text", b"\0bytes", {"a": [1, None]}, None, 7, True, ""]
    for name, ordered in keys.items():
        store = db.new_btree(name, t)
        content = {key: values[i % len(values)] for i, key in enumerate(ordered)}
        store.add([sop.Item(k, v) for k, v in random.sample(list(content.items()), len(content))])
        assert [(i.key, i.value) for i in store] == list(content.items())
        page = store.get_items(sop.PagingInfo(page_size=100))
        assert [(i.key, i.value) for i in page] == list(content.items())
        assert store.get_store_info().is_primitive_key


def test_store_info_tells_options_and_count(db, t):
    options = sop.BtreeOptions(slot_length=7, description="words")
    options.set_value_data_size(sop.ValueDataSize.Big)
    options.relations = [sop.Relation(["user_id"], "users", ["id"])]
    store = db.new_btree("s", t, options, INDEX)
    store.add(sop.Item({"country": "de", "city": "Ulm"}, ""))
    info = store.get_store_info()
    assert (info.name, info.count, info.slot_length, info.is_unique) == ("s", 1, 7, True)
    assert (info.description, info.value_data_size) == ("words", sop.ValueDataSize.Big)
    assert info.relations == options.relations
    assert [f.field_name for f in info.index_specification.index_fields] == ["country", "city"]
    assert not info.index_specification.index_fields[1].ascending_sort_order
    assert info.is_primitive_key is False
    assert info.key_types == {"country": "string", "city": "string"}


def test_random_operations_against_a_dict(db):
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    expected = {}
    for _ in range(12):
        with db.begin_transaction() as t:
            store = db.new_btree("s", t, sop.BtreeOptions(slot_length=8))
            for _ in range(150):
                step(rng, store, expected)
            assert {i.key: i.value for i in store} == expected
    with db.begin_transaction(sop.ForReading) as t:
        store = db.open_btree("s", t)
        assert [(i.key, i.value) for i in store] == sorted(expected.items())
        assert store.count() == len(expected)


def step(rng, store, expected):
    key, value = rng.randrange(300), rng.random()
    there = key in expected
    action = rng.choice(["add", "update", "upsert", "remove", "find", "walk", "count"])
    if action == "add":
        assert store.add(sop.Item(key, value)) == (not there)
        expected.setdefault(key, value)
    elif action == "update":
        result = store.update(sop.Item(key, value))
        if there:
            expected[key] = value
        assert rng.random() < 0.5 or result == there
    elif action == "upsert":
        store.upsert(sop.Item(key, value))
        expected[key] = value
    elif action == "remove":
        result = store.remove(key)
        expected.pop(key, None)
        assert rng.random() < 0.5 or result == there
    elif action == "find":
        assert store.find(key) == there
        assert store.get_current_value() == expected.get(key)
    elif action == "walk":
        store.find(key)
        above = sorted(k for k in expected if k > key)[:20]
        assert [store.get_current_key() for _ in above if store.next()] == above
    else:
        assert store.count(begin=key) == sum(k >= key for k in expected)

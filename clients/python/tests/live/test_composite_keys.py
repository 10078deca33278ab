"""Keys of several fields: made from dataclasses, dicts and columns; found by plain dicts."""

from dataclasses import dataclass
from typing import Annotated

import pytest

import sop


@dataclass
class Employee:
    region: str
    department: str
    number: Annotated[int, sop.Descending]
    active: Annotated[bool, sop.RideOn] = True


PEOPLE = [
    Employee("US", "Eng", 1),
    Employee("US", "Eng", 2, False),
    Employee("US", "Sales", 3),
    Employee("AT", "Eng", 4),
]
ORDERED = [PEOPLE[3], PEOPLE[1], PEOPLE[0], PEOPLE[2]]
SPECIFICATIONS = {
    "dataclass": Employee,
    "dict": {"region": True, "department": "asc", "number": False},
    "columns": ["region", "department", "number:desc"],
    "text": "region,department,number:desc",
    "predecessor": sop.IndexSpecification(
        index_fields=(
            sop.IndexFieldSpecification("region"),
            sop.IndexFieldSpecification("department", ascending_sort_order=True),
            sop.IndexFieldSpecification("number", ascending_sort_order=False),
        )
    ),
}


def as_dict(person):
    return vars(person).copy()


def fill(db, specification):
    with db.begin_transaction() as t:
        store = db.new_btree("people", t, index_spec=specification)
        store.add([sop.Item(person, f"file {person.number}") for person in PEOPLE])
    return db


@pytest.fixture
def filled(db):
    return fill(db, Employee)


@pytest.fixture
def store(filled):
    """Opened without any schema."""
    with filled.begin_transaction() as t:
        yield filled.open_btree("people", t)


@pytest.mark.parametrize("specification", SPECIFICATIONS.values(), ids=SPECIFICATIONS)
def test_order_and_types_are_those_of_the_specification(db, specification):
    with fill(db, specification).begin_transaction() as t:
        store = db.open_btree("people", t)
        found = [item.key for item in store]
        backward = [item.key for item in store.items(backward=True)]
        info = store.get_store_info()
    assert found == backward[::-1] == [as_dict(person) for person in ORDERED]
    assert [
        (f.field_name, f.ascending_sort_order) for f in info.index_specification.index_fields
    ] == [("region", True), ("department", True), ("number", False)]
    assert info.key_types == {
        "region": "string", "department": "string", "number": "int64", "active": "bool"
    }


def test_plain_dicts_find_in_any_order_of_fields(store):
    assert store.find({"number": 2, "department": "Eng", "region": "US"})
    assert store.get_current_key() == as_dict(PEOPLE[1])
    assert store.get_current_value() == "file 2"
    assert store.next() and store.get_current_key()["number"] == 1
    assert not store.find({"region": "US", "department": "Eng", "number": 9})
    assert store.next() and store.get_current_key()["number"] == 2
    found = store.get_values(sop.Item({"region": "AT", "department": "Eng", "number": 4}))
    assert [item.value for item in found] == ["file 4"]


def test_prefix_of_the_fields_is_a_range(store):
    def numbers(**prefix):
        within = sop.KeyRange(prefix=prefix)
        found = [item.key["number"] for item in store.items(within=within)]
        assert store.count(within=within) == len(found)
        assert store.to_numpy(within).keys["number"].tolist() == found
        return found

    assert numbers(region="US") == [2, 1, 3]
    assert numbers(region="US", department="Eng") == [2, 1]
    assert numbers(region="US", department="Eng", number=1) == [1]
    assert numbers(region="DE") == []


def test_bounds_may_name_the_first_fields_only(store):
    def numbers(**bounds):
        return [item.key["number"] for item in store.items(within=sop.KeyRange(**bounds))]

    us, us_eng = {"region": "US"}, {"region": "US", "department": "Eng"}
    assert numbers(begin=us) == [2, 1, 3] and numbers(begin=us, begin_exclusive=True) == []
    assert numbers(end=us) == [4] and numbers(end=us, end_inclusive=True) == [4, 2, 1, 3]
    assert numbers(begin=us_eng, begin_exclusive=True) == [3]
    assert numbers(prefix={"region": "US", "department": "E"}, partial_last_field=True) == [2, 1]


def test_fields_that_ride_on_are_read_without_values_and_changed_alone(store):
    page = store.get_keys(sop.PagingInfo(page_size=10))
    assert [item.key["active"] for item in page] == [True, False, True, True]
    assert all(item.value is None for item in page)
    wanted = {"region": "US", "department": "Eng", "number": 2}
    assert store.update_key({**wanted, "active": True})
    assert store.find(wanted) and store.get_current_key()["active"] is True
    assert store.get_current_value() == "file 2"
    assert store.update_current_key({**wanted, "active": False})
    assert [item.key["active"] for item in store.items(prefix=wanted, keys_only=True)] == [False]
    assert not store.update_key({**wanted, "number": 77})


@pytest.mark.parametrize(
    "key, error, field",
    [
        ({"region": 5, "department": "Eng", "number": 1}, sop.KeyTypeDiffersError, "region"),
        ({"region": "US", "number": 1}, sop.FieldMissingError, "department"),
        (
            {"region": "US", "department": "Eng", "number": 1, "active": 3},
            sop.KeyTypeDiffersError,
            "active",
        ),
        ({"region": "US", "department": "Eng", "number": None}, sop.FieldMissingError, "number"),
        ({"region": "US", "department": [1], "number": 1}, sop.InvalidKeyError, "department"),
        ({"region": "US", "department": "Eng", "number": 2**70}, sop.InvalidKeyError, "number"),
    ],
)
def test_errors_name_the_field(store, key, error, field):
    with pytest.raises(error) as caught:
        bool(store.add(sop.Item(key, "")))
    assert caught.value.metadata["field"] == field and field in str(caught.value)


def test_declared_types_hold_before_the_first_item(db):
    options = sop.BtreeOptions(key_types={"": int})
    with db.begin_transaction() as t:
        numbers = db.new_btree("numbers", t, options)
        with pytest.raises(sop.KeyTypeDiffersError):
            bool(numbers.add(sop.Item("text", "")))
        people = db.new_btree("people", t, index_spec=Employee)
        with pytest.raises(sop.KeyTypeDiffersError) as caught:
            bool(people.add(sop.Item({"region": "US", "department": 1, "number": 1}, "")))
        assert caught.value.metadata["field"] == "department"
        with pytest.raises(sop.FieldUnknownError) as caught:
            bool(people.add(sop.Item({**as_dict(PEOPLE[0]), "shoe_size": 42}, "")))
        assert caught.value.metadata["field"] == "shoe_size"


def test_another_specification_is_told(filled):
    with filled.begin_transaction() as t:
        with pytest.raises(sop.OptionsDifferError):
            filled.new_btree("people", t, index_spec="region,number")
        with pytest.raises(sop.OptionsDifferError):
            filled.new_btree("people", t, index_spec="region,department,number")
        filled.new_btree("people", t, index_spec="region,department,number:desc")


def test_equal_records_are_told_apart_by_id(db):
    with db.begin_transaction() as t:
        options = sop.BtreeOptions(is_unique=False)
        store = db.new_btree("log", t, options, "user,day:desc")
        ids = store.add([sop.Item({"user": "ann", "day": 3, "n": n}, n) for n in range(4)]).item_ids
        assert store.find_with_id({"user": "ann", "day": 3}, ids[2])
        assert store.get_current_value() == 2 and store.get_current_key()["n"] == 2
        assert store.update_key(sop.Item({"user": "ann", "day": 3, "n": 20}, id=ids[2]))
        assert [item.key["n"] for item in store] == [0, 1, 20, 3]
        assert store.remove(sop.Item({"user": "ann", "day": 3}, id=ids[0]))
        assert store.remove({"user": "ann", "day": 3}, 3)
        assert [item.id for item in store.items(prefix={"user": "ann"})] == ids[1:3]
        assert not store.find_with_id({"user": "ann", "day": 3}, ids[0])

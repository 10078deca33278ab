"""Index specifications from what says them shorter, and declared types."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Optional
from uuid import UUID

import pytest

import sop
from sop.keys import laid_over, schema_of, types_of_class
from sop.scalars import from_key, to_key
from sop.v1 import types_pb2


@dataclass
class City:
    country: str
    population: Annotated[int, sop.Descending]
    name: Annotated[str, "not ours"]
    mayor: Annotated[Optional[str], sop.RideOn] = None
    visits: Annotated[int, sop.RideOn()] = 0


def told(specification):
    return [(f.field_name, f.ascending_sort_order) for f in specification.index_fields]


CITY = [("country", True), ("population", False), ("name", True)]


@pytest.mark.parametrize(
    "given",
    [
        City,
        {"country": True, "population": False, "name": "asc"},
        {"country": "asc", "population": "desc", "name": True},
        ["country", "population:desc", "name"],
        "country, population:desc, name:asc",
        ("country", sop.IndexFieldSpecification("population", False), "name"),
        sop.IndexSpecification([sop.IndexFieldSpecification(*each) for each in CITY]),
    ],
    ids=["dataclass", "dict", "words", "columns", "text", "mixed", "itself"],
)
def test_specification_is_made_of(given):
    assert told(sop.IndexSpecification.of(given)) == CITY


@pytest.mark.parametrize(
    "given, named",
    [
        (int, "int is not a dataclass"),
        (["country:up"], "'country'.*'up'"),
        ({"country": 3}, "'country'.*3"),
        ([5], "5 names no column"),
    ],
)
def test_what_is_no_specification_is_named(given, named):
    with pytest.raises(sop.InvalidArgumentError, match=named):
        sop.IndexSpecification.of(given)


def test_one_field_must_be_indexed():
    @dataclass
    class Nothing:
        note: Annotated[str, sop.RideOn]

    with pytest.raises(sop.InvalidArgumentError, match="every field of Nothing rides on"):
        sop.IndexSpecification.of(Nothing)


def test_types_come_from_the_annotations():
    assert types_of_class(City) == {
        "country": str, "population": int, "name": str, "mayor": str, "visits": int
    }


def test_types_are_declared():
    given = {
        "a": bool, "b": int, "c": float, "d": str, "e": bytes, "f": UUID, "g": datetime,
        "h": sop.Timestamp, "i": "int64", "j": "string",
    }
    schema = schema_of(given)
    assert schema.shape == types_pb2.KEY_SHAPE_RECORD
    names = {f.name: types_pb2.ScalarType.Name(f.type)[12:].lower() for f in schema.fields}
    assert list(names.values()) == [
        "bool", "int64", "double", "string", "bytes", "uuid", "timestamp", "timestamp", "int64",
        "string",
    ]
    assert schema_of({"": int}).shape == types_pb2.KEY_SHAPE_SCALAR
    assert sop.BtreeOptions(key_types={"": int}).to_message().schema.fields[0].type == 2


@pytest.mark.parametrize("given", [list, "number", dict[str, int], Optional[str]])
def test_type_that_no_key_has_names_its_field(given):
    with pytest.raises(sop.InvalidArgumentError) as caught:
        schema_of({"region": given})
    assert caught.value.metadata["field"] == "region"


def test_a_scalar_has_no_fields_beside_it():
    with pytest.raises(sop.InvalidArgumentError):
        schema_of({"": int, "region": str})


def test_range_as_a_message():
    within = sop.KeyRange({"a": 1}, {"a": 2}, {"b": "x"}, True, True, True)
    message = within.to_message()
    assert message.begin.record.fields[0].name == "a" and message.begin_exclusive
    assert message.end_inclusive and message.prefix.record.fields[0].value.string_value == "x"
    assert message.partial_last_field
    assert not sop.KeyRange().to_message().ListFields()


INDEXED = sop.IndexSpecification.of("country,population:desc,name").to_message()
WIEN = {"country": "AT", "population": 2, "name": "Wien", "mayor": "M", "visits": 1}


@pytest.mark.parametrize(
    "given, changed",
    [
        ({"visits": 2}, {"visits": 2}),
        ({"name": "Wien", "visits": 2, "note": "new"}, {"visits": 2, "note": "new"}),
        ({"mayor": None}, {"mayor": None}),
        ({}, {}),
        (City("AT", 2, "Wien", visits=3), {"mayor": None, "visits": 3}),
    ],
)
def test_fields_that_ride_on_are_laid_over_a_key(given, changed):
    expected = {name: each for name, each in (WIEN | changed).items() if each is not None}
    assert from_key(laid_over(to_key(WIEN), given, INDEXED)) == expected


@pytest.mark.parametrize("name, value", [("population", 3), ("name", None), ("country", "")])
def test_indexed_field_that_is_another_is_named(name, value):
    with pytest.raises(sop.InvalidArgumentError, match=f"'{name}' is indexed") as caught:
        laid_over(to_key(WIEN), {name: value}, INDEXED)
    assert caught.value.metadata["field"] == name


def test_key_that_is_all_indexed_is_the_same_or_refused():
    nothing = types_pb2.IndexSpecification()
    assert laid_over(to_key(2), 2, nothing) == to_key(2)
    assert laid_over(to_key({"a": 1}), {"a": 1}, nothing) == to_key({"a": 1})
    for current, given in ((2, 3), (2, "2"), ({"a": 1}, {"a": 2}), ({"a": 1}, {"b": 1}), ({"a": 1}, 1)):
        with pytest.raises(sop.InvalidArgumentError):
            laid_over(to_key(current), given, nothing)

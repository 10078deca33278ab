"""Index specifications from what says them shorter, and declared types."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Optional
from uuid import UUID

import pytest

import sop
from sop.keys import schema_of, types_of_class
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

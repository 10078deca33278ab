"""Filters: dicts to messages."""

import uuid
from datetime import datetime, timezone

import pytest

import sop
from sop.filters import to_filter
from sop.v1 import filter_pb2, types_pb2


def condition(name, **test):
    made = filter_pb2.Filter()
    made.condition.field.names.append(name)
    for kind, value in test.items():
        getattr(made.condition, kind).scalar.CopyFrom(value)
    return made


def scalar(**kind):
    return types_pb2.Scalar(**kind)


def test_members_are_joined_by_and():
    assert to_filter({}).WhichOneof("kind") == "all_of"
    one = to_filter({"region": "US"})
    assert one == condition("region", equal=scalar(string_value="US"))
    both = to_filter({"region": "US", "age": {"$gte": 3, "$lt": 4.5}})
    assert both.all_of.filters[0] == one
    assert list(both.all_of.filters[1].all_of.filters) == [
        condition("age", greater_or_equal=scalar(int64_value=3)),
        condition("age", less=scalar(double_value=4.5)),
    ]
    assert to_filter(one) is one


@pytest.mark.parametrize(
    "operator, field",
    [
        ("$eq", "equal"),
        ("$ne", "not_equal"),
        ("$gt", "greater"),
        ("$gte", "greater_or_equal"),
        ("$lt", "less"),
        ("$lte", "less_or_equal"),
    ],
)
def test_comparisons(operator, field):
    assert to_filter({"x": {operator: 1}}) == condition("x", **{field: scalar(int64_value=1)})
    assert getattr(to_filter({"x": {operator: None}}).condition, field).null_value


def test_other_operators():
    listed = to_filter({"x": {"$in": (1, None, "a")}}).condition.one_of.operands
    assert [each.WhichOneof("kind") for each in listed] == ["scalar", "null_value", "scalar"]
    assert to_filter({"x": {"$in": []}}).condition.WhichOneof("test") == "one_of"
    assert to_filter({"x": {"$nin": [1]}}).negation == to_filter({"x": {"$in": [1]}})
    assert to_filter({"x": {"$prefix": "a"}}).condition.prefix.string_value == "a"
    assert to_filter({"x": {"$exists": False}}).condition.WhichOneof("test") == "exists"
    assert to_filter({"x": {"$not": {"$gt": 1}}}).negation == to_filter({"x": {"$gt": 1}})


def test_combinations():
    a, b = {"x": 1}, {"y": 2}
    assert list(to_filter({"$and": [a, b]}).all_of.filters) == [to_filter(a), to_filter(b)]
    assert list(to_filter({"$or": [a, b]}).any_of.filters) == [to_filter(a), to_filter(b)]
    assert to_filter({"$nor": [a, b]}).negation == to_filter({"$or": [a, b]})
    assert to_filter({"$not": a}).negation == to_filter(a)
    assert to_filter({"$or": []}).WhichOneof("kind") == "any_of"


def test_paths_and_sources():
    key, value = filter_pb2.FIELD_SOURCE_KEY, filter_pb2.FIELD_SOURCE_VALUE
    for name, source, names in (
        ("a.b", 0, ["a", "b"]),
        (("a.b", "c"), 0, ["a.b", "c"]),
        ("$key.a", key, ["a"]),
        ("$key", key, []),
        ("$value", value, []),
        (("$value", "a.b"), value, ["a.b"]),
    ):
        path = to_filter({name: 1}).condition.field
        assert (path.source, list(path.names)) == (source, names)


def test_every_type_of_scalar():
    for value, kind in (
        (True, "bool_value"),
        (1, "int64_value"),
        (1.5, "double_value"),
        ("a", "string_value"),
        (b"a", "bytes_value"),
        (uuid.UUID(int=1), "uuid_value"),
        (datetime(2020, 1, 1, tzinfo=timezone.utc), "timestamp_nanos"),
    ):
        assert to_filter({"x": value}).condition.equal.scalar.WhichOneof("kind") == kind


@pytest.mark.parametrize(
    "given, field",
    [
        ({"$near": 1}, "$near"),
        ({"": 1}, ""),
        ({3: 1}, "3"),
        ({("a", 3): 1}, "a.3"),
        ({"$and": {"x": 1}}, "$and"),
        ({"x": {"$regex": "a"}}, "x"),
        ({"x": {}}, "x"),
        ({"x": {"$in": "abc"}}, "x"),
        ({"x": {"y": 1}}, "x"),
        ([("x", 1)], "filter"),
    ],
)
def test_what_is_no_filter_is_named(given, field):
    with pytest.raises(sop.InvalidArgumentError) as caught:
        to_filter(given)
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize("operand", [[1], {1}, 2**63, object()])
def test_what_is_no_scalar_is_named(operand):
    with pytest.raises(sop.InvalidKeyError) as caught:
        to_filter({"x": {"$gt": operand}})
    assert caught.value.metadata["field"] == "x"

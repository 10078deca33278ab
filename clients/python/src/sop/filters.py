"""Filters: dicts in MongoDB's shape to messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

from sop.errors import InvalidArgumentError
from sop.scalars import fill_scalar
from sop.v1 import filter_pb2, types_pb2

# {"region": "US", "address.city": {"$prefix": "Li"}, "$or": [{"age": {"$gte": 3}}, {"vip": True}]}
FilterLike = Union[Mapping[Any, Any], filter_pb2.Filter]

_WITH_ONE = {
    "$eq": "equal",
    "$ne": "not_equal",
    "$gt": "greater",
    "$gte": "greater_or_equal",
    "$lt": "less",
    "$lte": "less_or_equal",
}
_SOURCES = {"$key": filter_pb2.FIELD_SOURCE_KEY, "$value": filter_pb2.FIELD_SOURCE_VALUE}
_OF_FIELDS = (*_WITH_ONE, "$in", "$nin", "$prefix", "$exists", "$not")
_OF_FILTERS = ("$and", "$or", "$nor", "$not")


def to_filter(given: FilterLike) -> filter_pb2.Filter:
    """The message of a filter.

    Members are joined by "and": {"age": 3} or {"age": {"$gte": 3, "$lt": 9}}, with $eq, $ne, $gt,
    $gte, $lt, $lte, $in, $nin, $prefix, $exists and $not; and {"$and": [...]}, {"$or": [...]},
    {"$nor": [...]}, {"$not": {...}}. A name is a field of the key if the store's keys have it, else
    a path into the value, "address.city"; a tuple of names is a path of names with dots.
    "$key.age" and "$value.age" say which of both; "$key" is a scalar key, "$value" the whole value.
    """
    if isinstance(given, filter_pb2.Filter):
        return given
    if not isinstance(given, Mapping):
        raise _wrong("filter", f"is of type {type(given).__name__}: a filter is a dict")
    parts = [_member(name, test) for name, test in given.items()]
    return parts[0] if len(parts) == 1 else _joined("all_of", parts)


def _joined(how: str, parts: Sequence[filter_pb2.Filter]) -> filter_pb2.Filter:
    made = filter_pb2.Filter()
    joined = getattr(made, how)
    joined.SetInParent()
    joined.filters.extend(parts)
    return made


def _inverse(of: filter_pb2.Filter) -> filter_pb2.Filter:
    return filter_pb2.Filter(negation=of)


def _member(name: Any, test: Any) -> filter_pb2.Filter:
    if name == "$not":
        return _inverse(to_filter(test))
    if name in _OF_FILTERS:
        if not isinstance(test, (list, tuple)):
            raise _wrong(name, "takes a list of filters")
        joined = _joined("all_of" if name == "$and" else "any_of", [to_filter(each) for each in test])
        return _inverse(joined) if name == "$nor" else joined
    return _of_field(_path(name), _shown(name), test)


def _path(name: Any) -> filter_pb2.FieldPath:
    if isinstance(name, tuple):
        names = list(name)
    elif isinstance(name, str) and name:
        names = name.split(".")
    else:
        names = []
    if not names or not all(isinstance(each, str) for each in names):
        raise _wrong(_shown(name), "is no name of a field")
    source = _SOURCES.get(names[0])
    if source is not None:
        return filter_pb2.FieldPath(source=source, names=names[1:])
    if names[0].startswith("$"):
        allowed = ", ".join((*_OF_FILTERS, *_SOURCES))
        raise _wrong(_shown(name), f"is no operator of filters: allowed are {allowed}")
    return filter_pb2.FieldPath(names=names)


def _shown(name: Any) -> str:
    return ".".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _of_field(path: filter_pb2.FieldPath, shown: str, test: Any) -> filter_pb2.Filter:
    if not isinstance(test, Mapping):
        test = {"$eq": test}
    parts = [_tested(path, shown, operator, operand) for operator, operand in test.items()]
    if not parts:
        raise _wrong(shown, "is compared with an object: name its members by a path")
    return parts[0] if len(parts) == 1 else _joined("all_of", parts)


def _tested(
    path: filter_pb2.FieldPath, shown: str, operator: Any, operand: Any
) -> filter_pb2.Filter:
    if operator == "$not":
        return _inverse(_of_field(path, shown, operand))
    condition = filter_pb2.Condition(field=path)
    if operator in _WITH_ONE:
        _fill_operand(getattr(condition, _WITH_ONE[operator]), operand, shown)
    elif operator in ("$in", "$nin"):
        if isinstance(operand, (str, bytes, Mapping)):
            raise _wrong(shown, f"{operator} takes a list")
        condition.one_of.SetInParent()
        for each in operand:
            _fill_operand(condition.one_of.operands.add(), each, shown)
    elif operator == "$prefix":
        fill_scalar(condition.prefix, operand, shown)
    elif operator == "$exists":
        condition.exists = bool(operand)
    else:
        allowed = ", ".join(_OF_FIELDS)
        raise _wrong(shown, f"has the operator {operator!r:.64}: allowed are {allowed}")
    made = filter_pb2.Filter(condition=condition)
    return _inverse(made) if operator == "$nin" else made


def _fill_operand(target: filter_pb2.Operand, operand: Any, shown: str) -> None:
    if operand is None:
        target.null_value = True
    else:
        scalar = types_pb2.Scalar()
        fill_scalar(scalar, operand, shown)
        target.scalar.CopyFrom(scalar)


def _wrong(field: str, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"filter on field '{field:.64}' {problem}", metadata={"field": field}
    )

"""Keys of several fields: which make the order, which ride on, and of which types they are."""

from __future__ import annotations

import dataclasses
import types
import typing
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Optional, Sequence, Union

from sop.errors import InvalidArgumentError
from sop.scalars import Timestamp, fill_scalar, members_of, to_key
from sop.v1 import types_pb2


class Descending:
    """Marks a field of a dataclass: `population: Annotated[int, sop.Descending]`."""


class RideOn:
    """Marks a field of a dataclass as none of the order: `deleted: Annotated[bool, sop.RideOn]`."""


@dataclass
class IndexFieldSpecification:
    """A field that takes part in the order of a store."""

    field_name: str
    ascending_sort_order: bool = True


IndexLike = Union[
    "IndexSpecification", type, Mapping[str, Any], Sequence[Union[str, IndexFieldSpecification]]
]


@dataclass
class IndexSpecification:
    """The fields that make the order, most significant first; all others ride on."""

    index_fields: Sequence[IndexFieldSpecification] = ()

    @staticmethod
    def of(given: IndexLike) -> "IndexSpecification":
        """A specification from what says it shorter.

        A dataclass: its fields in their order, but for those marked RideOn, downwards those marked
        Descending. A dict: {"country": True, "population": False}, False for descending; "asc" and
        "desc" do as well. Names of columns, in a list or in one text: ["country",
        "population:desc"], "country,population:desc".
        """
        if isinstance(given, IndexSpecification):
            return given
        if isinstance(given, type):
            return IndexSpecification(_fields_of_class(given))
        if isinstance(given, Mapping):
            return IndexSpecification([_directed(name, way) for name, way in given.items()])
        columns = given.split(",") if isinstance(given, str) else given
        return IndexSpecification([_column(each) for each in columns])

    def to_message(self) -> types_pb2.IndexSpecification:
        """As the server wants it."""
        message = types_pb2.IndexSpecification()
        for each in self.index_fields:
            message.fields.add(name=each.field_name, ascending=each.ascending_sort_order)
        return message


def laid_over(
    current: types_pb2.Key, given: Any, index: types_pb2.IndexSpecification
) -> types_pb2.Key:
    """The key of an item with the fields that ride on as they are given; those that are None go.

    Without an index specification all fields are indexed. InvalidArgumentError if an indexed one
    is given and is another.
    """
    members = members_of(given)
    if not current.HasField("record") or members is None:
        if to_key(given) != current:
            raise InvalidArgumentError("the key is not that of the item that the cursor is at")
        return current
    indexed = {field.name for field in index.fields}
    fields = {field.name: field.value for field in current.record.fields}
    for name, member in members.items():
        value = types_pb2.Scalar()
        if member is not None:
            fill_scalar(value, member, name)
        if name in indexed or not indexed:
            if fields.get(name) != value:
                raise InvalidArgumentError(
                    f"field '{name}' is indexed and is not that of the item that the cursor is at",
                    metadata={"field": name},
                )
        elif member is None:
            fields.pop(name, None)
        else:
            fields[name] = value
    made = types_pb2.Key()
    for name, value in fields.items():
        made.record.fields.add(name=name, value=value)
    return made


def types_of_class(cls: type) -> dict[str, type]:
    """The types of a dataclass's fields, as BtreeOptions.key_types."""
    return {name: _bare(hint) for name, (hint, _) in _hints_of(cls).items()}


_TYPES: dict[Any, types_pb2.ScalarType] = {
    bool: types_pb2.SCALAR_TYPE_BOOL,
    int: types_pb2.SCALAR_TYPE_INT64,
    float: types_pb2.SCALAR_TYPE_DOUBLE,
    str: types_pb2.SCALAR_TYPE_STRING,
    bytes: types_pb2.SCALAR_TYPE_BYTES,
    uuid.UUID: types_pb2.SCALAR_TYPE_UUID,
    datetime: types_pb2.SCALAR_TYPE_TIMESTAMP,
    Timestamp: types_pb2.SCALAR_TYPE_TIMESTAMP,
}


def schema_of(key_types: Mapping[str, Union[type, str]]) -> types_pb2.KeySchema:
    """The message that declares types; the name "" is the scalar's."""
    is_scalar = "" in key_types
    if is_scalar and len(key_types) > 1:
        raise InvalidArgumentError('key_types names fields, or only "", which is a scalar key')
    shape = types_pb2.KEY_SHAPE_SCALAR if is_scalar else types_pb2.KEY_SHAPE_RECORD
    schema = types_pb2.KeySchema(shape=shape)
    for name, each in key_types.items():
        schema.fields.add(name=name, type=_scalar_type(name, each))
    return schema


def _scalar_type(name: str, given: Union[type, str]) -> types_pb2.ScalarType:
    if isinstance(given, str) and f"SCALAR_TYPE_{given.upper()}" in types_pb2.ScalarType.keys():
        declared: types_pb2.ScalarType = getattr(types_pb2, f"SCALAR_TYPE_{given.upper()}")
        return declared
    for known, scalar_type in _TYPES.items():
        if given is known:
            return scalar_type
    allowed = "bool, int, float, str, bytes, uuid.UUID, datetime or sop.Timestamp"
    shown = given.__name__ if isinstance(given, type) else repr(given)
    raise InvalidArgumentError(
        f"field '{name}' is of type {shown}: allowed are {allowed}",
        metadata={"field": name, "type": shown, "limit": allowed},
    )


def _hints_of(cls: type) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Type and marks of each field of a dataclass."""
    if not dataclasses.is_dataclass(cls):
        raise InvalidArgumentError(f"{cls.__name__} is not a dataclass")
    hints = typing.get_type_hints(cls, include_extras=True)
    found = {}
    for each in dataclasses.fields(cls):
        hint = hints[each.name]
        marks: tuple[Any, ...] = getattr(hint, "__metadata__", ())
        found[each.name] = (getattr(hint, "__origin__", hint) if marks else hint, marks)
    return found


def _bare(hint: Any) -> Any:
    """int of Optional[int]."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        members = [each for each in typing.get_args(hint) if each is not type(None)]
        return members[0] if len(members) == 1 else hint
    return hint


def _fields_of_class(cls: type) -> list[IndexFieldSpecification]:
    fields = []
    for name, (_, marks) in _hints_of(cls).items():
        if not _is_marked(marks, RideOn):
            fields.append(IndexFieldSpecification(name, not _is_marked(marks, Descending)))
    if not fields:
        raise InvalidArgumentError(f"every field of {cls.__name__} rides on: one must be indexed")
    return fields


def _is_marked(marks: tuple[Any, ...], mark: type) -> bool:
    return any(each is mark or isinstance(each, mark) for each in marks)


def _column(given: Union[str, IndexFieldSpecification]) -> IndexFieldSpecification:
    if isinstance(given, IndexFieldSpecification):
        return given
    if not isinstance(given, str):
        raise InvalidArgumentError(f"{given!r:.64} names no column of an index")
    name, _, way = given.strip().partition(":")
    return _directed(name, way or "asc")


def _directed(name: str, way: object) -> IndexFieldSpecification:
    ascending: Optional[bool] = {True: True, False: False, "asc": True, "desc": False}.get(
        way if isinstance(way, (bool, str)) else ""
    )
    if ascending is None:
        raise InvalidArgumentError(
            f"field '{name}' has the direction {way!r:.64}: allowed are asc, desc, True, False",
            metadata={"field": name},
        )
    return IndexFieldSpecification(name, ascending)

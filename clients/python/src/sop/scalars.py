"""Keys and values: Python objects to messages and back."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Optional, Union

from sop.errors import InvalidArgumentError, InvalidKeyError, InvalidValueError
from sop.v1 import types_pb2

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
# What 64 bits of nanoseconds hold.
_TIMES = "1677-09-21 to 2262-04-11"
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# The kinds of numpy's types that are scalars in Python, too, and those that JSON has.
_KEY_KINDS = "biufUS"
_JSON_KINDS = "biufU"


class Timestamp(int):
    """Nanoseconds since 1970-01-01 UTC: a key finer than a datetime, which has microseconds."""

    def __repr__(self) -> str:
        return f"Timestamp({int(self)})"


Scalar = Union[bool, int, float, str, bytes, uuid.UUID, datetime, Timestamp]


def is_dataclass_instance(value: object) -> bool:
    """Whether `value` is an instance of a dataclass, not such a class itself."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def nanos_of(value: Union[datetime, Timestamp]) -> int:
    """Nanoseconds since 1970. A datetime must know its time zone."""
    if isinstance(value, Timestamp):
        return int(value)
    if value.tzinfo is None:
        raise InvalidKeyError(f"datetime {value} has no time zone: give it a tzinfo")
    try:
        # Those of pandas are finer than others.
        nanos = (value - _EPOCH) // _MICROSECOND * 1000 + getattr(value, "nanosecond", 0)
    except (OverflowError, ValueError) as error:
        raise out_of_range(value) from error
    if not INT64_MIN <= nanos <= INT64_MAX:
        raise out_of_range(value)
    return nanos


def out_of_range(time: object) -> InvalidKeyError:
    """The exception for a time that cannot be a key."""
    return InvalidKeyError(
        f"time {time} is not in {_TIMES}, or finer than a nanosecond", metadata={"limit": _TIMES}
    )


def time_of(nanos: int) -> Union[datetime, Timestamp]:
    """A datetime where that is exact, else a Timestamp."""
    if nanos % 1000:
        return Timestamp(nanos)
    return _EPOCH + timedelta(microseconds=nanos // 1000)


def unwrapped(value: Any) -> Any:
    """The Python object of a numpy scalar; all else as it is. Nothing of numpy is imported."""
    kind = _numpy_kind(value)
    if kind == "M":
        nanos = value.astype("M8[ns]")
        if nanos.astype(value.dtype) != value:
            raise out_of_range(value)
        return Timestamp(nanos.astype("i8"))
    return value.item() if kind in _KEY_KINDS else value


def _numpy_kind(value: Any) -> str:
    """The kind of a numpy scalar's type, as dtype.kind; a space for anything else."""
    is_scalar = getattr(value, "shape", None) == ()
    return str(getattr(getattr(value, "dtype", None), "kind", " ")) if is_scalar else " "


# The members of the oneof of a Scalar and of a Key, which have the same names.
_MEMBERS: dict[type, str] = {
    bool: "bool_value",
    int: "int64_value",
    float: "double_value",
    str: "string_value",
    bytes: "bytes_value",
}
# How subclasses become these: str() of an Enum would be its name in Python.
_PLAIN: dict[type, Callable[[Any], Scalar]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: bytes,
}


def _fill(target: Any, value: object, field: str) -> None:
    """Sets the oneof of a Scalar or Key."""
    try:
        member = _MEMBERS.get(type(value))
        if member is not None:
            setattr(target, member, value)
        else:
            _fill_other(target, value, field)
    except ValueError as error:
        reason = f"{INT64_MIN} to {INT64_MAX}" if isinstance(value, int) else "valid UTF-8"
        raise InvalidKeyError(
            f"{_named(field)} is {str(value)[:64]!a}: allowed is {reason}",
            metadata={"field": field, "limit": reason},
        ) from error


def fill_scalar(target: types_pb2.Scalar, value: object, field: str) -> None:
    """Sets a scalar; `field` is named in the InvalidKeyError for what is none."""
    _fill(target, value, field)


def _fill_other(target: Any, value: object, field: str) -> None:
    """The types that are not set as they are, and subclasses of the others."""
    if isinstance(value, (Timestamp, datetime)):
        target.timestamp_nanos = nanos_of(value)
    elif isinstance(value, uuid.UUID):
        target.uuid_value = value.bytes
    elif isinstance(value, (bytearray, memoryview)):
        target.bytes_value = bytes(value)
    else:
        for kind, plain in _PLAIN.items():
            if isinstance(value, kind):
                setattr(target, _MEMBERS[kind], plain(value))
                return
        inner = unwrapped(value)
        if type(inner) is not type(value):
            _fill(target, inner, field)
            return
        name = type(value).__name__
        raise InvalidKeyError(
            f"{_named(field)} is of type {name}, which is no type of keys",
            metadata={"field": field, "type": name},
        )


def _named(field: str) -> str:
    return f"field '{field}'" if field else "key"


def members_of(record: object) -> Optional[Mapping[str, Any]]:
    """The fields of a dict or dataclass; None for anything else."""
    if isinstance(record, Mapping):
        return record
    return _attributes(record) if is_dataclass_instance(record) else None


def _attributes(instance: Any) -> dict[str, Any]:
    """The fields of a dataclass; not those of dataclasses in it."""
    return {each.name: getattr(instance, each.name) for each in dataclasses.fields(instance)}


def to_key(value: object) -> types_pb2.Key:
    """The message of a scalar, dict or dataclass. Fields that are None are left out."""
    if isinstance(value, types_pb2.Key):
        return value
    key = types_pb2.Key()
    fill_key(key, value)
    return key


def fill_key(key: types_pb2.Key, value: object) -> None:
    """See to_key(); `key` is empty."""
    if type(value) in _MEMBERS:
        _fill(key, value, "")
        return
    if isinstance(value, types_pb2.Key):
        key.CopyFrom(value)
        return
    members = members_of(value)
    if members is None:
        _fill(key, value, "")
        return
    for name, member in members.items():
        if member is not None:
            _fill(key.record.fields.add(name=name).value, member, name)
    if not key.record.fields:
        raise InvalidKeyError("key is a record without fields")


def _scalar_of(scalar: Any, kind: Optional[str]) -> Scalar:
    if kind == "timestamp_nanos":
        return time_of(scalar.timestamp_nanos)
    if kind == "uuid_value":
        return uuid.UUID(bytes=scalar.uuid_value)
    if kind is None:
        raise ValueError("the server sent a key without a value")
    value: Scalar = getattr(scalar, kind)
    return value


def from_key(key: types_pb2.Key, key_type: Optional[type] = None) -> Any:
    """The key as a scalar, as a dict, or as `key_type`, a dataclass."""
    kind = key.WhichOneof("kind")
    if kind != "record":
        return _scalar_of(key, kind)
    members = {f.name: _scalar_of(f.value, f.value.WhichOneof("kind")) for f in key.record.fields}
    return as_type(members, key_type)


def as_type(members: Any, wanted: Optional[type]) -> Any:
    """A dict as `wanted`, if that is a dataclass; anything else as it is.

    A field that the dict has not, and that has no default, is None.
    """
    if wanted is None or not dataclasses.is_dataclass(wanted) or not isinstance(members, dict):
        return members
    try:
        return wanted(**members)
    except TypeError:
        fitting = _fitting(members, wanted)
        if fitting == members:
            raise  # of the class itself
    return wanted(**fitting)


def _fitting(members: dict[str, Any], wanted: Any) -> dict[str, Any]:
    """What a dataclass is made with. InvalidArgumentError for a member that it has not."""
    fields = {each.name: each for each in dataclasses.fields(wanted)}
    for name in members:
        if name not in fields:
            raise InvalidArgumentError(
                f"{wanted.__name__} has no field '{name:.64}', which the item has",
                metadata={"type": wanted.__name__, "field": name},
            )
    none = dataclasses.MISSING
    absent = {n for n, f in fields.items() if f.default is none and f.default_factory is none}
    given: dict[str, Any] = dict.fromkeys(absent - set(members)) | members
    return {name: each for name, each in given.items() if fields[name].init}


def _plain(value: object) -> object:
    """For json: dataclasses become dicts, ids and times become text."""
    if is_dataclass_instance(value):
        return _attributes(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if _numpy_kind(value) in _JSON_KINDS:
        return unwrapped(value)
    raise TypeError(f"a {type(value).__name__} is neither text, bytes nor JSON")


def to_value(value: object) -> types_pb2.Value:
    """str is TEXT, bytes are BYTES, everything else is JSON."""
    made = types_pb2.Value()
    fill_value(made, value)
    return made


def fill_value(target: types_pb2.Value, value: object) -> None:
    """See to_value(); `target` is empty."""
    try:
        if isinstance(value, str):
            target.content = value.encode("utf-8")
            target.format = types_pb2.VALUE_FORMAT_TEXT
        elif isinstance(value, (bytes, bytearray, memoryview)):
            target.content = bytes(value)
            target.format = types_pb2.VALUE_FORMAT_BYTES
        elif isinstance(value, types_pb2.Value):
            target.CopyFrom(value)
        else:
            target.content = _to_json(value).encode("utf-8")
            target.format = types_pb2.VALUE_FORMAT_JSON
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(f"value cannot be stored: {error}") from error


_to_json = json.JSONEncoder(
    default=_plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def value_of(content: bytes, value_format: int, value_type: Optional[type] = None) -> Any:
    """What to_value() was given; JSON objects as `value_type` if that is a dataclass."""
    if value_format == types_pb2.VALUE_FORMAT_TEXT:
        return content.decode("utf-8", "surrogateescape")
    if value_format == types_pb2.VALUE_FORMAT_JSON:
        return as_type(json.loads(content), value_type)
    return content


def from_value(value: types_pb2.Value, value_type: Optional[type] = None) -> Any:
    """See value_of()."""
    return value_of(value.content, value.format, value_type)

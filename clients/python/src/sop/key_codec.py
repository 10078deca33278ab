"""Order-preserving key bytes (docs/formats/key.md): what packed pages carry."""

from __future__ import annotations

import struct
import uuid
from datetime import datetime
from typing import Any, Mapping, NamedTuple, Sequence

from sop.errors import FieldMissingError, FieldUnknownError, InvalidKeyError, KeyTypeDiffersError
from sop.scalars import INT64_MAX, INT64_MIN, Scalar, Timestamp, nanos_of, time_of
from sop.v1 import types_pb2

_SIGN = 1 << 63
_MASK = (1 << 64) - 1
_INFINITY_BITS = 0x7FF0_0000_0000_0000
_INVERTED = bytes(255 - byte for byte in range(256))

# Type bytes, in the order of the types.
BOOL, INT64, DOUBLE, TIMESTAMP, UUID, STRING, BYTES = 0x08, 0x10, 0x20, 0x30, 0x38, 0x40, 0x48
_FIXED_SIZES = {BOOL: 1, INT64: 8, DOUBLE: 8, TIMESTAMP: 8, UUID: 16}
# By the type of the API.
TYPE_BYTES = {
    types_pb2.SCALAR_TYPE_BOOL: BOOL,
    types_pb2.SCALAR_TYPE_INT64: INT64,
    types_pb2.SCALAR_TYPE_DOUBLE: DOUBLE,
    types_pb2.SCALAR_TYPE_TIMESTAMP: TIMESTAMP,
    types_pb2.SCALAR_TYPE_UUID: UUID,
    types_pb2.SCALAR_TYPE_STRING: STRING,
    types_pb2.SCALAR_TYPE_BYTES: BYTES,
}


def _code_of(value: object) -> int:
    kinds: tuple[tuple[Any, int], ...] = (
        (bool, BOOL),
        ((Timestamp, datetime), TIMESTAMP),
        (int, INT64),
        (float, DOUBLE),
        (str, STRING),
        (bytes, BYTES),
        (uuid.UUID, UUID),
    )
    for kind, code in kinds:
        if isinstance(value, kind):
            return code
    raise InvalidKeyError(f"a {type(value).__name__} is no type of keys")


def _payload(code: int, value: Any) -> bytes:
    if code == BOOL:
        return b"\x01" if value else b"\x00"
    if code == DOUBLE:
        if value != value:
            raise InvalidKeyError("NaN cannot be a key")
        bits = struct.unpack(">Q", struct.pack(">d", value or 0.0))[0]
        return struct.pack(">Q", bits ^ _MASK if bits & _SIGN else bits | _SIGN)
    if code == UUID:
        content: bytes = value.bytes
        return content
    if code in (STRING, BYTES):
        content = value.encode("utf-8") if code == STRING else value
        return content.replace(b"\x00", b"\x00\xff") + b"\x00\x01"
    number = nanos_of(value) if code == TIMESTAMP else value
    if not INT64_MIN <= number <= INT64_MAX:
        raise InvalidKeyError(f"{number} is not in {INT64_MIN} to {INT64_MAX}")
    return struct.pack(">Q", number + _SIGN)


def encode_scalar(value: Scalar, descending: bool = False) -> bytes:
    """One field: type byte and payload, all inverted if descending."""
    code = _code_of(value)
    encoded = bytes((code,)) + _payload(code, value)
    return encoded.translate(_INVERTED) if descending else encoded


class DecodedField(NamedTuple):
    """A field taken from encoded bytes, and where the next one begins."""

    value: Scalar
    descending: bool
    end: int


def decode_scalar(encoded: bytes, start: int = 0) -> DecodedField:
    """Takes the field at `start`. InvalidKeyError for bytes that encode_scalar never makes."""
    if start >= len(encoded):
        raise InvalidKeyError("key bytes end where a field should begin")
    descending = encoded[start] >= 0x80
    code = encoded[start] ^ (0xFF if descending else 0)
    size = _FIXED_SIZES.get(code)
    if size is None and code not in (STRING, BYTES):
        raise InvalidKeyError(f"key bytes have the unknown type {code:#04x}")
    end = start + 1 + size if size is not None else _end_oftext_of(encoded, start + 1, descending)
    if end > len(encoded):
        raise InvalidKeyError("key bytes end inside a field")
    payload = encoded[start + 1 : end]
    if descending:
        payload = payload.translate(_INVERTED)
    return DecodedField(_value(code, payload), descending, end)


def _end_oftext_of(encoded: bytes, start: int, descending: bool) -> int:
    zero, escape, finish = (0xFF, 0x00, 0xFE) if descending else (0x00, 0xFF, 0x01)
    while True:
        at = encoded.find(zero, start)
        if at < 0 or at + 1 >= len(encoded):
            raise InvalidKeyError("key bytes end inside a string")
        if encoded[at + 1] == finish:
            return at + 2
        if encoded[at + 1] != escape:
            raise InvalidKeyError("key bytes have a zero that is neither escaped nor an end")
        start = at + 2


def _value(code: int, payload: bytes) -> Scalar:
    if code == BOOL:
        if payload not in (b"\x00", b"\x01"):
            raise InvalidKeyError("key bytes have a bool that is neither 0 nor 1")
        return payload == b"\x01"
    if code == UUID:
        return uuid.UUID(bytes=payload)
    if code == BYTES:
        return payload[:-2].replace(b"\x00\xff", b"\x00")
    if code == STRING:
        return text_of(payload[:-2].replace(b"\x00\xff", b"\x00"))
    bits: int = struct.unpack(">Q", payload)[0]
    if code == DOUBLE:
        return _double(bits)
    return time_of(bits - _SIGN) if code == TIMESTAMP else bits - _SIGN


def text_of(content: bytes) -> str:
    """UTF-8 as text. InvalidKeyError if it is not."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidKeyError("key bytes have a string that is not UTF-8") from error


def _double(bits: int) -> float:
    plain = bits ^ _SIGN if bits & _SIGN else bits ^ _MASK
    if plain & (_SIGN - 1) > _INFINITY_BITS or plain == _SIGN:
        raise InvalidKeyError("key bytes have NaN or -0.0")
    value: float = struct.unpack(">d", struct.pack(">Q", plain))[0]
    return value


class KeyCodec:
    """Keys of one store to bytes and back, by its schema. Immutable."""

    def __init__(self, schema: types_pb2.KeySchema) -> None:
        self._fields = list(schema.fields)
        self._is_record = schema.shape == types_pb2.KEY_SHAPE_RECORD
        indexed = [n for n, f in enumerate(self._fields) if f.HasField("index_position")]
        self._order = sorted(indexed, key=lambda n: self._fields[n].index_position)

    def encode(self, key: Any) -> tuple[bytes, bytes]:
        """Key bytes and ride-on bytes of a scalar or dict."""
        if not self._is_record:
            self._check(self._fields[0], key)
            return encode_scalar(key, self._fields[0].descending), b""
        given: Mapping[str, Any] = key
        unknown = set(given) - {field.name for field in self._fields}
        if unknown:
            raise FieldUnknownError(f"the store has no field {sorted(unknown)[0]!r}")
        encoded = bytearray()
        for number in self._order:
            field = self._fields[number]
            if field.name not in given:
                raise FieldMissingError(f"field {field.name!r} is indexed and missing")
            self._check(field, given[field.name])
            encoded += encode_scalar(given[field.name], field.descending)
        return bytes(encoded), self._ride_on(given)

    def decode(self, key: bytes, ride_on: bytes = b"") -> Any:
        """The scalar, or the record as a dict in the order of the schema."""
        if not self._is_record:
            return self._take(key, 0, self._fields[0])[0]
        found: dict[int, Any] = {}
        at = 0
        for number in self._order:
            found[number], at = self._take(key, at, self._fields[number])
        if at != len(key):
            raise InvalidKeyError("key bytes go on behind the last field")
        self._take_ride_on(ride_on, found)
        return {self._fields[number].name: found[number] for number in sorted(found)}

    def decode_ride_on(self, ride_on: bytes) -> dict[str, Scalar]:
        """The fields that ride on, by name."""
        found: dict[int, Any] = {}
        self._take_ride_on(ride_on, found)
        return {self._fields[number].name: each for number, each in found.items()}

    def decode_many(self, keys: Sequence[bytes], ride_on: Sequence[bytes], joined: bytes) -> Any:
        """decode() of each; `joined` are all keys in one."""
        if self._is_record or not self._fields:
            return [self.decode(key, rides) for key, rides in zip(keys, ride_on)]
        field, n = self._fields[0], len(keys)
        code = TYPE_BYTES.get(field.type)
        if code == INT64 and not field.descending and all(len(key) == 9 for key in keys):
            if joined[::9] == bytes((INT64,)) * n:
                return [number - _SIGN for (number,) in struct.iter_unpack(">xQ", joined)]
        if code == STRING and not field.descending and b"\x00\xff" not in joined:
            # Only ends of strings have zeros, and behind each end the next type byte follows.
            texts = joined[:-2].split(b"\x00\x01@")
            if len(texts) == n and joined[:1] == b"@" and joined[-2:] == b"\x00\x01":
                texts[0] = texts[0][1:]
                return [text_of(each) for each in texts]
        return [self._take(key, 0, field)[0] for key in keys]

    def _take_ride_on(self, ride_on: bytes, found: dict[int, Any]) -> None:
        at = 0
        while at < len(ride_on):
            number = ride_on[at]
            if number >= len(self._fields):
                raise InvalidKeyError(f"ride-on bytes have the unknown field {number}")
            found[number], at = self._take(ride_on, at + 1, self._fields[number])

    def _ride_on(self, given: Mapping[str, Any]) -> bytes:
        encoded = bytearray()
        for number, field in enumerate(self._fields):
            if field.HasField("index_position") or given.get(field.name) is None:
                continue
            self._check(field, given[field.name])
            encoded.append(number)
            encoded += encode_scalar(given[field.name])
        return bytes(encoded)

    @staticmethod
    def _check(field: types_pb2.SchemaField, value: object) -> None:
        if _code_of(value) != TYPE_BYTES[field.type]:
            wanted = types_pb2.ScalarType.Name(field.type)
            raise KeyTypeDiffersError(f"field {field.name!r} is {wanted}, not {value!r:.64}")

    @staticmethod
    def _take(encoded: bytes, at: int, field: types_pb2.SchemaField) -> tuple[Scalar, int]:
        value, descending, end = decode_scalar(encoded, at)
        wanted = field.descending and field.HasField("index_position")
        if _code_of(value) != TYPE_BYTES[field.type] or descending != wanted:
            raise KeyTypeDiffersError(f"key bytes do not fit field {field.name!r} of the store")
        return value, end

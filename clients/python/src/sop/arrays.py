"""Packed pages as numpy arrays and back: columns are views of the page, never single items."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Union
from uuid import UUID

from sop import pages
from sop.errors import InvalidArgumentError, InvalidKeyError, KeyTypeDiffersError
from sop.errors import MissingDependencyError
from sop.key_codec import TYPE_BYTES, KeyCodec, text_of
from sop.scalars import Timestamp, out_of_range, unwrapped, value_of
from sop.v1 import types_pb2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOTHING_FOUND: Mapping[int, types_pb2.Value] = MappingProxyType({})
_SIGN = 1 << 63
_INFINITY = 0x7FF0_0000_0000_0000
# Type byte: how many bytes follow it.
_FIXED = {
    types_pb2.SCALAR_TYPE_BOOL: 1,
    types_pb2.SCALAR_TYPE_INT64: 8,
    types_pb2.SCALAR_TYPE_DOUBLE: 8,
    types_pb2.SCALAR_TYPE_TIMESTAMP: 8,
    types_pb2.SCALAR_TYPE_UUID: 16,
}


@dataclass
class Arrays:
    """Items by columns: an array for each field of the keys, and one of values.

    A scalar key is the field "key". int64, double, bool and timestamp fields are arrays of these,
    all others of Python objects. Values are as described at `Btree.to_numpy`.
    """

    keys: dict[str, NDArray[Any]]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def key(self) -> NDArray[Any]:
        """The only field of the keys. InvalidArgumentError if there are several."""
        if len(self.keys) != 1:
            raise InvalidArgumentError(f"keys have the fields {', '.join(self.keys)}: name one")
        return next(iter(self.keys.values()))


def numpy() -> Any:
    """The module. MissingDependencyError if it is not installed."""
    try:
        import numpy as module
    except ImportError as error:
        raise MissingDependencyError(
            "numpy is not installed: pip install sop-client[numpy]",
            reason="MISSING_DEPENDENCY",
            metadata={"package": "numpy"},
        ) from error
    return module


class PageArrays:
    """One packed page as arrays that are views of it. Raises what parse_page() raises."""

    def __init__(self, page: Union[bytes, memoryview]) -> None:
        self._np = numpy()
        columns, n, sizes = pages.read_header(page)
        self.count = n
        self._page = page
        self._at = pages.HEADER.size
        self._take("<u8", n * bool(columns & pages.VERSIONS))
        self.item_ids = self._take("V16", n * bool(columns & pages.ITEM_IDS))
        ends = {c: self._take("<u4", n * bool(columns & c)) for c in sizes}
        tags = n * bool(columns & pages.VALUES)
        self.flags, self.formats = self._take("u1", tags), self._take("u1", tags)
        self.keys, self.key_ends = self._part(sizes, ends, pages.KEYS)
        self.ride_on, self.ride_on_ends = self._part(sizes, ends, pages.RIDE_ON)
        self.values, self.value_ends = self._part(sizes, ends, pages.VALUES)
        if self._at != len(page):
            raise InvalidArgumentError("packed page is too long")
        pages.check_tags(self.flags.tobytes(), self.formats.tobytes())

    def left_out(self) -> list[int]:
        """Which items have their value elsewhere because of its size."""
        return [int(each) for each in self._np.flatnonzero(self.flags)]

    def key_of(self, number: int) -> types_pb2.Key:
        """The key of an item, to read it by."""
        start = int(self.key_ends[number - 1]) if number else 0
        encoded = self.keys[start : int(self.key_ends[number])].tobytes()
        return types_pb2.Key(encoded=types_pb2.EncodedKey(key=encoded))

    def id_of(self, number: int) -> bytes:
        """The id of an item, empty in a unique store."""
        return self.item_ids[number].tobytes() if len(self.item_ids) else b""

    def value_column(
        self, value_type: Optional[Any], found: Mapping[int, types_pb2.Value] = NOTHING_FOUND
    ) -> NDArray[Any]:
        """The values, see Btree.to_numpy; those left out are taken from `found`, or empty."""
        n, np = len(self.flags), self._np
        if found and value_type is not None:
            parts, _ = self._with(found)
            ends = np.cumsum([len(each) for each in parts])
            return self._typed(np.dtype(value_type), b"".join(parts), ends)
        if value_type is not None:
            return self._typed(np.dtype(value_type), self.values, self.value_ends)
        is_bytes = n > 0 and int(self.formats.max()) <= types_pb2.VALUE_FORMAT_BYTES
        size = len(self.values) // n if n else 0
        if is_bytes and size and not self.flags.any() and _are_all_of(size, self.value_ends):
            fixed: NDArray[Any] = np.frombuffer(self.values, f"V{size}")
            return fixed
        return _objects(np, list(map(value_of, *self._with(found))))

    def _with(self, found: Mapping[int, types_pb2.Value]) -> tuple[list[bytes], list[int]]:
        """All values and their formats, those left out as they were found."""
        parts = pages.cut(self.values.tobytes(), self.value_ends.tolist())
        formats: list[int] = self.formats.tolist()
        for number, value in found.items():
            parts[number], formats[number] = value.content, value.format
        return parts, formats

    def _typed(self, dtype: Any, content: Any, ends: Any) -> NDArray[Any]:
        n, np = len(ends), self._np
        size = len(content) // n if n else dtype.itemsize
        if not _are_all_of(size, ends) or size % dtype.itemsize:
            raise InvalidArgumentError(
                f"values are not all of {dtype.itemsize} bytes, or the same multiple of it",
                metadata={"value_type": str(dtype)},
            )
        flat: NDArray[Any] = np.frombuffer(content, dtype)
        return flat if size == dtype.itemsize else flat.reshape(n, size // dtype.itemsize)

    def _take(self, dtype: str, count: int) -> Any:
        size = self._np.dtype(dtype).itemsize * count
        if self._at + size > len(self._page):
            raise InvalidArgumentError("packed page is too short")
        taken = self._np.frombuffer(self._page, dtype, count, self._at)
        self._at += size
        return taken

    def _part(self, sizes: Mapping[int, int], ends: Mapping[int, Any], column: int) -> Any:
        part, its_ends = self._take("u1", sizes[column]), ends[column]
        last = int(its_ends[-1]) if len(its_ends) else 0
        if last != sizes[column]:
            raise InvalidArgumentError("packed page has an end that does not fit")
        if len(its_ends) and (its_ends[1:] < its_ends[:-1]).any():
            raise InvalidArgumentError("packed page has ends that fall")
        return part, its_ends


def _are_all_of(size: int, ends: Any) -> bool:
    return bool((ends == numpy().arange(1, len(ends) + 1) * size).all())


def _objects(np: Any, content: Sequence[Any]) -> NDArray[Any]:
    made = np.empty(len(content), object)
    made[:] = content
    return made  # type: ignore[no-any-return]


class KeyColumns:
    """Encoded keys (docs/formats/key.md) of one store as arrays, field by field."""

    def __init__(self, schema: types_pb2.KeySchema) -> None:
        self._np = numpy()
        self._fields = list(schema.fields)
        self._is_record = schema.shape == types_pb2.KEY_SHAPE_RECORD
        self._codec = KeyCodec(schema)
        indexed = [f for f in self._fields if f.HasField("index_position")]
        self._order = sorted(indexed, key=lambda field: field.index_position)

    def decode(self, page: PageArrays) -> dict[str, NDArray[Any]]:
        """An array per field; ride-on fields that an item has not are None."""
        if not self._fields:
            return {} if self._is_record else {"key": self._np.empty(0, object)}
        if not self._is_record:
            return {"key": self._indexed(page, self._fields[:1])[""]}
        found = self._indexed(page, self._order)
        if len(self._order) < len(self._fields):
            found.update(self._riding(page))
        return {field.name: found[field.name] for field in self._fields}

    def encode(self, columns: Mapping[str, Any]) -> tuple[bytes, Any, bytes, Any]:
        """Key bytes and their ends, ride-on bytes and theirs, of an array per field ("" is the
        scalar's). Raises what KeyCodec.encode() raises.
        """
        order = self._order if self._is_record else self._fields[:1]
        n = len(next(iter(columns.values())))
        is_whole = set(columns) == {field.name for field in order}
        if is_whole and all(self._is_plain(columns[f.name], f) for f in order):
            rows = self._np.concatenate([self._rows(columns[f.name], f) for f in order], axis=1)
            size = rows.shape[1]
            return rows.tobytes(), range(size, size * n + 1, size), b"", ()
        lists = {name: python_list(column) for name, column in columns.items()}
        if self._is_record:
            keys: Any = (dict(zip(lists, row)) for row in zip(*lists.values()))
        else:
            keys = lists[""]
        encoded = [self._codec.encode(key) for key in keys]
        key_parts, riding = [k for k, _ in encoded], [r for _, r in encoded]
        return (
            b"".join(key_parts), pages.ends_of(key_parts), b"".join(riding), pages.ends_of(riding)
        )

    @staticmethod
    def _is_plain(column: Any, field: types_pb2.SchemaField) -> bool:
        """Whether an array's numbers are those of the field, and can be encoded all at once."""
        kinds = {
            types_pb2.SCALAR_TYPE_BOOL: "b",
            types_pb2.SCALAR_TYPE_INT64: "i",
            types_pb2.SCALAR_TYPE_DOUBLE: "f",
            types_pb2.SCALAR_TYPE_TIMESTAMP: "M",
        }
        return bool(column.dtype.kind == kinds.get(field.type))

    def _rows(self, column: Any, field: types_pb2.SchemaField) -> Any:
        """A row of encoded bytes per number."""
        np, n = self._np, len(column)
        rows = np.empty((n, 1 + _FIXED[field.type]), np.uint8)
        rows[:, 0] = TYPE_BYTES[field.type]
        if field.type == types_pb2.SCALAR_TYPE_BOOL:
            rows[:, 1] = column
        else:
            rows[:, 1:] = self._ordered_bits(column, field).astype(">u8").view(np.uint8).reshape(n, 8)
        return ~rows if field.descending else rows

    def _ordered_bits(self, column: Any, field: types_pb2.SchemaField) -> Any:
        """Numbers as unsigned ones of the same order."""
        np = self._np
        if field.type == types_pb2.SCALAR_TYPE_DOUBLE:
            if np.isnan(column).any():
                raise InvalidKeyError("NaN cannot be a key")
            # Adding makes 0.0 of -0.0.
            bits = (column.astype(np.float64) + 0.0).view(np.uint64)
            return np.where(bits >> np.uint64(63), ~bits, bits | np.uint64(_SIGN))
        is_time = field.type == types_pb2.SCALAR_TYPE_TIMESTAMP
        numbers = nanos_of_column(column) if is_time else column.astype(np.int64)
        return numbers.view(np.uint64) ^ np.uint64(_SIGN)

    def _indexed(self, page: PageArrays, order: Sequence[types_pb2.SchemaField]) -> dict[str, Any]:
        np, n = self._np, page.count
        ends = page.key_ends.astype(np.int64)
        at = np.zeros(n, np.int64)
        at[1:] = ends[:-1]
        found: dict[str, Any] = {}
        for field in order:
            size = _FIXED.get(field.type)
            if size is None:
                found[field.name], at = self._texts(page.keys, at, ends, field)
            else:
                taken = self._fixed(page.keys, at, size + 1, ends)
                found[field.name] = self._numbers(taken, field)
                at = at + size + 1
        if (at != ends).any():
            raise InvalidKeyError("key bytes go on behind the last field")
        return found

    def _fixed(self, joined: Any, at: Any, size: int, ends: Any) -> Any:
        """A row of `size` bytes per key."""
        np, n = self._np, len(at)
        if n and int((ends - at).min()) < size:
            raise InvalidKeyError("key bytes end inside a field")
        if len(joined) == n * size:
            return joined.reshape(n, size)
        return joined[at[:, None] + np.arange(size)]

    def _numbers(self, rows: Any, field: types_pb2.SchemaField) -> Any:
        np = self._np
        self._check_type(rows[:, 0], field)
        payload = np.ascontiguousarray(rows[:, 1:])
        if _is_down(field):
            payload = ~payload
        if field.type == types_pb2.SCALAR_TYPE_BOOL:
            if (payload > 1).any():
                raise InvalidKeyError("key bytes have a bool that is neither 0 nor 1")
            return payload[:, 0] != 0
        if field.type == types_pb2.SCALAR_TYPE_UUID:
            return _objects(np, [UUID(bytes=row.tobytes()) for row in payload])
        bits = payload.view(">u8")[:, 0].astype(np.uint64)
        if field.type == types_pb2.SCALAR_TYPE_DOUBLE:
            plain = np.where(bits >> np.uint64(63), bits ^ np.uint64(_SIGN), ~bits)
            if (plain & np.uint64(_SIGN - 1) > _INFINITY).any() or (plain == _SIGN).any():
                raise InvalidKeyError("key bytes have NaN or -0.0")
            return plain.view(np.float64)
        numbers = (bits ^ np.uint64(_SIGN)).view(np.int64)
        is_time = field.type == types_pb2.SCALAR_TYPE_TIMESTAMP
        return numbers.view("M8[ns]") if is_time else numbers

    def _texts(self, joined: Any, at: Any, ends: Any, field: types_pb2.SchemaField) -> Any:
        """Strings or bytes, and where the next field begins."""
        np = self._np
        if not len(at):
            return _objects(np, []), at
        if int((ends - at).min()) < 3:
            raise InvalidKeyError("key bytes end inside a string")
        self._check_type(joined[at], field)
        zero, finish = (0xFF, 0xFE) if field.descending else (0x00, 0x01)
        # Inside of a string a zero is followed by its escape, so this pair is only its end.
        finishes = np.flatnonzero((joined[:-1] == zero) & (joined[1:] == finish))
        where = np.searchsorted(finishes, at + 1)
        if (where >= len(finishes)).any():
            raise InvalidKeyError("key bytes end inside a string")
        stops = finishes[where]
        if (stops + 2 > ends).any():
            raise InvalidKeyError("key bytes end inside a string")
        content = (~joined if field.descending else joined).tobytes()
        parts = [content[a + 1 : b] for a, b in zip(at.tolist(), stops.tolist())]
        if b"\x00\xff" in content:
            parts = [part.replace(b"\x00\xff", b"\x00") for part in parts]
        is_text = field.type == types_pb2.SCALAR_TYPE_STRING
        made = [text_of(part) for part in parts] if is_text else parts
        return _objects(np, made), stops + 2

    def _riding(self, page: PageArrays) -> dict[str, Any]:
        """Fields that ride on, which every item may have or not."""
        riding = [f for f in self._fields if not f.HasField("index_position")]
        first = page.ride_on[: int(page.ride_on_ends[0])] if page.count else page.ride_on
        layout = self._layout(first.tobytes())
        if layout is not None and len(page.ride_on) == len(first) * page.count:
            rows = page.ride_on.reshape(page.count, len(first))
            numbers = [at - 1 for _, at in layout]
            if (rows[:, numbers] == rows[:1, numbers]).all():
                return self._laid_out(rows, layout, riding)
        parts = pages.cut(page.ride_on.tobytes(), page.ride_on_ends.tolist())
        rows = [self._codec.decode_ride_on(part) for part in parts]
        # Without a ride-on column there are no ends.
        rows = rows or [{}] * page.count
        columns = {f.name: [row.get(f.name) for row in rows] for f in riding}
        return {f.name: self._column(columns[f.name], f) for f in riding}

    def _layout(self, ride_on: bytes) -> Optional[list[tuple[types_pb2.SchemaField, int]]]:
        """Where each field's bytes are, if all of them have a fixed size."""
        layout = []
        at = 0
        while at < len(ride_on):
            field = self._fields[ride_on[at]] if ride_on[at] < len(self._fields) else None
            if field is None or field.type not in _FIXED:
                return None
            layout.append((field, at + 1))
            at += 2 + _FIXED[field.type]
        return layout

    def _laid_out(self, rows: Any, layout: Any, riding: Sequence[Any]) -> dict[str, Any]:
        found = {f.name: _objects(self._np, [None] * len(rows)) for f in riding}
        for field, at in layout:
            found[field.name] = self._numbers(rows[:, at : at + 1 + _FIXED[field.type]], field)
        return found

    def _column(self, content: list[Any], field: types_pb2.SchemaField) -> Any:
        """As numbers where every item has one."""
        kinds = {
            types_pb2.SCALAR_TYPE_BOOL: "?",
            types_pb2.SCALAR_TYPE_INT64: "i8",
            types_pb2.SCALAR_TYPE_DOUBLE: "f8",
        }
        if field.type in kinds and not any(each is None for each in content):
            return self._np.array(content, kinds[field.type])
        return _objects(self._np, content)

    def _check_type(self, types: Any, field: types_pb2.SchemaField) -> None:
        wanted = TYPE_BYTES[field.type] ^ (0xFF if _is_down(field) else 0)
        if (types != wanted).any():
            raise KeyTypeDiffersError(f"key bytes do not fit field {field.name!r} of the store")


def _is_down(field: types_pb2.SchemaField) -> bool:
    """What rides on has no direction."""
    return field.descending and field.HasField("index_position")


def python_list(column: Any) -> list[Any]:
    """Python objects of an array; times keep their nanoseconds."""
    if column.dtype.kind == "M":
        return [Timestamp(each) for each in nanos_of_column(column).tolist()]
    content: list[Any] = column.tolist()
    if column.dtype.kind != "O":
        return content
    return [each if type(each) is str else unwrapped(each) for each in content]


def nanos_of_column(column: Any) -> Any:
    """Times as nanoseconds. InvalidKeyError for NaT and for what 64 bits do not hold."""
    if numpy().isnat(column).any():
        raise InvalidKeyError("NaT cannot be a key")
    nanos = column.astype("M8[ns]")
    wrong = numpy().flatnonzero(nanos.astype(column.dtype) != column)
    if len(wrong):
        raise out_of_range(column[wrong[0]])
    return nanos.view("i8")


class Gathering:
    """Puts pages into arrays of their number in all, so that no page is kept until the last."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._filled = 0
        self._columns: dict[str, NDArray[Any]] = {}
        self._values: Optional[NDArray[Any]] = None

    def add(self, page: Arrays) -> None:
        """Takes the next page."""
        self._count = max(self._count, self._filled + len(page))
        for name, column in page.keys.items():
            self._columns[name] = self._put(self._columns.get(name), column)
        self._values = self._put(self._values, page.values)
        self._filled += len(page)

    def result(self) -> Arrays:
        """All of them; at least one page was added."""
        assert self._values is not None
        keys = {name: column[: self._filled] for name, column in self._columns.items()}
        return Arrays(keys, self._values[: self._filled])

    def _put(self, whole: Optional[NDArray[Any]], part: NDArray[Any]) -> NDArray[Any]:
        np = numpy()
        shape = (self._count, *part.shape[1:])
        if whole is None:
            whole = np.empty(shape, part.dtype)
        elif whole.dtype != part.dtype:
            # Such as values of one size, then of several.
            if whole.dtype != object:
                whole = self._as_objects(whole)
            part = _objects(np, _plain(part))
        elif whole.shape[1:] != part.shape[1:]:
            raise InvalidArgumentError("values are not all of the same size")
        if len(whole) < self._count:
            whole = np.concatenate([whole, np.empty(shape, whole.dtype)])
        whole[self._filled : self._filled + len(part)] = part
        return whole

    def _as_objects(self, whole: NDArray[Any]) -> NDArray[Any]:
        made = numpy().empty(len(whole), object)
        made[: self._filled] = _objects(numpy(), _plain(whole[: self._filled]))
        return made  # type: ignore[no-any-return]


def _plain(column: NDArray[Any]) -> list[Any]:
    """Python objects of a column: bytes of a void."""
    if column.dtype.kind == "V" and column.dtype.names is None:
        return [each.tobytes() for each in column]
    return list(column)

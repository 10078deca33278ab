"""Columns of pandas and numpy as items to add, and items as DataFrames."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence, Union

from sop import pages
from sop.arrays import Arrays, KeyColumns, numpy, python_list
from sop.batch import LARGE_VALUE_BYTES
from sop.errors import InvalidArgumentError, MissingDependencyError
from sop.options import Item
from sop.scalars import to_value
from sop.v1 import types_pb2

if TYPE_CHECKING:
    from pandas import DataFrame

# Of one request: well below 65,536 items and 4 MiB. The values have their share of the bytes.
_ITEMS = 20_000
_VALUE_BYTES = 2 << 20
_PAGE_BYTES = 3 << 20
# The kinds of arrays whose rows are values as they are.
_FIXED_KINDS = "biufcmMV"


def pandas() -> Any:
    """The module. MissingDependencyError if it is not installed."""
    try:
        import pandas as module
    except ImportError as error:
        raise MissingDependencyError(
            "pandas is not installed: pip install sop-client[pandas]",
            reason="MISSING_DEPENDENCY",
            metadata={"package": "pandas"},
        ) from error
    return module


def frame_of(arrays: Arrays) -> DataFrame:
    """A column per field of the key, and one or several of the values."""
    columns: dict[str, Any] = dict(arrays.keys)
    values = arrays.values
    if values.dtype.kind == "V":
        columns[_free("value", columns)] = [each.tobytes() for each in values]
    elif len(values) and all(isinstance(each, dict) for each in values):
        names = {name: None for each in values for name in each}
        for name in names:
            columns[_free(name, columns)] = [each.get(name) for each in values]
    else:
        columns[_free("value", columns)] = values
    made: DataFrame = pandas().DataFrame(columns).infer_objects()
    return made


def _free(name: str, columns: Mapping[str, Any]) -> str:
    """The name of a value's column; a key's column keeps its own."""
    while name in columns:
        name = f"value.{name}"
    return name


@dataclass
class _Values:
    """Values of neighbours, encoded and joined."""

    content: bytes
    ends: Sequence[int]
    formats: bytes

    @staticmethod
    def of(values: Sequence[types_pb2.Value]) -> "_Values":
        """Of messages."""
        contents = [each.content for each in values]
        formats = bytes(each.format for each in values)
        return _Values(b"".join(contents), pages.ends_of(contents), formats)

    def __len__(self) -> int:
        return len(self.formats)


@dataclass
class ColumnsToAdd:
    """Items by columns: keys by field ("" is the scalar's), and values, an array or a list."""

    keys: dict[str, Any]
    values: Any
    replace: bool = False

    @staticmethod
    def of(keys: Any, values: Any, replace: bool) -> "ColumnsToAdd":
        """Checked: all of one length."""
        np = numpy()
        given = dict(keys) if isinstance(keys, Mapping) else {"": keys}
        columns = {name: np.asarray(each) for name, each in given.items()}
        values = np.asarray(values) if hasattr(values, "dtype") else list(values)
        if hasattr(values, "dtype") and values.dtype.kind not in _FIXED_KINDS:
            values = values.tolist()
        lengths = {len(values), *(len(each) for each in columns.values())}
        if len(lengths) != 1 or not columns:
            raise InvalidArgumentError("keys and values are not of the same length")
        return ColumnsToAdd(columns, values, replace)

    def __len__(self) -> int:
        return len(self.values)

    def first(self) -> Item[Any, Any]:
        """The item that the columns begin with."""
        value = self.values[0]
        return Item(self._key(0), value.tobytes() if self._are_rows() else value)

    def move_fullest_first(self) -> None:
        """Lets the items begin with one that has all fields of the key, if there is one."""
        np = numpy()
        missing = np.zeros(len(self), int)
        for column in self.keys.values():
            if column.dtype.kind == "O":
                missing += [each is None for each in column]
        first = int(missing.argmin())
        order = [first, *range(first), *range(first + 1, len(self))]
        self.keys = {name: column[order] for name, column in self.keys.items()}
        rows = self._are_rows()
        self.values = self.values[order] if rows else [self.values[each] for each in order]

    def fits(self, schema: types_pb2.KeySchema) -> bool:
        """Whether the store knows all fields, so that keys can be encoded here."""
        is_record = schema.shape == types_pb2.KEY_SHAPE_RECORD
        known = {field.name for field in schema.fields}
        return bool(known) and is_record == ("" not in self.keys) and set(self.keys) <= known

    def requests(
        self, schema: types_pb2.KeySchema, begin: int
    ) -> Iterator[Union[bytes, Item[Any, Any]]]:
        """The items from `begin` on as packed pages; one with a large value alone, as an item."""
        codec = KeyColumns(schema)
        for values in self._encoded(begin):
            end = begin + len(values)
            if len(values.content) > LARGE_VALUE_BYTES and len(values) == 1:
                value_format = types_pb2.ValueFormat.Name(values.formats[0])
                value = types_pb2.Value(content=values.content, format=value_format)
                yield Item(self._key(begin), value)
            else:
                keys = codec.encode({n: each[begin:end] for n, each in self.keys.items()})
                yield from _pages_of(keys, values)
            begin = end

    def _key(self, number: int) -> Any:
        row = {name: python_list(each[number : number + 1])[0] for name, each in self.keys.items()}
        return row.get("", row)

    def _are_rows(self) -> bool:
        return hasattr(self.values, "dtype")

    def _encoded(self, begin: int) -> Iterator[_Values]:
        """Values from `begin` on, as many at once as go into a request; a large one alone."""
        if self._are_rows():
            yield from self._encoded_rows(begin)
            return
        group: list[types_pb2.Value] = []
        size_bytes = 0
        for each in islice(self.values, begin, None):
            value = to_value(each)
            weight = len(value.content)
            if weight > LARGE_VALUE_BYTES:
                weight = _VALUE_BYTES + 1
            if group and (size_bytes + weight > _VALUE_BYTES or len(group) == _ITEMS):
                yield _Values.of(group)
                group, size_bytes = [], 0
            group.append(value)
            size_bytes += weight
        if group:
            yield _Values.of(group)

    def _encoded_rows(self, begin: int) -> Iterator[_Values]:
        size: int = self.values.nbytes // max(len(self), 1)
        at_once = max(1, min(_ITEMS, _VALUE_BYTES // max(size, 1)))
        if size > LARGE_VALUE_BYTES:
            at_once = 1
        for start in range(begin, len(self), at_once):
            content = numpy().ascontiguousarray(self.values[start : start + at_once]).tobytes()
            n = min(at_once, len(self) - start)
            ends = range(size, size * n + 1, size) if size else [0] * n
            yield _Values(content, ends, bytes([types_pb2.VALUE_FORMAT_BYTES]) * n)


def _pages_of(
    keys: tuple[bytes, Sequence[int], bytes, Sequence[int]], values: _Values
) -> Iterator[bytes]:
    """The packed pages of neighbours: one, unless their keys are long."""
    np, n = numpy(), len(values)
    if len(keys[0]) + len(keys[2]) + len(values.content) <= _PAGE_BYTES:
        yield pages.join_columns(keys, (values.content, values.ends), values.formats)
        return
    columns = [(keys[0], keys[1]), (keys[2], keys[3] or [0] * n), (values.content, values.ends)]
    totals = sum(np.asarray(ends, np.int64) for _, ends in columns)
    begin = 0
    while begin < n:
        before = int(totals[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(totals, before + _PAGE_BYTES, "right")))
        key, ride_on, value = (_part(*column, begin, end) for column in columns)
        yield pages.join_columns((*key, *ride_on), value, values.formats[begin:end])
        begin = end


def _part(joined: bytes, ends: Sequence[int], begin: int, end: int) -> tuple[bytes, list[int]]:
    """Some of joined contents, and their ends."""
    start = ends[begin - 1] if begin else 0
    return joined[start : ends[end - 1]], [each - start for each in ends[begin:end]]


def key_names(
    schema: types_pb2.KeySchema,
    index: types_pb2.IndexSpecification,
    given: Union[str, Sequence[str], None],
    columns: Sequence[str],
) -> Union[str, list[str]]:
    """The column of scalar keys, or those that are fields of keys."""
    is_record = schema.shape == types_pb2.KEY_SHAPE_RECORD or bool(index.fields)
    if isinstance(given, str):
        return [given] if is_record else given
    if given is not None:
        return list(given)
    known = [f.name for f in schema.fields] or [f.name for f in index.fields]
    if is_record:
        return [name for name in known if name in columns]
    if "key" in columns:
        return "key"
    raise InvalidArgumentError("say which columns are the key: key=...")


def columns_of_frame(frame: DataFrame, key: Union[str, list[str]]) -> ColumnsToAdd:
    """Keys and values of a DataFrame's rows."""
    names = [key] if isinstance(key, str) else key
    missing = [name for name in names if name not in frame.columns]
    if missing or not names:
        raise InvalidArgumentError(f"the frame has no column {', '.join(missing) or 'of the key'}")
    twice = [name for name, count in Counter(map(str, frame.columns)).items() if count > 1]
    if twice:
        raise InvalidArgumentError(f"the frame has several columns {twice[0]!r:.64}")
    keys = {name: _key_array(frame[name]) for name in names}
    # Labels may be numbers; members of JSON are named by text.
    labels = [label for label in frame.columns if label not in names]
    rest = list(map(str, labels))
    columns = [_plain_list(frame[label]) for label in labels]
    if rest == ["value"]:
        values: list[Any] = columns[0]
    else:
        values = [dict(zip(rest, row)) for row in zip(*columns)] or [{}] * len(frame)
    if isinstance(key, str):
        keys = {"": keys[key]}
    return ColumnsToAdd.of(keys if "" not in keys else keys[""], values, False)


def _key_array(series: Any) -> Any:
    """A column of keys; what is missing in it is None."""
    if getattr(series.dtype, "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if series.isna().any():
        np = numpy()
        made = np.empty(len(series), object)
        made[:] = _plain_list(series)
        return made
    return series.to_numpy()


def _plain_list(series: Any) -> list[Any]:
    """A column as Python objects; what is missing in it is None."""
    missing = series.isna().tolist()
    # Members that are lists are asked for as a whole, not element by element.
    return [None if is_gone else each for each, is_gone in zip(series.tolist(), missing)]

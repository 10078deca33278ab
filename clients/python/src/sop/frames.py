"""Columns of pandas and numpy as items to add, and items as DataFrames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence, Union

from sop import pages
from sop.arrays import Arrays, KeyColumns, numpy, python_list
from sop.errors import InvalidArgumentError, MissingDependencyError
from sop.options import Item
from sop.scalars import to_value
from sop.v1 import types_pb2

if TYPE_CHECKING:
    from pandas import DataFrame

# Of one request: well below 65,536 items and 4 MiB.
_ITEMS = 20_000
_BYTES = 2 << 20


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
class ColumnsToAdd:
    """Items by columns: keys by field ("" is the scalar's), and values."""

    keys: dict[str, Any]
    values: Any
    replace: bool = False

    @staticmethod
    def of(keys: Any, values: Any, replace: bool) -> "ColumnsToAdd":
        """Checked: all of one length."""
        np = numpy()
        given = dict(keys) if isinstance(keys, Mapping) else {"": keys}
        columns = {name: np.asarray(each) for name, each in given.items()}
        values = values if hasattr(values, "dtype") else list(values)
        lengths = {len(values), *(len(each) for each in columns.values())}
        if len(lengths) != 1 or not columns:
            raise InvalidArgumentError("keys and values are not of the same length")
        return ColumnsToAdd(columns, values, replace)

    def __len__(self) -> int:
        return len(self.values)

    def items(self, begin: int, end: int) -> list[Item[Any, Any]]:
        """Some of them one by one."""
        columns = {n: python_list(each[begin:end]) for n, each in self.keys.items()}
        values = [self._value(each) for each in self.values[begin:end]]
        if "" in columns:
            return [Item(key, value) for key, value in zip(columns[""], values)]
        rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
        return [Item(row, value) for row, value in zip(rows, values)]

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
        is_array = hasattr(self.values, "dtype")
        self.values = self.values[order] if is_array else [self.values[each] for each in order]

    def fits(self, schema: types_pb2.KeySchema) -> bool:
        """Whether the store knows all fields, so that keys can be encoded here."""
        is_record = schema.shape == types_pb2.KEY_SHAPE_RECORD
        known = {field.name for field in schema.fields}
        return bool(known) and is_record == ("" not in self.keys) and set(self.keys) <= known

    def packed(self, schema: types_pb2.KeySchema, begin: int) -> Iterator[bytes]:
        """Packed pages of the items from `begin` on."""
        codec = KeyColumns(schema)
        while begin < len(self):
            end = min(begin + self._items_per_page(begin), len(self))
            keys = codec.encode({n: each[begin:end] for n, each in self.keys.items()})
            values, ends, formats = self._value_bytes(begin, end)
            yield pages.join_columns(keys, (values, ends), formats)
            begin = end

    def _value(self, value: Any) -> Any:
        return value.tobytes() if self._are_numbers() else value

    def _are_numbers(self) -> bool:
        return hasattr(self.values, "dtype") and self.values.dtype.kind != "O"

    def _items_per_page(self, begin: int) -> int:
        size: int
        if self._are_numbers():
            size = self.values.nbytes // len(self.values)
        else:
            sample = self.values[begin : begin + _ITEMS]
            size = max(len(to_value(each).content) for each in sample)
        return max(1, min(_ITEMS, _BYTES // (size + 64)))

    def _value_bytes(self, begin: int, end: int) -> tuple[bytes, Sequence[int], bytes]:
        np, n = numpy(), end - begin
        if self._are_numbers():
            content = np.ascontiguousarray(self.values[begin:end]).tobytes()
            size = len(content) // n
            return content, range(size, size * n + 1, size) if size else [0] * n, bytes([1]) * n
        values = [to_value(each) for each in self.values[begin:end]]
        contents = [value.content for value in values]
        return b"".join(contents), pages.ends_of(contents), bytes(value.format for value in values)


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
    keys = {name: _key_array(frame[name]) for name in names}
    rest = [str(name) for name in frame.columns if name not in names]
    columns = [_plain_list(frame[name]) for name in rest]
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

"""Packed pages (docs/formats/page.md): many items in one blob, a column each."""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional, Sequence, Union

from sop.errors import FormatNotSupportedError, InvalidArgumentError
from sop.v1 import btree_pb2

KEYS, RIDE_ON, VERSIONS, ITEM_IDS, VALUES = 0x01, 0x02, 0x04, 0x08, 0x10
ALL_COLUMNS = 0x1F
VALUE_LEFT_OUT = 0x01
HEADER = struct.Struct("<BBHIIIII")
_LAST_FORMAT = 3
# Number and kind of the fields of a ScanResponse, as they are on the wire.
_PAGE_TAG = btree_pb2.ScanResponse.PAGE_FIELD_NUMBER << 3 | 2
_END_TAG = btree_pb2.ScanResponse.END_FIELD_NUMBER << 3


class PackedItem(NamedTuple):
    """One item. What the page has no column for is empty or 0."""

    key: bytes = b""
    ride_on: bytes = b""
    version: int = 0
    item_id: bytes = b""
    value: bytes = b""
    flags: int = 0
    format: int = 0


class ScannedPage(NamedTuple):
    """A ScanResponse as far as it is needed."""

    page: memoryview
    end: bool


def read_scan_response(message: bytes) -> ScannedPage:
    """A serialised ScanResponse. Its page is a view: as a message it would be copied twice."""
    page, end = memoryview(b""), False
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        size, at = _varint(message, at)
        if tag == _END_TAG:
            end = bool(size)
        elif tag & 7 == 2 and at + size <= len(message):
            if tag == _PAGE_TAG:
                page = memoryview(message)[at : at + size]
            at += size
        elif tag & 7 != 0:
            raise InvalidArgumentError("the server sent bytes that are no ScanResponse")
    return ScannedPage(page, end)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of the wire format of protocol buffers, and where it ends."""
    number = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise InvalidArgumentError("the server sent bytes that are no ScanResponse")


class _Reader:
    def __init__(self, page: bytes, at: int) -> None:
        self._page = page
        self._at = at

    def take(self, size: int) -> bytes:
        part = self._page[self._at : self._at + size]
        if len(part) != size:
            raise InvalidArgumentError("packed page is too short")
        self._at += size
        return part

    def numbers(self, letter: str, size: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}{letter}", self.take(size * count))

    def finish(self) -> None:
        if self._at != len(self._page):
            raise InvalidArgumentError("packed page is too long")


class Columns(NamedTuple):
    """A page by columns; what it has no column for is empty or 0, once per item."""

    n: int
    keys: list[bytes]
    ride_on: list[bytes]
    versions: Sequence[int]
    item_ids: list[bytes]
    values: list[bytes]
    flags: bytes
    formats: bytes
    # All keys joined.
    key_bytes: bytes
    has_values: bool


def read_header(page: Union[bytes, memoryview]) -> tuple[int, int, dict[int, int]]:
    """Columns, number of items, and sizes of a page. InvalidArgumentError if it has no header."""
    if page[:1] and page[0] != 1:
        raise FormatNotSupportedError(f"packed page has format {page[0]}")
    if len(page) < HEADER.size:
        raise InvalidArgumentError("packed page has no header")
    _, columns, zero, n, key_size, ride_on_size, value_size, zeros = HEADER.unpack_from(page)
    if columns & ~ALL_COLUMNS or zero or zeros or (n and not columns):
        raise InvalidArgumentError("packed page has an unknown column or no columns")
    sizes = {KEYS: key_size, RIDE_ON: ride_on_size, VALUES: value_size}
    if any(size and not columns & column for column, size in sizes.items()):
        raise InvalidArgumentError("packed page has bytes of a column that is not there")
    if 4 * n > len(page):
        raise InvalidArgumentError(f"packed page has {len(page)} bytes for {n} items")
    return columns, n, sizes


def parse_columns(page: bytes) -> Columns:
    """The columns of a page. InvalidArgumentError if it is not well formed."""
    columns, n, sizes = read_header(page)
    reader = _Reader(page, HEADER.size)
    versions = reader.numbers("Q", 8, n) if columns & VERSIONS else (0,) * n
    ids = reader.take(16 * n) if columns & ITEM_IDS else b""
    ends = {c: reader.numbers("I", 4, n) if columns & c else None for c in sizes}
    flags = reader.take(n) if columns & VALUES else bytes(n)
    formats = reader.take(n) if columns & VALUES else bytes(n)
    joined = {c: reader.take(sizes[c]) for c in sizes}
    parts = {c: _cut(joined[c], ends[c], n) for c in sizes}
    reader.finish()
    check_tags(flags, formats)
    item_ids = [ids[16 * i : 16 * i + 16] for i in range(n)] if ids else [b""] * n
    return Columns(
        n, parts[KEYS], parts[RIDE_ON], versions, item_ids, parts[VALUES], flags, formats,
        joined[KEYS], bool(columns & VALUES),
    )


def check_tags(flags: bytes, formats: bytes) -> None:
    """InvalidArgumentError for flags or formats that nobody knows."""
    if (flags and max(flags) > VALUE_LEFT_OUT) or (formats and max(formats) > _LAST_FORMAT):
        raise InvalidArgumentError("packed page has an unknown flag or format")


def parse_page(page: bytes) -> list[PackedItem]:
    """The items of a page. InvalidArgumentError if it is not well formed."""
    found = parse_columns(page)
    rows = zip(
        found.keys, found.ride_on, found.versions, found.item_ids, found.values, found.flags,
        found.formats,
    )
    return [PackedItem(*row) for row in rows]


def _cut(joined: bytes, ends: Optional[Sequence[int]], count: int) -> list[bytes]:
    if ends is None:
        return [b""] * count
    return cut(joined, ends)


def cut(joined: bytes, ends: Sequence[int]) -> list[bytes]:
    """The parts that end at `ends`. InvalidArgumentError if they do not fit."""
    if (ends[-1] if ends else 0) != len(joined):
        raise InvalidArgumentError("packed page has an end that does not fit")
    starts = [0, *ends[:-1]]
    if any(start > end for start, end in zip(starts, ends)):
        raise InvalidArgumentError("packed page has ends that fall")
    return [joined[start:end] for start, end in zip(starts, ends)]


def build_page(columns: int, items: Sequence[PackedItem]) -> bytes:
    """The page of `items` with these columns."""
    columns_of = {
        KEYS: [item.key for item in items],
        RIDE_ON: [item.ride_on for item in items],
        VALUES: [item.value for item in items],
    }
    joined = {c: b"".join(p) if columns & c else b"" for c, p in columns_of.items()}
    n = len(items)
    head = HEADER.pack(
        1, columns, 0, n, len(joined[KEYS]), len(joined[RIDE_ON]), len(joined[VALUES]), 0
    )
    parts = [head]
    if columns & VERSIONS:
        parts.append(struct.pack(f"<{n}Q", *(item.version for item in items)))
    if columns & ITEM_IDS:
        parts.extend(item.item_id for item in items)
    for column, contents in columns_of.items():
        if columns & column:
            parts.append(struct.pack(f"<{n}I", *ends_of(contents)))
    if columns & VALUES:
        parts.append(bytes(item.flags for item in items))
        parts.append(bytes(item.format for item in items))
    parts.extend(joined.values())
    return b"".join(parts)


def join_columns(
    keys: tuple[bytes, Sequence[int], bytes, Sequence[int]],
    values: tuple[bytes, Sequence[int]],
    formats: bytes,
) -> bytes:
    """The page of columns that are joined already: keys and ride-on bytes, and values."""
    key_bytes, key_ends, ride_on, ride_on_ends = keys
    n = len(formats)
    columns = KEYS | VALUES | (RIDE_ON if ride_on else 0)
    parts = [HEADER.pack(1, columns, 0, n, len(key_bytes), len(ride_on), len(values[0]), 0)]
    for ends in (key_ends, ride_on_ends if ride_on else (), values[1]):
        parts.append(struct.pack(f"<{len(ends)}I", *ends))
    parts += [bytes(n), formats, key_bytes, ride_on, values[0]]
    return b"".join(parts)


def ends_of(contents: Sequence[bytes]) -> list[int]:
    """Where each ends once they are joined."""
    ends = []
    end = 0
    for content in contents:
        end += len(content)
        ends.append(end)
    return ends

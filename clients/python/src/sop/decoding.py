"""Items out of packed pages and messages: what both faces of the client share."""

from __future__ import annotations

import json
import uuid
from typing import Any, Optional, Sequence

from sop.errors import InvalidArgumentError
from sop.key_codec import KeyCodec
from sop.options import Item
from sop.pages import VALUE_LEFT_OUT, parse_columns
from sop.scalars import as_type, from_key, from_value, value_of
from sop.v1 import types_pb2


def id_text(item_id: bytes) -> Optional[str]:
    """An item's id as text; None in a unique store."""
    return str(uuid.UUID(bytes=item_id)) if item_id else None


def id_bytes(item_id: object) -> bytes:
    """An item's id as the server has it. InvalidArgumentError if it is not a UUID."""
    if not item_id:
        return b""
    try:
        return uuid.UUID(str(item_id)).bytes
    except ValueError as error:
        raise InvalidArgumentError(f"item id {item_id!r:.64} is not a UUID") from error


class ItemDecoder:
    """Makes items of one store, with keys and values of these dataclasses if given."""

    def __init__(self, key_type: Optional[type], value_type: Optional[type]) -> None:
        self.key_type = key_type
        self.value_type = value_type

    def of_message(self, item: types_pb2.Item) -> Item[Any, Any]:
        """The item of a message."""
        value: Any = from_value(item.value, self.value_type) if item.HasField("value") else None
        key = from_key(item.key, self.key_type)
        return Item(key, value, id_text(item.item_id), item.version)

    def of_page(self, page: bytes, codec: KeyCodec) -> tuple[list[Item[Any, Any]], list[int]]:
        """The items of a packed page, and which of them have their value elsewhere."""
        found = parse_columns(page)
        keys = codec.decode_many(found.keys, found.ride_on, found.key_bytes)
        if self.key_type is not None:
            keys = [as_type(key, self.key_type) for key in keys]
        if found.n and found.item_ids[0]:
            ids: Sequence[Optional[str]] = [id_text(each) for each in found.item_ids]
        else:
            ids = [None] * found.n
        values: Sequence[Any] = [None] * found.n
        if found.has_values:
            values = self._values(found.values, found.formats)
        left_out: list[int] = []
        if any(found.flags):
            left_out = [i for i, flags in enumerate(found.flags) if flags & VALUE_LEFT_OUT]
        items: list[Item[Any, Any]] = list(map(Item, keys, values, ids, found.versions))
        return items, left_out

    def _values(self, values: Sequence[bytes], formats: bytes) -> list[Any]:
        kinds = set(formats)
        if kinds == {types_pb2.VALUE_FORMAT_JSON} and all(values):
            try:
                decoded = json.loads(b"[" + b",".join(values) + b"]")
            except ValueError:
                decoded = []
            # One that is no JSON may look like two: then each is taken alone, to say which.
            if len(decoded) == len(values):
                return [as_type(each, self.value_type) for each in decoded]
        if kinds == {types_pb2.VALUE_FORMAT_TEXT}:
            return [value.decode("utf-8", "surrogateescape") for value in values]
        return [value_of(v, f, self.value_type) for v, f in zip(values, formats)]

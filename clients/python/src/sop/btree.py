"""B-tree stores: what can be done with one inside a transaction."""

from __future__ import annotations

import uuid
from typing import Any, Callable, Generic, Iterator, Optional, Sequence, Union

from sop.context import Context, current_context, takes_context, using
from sop.cursor import Cursor
from sop.errors import InvalidArgumentError, InvalidKeyError, LimitExceededError
from sop.errors import UnimplementedError
from sop.key_codec import KeyCodec
from sop.options import (
    BtreeOptions,
    IndexFieldSpecification,
    IndexSpecification,
    Item,
    K,
    PagingDirection,
    PagingInfo,
    Relation,
    StoreInfo,
    V,
    ValueDataSize,
)
from sop.pages import VALUE_LEFT_OUT, PackedItem, parse_page
from sop.scalars import Timestamp, as_type, from_key, from_value, to_key, to_value, value_of
from sop.transaction import Transaction
from sop.v1 import btree_pb2, database_pb2, types_pb2
from sop.writes import Write, WriteKind, WriteResult

__all__ = [
    "Btree",
    "BtreeOptions",
    "IndexFieldSpecification",
    "IndexSpecification",
    "Item",
    "PagingDirection",
    "PagingInfo",
    "Relation",
    "StoreInfo",
    "Timestamp",
    "ValueDataSize",
    "WriteResult",
]

_NOT_GIVEN: Any = object()
# Keys of one multi-get; an answer that would be too large is asked for in halves.
_KEYS_PER_GET = 1000
# Items of the first page that an iteration reads, and of the longest.
_FIRST_PAGE = 64
_LONGEST_PAGE = 10_000
# Above these the server could only say that the message is too large; below it checks itself.
_LARGEST_SENT_KEY = 64 * 1024
_LARGEST_SENT_VALUE = 4 * 1024 * 1024 - 2 * _LARGEST_SENT_KEY
_LARGEST_VALUE = 64 * 1024 * 1024
_KEY_LIMIT = {"limit": "4096"}


class Btree(Generic[K, V]):
    """An open store in a transaction. Confined to the transaction's thread.

    Keys are scalars, dicts or dataclasses; values are text, bytes or anything that JSON holds.
    Without `key_type` and `value_type` dataclasses come back as dicts.
    Writes are collected and sent in batches; see WriteResult. Reads send what they depend on first.
    """

    def __init__(
        self,
        transaction: Transaction,
        store: types_pb2.Store,
        key_type: Optional[type[K]] = None,
        value_type: Optional[type[V]] = None,
    ) -> None:
        self._transaction = transaction
        self._store = store
        self._key_type = key_type
        self._value_type = value_type
        self._info = StoreInfo.from_message(store)
        self._queue = transaction.queue_of(store.name)
        size = self._info.value_data_size or ValueDataSize.Medium
        self._cursor = Cursor(transaction, store.name, size)

    @property
    def name(self) -> str:
        """The store's name."""
        return self._store.name

    @takes_context
    def add(self, items: Union[Item[K, V], Sequence[Item[K, V]]]) -> WriteResult:
        """Adds; false where the key of a unique store is there already."""
        return self._write(WriteKind.ADD, _listed(items))

    @takes_context
    def add_if_not_exists(self, items: Union[Item[K, V], Sequence[Item[K, V]]]) -> WriteResult:
        """Adds; false where the key is there already, in stores that are not unique, too."""
        return self._write(WriteKind.ADD_IF_NOT_EXISTS, _listed(items))

    @takes_context
    def update(self, items: Union[Item[K, V], Sequence[Item[K, V]]]) -> WriteResult:
        """Replaces values; false where the key is not there."""
        return self._write(WriteKind.UPDATE, _listed(items))

    @takes_context
    def upsert(self, items: Union[Item[K, V], Sequence[Item[K, V]]]) -> WriteResult:
        """Adds, or replaces where the key is there; always true."""
        return self._write(WriteKind.UPSERT, _listed(items))

    @takes_context
    def update_key(self, items: Union[Item[K, V], K, Sequence[Item[K, V]]]) -> WriteResult:
        """Replaces fields that ride on a key; the value stays. False where the key is not there."""
        return self._write(WriteKind.UPDATE_KEY, [_as_item(each) for each in _listed(items)])

    @takes_context
    def remove(
        self, keys: Union[K, Item[K, V], Sequence[Union[K, Item[K, V]]]], value: V = _NOT_GIVEN
    ) -> WriteResult:
        """Removes one key or item, or a list; false where one is not there.

        With `value` the item must have that value: among equal keys the first that does goes.
        """
        items = [_as_item(each) for each in _listed(keys)]
        if value is _NOT_GIVEN:
            return self._write(WriteKind.REMOVE, items)
        if len(items) != 1:
            raise InvalidArgumentError(f"remove takes one key with a value, not {len(items)}")
        write = self._make_write(WriteKind.REMOVE, items[0])
        assert write.item is not None
        write.item.value.CopyFrom(_sendable(to_value(value)))
        return self._put([write])

    @takes_context
    def find(self, key: K) -> bool:
        """Goes to the first item with this key. If there is none, next and previous lead to the
        neighbours of where it would be.
        """
        return self._cursor.seek(btree_pb2.SEEK_TARGET_EXACT, to_key(key))

    @takes_context
    def find_with_id(self, key: K, id: Union[str, uuid.UUID]) -> bool:
        """Goes to the item with this key and id, in a store that is not unique."""
        return self._cursor.seek(btree_pb2.SEEK_TARGET_EXACT, to_key(key), _id_bytes(id))

    @takes_context
    def first(self) -> bool:
        """Goes to the first item; false if the store is empty."""
        return self._cursor.seek(btree_pb2.SEEK_TARGET_FIRST)

    @takes_context
    def last(self) -> bool:
        """Goes to the last item; false if the store is empty."""
        return self._cursor.seek(btree_pb2.SEEK_TARGET_LAST)

    @takes_context
    def next(self) -> bool:
        """Goes one item on; false, and off the end, behind the last."""
        return self._cursor.step(types_pb2.DIRECTION_FORWARD)

    @takes_context
    def previous(self) -> bool:
        """Goes one item back; false, and off the end, before the first."""
        return self._cursor.step(types_pb2.DIRECTION_BACKWARD)

    @takes_context
    def get_current_key(self) -> Optional[K]:
        """The key that the cursor is at; None if it is at no item."""
        item = self._cursor.item(with_value=False)
        key: Optional[K] = from_key(item.key, self._key_type) if item is not None else None
        return key

    @takes_context
    def get_current_value(self) -> Optional[V]:
        """The value that the cursor is at; None if it is at no item."""
        item = self._cursor.item(with_value=True)
        value: Optional[V] = from_value(item.value, self._value_type) if item is not None else None
        return value

    @takes_context
    def get_current_item(self) -> Optional[Item[K, V]]:
        """The item that the cursor is at; None if it is at no item."""
        item = self._cursor.item(with_value=True)
        return self._item_of(item) if item is not None else None

    @takes_context
    def update_current_value(self, value: V) -> WriteResult:
        """Replaces the value that the cursor is at."""
        current = self._current()
        return self._write(WriteKind.UPDATE, [Item(current.key, value, _id_text(current.item_id))])

    @takes_context
    def update_current_key(self, key: Union[K, Item[K, V]]) -> WriteResult:
        """Replaces fields that ride on the key that the cursor is at."""
        changed = _as_item(key).key
        return self._write(
            WriteKind.UPDATE_KEY, [Item(changed, id=_id_text(self._current().item_id))]
        )

    @takes_context
    def update_current_item(self, item: Item[K, V]) -> WriteResult:
        """Replaces value and ride-on fields of the item that the cursor is at."""
        named = Item(item.key, item.value, _id_text(self._current().item_id))
        return self._write(WriteKind.UPDATE, [named])

    @takes_context
    def remove_current_item(self) -> WriteResult:
        """Removes the item that the cursor is at; next leads to the one behind it."""
        current = self._current()
        return self._write(WriteKind.REMOVE, [Item(current.key, id=_id_text(current.item_id))])

    @takes_context
    def get_keys(self, paging: Optional[PagingInfo] = None) -> list[Item[K, V]]:
        """Items without values, from the cursor on, which then is behind them; values are not
        read from disk.
        """
        found = self._cursor.read(paging or PagingInfo(), types_pb2.ITEM_CONTENT_KEYS)
        return [self._item_of(each) for each in found]

    @takes_context
    def get_items(self, paging: Optional[PagingInfo] = None) -> list[Item[K, V]]:
        """Items with values, from the cursor on, which then is behind them."""
        found = self._cursor.read(paging or PagingInfo(), types_pb2.ITEM_CONTENT_ITEMS)
        for each in found:
            if not each.HasField("value"):
                each.CopyFrom(self._fetch_one(each.key, each.item_id) or each)
        return [self._item_of(each) for each in found]

    @takes_context
    def get_values(
        self, keys: Union[Item[K, V], K, Sequence[Union[Item[K, V], K]]]
    ) -> list[Item[K, V]]:
        """The items of these keys that are there, with values, in the order of the keys."""
        self._queue.flush()
        wanted = [_as_item(each) for each in _listed(keys)]
        if any(each.id for each in wanted):
            singles = (self._fetch_one(to_key(each.key), _id_bytes(each.id)) for each in wanted)
            return [self._item_of(each) for each in singles if each is not None]
        messages = [to_key(each.key) for each in wanted]
        found: list[types_pb2.Item] = []
        for start in range(0, len(messages), _KEYS_PER_GET):
            found += self._get(messages[start : start + _KEYS_PER_GET])
        return [self._item_of(each) for each in found]

    @takes_context
    def items(
        self,
        begin: Optional[K] = None,
        end: Optional[K] = None,
        prefix: Optional[K] = None,
        keys_only: bool = False,
    ) -> Iterator[Item[K, V]]:
        """Goes through the items in [begin, end) whose key starts with `prefix`: text or bytes by
        their first ones, records by their leading index fields. The cursor stays where it is.

        Pages are read as the iteration goes on, so that the transaction is free for other calls
        in between; what these write ahead of it is met.
        """
        content = types_pb2.ITEM_CONTENT_KEYS if keys_only else types_pb2.ITEM_CONTENT_ITEMS
        request = btree_pb2.ReadPageRequest(content=content, packed=True)
        request.range.CopyFrom(_range_of(begin, end, prefix))
        return self._paged(request, current_context())

    def __iter__(self) -> Iterator[Item[K, V]]:
        """Goes through all items in order, as items() does."""
        return self.items()

    @takes_context
    def count(
        self,
        begin: Optional[K] = None,
        end: Optional[K] = None,
        prefix: Optional[K] = None,
    ) -> int:
        """The exact number of items, of all or of those that items() would give."""
        self._queue.flush()
        request = self._about(btree_pb2.CountRequest())
        request.range.CopyFrom(_range_of(begin, end, prefix))
        count: int = self._call("Count", request).count
        return count

    @takes_context
    def is_unique(self) -> bool:
        """Whether keys are unique."""
        return bool(self._info.is_unique)

    @takes_context
    def get_store_info(self) -> StoreInfo:
        """Options, types and count as the transaction sees them now."""
        self._queue.flush()
        self._refresh()
        return self._info

    def _refresh(self) -> None:
        connection = self._transaction.connection
        request = self._about(database_pb2.GetStoreRequest())
        self._store = connection.call(connection.databases.GetStore, request).store
        self._info = StoreInfo.from_message(self._store)

    def _write(self, kind: WriteKind, items: Sequence[Item[Any, Any]]) -> WriteResult:
        return self._put([self._make_write(kind, item) for item in items])

    def _put(self, writes: list[Write]) -> WriteResult:
        self._transaction.check_usable()
        for write in writes:
            self._queue.put(write)
        return WriteResult(self._queue, writes)

    @staticmethod
    def _make_write(kind: WriteKind, item: Item[Any, Any]) -> Write:
        if not isinstance(item, Item):
            raise InvalidArgumentError(
                f"expected sop.Item or a list of them, not {type(item).__name__}"
            )
        message = types_pb2.WriteItem(key=to_key(item.key))
        if message.key.ByteSize() > _LARGEST_SENT_KEY:
            size = message.key.ByteSize()
            raise InvalidKeyError(f"key has {size} bytes: allowed are 4096", metadata=_KEY_LIMIT)
        if kind not in (WriteKind.REMOVE, WriteKind.UPDATE_KEY):
            message.value.CopyFrom(_sendable(to_value(item.value)))
        if item.id and kind not in (WriteKind.ADD, WriteKind.ADD_IF_NOT_EXISTS):
            message.item_id = _id_bytes(item.id)
        return Write(kind, message)

    def _current(self) -> types_pb2.Item:
        item = self._cursor.place()
        if item is None:
            raise InvalidArgumentError(
                "the cursor is at no item: call find, first, last or next before",
                metadata={"store": self.name},
            )
        return item

    def _get(self, keys: list[types_pb2.Key]) -> list[types_pb2.Item]:
        try:
            answer = self._call("Get", self._about(btree_pb2.GetRequest(keys=keys)))
        except LimitExceededError:
            if len(keys) == 1:
                raise
            half = len(keys) // 2
            return self._get(keys[:half]) + self._get(keys[half:])
        return list(answer.items)

    def _fetch_one(self, key: types_pb2.Key, item_id: bytes) -> Optional[types_pb2.Item]:
        request = btree_pb2.SeekRequest(
            target=btree_pb2.SEEK_TARGET_EXACT, key=key, item_id=item_id
        )
        answer = self._call("Seek", self._about(request))
        return answer.item if answer.HasField("item") else None

    def _paged(
        self, request: btree_pb2.ReadPageRequest, context: Optional[Context]
    ) -> Iterator[Item[K, V]]:
        codec: Optional[KeyCodec] = None
        codec_version = 0
        request.page_size = _FIRST_PAGE
        while True:
            with using(context):
                self._queue.flush()
                answer = self._call("ReadPage", self._about(request))
                packed = parse_page(answer.packed) if answer.packed else []
                if packed and (codec is None or codec_version != self._queue.version):
                    codec, codec_version = self._codec(), self._queue.version
            for each in packed:
                assert codec is not None
                yield self._unpacked(each, codec, request.content)
            if answer.end:
                return
            request.page_token = answer.next_page_token
            request.page_size = min(request.page_size * 4, _LONGEST_PAGE)

    def _codec(self) -> KeyCodec:
        # Own writes may have decided the types, or added fields that ride on.
        if self._queue.version or not self._store.schema.fields:
            self._refresh()
        return KeyCodec(self._store.schema)

    def _unpacked(
        self, packed: PackedItem, codec: KeyCodec, content: types_pb2.ItemContent
    ) -> Item[K, V]:
        key = codec.decode(packed.key, packed.ride_on)
        item: Item[K, V] = Item(
            as_type(key, self._key_type), id=_id_text(packed.item_id), version=packed.version
        )
        if packed.flags & VALUE_LEFT_OUT:
            whole = self._fetch_one(to_key(key), packed.item_id)
            if whole is not None:
                item.value = from_value(whole.value, self._value_type)
        elif content == types_pb2.ITEM_CONTENT_ITEMS:
            item.value = value_of(packed.value, packed.format, self._value_type)
        return item

    def _item_of(self, item: types_pb2.Item) -> Item[K, V]:
        value: Any = from_value(item.value, self._value_type) if item.HasField("value") else None
        key = from_key(item.key, self._key_type)
        return Item(key, value, _id_text(item.item_id), item.version)

    def _about(self, request: Any) -> Any:
        self._transaction.check_usable()
        request.database = self._transaction.database_name
        request.store = self.name
        request.transaction_id = self._transaction.token
        return request

    def _call(self, rpc: str, request: Any) -> Any:
        connection = self._transaction.connection
        method: Callable[..., Any] = getattr(connection.btrees, rpc)
        return connection.call(method, request)


def _sendable(value: types_pb2.Value) -> types_pb2.Value:
    """The value, unless it needs the streams that come in a later release."""
    size = len(value.content)
    if size > _LARGEST_VALUE:
        raise LimitExceededError(
            f"value has {size} bytes: allowed are {_LARGEST_VALUE}",
            metadata={"limit": str(_LARGEST_VALUE)},
        )
    if size > _LARGEST_SENT_VALUE:
        raise UnimplementedError(f"value has {size} bytes: streamed values are not in this release")
    return value


def _listed(given: Any) -> Sequence[Any]:
    return given if isinstance(given, (list, tuple)) else [given]


def _as_item(given: Any) -> Item[Any, Any]:
    return given if isinstance(given, Item) else Item(given)


def _id_bytes(item_id: Union[str, uuid.UUID, None]) -> bytes:
    if not item_id:
        return b""
    try:
        return uuid.UUID(str(item_id)).bytes
    except ValueError as error:
        raise InvalidArgumentError(f"item id {item_id!r:.64} is not a UUID") from error


def _id_text(item_id: bytes) -> Optional[str]:
    return str(uuid.UUID(bytes=item_id)) if item_id else None


def _range_of(begin: object, end: object, prefix: object) -> types_pb2.KeyRange:
    made = types_pb2.KeyRange()
    if begin is not None:
        made.begin.CopyFrom(to_key(begin))
    if end is not None:
        made.end.CopyFrom(to_key(end))
    if prefix is not None:
        made.prefix.CopyFrom(to_key(prefix))
    return made

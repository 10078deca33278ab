"""B-tree stores: what can be done with one inside a transaction."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, AsyncIterator, Generic, Mapping, Optional, Sequence, Union

from sop.aio.bulk import add_columns
from sop.aio.cursor import Cursor
from sop.aio.link import of_another_database
from sop.aio.reader import KEYS_PER_GET, Reader
from sop.aio.results import WriteResult
from sop.aio.transaction import Transaction
from sop.aio.watch import Change, ChangeKind, Watch
from sop.arrays import Arrays
from sop.batch import BATCH_ITEMS, LARGE_VALUE_BYTES, LARGEST_VALUE_BYTES, Write, WriteKind
from sop.context import current_context, takes_context
from sop.decoding import ItemDecoder, id_bytes, id_text
from sop.errors import InvalidArgumentError, InvalidKeyError, InvalidValueError
from sop.errors import LimitExceededError
from sop.filters import FilterLike, to_filter
from sop.frames import ColumnsToAdd, columns_of_frame, frame_of, key_names, pandas
from sop.keys import Descending, IndexFieldSpecification, IndexSpecification, RideOn, laid_over
from sop.options import (
    NOT_GIVEN,
    BtreeOptions,
    Item,
    K,
    KeyRange,
    Page,
    PagingDirection,
    PagingInfo,
    Relation,
    StoreInfo,
    V,
    ValueDataSize,
    watch_request,
)
from sop.scalars import Timestamp, fill_key, fill_value, from_key, from_value, to_key
from sop.v1 import btree_pb2, types_pb2

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from pandas import DataFrame

    ArrayKeys = Union[NDArray[Any], Mapping[str, NDArray[Any]]]

__all__ = [
    "Arrays",
    "Btree",
    "BtreeOptions",
    "Change",
    "ChangeKind",
    "Descending",
    "IndexFieldSpecification",
    "IndexSpecification",
    "Item",
    "KeyRange",
    "Page",
    "PagingDirection",
    "PagingInfo",
    "Relation",
    "RideOn",
    "StoreInfo",
    "Timestamp",
    "ValueDataSize",
    "Watch",
    "WriteResult",
]

# Items of the first page that an iteration reads, how much longer each next one is, the longest.
_FIRST_PAGE = 64
_GROWTH = 4
_LONGEST_PAGE = 10_000
# Above these the server could only say that the message is too large; below it checks itself.
_LARGEST_SENT_KEY = 64 * 1024
_KEY_LIMIT = {"limit": "4096"}


class Btree(Generic[K, V]):
    """An open store in a transaction. Confined to the transaction's task.

    Keys are scalars (numpy's, too), dicts or dataclasses; values are text, bytes or anything that
    JSON holds, up to 64 MiB. Above 1 MiB they travel in parts: such a write is sent at once, and
    not collected. Without `key_type` and `value_type` dataclasses come back as dicts.

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
        self._decoder = ItemDecoder(key_type, value_type)
        self._reader = Reader(transaction, store, self._decoder)
        self._queue = self._reader.queue
        self._cursor = Cursor(self._reader)

    @property
    def name(self) -> str:
        """The store's name."""
        return self._reader.store.name

    @takes_context
    async def add(self, items: Union[Item[K, V], Sequence[Item[K, V]]]) -> WriteResult:
        """Adds; false where the key of a unique store is there already.

        A list is added as if by calls of one item: what comes before one that is refused is added.
        """
        return await self._write(WriteKind.ADD, _listed(items))

    @takes_context
    async def add_if_not_exists(self, items: Union[Item[K, V], Sequence[Item[K, V]]]) -> WriteResult:
        """Adds; false where the key is there already, in stores that are not unique, too."""
        return await self._write(WriteKind.ADD_IF_NOT_EXISTS, _listed(items))

    @takes_context
    async def update(self, items: Union[Item[K, V], Sequence[Item[K, V]]]) -> WriteResult:
        """Replaces values; false where the key is not there."""
        return await self._write(WriteKind.UPDATE, _listed(items))

    @takes_context
    async def upsert(self, items: Union[Item[K, V], Sequence[Item[K, V]]]) -> WriteResult:
        """Adds, or replaces where the key is there; always true."""
        return await self._write(WriteKind.UPSERT, _listed(items))

    @takes_context
    async def update_key(self, items: Union[Item[K, V], K, Sequence[Item[K, V]]]) -> WriteResult:
        """Replaces fields that ride on a key; the value stays. False where the key is not there."""
        return await self._write(WriteKind.UPDATE_KEY, [_as_item(each) for each in _listed(items)])

    @takes_context
    async def remove(
        self, keys: Union[K, Item[K, V], Sequence[Union[K, Item[K, V]]]], value: V = NOT_GIVEN
    ) -> WriteResult:
        """Removes one key or item, or a list; false where one is not there.

        With `value` the item must have that value: among equal keys the first that does goes.
        """
        items = [_as_item(each) for each in _listed(keys)]
        if value is NOT_GIVEN:
            return await self._write(WriteKind.REMOVE, items)
        if len(items) != 1:
            raise InvalidArgumentError(f"remove takes one key with a value, not {len(items)}")
        write = self._make_write(WriteKind.REMOVE, items[0])
        assert write.item is not None
        fill_value(write.item.value, value)
        if len(write.item.value.content) > LARGE_VALUE_BYTES:
            raise LimitExceededError(
                f"value to remove by has {len(write.item.value.content)} bytes: "
                f"allowed are {LARGE_VALUE_BYTES}",
                metadata={"limit": str(LARGE_VALUE_BYTES)},
            )
        self._transaction.check_usable()
        await self._queue.put([write])
        return WriteResult(self._queue, [write])

    @takes_context
    async def find(self, key: K) -> bool:
        """Goes to the first item with this key. If there is none, next and previous lead to the
        neighbours of where it would be.
        """
        return await self._cursor.seek(btree_pb2.SEEK_TARGET_EXACT, to_key(key))

    @takes_context
    async def find_with_id(self, key: K, id: Union[str, uuid.UUID]) -> bool:
        """Goes to the item with this key and id, in a store that is not unique."""
        return await self._cursor.seek(btree_pb2.SEEK_TARGET_EXACT, to_key(key), id_bytes(id))

    @takes_context
    async def first(self) -> bool:
        """Goes to the first item; false if the store is empty."""
        return await self._cursor.seek(btree_pb2.SEEK_TARGET_FIRST)

    @takes_context
    async def last(self) -> bool:
        """Goes to the last item; false if the store is empty."""
        return await self._cursor.seek(btree_pb2.SEEK_TARGET_LAST)

    @takes_context
    async def next(self) -> bool:
        """Goes one item on; false, and off the end, behind the last."""
        return await self._cursor.step(types_pb2.DIRECTION_FORWARD)

    @takes_context
    async def previous(self) -> bool:
        """Goes one item back; false, and off the end, before the first."""
        return await self._cursor.step(types_pb2.DIRECTION_BACKWARD)

    @takes_context
    async def get_current_key(self) -> Optional[K]:
        """The key that the cursor is at; None if it is at no item."""
        item = await self._cursor.item(with_value=False)
        if item is None:
            return None
        key: K = from_key(item.key, self._decoder.key_type)
        return key

    @takes_context
    async def get_current_value(self) -> Optional[V]:
        """The value that the cursor is at; None if it is at no item."""
        item = await self._cursor.item(with_value=True)
        if item is None:
            return None
        value: V = from_value(item.value, self._decoder.value_type)
        return value

    @takes_context
    async def get_current_item(self) -> Optional[Item[K, V]]:
        """The item that the cursor is at; None if it is at no item."""
        item = await self._cursor.item(with_value=True)
        return self._decoder.of_message(item) if item is not None else None

    @takes_context
    async def update_current_value(self, value: V) -> WriteResult:
        """Replaces the value that the cursor is at."""
        current = self._current()
        return await self._write(WriteKind.UPDATE, [Item(current.key, value, id_text(current.item_id))])

    @takes_context
    async def update_current_key(self, key: Union[K, Item[K, V]]) -> WriteResult:
        """Replaces fields that ride on the key that the cursor is at: those that are given; None
        takes one away. InvalidArgumentError if an indexed field is not the cursor's.
        """
        return await self._write(WriteKind.UPDATE_KEY, [await self._at_cursor(_as_item(key))])

    @takes_context
    async def update_current_item(self, item: Item[K, V]) -> WriteResult:
        """Replaces value and ride-on fields of the item that the cursor is at, the fields as
        update_current_key() does.
        """
        return await self._write(WriteKind.UPDATE, [await self._at_cursor(item)])

    @takes_context
    async def remove_current_item(self) -> WriteResult:
        """Removes the item that the cursor is at; next leads to the one behind it."""
        current = self._current()
        return await self._write(WriteKind.REMOVE, [Item(current.key, id=id_text(current.item_id))])

    @takes_context
    async def get_keys(self, paging: Optional[PagingInfo] = None) -> list[Item[K, V]]:
        """Items without values, from the cursor on, which then is behind them; values are not
        read from disk.
        """
        return await self._cursor.read(paging or PagingInfo(), types_pb2.ITEM_CONTENT_KEYS)

    @takes_context
    async def get_items(self, paging: Optional[PagingInfo] = None) -> list[Item[K, V]]:
        """Items with values, from the cursor on, which then is behind them."""
        return await self._cursor.read(paging or PagingInfo(), types_pb2.ITEM_CONTENT_ITEMS)

    @takes_context
    async def get_values(
        self, keys: Union[Item[K, V], K, Sequence[Union[Item[K, V], K]]]
    ) -> list[Item[K, V]]:
        """The items of these keys that are there, with values, in the order of the keys."""
        await self._queue.flush()
        wanted = [_as_item(each) for each in _listed(keys)]
        found: list[types_pb2.Item] = []
        if any(each.id for each in wanted):
            for each in wanted:
                one = await self._reader.fetch_one(to_key(each.key), id_bytes(each.id))
                found += [one] if one is not None else []
        else:
            messages = [to_key(each.key) for each in wanted]
            for start in range(0, len(messages), KEYS_PER_GET):
                found += await self._reader.get(messages[start : start + KEYS_PER_GET])
        return [self._decoder.of_message(each) for each in found]

    @takes_context
    def items(
        self,
        begin: Optional[K] = None,
        end: Optional[K] = None,
        prefix: Optional[K] = None,
        *,
        within: Optional[KeyRange[K]] = None,
        filter: Optional[FilterLike] = None,
        keys_only: bool = False,
        backward: bool = False,
    ) -> AsyncIterator[Item[K, V]]:
        """Goes through the items in [begin, end) whose key starts with `prefix`: text or bytes by
        their first ones, records by their leading index fields. The cursor stays where it is.

        `within` says more about the range, instead of the three. With `filter` only items that it
        lets through come: {"age": {"$gte": 3}}, see sop.filters.to_filter. Pages are read as the iteration
        goes on, so that the transaction is free for other calls in between; what these write
        ahead of it is met.
        """
        chosen = within or KeyRange(begin, end, prefix)
        request = _page_request(chosen, keys_only, backward, filter)
        request.page_size = _FIRST_PAGE
        return self._each(self._reader.pages(request, _GROWTH, current_context()))

    def __aiter__(self) -> AsyncIterator[Item[K, V]]:
        """Goes through all items in order, as items() does."""
        return self.items()

    @takes_context
    def pages(
        self,
        page_size: int = 100,
        *,
        within: Optional[KeyRange[K]] = None,
        token: Optional[bytes] = None,
        filter: Optional[FilterLike] = None,
        offset: int = 0,
        keys_only: bool = False,
        backward: bool = False,
    ) -> AsyncIterator[Page[K, V]]:
        """Goes through the items of a range page by page. The cursor stays where it is.

        A page ends after `page_size` items or 1 MiB, with a filter also after 100,000 items that
        were looked at. Its `token` goes on behind it: with the same range, filter and direction,
        at any later time. Without a token the first `offset` items are passed over: a jump to page
        N is offset=N * page_size, which costs no more than page 0.
        """
        request = _page_request(within or KeyRange(), keys_only, backward, filter)
        if not 1 <= page_size <= _LONGEST_PAGE:
            raise InvalidArgumentError(
                f"page_size is {page_size}: allowed are 1 to {_LONGEST_PAGE}",
                metadata={"field": "page_size", "limit": str(_LONGEST_PAGE)},
            )
        request.page_size = page_size
        if token is not None:
            request.page_token = token
        elif offset:
            request.offset = offset
        return self._reader.pages(request, 1, current_context())

    @takes_context
    async def count(
        self,
        begin: Optional[K] = None,
        end: Optional[K] = None,
        prefix: Optional[K] = None,
        *,
        within: Optional[KeyRange[K]] = None,
        filter: Optional[FilterLike] = None,
    ) -> int:
        """The exact number of items, of all or of those that items() would give."""
        request = btree_pb2.CountRequest(
            range=(within or KeyRange(begin, end, prefix)).to_message()
        )
        _set_filter(request, filter)
        return await self._reader.count(request)

    @takes_context
    async def sample(
        self,
        size: int = 100,
        *,
        within: Optional[KeyRange[K]] = None,
        filter: Optional[FilterLike] = None,
        seed: Optional[int] = None,
        keys_only: bool = False,
    ) -> list[Item[K, V]]:
        """Items of a range, or of what `filter` lets through, chosen by chance, each set of `size`
        equally likely, none twice; all of them if there are no more. They come in order; the same
        for the same seed and items.
        """
        request = btree_pb2.SampleRequest(size=size, seed=seed)
        _set_filter(request, filter)
        request.range.CopyFrom((within or KeyRange()).to_message())
        request.content = _content(keys_only)
        return await self._reader.sample(request) if size > 0 else []

    @takes_context
    async def to_numpy(
        self,
        within: Optional[KeyRange[K]] = None,
        value_type: Optional[DTypeLike] = None,
        *,
        filter: Optional[FilterLike] = None,
    ) -> Arrays:
        """Keys and values of a range, or of what `filter` lets through, as numpy arrays, decoded
        column by column.

        Values are bytes of a fixed size as that dtype if `value_type` is given (several of it per
        value make a second dimension); otherwise bytes of one size are of the dtype V, and all
        else is Python objects. MissingDependencyError without numpy.
        """
        return await self._reader.all_arrays(_scan_request(within, filter), value_type)

    @takes_context
    def array_pages(
        self,
        within: Optional[KeyRange[K]] = None,
        value_type: Optional[DTypeLike] = None,
        *,
        filter: Optional[FilterLike] = None,
    ) -> AsyncIterator[Arrays]:
        """to_numpy() page by page, in bounded memory; each array is a view of its page, or new."""
        return self._reader.arrays(_scan_request(within, filter), value_type, current_context())

    @takes_context
    async def add_arrays(self, keys: ArrayKeys, values: Any, replace: bool = False) -> int:
        """Adds an item per element of numpy arrays; how many were added.

        `keys` is an array for scalar keys, or a dict of one per field. A row of an array of numbers,
        times or V is a value of its bytes, to be read with to_numpy(value_type=...); text and all
        other elements become values as in add(). Those already there stay as they are; with
        `replace` they are replaced.
        """
        await self._queue.flush()
        self._transaction.check_usable()
        return await add_columns(self, self._reader, ColumnsToAdd.of(keys, values, replace))

    @takes_context
    async def to_pandas(
        self, within: Optional[KeyRange[K]] = None, *, filter: Optional[FilterLike] = None
    ) -> DataFrame:
        """The items of a range as a pandas DataFrame: a column per field of the key (`key` if it is
        a scalar), then one per member of the values if all are JSON objects, else `value`.
        MissingDependencyError without pandas.
        """
        pandas()
        return frame_of(await self._reader.all_arrays(_scan_request(within, filter), None))

    @takes_context
    async def add_frame(
        self,
        frame: DataFrame,
        key: Union[str, Sequence[str], None] = None,
        replace: bool = False,
    ) -> int:
        """Adds an item per row of a pandas DataFrame; how many were added.

        `key` names the column of scalar keys, or the list of those that are fields of the key; by
        default those that the store knows. The other columns make a JSON object per row, by the text
        of their labels, a single one named `value` is the value itself; what is missing in a row is
        null. Rows already there stay as they are; with `replace` they are replaced.
        """
        await self._queue.flush()
        self._transaction.check_usable()
        schema, index = await self._reader.schema(), self._reader.store.options.index
        columns = columns_of_frame(frame, key_names(schema, index, key, list(frame.columns)))
        columns.replace = replace
        return await add_columns(self, self._reader, columns)

    @takes_context
    def watch(
        self,
        position: Optional[bytes] = None,
        *,
        within: Optional[KeyRange[K]] = None,
        keys_only: bool = False,
        from_oldest: bool = False,
        follow: bool = True,
    ) -> Watch[K, V]:
        """Goes through the committed changes of this store, which was made with the option `feed`, in
        commit order: from `position` on, or with what is committed from now on, or, with
        `from_oldest`, with the oldest change that is kept.

        Every change comes once and none is missing, over breaks and restarts of the server. Not
        following, it ends when there is nothing more. See Watch; FeedOffError,
        PositionNotKeptError. Changes are not part of the transaction, and outlive it.
        """
        request = watch_request(self.name, position, within, keys_only)
        if from_oldest:
            request.start = btree_pb2.WATCH_START_OLDEST
        link = self._transaction.link
        return Watch(link.connection, link.database_name, request, self._decoder, follow)

    @takes_context
    def is_unique(self) -> bool:
        """Whether keys are unique."""
        return bool(self._reader.info.is_unique)

    @takes_context
    async def get_store_info(self) -> StoreInfo:
        """Options, types and count as the transaction sees them now."""
        await self._reader.refresh()
        return self._reader.info

    @takes_context
    def in_transaction(self, transaction: Transaction) -> "Btree[K, V]":
        """The same store in another transaction of its database, without asking the server."""
        if not transaction.link.is_of_database_of(self._transaction.link):
            raise of_another_database(transaction.link)
        known, decoder = self._reader.store, self._decoder
        return Btree(transaction, known, decoder.key_type, decoder.value_type)

    async def _each(self, pages: AsyncIterator[Page[K, V]]) -> AsyncIterator[Item[K, V]]:
        async for page in pages:
            for item in page.items:
                yield item

    async def _write(self, kind: WriteKind, items: Sequence[Item[Any, Any]]) -> WriteResult:
        self._transaction.check_usable()
        writes: list[Write] = []
        # While a batch is on its way the next one is made.
        for start in range(0, len(items), BATCH_ITEMS):
            batch: list[Write] = []
            try:
                for item in items[start : start + BATCH_ITEMS]:
                    write = self._make_write(kind, item)
                    writes.append(write)
                    if write.large_value is None:
                        batch.append(write)
                        continue
                    before, batch = batch, []
                    await self._queue.put(before)
                    await self._queue.put_large(write)
            finally:
                # What comes before one that is refused here is written, too.
                if batch:
                    await self._queue.put(batch)
        return WriteResult(self._queue, writes)

    @staticmethod
    def _make_write(kind: WriteKind, item: Item[Any, Any]) -> Write:
        if not isinstance(item, Item):
            raise InvalidArgumentError(
                f"expected sop.Item or a list of them, not {type(item).__name__}"
            )
        message = types_pb2.WriteItem()
        fill_key(message.key, item.key)
        if kind is not WriteKind.REMOVE and kind is not WriteKind.UPDATE_KEY:
            fill_value(message.value, item.value)
        if item.id and kind not in (WriteKind.ADD, WriteKind.ADD_IF_NOT_EXISTS):
            message.item_id = id_bytes(item.id)
        write = Write(kind, message)
        if write.size_bytes > _LARGEST_SENT_KEY:
            _check_size(write)
        return write

    async def _at_cursor(self, given: Item[Any, Any]) -> Item[Any, Any]:
        """What is given for the item that the cursor is at, with its key and id."""
        current = self._current()
        if current.key.HasField("record"):
            # Fields that ride on may have changed since it was read.
            await self._cursor.item(with_value=False)
            current = self._current()
        index = self._reader.store.options.index
        return Item(laid_over(current.key, given.key, index), given.value, id_text(current.item_id))

    def _current(self) -> types_pb2.Item:
        item = self._cursor.place()
        if item is None:
            raise InvalidArgumentError(
                "the cursor is at no item: call find, first, last or next before",
                metadata={"store": self.name},
            )
        return item


def _check_size(write: Write) -> None:
    """Raises for a key or a value that no store takes."""
    assert write.item is not None
    size = write.item.key.ByteSize()
    if size > _LARGEST_SENT_KEY:
        raise InvalidKeyError(f"key has {size} bytes: allowed are 4096", metadata=_KEY_LIMIT)
    size = len(write.large_value or b"")
    if size > LARGEST_VALUE_BYTES:
        raise InvalidValueError(
            f"value has {size} bytes: allowed are {LARGEST_VALUE_BYTES}",
            metadata={"limit": str(LARGEST_VALUE_BYTES)},
        )


def _listed(given: Any) -> Sequence[Any]:
    return given if isinstance(given, (list, tuple)) else [given]


def _as_item(given: Any) -> Item[Any, Any]:
    return given if isinstance(given, Item) else Item(given)


def _content(keys_only: bool) -> types_pb2.ItemContent:
    return types_pb2.ITEM_CONTENT_KEYS if keys_only else types_pb2.ITEM_CONTENT_ITEMS


def _set_filter(request: Any, filter: Optional[FilterLike]) -> None:
    if filter is not None:
        request.filter.CopyFrom(to_filter(filter))


def _page_request(
    within: KeyRange[Any], keys_only: bool, backward: bool, filter: Optional[FilterLike]
) -> btree_pb2.ReadPageRequest:
    request = btree_pb2.ReadPageRequest(range=within.to_message(), content=_content(keys_only))
    if backward:
        request.direction = types_pb2.DIRECTION_BACKWARD
    _set_filter(request, filter)
    return request


def _scan_request(
    within: Optional[KeyRange[Any]], filter: Optional[FilterLike]
) -> btree_pb2.ScanRequest:
    chosen = within or KeyRange()
    request = btree_pb2.ScanRequest(range=chosen.to_message(), content=_content(False))
    _set_filter(request, filter)
    return request

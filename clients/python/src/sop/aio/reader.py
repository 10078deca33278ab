"""Reads of one store in a transaction: messages out, items in."""

from __future__ import annotations

from typing import Any, AsyncIterator, Optional

from sop.aio.transaction import Transaction
from sop.arrays import Arrays, Gathering, KeyColumns, PageArrays
from sop.context import Context, current_context, using
from sop.decoding import ItemDecoder, id_bytes
from sop.errors import LimitExceededError
from sop.key_codec import KeyCodec
from sop.options import Item, Page, StoreInfo
from sop.pages import KEYS, RIDE_ON, VALUES, build_page
from sop.scalars import from_value, to_key
from sop.v1 import btree_pb2, database_pb2, types_pb2

# Keys of one multi-get; an answer that would be too large is asked for in halves.
KEYS_PER_GET = 1000
_LONGEST_PAGE = 10_000


class Reader:
    """What a Btree reads with. Confined to the transaction's task."""

    def __init__(
        self, transaction: Transaction, store: types_pb2.Store, decoder: ItemDecoder
    ) -> None:
        self._transaction = transaction
        self.queue = transaction.queue_of(store.name)
        self._decoder = decoder
        self._codec: Optional[KeyCodec] = None
        self._codec_version = -1
        self.store = store
        self.info = StoreInfo.from_message(store)

    async def refresh(self) -> None:
        """Asks for options, types and count as the transaction sees them now."""
        await self.queue.flush()
        self.store = (await self.call("GetStore", database_pb2.GetStoreRequest())).store
        self.info = StoreInfo.from_message(self.store)

    async def schema(self) -> types_pb2.KeySchema:
        """The types of keys. Own writes may have decided them, or added fields that ride on."""
        is_known = self._codec_version == self.queue.version
        if not is_known and (self.queue.version or not self.store.schema.fields):
            await self.refresh()
        self._codec_version = self.queue.version
        return self.store.schema

    async def call(self, rpc: str, request: Any) -> Any:
        """A call about the store."""
        self._transaction.check_usable()
        request.store = self.store.name
        return await self._transaction.link.call(rpc, request)

    async def get(self, keys: list[types_pb2.Key]) -> list[types_pb2.Item]:
        """The items of these keys that are there."""
        try:
            answer = await self.call("Get", btree_pb2.GetRequest(keys=keys))
        except LimitExceededError:
            if len(keys) == 1:
                raise
            half = len(keys) // 2
            return await self.get(keys[:half]) + await self.get(keys[half:])
        for item in answer.items:
            await self.fill(item)
        return list(answer.items)

    async def fill(self, item: types_pb2.Item) -> None:
        """Reads the value if it was left out because of its size."""
        if item.value_size == 0:
            return
        request = btree_pb2.ReadValueRequest(
            store=self.store.name, key=item.key, item_id=item.item_id
        )
        item.value.CopyFrom(await self._transaction.link.read_value(request))
        item.value_size = 0

    async def fetch_one(self, key: types_pb2.Key, item_id: bytes) -> Optional[types_pb2.Item]:
        """The item with this key, and id if given."""
        request = btree_pb2.SeekRequest(
            target=btree_pb2.SEEK_TARGET_EXACT, key=key, item_id=item_id
        )
        answer = await self.call("Seek", request)
        if not answer.HasField("item"):
            return None
        await self.fill(answer.item)
        item: types_pb2.Item = answer.item
        return item

    async def read_page(self, request: btree_pb2.ReadPageRequest) -> Page[Any, Any]:
        """One page; packed where the types of the keys are known without asking."""
        request.packed = self.queue.version == 0 and bool(self.store.schema.fields)
        answer = await self.call("ReadPage", request)
        items = [self._decoder.of_message(each) for each in answer.items]
        if answer.packed:
            items = await self._items_of(answer.packed)
        elif request.content != types_pb2.ITEM_CONTENT_KEYS:
            for item, message in zip(items, answer.items):
                if not message.HasField("value"):
                    await self._complete(item)
        return Page(items, None if answer.end else answer.next_page_token)

    async def pages(
        self, request: btree_pb2.ReadPageRequest, growth: int, context: Optional[Context]
    ) -> AsyncIterator[Page[Any, Any]]:
        """Pages from `request` on, each `growth` times as long as the one before."""
        request.packed = True
        while True:
            with using(context):
                await self.queue.flush()
                answer = await self.call("ReadPage", request)
                items: list[Item[Any, Any]] = []
                if answer.packed:
                    items = await self._items_of(answer.packed)
            yield Page(items, None if answer.end else answer.next_page_token)
            if answer.end:
                return
            request.page_token = answer.next_page_token
            request.page_size = min(request.page_size * growth, _LONGEST_PAGE)

    async def arrays(
        self, request: btree_pb2.ScanRequest, value_type: Any, context: Optional[Context]
    ) -> AsyncIterator[Arrays]:
        """The items of a scan as arrays, page by page."""
        with using(context):
            await self.queue.flush()
            self._transaction.check_usable()
            request.store = self.store.name
            columns = KeyColumns(await self.schema())
            pages = self._transaction.link.pages(request)
        try:
            while True:
                with using(context):
                    page = await anext(pages, None)
                    if page is None:
                        return
                    made = await self._arrays_of(PageArrays(page), columns, value_type)
                yield made
        finally:
            await pages.aclose()

    async def all_arrays(self, request: btree_pb2.ScanRequest, value_type: Any) -> Arrays:
        """The items of a scan as arrays."""
        counted = btree_pb2.CountRequest(range=request.range)
        if request.HasField("filter"):
            counted.filter.CopyFrom(request.filter)
        gathering = Gathering(await self.count(counted))
        nothing = PageArrays(build_page(KEYS | RIDE_ON | VALUES, []))
        is_empty = True
        async for page in self.arrays(request, value_type, current_context()):
            if len(page):
                gathering.add(page)
                is_empty = False
        if is_empty:
            schema = await self.schema()
            gathering.add(await self._arrays_of(nothing, KeyColumns(schema), value_type))
        return gathering.result()

    async def count(self, request: btree_pb2.CountRequest) -> int:
        """The exact number of items of a range."""
        await self.queue.flush()
        count: int = (await self.call("Count", request)).count
        return count

    async def sample(self, request: btree_pb2.SampleRequest) -> list[Item[Any, Any]]:
        """Items chosen by chance."""
        await self.queue.flush()
        request.packed = True
        answer = await self.call("Sample", request)
        return await self._items_of(answer.packed) if answer.packed else []

    async def _arrays_of(self, page: PageArrays, columns: KeyColumns, value_type: Any) -> Arrays:
        found: dict[int, types_pb2.Value] = {}
        for number in page.left_out():
            item = await self.fetch_one(page.key_of(number), page.id_of(number))
            if item is not None:
                found[number] = item.value
        return Arrays(columns.decode(page), page.value_column(value_type, found))

    async def _items_of(self, page: bytes) -> list[Item[Any, Any]]:
        if self._codec is None or self._codec_version != self.queue.version:
            self._codec = KeyCodec(await self.schema())
        items, left_out = self._decoder.of_page(page, self._codec)
        for number in left_out:
            await self._complete(items[number])
        return items

    async def _complete(self, item: Item[Any, Any]) -> None:
        """Fetches a value that a page left out because of its size."""
        whole = await self.fetch_one(to_key(item.key), id_bytes(item.id))
        if whole is not None:
            item.value = from_value(whole.value, self._decoder.value_type)

"""The place in a store that find, first, next and the current item are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from sop.aio.reader import Reader
from sop.decoding import id_bytes
from sop.options import Item, PagingDirection, PagingInfo, ValueDataSize
from sop.scalars import to_key
from sop.v1 import btree_pb2, types_pb2

# Steps read ahead: one item first, then four times as many each time up to this.
_LONGEST_STEP = 256
_LONGEST_PAGE = 10_000
_FORWARD = types_pb2.DIRECTION_FORWARD
_BACKWARD = types_pb2.DIRECTION_BACKWARD
_AFTER = btree_pb2.SEEK_TARGET_AFTER


@dataclass
class _Ahead:
    """Items that lie before the cursor in one direction, read before they were asked for."""

    direction: types_pb2.Direction
    version: int
    items: list[types_pb2.Item]
    is_last: bool


class Cursor:
    """Position in one store in one transaction; the server keeps none.

    It is at an item, or between items (after a find that missed), or off either end, or nowhere.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._queue = reader.queue
        is_big = reader.info.value_data_size is ValueDataSize.Big
        self._content = types_pb2.ITEM_CONTENT_KEYS if is_big else types_pb2.ITEM_CONTENT_ITEMS
        self._key: Optional[types_pb2.Key] = None
        self._item: Optional[types_pb2.Item] = None
        self._item_version = 0
        self._off_end: Optional[types_pb2.Direction] = None
        self._ahead: Optional[_Ahead] = None
        self._step = 1

    async def seek(
        self,
        target: btree_pb2.SeekTarget,
        key: Optional[types_pb2.Key] = None,
        item_id: bytes = b"",
    ) -> bool:
        """Goes to an item; False if there is none."""
        await self._queue.flush()
        request = btree_pb2.SeekRequest(target=target, item_id=item_id)
        request.content = self._content
        if key is not None:
            request.key.CopyFrom(key)
        answer = await self._reader.call("Seek", request)
        self._ahead, self._off_end, self._step = None, None, 1
        self._key = key
        self._stand_on(answer.item if answer.HasField("item") else None)
        return self._item is not None

    async def step(self, direction: types_pb2.Direction) -> bool:
        """Goes to the next item in `direction`; False, and off the end, if there is none.

        From nowhere, or from off the other end, that is the first one in that direction.
        """
        if self._off_end == direction:
            return False
        if self._key is None or self._off_end is not None:
            first = direction == _FORWARD
            return await self.seek(
                btree_pb2.SEEK_TARGET_FIRST if first else btree_pb2.SEEK_TARGET_LAST
            )
        ahead = self._ahead
        fits = ahead is not None and ahead.direction == direction
        if ahead is None or not fits or ahead.version != self._queue.version:
            ahead = self._ahead = await self._read_ahead(direction)
        elif not ahead.items and not ahead.is_last:
            ahead = self._ahead = await self._read_ahead(direction)
        if not ahead.items:
            self._off_end = direction
            self._item = None
            return False
        self._stand_on(ahead.items.pop(0))
        return True

    async def item(self, with_value: bool) -> Optional[types_pb2.Item]:
        """The item it is at as the transaction sees it now; None if it is not at an item."""
        if self._item is None:
            return None
        changed = self._item_version != self._queue.version
        if changed or (with_value and not self._item.HasField("value")):
            await self._queue.flush()
            # A key alone says which item: the fields that ride on may have changed.
            request = btree_pb2.SeekRequest(target=btree_pb2.SEEK_TARGET_EXACT)
            request.content = types_pb2.ITEM_CONTENT_ITEMS if with_value else self._content
            request.key.CopyFrom(self._item.key)
            request.item_id = self._item.item_id
            answer = await self._reader.call("Seek", request)
            if with_value:
                await self._reader.fill(answer.item)
            self._stand_on(answer.item if answer.HasField("item") else None)
        return self._item

    def place(self) -> Optional[types_pb2.Item]:
        """The key and id of the item it is at, without asking the server."""
        return self._item

    async def read(
        self, paging: PagingInfo, content: types_pb2.ItemContent
    ) -> list[Item[Any, Any]]:
        """The items that PagingInfo means; then stands on the first one behind them."""
        backward = paging.direction == PagingDirection.Backward
        direction = _BACKWARD if backward else _FORWARD
        wanted = paging.fetch_count or paging.page_size
        await self._queue.flush()
        if self._off_end == direction or wanted <= 0:
            return []
        skip = max(paging.page_offset, 0) * paging.page_size
        items = await self._walk(direction, content, skip, wanted + 1)
        behind = items[wanted] if len(items) > wanted else None
        self._ahead, self._step = None, 1
        if behind is not None:
            self._off_end = None
            self._stand_on(_placed(behind))
        else:
            self._off_end, self._item = direction, None
        return items[:wanted]

    async def _walk(
        self, direction: types_pb2.Direction, content: types_pb2.ItemContent, skip: int, wanted: int
    ) -> list[Item[Any, Any]]:
        """`wanted` items after `skip` ones, from where the cursor is, its own item included."""
        request = btree_pb2.ReadPageRequest(direction=direction, content=content)
        if self._key is not None and self._off_end is None:
            await self._start_here(request, direction)
        if skip and not request.HasField("after"):
            request.offset, skip = skip, 0
        found: list[Item[Any, Any]] = []
        while len(found) < wanted:
            request.page_size = min(skip + wanted - len(found), _LONGEST_PAGE)
            page = await self._reader.read_page(request)
            found += page.items[skip:] if skip else page.items
            skip = max(skip - len(page.items), 0)
            if page.token is None:
                break
            request.page_token = page.token
        return found

    async def _start_here(self, request: Any, direction: types_pb2.Direction) -> None:
        """Lets a page begin with the item the cursor is at, or the one behind its place."""
        if self._item is not None and self._item.item_id:
            # A range names keys only; among equal ones the page begins behind the one before.
            before = btree_pb2.SEEK_TARGET_BEFORE if direction == _FORWARD else _AFTER
            seek = btree_pb2.SeekRequest(target=before, item_id=self._item.item_id)
            seek.key.CopyFrom(self._item.key)
            seek.content = types_pb2.ITEM_CONTENT_KEYS
            answer = await self._reader.call("Seek", seek)
            if answer.HasField("item"):
                request.after.key.CopyFrom(answer.item.key)
                request.after.item_id = answer.item.item_id
        elif direction == _FORWARD:
            request.range.begin.CopyFrom(self._key)
        else:
            request.range.end.CopyFrom(self._key)
            request.range.end_inclusive = True

    async def _read_ahead(self, direction: types_pb2.Direction) -> _Ahead:
        await self._queue.flush()
        request = btree_pb2.ReadPageRequest(
            direction=direction, content=self._content, page_size=self._step
        )
        assert self._key is not None
        request.after.key.CopyFrom(self._key)
        if self._item is not None:
            request.after.item_id = self._item.item_id
        answer = await self._reader.call("ReadPage", request)
        self._step = min(self._step * 4, _LONGEST_STEP)
        return _Ahead(direction, self._queue.version, list(answer.items), answer.end)

    def _stand_on(self, item: Optional[types_pb2.Item]) -> None:
        self._item = item
        self._item_version = self._queue.version
        if item is not None:
            self._key = item.key


def _placed(item: Item[Any, Any]) -> types_pb2.Item:
    """The place of an item; its value is read when somebody asks for it."""
    key, item_id = to_key(item.key), id_bytes(item.id)
    return types_pb2.Item(key=key, item_id=item_id, version=item.version)

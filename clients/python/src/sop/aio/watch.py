"""Watches: the committed changes of a store, as they come."""

from __future__ import annotations

from typing import Any, AsyncIterator, Awaitable, Callable, Generic, Optional

from sop.aio.connection import Backoff, Connection
from sop.changes import Change, ChangeKind, change_of
from sop.context import current_context, using
from sop.decoding import ItemDecoder
from sop.errors import OverloadedError, UnavailableError
from sop.options import K, V
from sop.v1 import btree_pb2, types_pb2

__all__ = ["Change", "ChangeKind", "Watch"]


class Watch(Generic[K, V]):
    """Goes through the changes of a store in commit order, each once, over breaks and restarts of
    the server; made by Btree.watch and Database.watch. Confined to one iteration at a time.

    `position` is behind the change that was given last, or behind everything that does not concern
    the watch: whoever keeps it goes on from there, at any later time.
    """

    def __init__(
        self,
        connection: Connection,
        name_of: Callable[[], Awaitable[str]],
        request: btree_pb2.WatchRequest,
        decoder: ItemDecoder,
        follow: bool,
    ) -> None:
        self._connection = connection
        self._name_of = name_of
        self._request = request
        self._decoder = decoder
        self._follow = follow
        self._context = current_context()

    @property
    def position(self) -> bytes:
        """What to go on from; empty before the server has said where it began."""
        return bytes(self._request.position)

    async def __aiter__(self) -> AsyncIterator[Change[K, V]]:
        """Goes on from `position`, until the store is removed or, not following, there is nothing
        more. PositionNotKeptError if it fell behind what the server keeps.
        """
        pauses = Backoff(self._connection.patience)
        while True:
            try:
                async for answer in self._answers():
                    pauses = Backoff(self._connection.patience)
                    for message in answer.changes:
                        self._request.position = message.position
                        yield change_of(message, self._decoder, self._keys_only())
                    self._request.position = answer.position
                    if answer.caught_up and not self._follow:
                        return
                return
            except (OverloadedError, UnavailableError) as error:
                if self._connection.is_closed or not await pauses.wait(error.retry_delay or 0.0):
                    raise

    async def _answers(self) -> AsyncIterator[Any]:
        with using(self._context):
            self._request.database = await self._name_of()
            answers = self._connection.stream("Watch", self._request, is_resumed=True)
        try:
            while True:
                with using(self._context):
                    answer = await anext(answers, None)
                if answer is None:
                    return
                yield answer
        finally:
            await answers.aclose()

    def _keys_only(self) -> bool:
        return bool(self._request.content == types_pb2.ITEM_CONTENT_KEYS)

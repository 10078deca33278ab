"""The stream of a session in asyncio. sop.streams is its twin."""

from __future__ import annotations

import asyncio
from typing import Any, Optional

import grpc
import grpc.aio

from sop.aio.connection import Connection
from sop.context import current_timeout
from sop.errors import CancelledError, DeadlineExceededError, SopError, UnavailableError
from sop.errors import copy_of, from_status
from sop.streams import MOST_BYTES, MOST_REQUESTS
from sop.v1 import transaction_pb2

_GRACE_SECONDS = 5.0


class Stream:
    """Sends requests without waiting, and sorts their answers. Confined to one event loop.

    At most MOST_REQUESTS and MOST_BYTES wait for answers; send() waits until there is room. When
    it breaks, all that waits for answers is told so, and the next begin opens it anew.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._requests: asyncio.Queue[Optional[Any]] = asyncio.Queue()
        self._room = asyncio.Condition()
        # By id: who waits, and how many bytes were sent.
        self._waiting: dict[int, tuple[asyncio.Future[Any], int]] = {}
        self._bytes = 0
        self._last_id = 0
        self._call: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._end: Optional[SopError] = None
        self._is_closed = False
        # Grows with each opening: what belongs to one is lost with it.
        self.opening = 1

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, and will not be opened anew."""
        return self._is_closed

    async def send(
        self, request: transaction_pb2.SessionRequest, opening: int = 0
    ) -> asyncio.Future[Any]:
        """Sends in that opening, or in any; the answer is for answer()."""
        self.connection.check_usable()
        timeout = current_timeout()
        if timeout is not None:
            request.timeout.FromNanoseconds(int(timeout * 1e9))
        size = request.ByteSize()
        if not self._has_room(size):
            async with self._room:
                await self._room.wait_for(lambda: self._end is not None or self._has_room(size))
        if self._end is not None and (opening or self._is_closed):
            raise copy_of(self._end)
        if opening not in (0, self.opening):
            raise UnavailableError("the session broke meanwhile")
        if self._call is None or self._end is not None:
            self._open()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._last_id += 1
        request.id = self._last_id
        self._waiting[request.id] = (future, size)
        self._bytes += size
        self._requests.put_nowait(request)
        return future

    async def answer(self, future: asyncio.Future[Any]) -> Any:
        """Waits for an answer. Raises the SopError that it is."""
        timeout = current_timeout()
        if future.cancelled():
            raise CancelledError("nobody waited for the answer")
        try:
            longest = timeout + _GRACE_SECONDS if timeout is not None else None
            answer = await asyncio.wait_for(asyncio.shield(future), longest)
        except asyncio.TimeoutError as error:
            raise DeadlineExceededError("no answer in the time that the context gives") from error
        if answer.WhichOneof("response") == "status":
            raise from_status(answer.status)
        return answer

    def peek(self, future: Optional[asyncio.Future[Any]]) -> Any:
        """The answer if it has come and is not a failure, else None."""
        done = future is not None and future.done() and not future.cancelled()
        if future is None or not done or future.exception() is not None:
            return None
        return future.result()

    async def drain(self) -> None:
        """Sends nothing more, and waits until all is answered, at most as long as the connection
        has patience.
        """
        if self._call is None or self._end is not None:
            return
        self._end, self._is_closed = UnavailableError("the session is closed"), True
        self._requests.put_nowait(None)
        async with self._room:
            self._room.notify_all()
            is_over = self._room.wait_for(lambda: not self._waiting)
            try:
                await asyncio.wait_for(is_over, self.connection.patience)
            except asyncio.TimeoutError:
                pass

    async def close(self) -> None:
        """Ends the stream: what is open is rolled back, what waits is told so."""
        await self._finish(UnavailableError("the session is closed"), closes=True)
        if self._call is not None:
            self._call.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _has_room(self, size: int) -> bool:
        few = len(self._waiting) < MOST_REQUESTS and self._bytes + size <= MOST_BYTES
        return few or not self._waiting

    def _open(self) -> None:
        call = self.connection.open_stream("Session", None, None)
        # It may be refused: only now the one that ended is forgotten.
        if self._end is not None:
            self._end = None
            self.opening += 1
        self._call, self._requests = call, asyncio.Queue()
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]

    async def _write(self) -> None:
        try:
            while (request := await self._requests.get()) is not None:
                await self._call.write(request)
            await self._call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # the reader learns why

    async def _read(self) -> None:
        """Reads answers until the stream ends."""
        end: SopError = UnavailableError("the server ended the session")
        try:
            while (answer := await self._call.read()) is not grpc.aio.EOF:
                await self._take(answer)
        except grpc.RpcError as error:
            end = self.connection.explain_end(error)
        except asyncio.CancelledError:
            end = UnavailableError("the connection was closed")
        await self._finish(end)

    async def _take(self, answer: Any) -> None:
        future, size = self._waiting.pop(answer.id, (None, 0))
        self._bytes -= size
        if future is not None and not future.done():
            future.set_result(answer)
        async with self._room:
            self._room.notify_all()

    async def _finish(self, end: SopError, closes: bool = False) -> None:
        if not self._is_closed:
            self._end, self._is_closed = end, closes
        waiting = [future for future, _ in self._waiting.values()]
        self._waiting.clear()
        self._bytes = 0
        if self._tasks:
            self._tasks[0].cancel()  # the one that writes
        for future in waiting:
            if not future.done():
                future.set_exception(copy_of(end))
                future.exception()  # somebody may wait for it, nobody must
        async with self._room:
            self._room.notify_all()

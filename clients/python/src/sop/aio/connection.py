"""The connection to a server for asyncio. sop.connection is its twin."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncGenerator, Awaitable, Callable, Generator, Iterator, Optional
from typing import TypeVar

import grpc
import grpc.aio

from sop.calls import CHANNEL_OPTIONS, Acquaintance, Pauses, methods_of
from sop.context import current_timeout
from sop.errors import CancelledError, InvalidArgumentError, OverloadedError, SopError
from sop.errors import UnavailableError

D = TypeVar("D")
S = TypeVar("S", bound="Startable")


class Startable:
    """What begins when it is awaited, or entered by `async with`."""

    async def begin(self) -> None:
        """Begins, unless it has begun."""
        raise NotImplementedError

    def __await__(self: S) -> Generator[Any, None, S]:
        yield from self.begin().__await__()
        return self


def started(startable: S) -> S:
    """It, not begun yet."""
    return startable


def make_lock() -> Any:
    """A lock for an `async with` block."""
    return asyncio.Lock()


def known(description: Optional[D], describe: Callable[[], Awaitable[D]]) -> D:
    """A description. InvalidArgumentError if there is none yet: a property cannot wait."""
    if description is None:
        raise InvalidArgumentError("not known before `await database.connect()` or another call")
    return description


class Backoff(Pauses):
    """Pauses that are made."""

    async def wait(self, at_least: float = 0.0) -> bool:
        """Pauses. False, at once, if the time is over."""
        pause = self.next(at_least)
        if pause is None:
            return False
        await asyncio.sleep(pause)
        return True


class Connection:
    """A channel with its methods. Confined to the event loop of its first call.

    Calls raise SopError only. UNAVAILABLE is repeated with `patience` seconds of growing pauses
    where repeating is safe, once the server has answered something.
    """

    def __init__(self, address: str, patience: float) -> None:
        self.address = address
        self.patience = patience
        self._acquaintance = Acquaintance(address)
        # Made by the first call: only then it is known in which event loop.
        self._channel: Optional[grpc.aio.Channel] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._methods: dict[str, Any] = {}
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether close() was called."""
        return self._is_closed

    def check_usable(self) -> None:
        """UnavailableError after close(), InvalidArgumentError in another loop than the first."""
        if self._is_closed:
            raise UnavailableError(f"the connection to {self.address} is closed")
        running = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = running
        if self._loop is not running:
            raise InvalidArgumentError("the database is used in another event loop: make one for each")

    async def close(self) -> None:
        """Ends what is under way with CancelledError."""
        self._is_closed = True
        if self._channel is not None:
            await self._channel.close()

    async def call(self, rpc: str, request: Any) -> Any:
        """One call, once, but for OVERLOADED, which the server answers before doing anything."""
        backoff = Backoff(self.patience)
        while True:
            try:
                return await self._answer(self._method(rpc)(request, timeout=current_timeout()))
            except OverloadedError as error:
                if not await backoff.wait(error.retry_delay or 0.0):
                    raise

    async def call_repeatedly(self, rpc: str, request: Any) -> Any:
        """One call that is idempotent: repeated while the server cannot be reached."""
        backoff = Backoff(self.patience)
        while True:
            try:
                return await self.call(rpc, request)
            except UnavailableError:
                if self._is_closed or not self._acquaintance.has_answered:
                    raise
                if not await backoff.wait():
                    raise

    async def call_with(self, rpc: str, make_requests: Callable[[], Iterator[Any]]) -> Any:
        """One call of many requests, once, but for OVERLOADED."""
        backoff = Backoff(self.patience)
        while True:
            try:
                return await self._answer(self.open_stream(rpc, make_requests(), current_timeout()))
            except OverloadedError as error:
                if not await backoff.wait(error.retry_delay or 0.0):
                    raise

    async def start(self, rpc: str, request: Any) -> Any:
        """Begins a call whose answer finish() waits for."""
        call = self._method(rpc)(request, timeout=current_timeout())
        task = asyncio.ensure_future(self._answer(call))
        task.add_done_callback(_look_at)
        return task

    async def finish(self, future: Any) -> Any:
        """The answer to start(). Raises its SopError. Who is cancelled here may wait again."""
        return await asyncio.shield(future)

    async def stream(
        self, rpc: str, request: Any, is_resumed: bool = False
    ) -> AsyncGenerator[Any, None]:
        """The answers to a call that gives many. UnavailableError if it broke and is resumed."""
        call = self.open_stream(rpc, request, current_timeout())
        explain = self.explain_end if is_resumed else self._acquaintance.explain
        try:
            while True:
                answer = await self._answer(call.read(), explain)
                if answer is grpc.aio.EOF:
                    return
                yield answer
        finally:
            call.cancel()

    def open_stream(self, rpc: str, requests: Any, timeout: Optional[float]) -> Any:
        """The call of a method that streams; what it raises is for explain_end()."""
        if requests is None:
            return self._method(rpc)(timeout=timeout)
        return self._method(rpc)(requests, timeout=timeout)

    def explain_end(self, error: grpc.RpcError) -> SopError:
        """The SopError of what ended a session's stream."""
        return self._acquaintance.explain_end(error)

    def _method(self, rpc: str) -> Any:
        self.check_usable()
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self.address, options=CHANNEL_OPTIONS)
            self._methods = methods_of(self._channel)
        return self._methods[rpc]

    async def _answer(
        self, attempt: Awaitable[Any], explain: Optional[Callable[[Any], SopError]] = None
    ) -> Any:
        try:
            answer = await attempt
        except grpc.RpcError as error:
            raise (explain or self._acquaintance.explain)(error) from None
        except asyncio.CancelledError:
            # By close(), unless it is the task that is cancelled.
            if not self._is_closed or _is_cancelled(asyncio.current_task()):
                raise
            kind = CancelledError if explain is None else UnavailableError
            raise kind(f"the connection to {self.address} is closed") from None
        self._acquaintance.has_answered = True
        return answer


def _is_cancelled(task: Any) -> bool:
    # Python 3.10 does not tell.
    return bool(task.cancelling()) if hasattr(task, "cancelling") else False


def _look_at(task: asyncio.Task[Any]) -> None:
    """Somebody may want its failure, nobody must."""
    if not task.cancelled():
        task.exception()

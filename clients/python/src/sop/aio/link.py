"""How a transaction reaches the server: by calls of their own, or over the stream of a session."""

from __future__ import annotations

import re
from typing import Any, AsyncGenerator, Awaitable, Callable, Iterator, Optional, Union

from sop.aio.connection import Connection
from sop.aio.streams import Stream
from sop.errors import DeadlineExceededError, InvalidArgumentError, SopError, TransactionEndedError
from sop.errors import TransactionLostError, TransactionNotFoundError, UnavailableError
from sop.v1 import btree_pb2, transaction_pb2, types_pb2

# Of one store; the server reads at most 16 MiB ahead of its work, a batch has 1 MiB.
_BATCHES_AT_ONCE = 4
PageBytes = Union[bytes, memoryview]
Parts = Callable[[], Iterator[btree_pb2.PutValueRequest]]


class Link:
    """One transaction's way to the server. Confined to the transaction's task."""

    # How many batches of one store may wait for their answers.
    batches_at_once = 1
    # Whether a failed request leaves nothing but a rollback.
    failure_poisons = False

    def __init__(self, connection: Connection, name_of: Callable[[], Awaitable[str]]) -> None:
        self.connection = connection
        # The database's name, once it has begun.
        self.database = ""
        self._name_of = name_of

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.connection.is_closed

    def is_of_database_of(self, other: "Link") -> bool:
        """Whether both are of transactions of one database."""
        is_same = self.connection is other.connection
        return is_same or self.is_of(other.connection.address, other.database)

    def is_of(self, address: str, database: str) -> bool:
        """Whether it is of a transaction of that database."""
        return (self.connection.address, self.database) == (address, database)

    async def database_name(self) -> str:
        """The name of the database that the transaction is of."""
        return await self._name_of()

    @property
    def token(self) -> bytes:
        """The transaction's id; empty before the server has told it."""
        raise NotImplementedError

    async def begin(self, request: Any) -> bytes:
        """Begins; the snapshot's version, empty if that is not waited for."""
        raise NotImplementedError

    async def start(self, rpc: str, request: Any) -> Any:
        """Begins a call in the transaction; finish() waits for its answer."""
        raise NotImplementedError

    async def finish(self, future: Any) -> Any:
        """The answer to start(). Raises its SopError."""
        raise NotImplementedError

    async def call(self, rpc: str, request: Any) -> Any:
        """One call in the transaction."""
        raise NotImplementedError

    async def start_commit(self, request: Any) -> Any:
        """Sends the commit; finish_commit() waits for its answer."""
        raise NotImplementedError

    async def finish_commit(self, future: Any, request: Any) -> Any:
        """The answer to start_commit(), repeated where that is safe."""
        raise NotImplementedError

    async def rollback(self) -> None:
        """Ends the transaction without a commit."""
        raise NotImplementedError

    def pages(self, request: btree_pb2.ScanRequest) -> AsyncGenerator[PageBytes, None]:
        """The packed pages of a scan."""
        raise NotImplementedError

    async def put_value(self, parts: Parts) -> btree_pb2.PutValueResponse:
        """Writes a value that goes in parts."""
        await self._wait_for_token()

        def in_transaction() -> Iterator[btree_pb2.PutValueRequest]:
            messages = parts()
            yield self._about(next(messages))
            yield from messages

        answer: btree_pb2.PutValueResponse = await self.connection.call_with("PutValue", in_transaction)
        return answer

    async def read_value(self, request: btree_pb2.ReadValueRequest) -> types_pb2.Value:
        """A value that comes in parts."""
        await self._wait_for_token()
        value = types_pb2.Value()
        found = bytearray()
        async for answer in self.connection.stream("ReadValue", self._about(request)):
            if answer.format:
                value.format = answer.format
            found += answer.content
        value.content = bytes(found)
        return value

    async def _wait_for_token(self) -> None:
        """Calls beside the link's own way name the transaction."""

    def _about(self, request: Any) -> Any:
        raise NotImplementedError


class UnaryLink(Link):
    """Each request is a call; a failed one leaves the transaction usable."""

    def __init__(self, connection: Connection, name_of: Callable[[], Awaitable[str]]) -> None:
        super().__init__(connection, name_of)
        self._token = b""

    @property
    def token(self) -> bytes:
        """The transaction's id."""
        return self._token

    async def begin(self, request: Any) -> bytes:
        """Begins; the snapshot's version."""
        self.database = request.database = await self._name_of()
        answer = await self.connection.call_repeatedly("Begin", request)
        self._token = answer.transaction_id
        version: bytes = answer.commit_version
        return version

    async def start(self, rpc: str, request: Any) -> Any:
        """Begins a call in the transaction; finish() waits for its answer."""
        return await self.connection.start(rpc, self._about(request))

    async def finish(self, future: Any) -> Any:
        """The answer to start(). Raises its SopError."""
        return await self.connection.finish(future)

    async def call(self, rpc: str, request: Any) -> Any:
        """One call in the transaction."""
        return await self.connection.call(rpc, self._about(request))

    async def start_commit(self, request: Any) -> Any:
        """Commits: there is nothing that the commit could be sent ahead of."""
        return await self.connection.call_repeatedly("Commit", self._about(request))

    async def finish_commit(self, future: Any, request: Any) -> Any:
        """The answer to start_commit()."""
        return future

    async def rollback(self) -> None:
        """Ends the transaction without a commit."""
        request = self._about(transaction_pb2.RollbackRequest())
        await self.connection.call("Rollback", request)

    async def pages(self, request: btree_pb2.ScanRequest) -> AsyncGenerator[PageBytes, None]:
        """The packed pages of a scan."""
        async for answer in self.connection.stream("Scan", self._about(request)):
            if answer.page:
                yield answer.page
            if answer.end:
                return

    def _about(self, request: Any) -> Any:
        request.database = self.database
        request.transaction_id = self._token
        return request


class StreamLink(Link):
    """All requests go over one stream, and none waits for the answer to the one before it."""

    batches_at_once = _BATCHES_AT_ONCE
    failure_poisons = True

    def __init__(self, stream: Stream, name_of: Callable[[], Awaitable[str]]) -> None:
        super().__init__(stream.connection, name_of)
        self._stream = stream
        self._begun: Any = None
        self._commit: Any = None
        self._number = self._opening = 0

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.connection.is_closed or self._stream.is_closed

    @property
    def token(self) -> bytes:
        """The transaction's id; empty before the server has told it."""
        answer = self._stream.peek(self._begun)
        token: bytes = answer.begin.transaction_id if answer is not None else b""
        return token

    async def begin(self, request: Any) -> bytes:
        """Begins; does not wait."""
        self.database = request.database = await self._name_of()
        message = transaction_pb2.SessionRequest(begin=request)
        self._begun = await self._stream.send(message)
        self._number, self._opening = message.id, self._stream.opening
        return b""

    async def start(self, rpc: str, request: Any) -> Any:
        """Begins a call in the transaction; finish() waits for its answer."""
        operation = transaction_pb2.Operation()
        getattr(operation, _field_of(rpc)).CopyFrom(request)
        return await self._send(operation=operation)

    async def finish(self, future: Any) -> Any:
        """The answer to start(). Raises its SopError."""
        answer = await self._stream.answer(future)
        return getattr(answer.result, answer.result.WhichOneof("response"))

    async def call(self, rpc: str, request: Any) -> Any:
        """One call in the transaction."""
        return await self.finish(await self.start(rpc, request))

    async def start_commit(self, request: Any) -> Any:
        """Sends the commit; finish_commit() waits for its answer. TransactionLostError if the
        stream does not take it.
        """
        if self._commit is None:
            try:
                self._commit = await self._send(commit=request)
            except UnavailableError as error:
                raise TransactionLostError(f"the commit was not sent: {error.message}") from error
        return self._commit

    async def finish_commit(self, future: Any, request: Any) -> Any:
        """The answer to the commit. If the stream broke before it came, asked for by calls."""
        try:
            return (await self._stream.answer(future)).commit
        except UnavailableError:
            if not self.token:
                raise
        return await self._ask_outcome(request)

    async def _ask_outcome(self, request: Any) -> Any:
        """Whether a transaction was committed whose stream broke."""
        # The server may not know yet that the stream broke, and have only some of the writes: the
        # commit may be repeated only when there is surely nothing left to be committed.
        try:
            rollback = self._about(transaction_pb2.RollbackRequest())
            await self.connection.call_repeatedly("Rollback", rollback)
        except (UnavailableError, DeadlineExceededError):
            raise
        except SopError:
            pass  # it has ended, and how the commit knows
        try:
            return await self.connection.call_repeatedly("Commit", self._about(request))
        except (TransactionEndedError, TransactionNotFoundError) as error:
            raise TransactionLostError("the session broke before the commit") from error

    async def rollback(self) -> None:
        """Ends the transaction without a commit."""
        await self._stream.answer(await self._send(rollback=transaction_pb2.RollbackRequest()))

    async def pages(self, request: btree_pb2.ScanRequest) -> AsyncGenerator[PageBytes, None]:
        """The packed pages of a scan, which a session does not have: page by page."""
        page = btree_pb2.ReadPageRequest(store=request.store, content=request.content, packed=True)
        page.direction, page.page_size, page.page_bytes = request.direction, 10_000, 1 << 20
        page.range.CopyFrom(request.range)
        if request.HasField("filter"):
            page.filter.CopyFrom(request.filter)
        while True:
            answer = await self.call("ReadPage", page)
            if answer.packed:
                yield answer.packed
            if answer.end:
                return
            page.page_token = answer.next_page_token

    async def _wait_for_token(self) -> None:
        await self._stream.answer(self._begun)

    def _about(self, request: Any) -> Any:
        request.database, request.transaction_id = self.database, self.token
        return request

    async def _send(self, **parts: Any) -> Any:
        message = transaction_pb2.SessionRequest(transaction=self._number, **parts)
        return await self._stream.send(message, self._opening)


_NAMES: dict[str, str] = {}


def _field_of(rpc: str) -> str:
    """The member of an Operation for an rpc: AddIfNotExists is add_if_not_exists."""
    name: Optional[str] = _NAMES.get(rpc)
    if name is None:
        name = _NAMES[rpc] = re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower()
    return name


def of_another_database(link: Link) -> InvalidArgumentError:
    """The exception for a transaction that is used with a database, or a store, that is not its own."""
    return InvalidArgumentError(
        f"the transaction is of another database: '{link.database}' at {link.connection.address}",
        metadata={"database": link.database, "address": link.connection.address},
    )

"""Sessions: many transactions over one stream, none of which waits for the others' answers."""

from __future__ import annotations

from types import TracebackType
from typing import Awaitable, Callable, Optional, TypeVar, Union

from sop.aio.connection import Connection, started
from sop.aio.link import StreamLink
from sop.aio.repeating import run_repeatedly
from sop.aio.streams import Stream
from sop.aio.transaction import PendingCommit, Transaction
from sop.context import takes_context
from sop.options import TransactionMode, TransactionOptions, options_in_mode

__all__ = ["PendingCommit", "Session"]

T = TypeVar("T")


class Session:
    """A stream to the server; Database.session() makes it. Its transactions are used like others,
    but nothing waits that need not: begin, writes and commits are sent without waiting for
    answers, and many transactions may be under way at once, also from several tasks.

    Reads and `Database.open_btree` wait as everywhere; `Btree.in_transaction` takes a store that
    is open already into the next transaction without asking the server. A failed request leaves
    nothing but a rollback: the failure is raised by what looks at it, at the latest by the commit.
    When the block ends the answers to what was sent are waited for, at most as long as the
    database has patience; what is open then is rolled back. An exception that leaves it does not
    wait: of commits whose answers have not come the outcome is unknown.

        async with database.session() as session:
            commits = []
            for name in names:
                t = await session.begin_transaction()
                await people.in_transaction(t).upsert(sop.Item(name, "here"))
                commits.append(await t.commit_later())
            for each in commits:
                await each.result()
    """

    def __init__(
        self, connection: Connection, name_of: Callable[[], Awaitable[str]]
    ) -> None:
        self._stream = Stream(connection)
        self._name_of = name_of

    @takes_context
    def begin_transaction(
        self,
        mode: Union[TransactionMode, int, None] = None,
        options: Optional[TransactionOptions] = None,
    ) -> Transaction:
        """Begins a transaction and does not wait for the server's answer. See
        Database.begin_transaction.
        """
        chosen = options_in_mode(options, mode)
        return started(Transaction(StreamLink(self._stream, self._name_of), chosen))

    @takes_context
    async def run(
        self,
        function: Callable[[Transaction], Awaitable[T]],
        timeout: float = 30.0,
        options: Optional[TransactionOptions] = None,
    ) -> T:
        """Database.run() in a transaction of this session."""
        chosen = options or TransactionOptions()

        def begin() -> Transaction:
            return Transaction(StreamLink(self._stream, self._name_of), chosen)

        return await run_repeatedly(begin, function, timeout)

    @takes_context
    async def close(self) -> None:
        """Ends the session: waits for the answers to what was sent, at most as long as the database
        has patience, then rolls back what is open.
        """
        try:
            await self._stream.drain()
        finally:
            await self._stream.close()

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if error is None:
            await self.close()
        else:
            await self._stream.close()

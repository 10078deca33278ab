"""Transactions: one snapshot, own writes, all or nothing."""

from __future__ import annotations

import uuid
from types import TracebackType
from typing import Any, Optional

from sop.aio.connection import Startable
from sop.aio.link import Link
from sop.aio.writes import WriteQueue
from sop.context import Context, current_context, current_timeout, takes_context, using
from sop.errors import CancelledError, DeadlineExceededError, OverloadedError, SopError
from sop.errors import TransactionEndedError, TransactionPoisonedError, UnavailableError
from sop.options import Durability, Isolation, TransactionMode, TransactionOptions
from sop.v1 import transaction_pb2

__all__ = [
    "Durability",
    "Isolation",
    "PendingCommit",
    "Transaction",
    "TransactionMode",
    "TransactionOptions",
]

# The state after a commit was sent, until its answer came.
_UNKNOWN = "sent for commit"


class PendingCommit:
    """A commit that was sent, and whose answer nobody has waited for yet."""

    def __init__(self, transaction: "Transaction", future: Any) -> None:
        self._transaction = transaction
        self._future = future

    @property
    def transaction(self) -> "Transaction":
        """The transaction."""
        return self._transaction

    @takes_context
    async def result(self) -> bytes:
        """Waits for the commit; its version. Raises what commit() would have raised."""
        return await self._transaction._finish_commit(self._future)


class Transaction(Startable):
    """An open transaction. As a context manager it commits at the end of the block, or rolls back
    if an exception leaves it; a Context that was given to its begin limits that as well. Confined to
    one task at a time; transactions do not share state.
    """

    def __init__(self, link: Link, options: TransactionOptions) -> None:
        self.link = link
        self.options = options
        # Outcomes such as "already there" that nobody looked at; complete after the commit.
        self.unseen = 0
        # Opaque; of the snapshot (of a session's transaction not told), then of the commit.
        self.commit_version = b""
        self._queues: dict[str, WriteQueue] = {}
        self._failure: Optional[SopError] = None
        self._state = "not begun"
        self._context = current_context()

    @takes_context
    async def begin(self) -> None:
        """Begins, unless it has begun."""
        if self._state == "not begun":
            with using(self._context):
                self.commit_version = await self.link.begin(self.options.to_message())
            self._state = "open"

    @property
    def token(self) -> bytes:
        """Its id as bytes."""
        return self.link.token

    @property
    def id(self) -> str:
        """Its id, which is also its commit token; empty in a session before the server's answer."""
        return str(uuid.UUID(bytes=self.token)) if self.token else ""

    @property
    def mode(self) -> TransactionMode:
        """What it may do."""
        return self.options.mode

    @property
    def unseen_outcomes(self) -> int:
        """Writes answered "already there" or "not found" so far whose result nobody looked at."""
        return self.unseen

    @property
    def has_begun(self) -> bool:
        """Whether it is still open."""
        return self._state == "open"

    @takes_context
    async def flush(self) -> None:
        """Sends all collected writes and waits for their answers. Raises the first failure."""
        for queue in self._queues.values():
            await queue.flush()
        self.check_usable()

    @takes_context
    async def commit(self) -> None:
        """Makes all writes durable, or none.

        ConflictError and its siblings: run the transaction again. While the server cannot be
        reached the same commit is repeated; the server answers it once. An error with metadata
        outcome=unknown means that no answer came in time: commit() again asks for it.
        """
        await (await self.commit_later()).result()

    @takes_context
    async def commit_later(self) -> PendingCommit:
        """Sends what is collected and the commit, and does not wait for answers: they are waited
        for by PendingCommit.result(). Only in transactions of a Session; others commit at once.
        """
        if self._state != _UNKNOWN:
            try:
                current_timeout()  # a context that was cancelled lets nothing be sent
                await self._send_writes()
            except BaseException:
                if self._state == "open":
                    await self.rollback()
                raise
        self._state = _UNKNOWN
        try:
            return PendingCommit(self, await self.link.start_commit(self._commit_request()))
        except SopError as error:
            raise self._not_committed(error)

    @takes_context
    async def rollback(self) -> None:
        """Forgets all writes. Nothing happens if it has ended without a commit, or may have been
        committed.
        """
        if self._state != "open":
            if self._state == "committed":
                raise TransactionEndedError(f"transaction {self.id} is committed")
            return
        self._state = "rolled back"
        for queue in self._queues.values():
            queue.abandon()
        await self._end_without_commit()

    async def __aenter__(self) -> "Transaction":
        await self.begin()
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._state != "open":
            return
        with using(self._context):
            if error is None:
                await self.commit()
            else:
                await self.rollback()

    def check_usable(self) -> None:
        """Raises what made it fail, or TransactionEndedError."""
        if self._failure is not None:
            raise self._failure
        if self._state != "open":
            raise TransactionEndedError(f"transaction {self.id} is {self._state}")

    def fail(self, error: SopError) -> None:
        """Lets nothing but a rollback happen from now on."""
        if self._failure is None:
            self._failure = error

    def queue_of(self, store: str) -> WriteQueue:
        """The writes to one store."""
        queue = self._queues.get(store)
        if queue is None:
            queue = self._queues[store] = WriteQueue(self, store)
        return queue

    async def _send_writes(self) -> None:
        self.check_usable()
        for queue in self._queues.values():
            if self.link.failure_poisons:
                # The server refuses the commit behind a write that failed: nobody needs to wait.
                await queue.send_all()
            else:
                await queue.flush()
        self.check_usable()

    async def _finish_commit(self, future: Any) -> bytes:
        if self._state == _UNKNOWN:
            try:
                await self._settle_writes()
                answer = await self.link.finish_commit(future, self._commit_request())
            except SopError as error:
                is_refused = self._failure is not None or isinstance(error, TransactionPoisonedError)
                is_refused = is_refused and not _is_unknown(error)
                raised = self._not_committed(error)
                if is_refused:
                    await self._end_without_commit()
                raise raised
            self._state = "committed"
            self.commit_version = answer.commit_version
        elif self._state != "committed":
            self.check_usable()
        return self.commit_version

    async def _settle_writes(self) -> None:
        """Waits for the answers to what was sent. A stream that broke says nothing of the commit,
        which is behind them and asked for next.
        """
        for queue in self._queues.values():
            try:
                await queue.settle_all()
            except UnavailableError:
                pass

    def _not_committed(self, error: SopError) -> SopError:
        if _is_unknown(error):
            error.metadata["outcome"] = "unknown"
        else:
            self._state = "aborted"
        return error

    async def _end_without_commit(self) -> None:
        context = current_context()
        # One that was cancelled lets this be sent all the same.
        limit = Context(context.timeout) if context is not None else None
        try:
            with using(limit):
                await self.link.rollback()
        except SopError:
            # Whatever the reason, it cannot commit any more; the idle limit ends it.
            pass

    def _commit_request(self) -> Any:
        return transaction_pb2.CommitRequest(durability=self.options.durability.value)


def _is_unknown(error: SopError) -> bool:
    """Whether a commit that ended so may have happened."""
    gave_up = (UnavailableError, DeadlineExceededError, OverloadedError, CancelledError)
    return isinstance(error, gave_up)

"""Transactions: one snapshot, own writes, all or nothing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, IntEnum
from types import TracebackType
from typing import Any, Optional

from sop.connection import Connection
from sop.context import takes_context
from sop.errors import DeadlineExceededError, OverloadedError, SopError, TransactionEndedError
from sop.errors import UnavailableError
from sop.v1 import transaction_pb2, types_pb2
from sop.writes import WriteQueue

# The state after a commit was sent, until its answer came.
_UNKNOWN = "sent for commit"


class TransactionMode(IntEnum):
    """What a transaction may do. ForReading and NoCheck are the same: reads never abort here."""

    NoCheck = 0
    ForWriting = 1
    ForReading = 2


class Isolation(Enum):
    """What a commit checks: what was read and written, or only what was written."""

    Serializable = types_pb2.ISOLATION_SERIALIZABLE
    Snapshot = types_pb2.ISOLATION_SNAPSHOT


class Durability(Enum):
    """When a commit is answered: on stable storage, or once others can see it."""

    Durable = types_pb2.DURABILITY_DURABLE
    Relaxed = types_pb2.DURABILITY_RELAXED


@dataclass
class TransactionOptions:
    """How a transaction is begun. `max_duration` and `idle_limit` are seconds; the server's
    defaults are 15 minutes and 60 s.
    """

    mode: TransactionMode = TransactionMode.ForWriting
    isolation: Isolation = Isolation.Serializable
    durability: Durability = Durability.Durable
    max_duration: Optional[float] = None
    idle_limit: Optional[float] = None


class Transaction:
    """An open transaction. As a context manager it commits at the end of the block, or rolls back
    if an exception leaves it. Confined to one thread at a time; transactions do not share state.
    """

    def __init__(
        self, connection: Connection, database_name: str, options: TransactionOptions
    ) -> None:
        self.connection = connection
        self.database_name = database_name
        self.options = options
        # Outcomes such as "already there" that nobody looked at; complete after the commit.
        self.unseen = 0
        self._queues: dict[str, WriteQueue] = {}
        self._failure: Optional[SopError] = None
        self._state = "open"
        answer = connection.call_repeatedly(connection.transactions.Begin, self._begin_request())
        self.token: bytes = answer.transaction_id
        # Opaque; of the snapshot, and after the commit of the commit.
        self.commit_version: bytes = answer.commit_version

    @property
    def id(self) -> str:
        """Its id, which is also its commit token."""
        return str(uuid.UUID(bytes=self.token))

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
    def flush(self) -> None:
        """Sends all collected writes and waits for their answers. Raises the first failure."""
        for queue in self._queues.values():
            queue.flush()
        self.check_usable()

    @takes_context
    def commit(self) -> None:
        """Makes all writes durable, or none.

        ConflictError and its siblings: run the transaction again. While the server cannot be
        reached the same commit is repeated; the server answers it once. An error with metadata
        outcome=unknown means that no answer came in time: commit() again asks for it.
        """
        if self._state != _UNKNOWN:
            try:
                self.flush()
            except BaseException:
                if self._state == "open":
                    self.rollback()
                raise
        request = transaction_pb2.CommitRequest(
            database=self.database_name,
            transaction_id=self.token,
            durability=self.options.durability.value,
        )
        self._state = _UNKNOWN
        try:
            answer = self.connection.call_repeatedly(self.connection.transactions.Commit, request)
        except (UnavailableError, DeadlineExceededError, OverloadedError) as error:
            error.metadata["outcome"] = "unknown"
            raise
        except SopError:
            self._state = "aborted"
            raise
        self._state = "committed"
        self.commit_version = answer.commit_version

    @takes_context
    def rollback(self) -> None:
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
        request = transaction_pb2.RollbackRequest(
            database=self.database_name, transaction_id=self.token
        )
        try:
            self.connection.call(self.connection.transactions.Rollback, request)
        except SopError:
            # Whatever the reason, it cannot commit any more; the idle limit ends it.
            pass

    def __enter__(self) -> "Transaction":
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._state != "open":
            return
        if error is None:
            self.commit()
        else:
            self.rollback()

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

    def _begin_request(self) -> Any:
        options = self.options
        request = transaction_pb2.BeginRequest(
            database=self.database_name,
            mode=types_pb2.TRANSACTION_MODE_READ_WRITE
            if options.mode == TransactionMode.ForWriting
            else types_pb2.TRANSACTION_MODE_READ_ONLY,
            isolation=options.isolation.value,
        )
        if options.max_duration is not None:
            request.max_duration.FromTimedelta(timedelta(seconds=options.max_duration))
        if options.idle_limit is not None:
            request.idle_limit.FromTimedelta(timedelta(seconds=options.idle_limit))
        return request

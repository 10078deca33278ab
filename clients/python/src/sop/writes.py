"""Writes of a transaction: collected into batches, sent ahead, looked at when somebody asks."""

from __future__ import annotations

import uuid
from enum import Enum
from typing import Any, Optional, Protocol, Sequence

from sop.connection import Connection
from sop.errors import SopError
from sop.v1 import btree_pb2, types_pb2

# A batch is sent when it has so many items or bytes; both are well below the server's limits.
BATCH_ITEMS = 1000
BATCH_BYTES = 1 << 20
# What a message adds to the bytes of key and value, about.
_ITEM_OVERHEAD_BYTES = 32

# Failures that one item causes: the batch is then narrowed down to it. All others concern the
# store, the transaction or the server.
_OF_ONE_ITEM = frozenset(
    (
        "INVALID_KEY",
        "INVALID_VALUE",
        "INVALID_ARGUMENT",
        "KEY_TYPE_DIFFERS",
        "FIELD_MISSING",
        "FIELD_UNKNOWN",
        "MESSAGE_TOO_LARGE",
        "PRECONDITION_NOT_MET",
        "UNIMPLEMENTED",
    )
)
_GOOD = frozenset(
    (
        types_pb2.WRITE_OUTCOME_ADDED,
        types_pb2.WRITE_OUTCOME_REPLACED,
        types_pb2.WRITE_OUTCOME_UPDATED,
        types_pb2.WRITE_OUTCOME_REMOVED,
    )
)


class WriteKind(Enum):
    """The calls that write; each names its rpc."""

    ADD = "Add"
    ADD_IF_NOT_EXISTS = "AddIfNotExists"
    UPDATE = "Update"
    UPSERT = "Upsert"
    UPDATE_KEY = "UpdateKey"
    REMOVE = "Remove"

    @property
    def request_type(self) -> Any:
        """The class of its request."""
        return getattr(btree_pb2, f"{self.value}Request")


class Write:
    """One item to be written, and what became of it."""

    __slots__ = ("kind", "item", "size_bytes", "outcome", "item_id", "error", "is_counted")

    def __init__(self, kind: WriteKind, item: types_pb2.WriteItem) -> None:
        self.kind = kind
        self.item: Optional[types_pb2.WriteItem] = item
        self.size_bytes = item.ByteSize() + _ITEM_OVERHEAD_BYTES
        self.outcome = 0
        self.item_id = b""
        self.error: Optional[SopError] = None
        self.is_counted = False

    @property
    def is_settled(self) -> bool:
        """Whether the server has answered."""
        return self.outcome != 0 or self.error is not None

    @property
    def is_good(self) -> bool:
        """Whether the item was added, replaced, updated or removed."""
        return self.outcome in _GOOD


class Owner(Protocol):
    """What a queue needs of its transaction."""

    connection: Connection
    database_name: str
    token: bytes
    unseen: int

    def check_usable(self) -> None:
        """Raises what made the transaction fail, or that it has ended."""

    def fail(self, error: SopError) -> None:
        """Lets nothing but a rollback happen from now on."""


class WriteResult:
    """What a write call returns: equal to, and usable as, the boolean that says whether all its
    items were written. Looking at it sends what is still collected and waits for the answer.
    """

    __slots__ = ("_queue", "_writes")

    def __init__(self, queue: "WriteQueue", writes: list[Write]) -> None:
        self._queue = queue
        self._writes = writes

    def __bool__(self) -> bool:
        self._look()
        return all(write.is_good for write in self._writes)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (bool, WriteResult)):
            return bool(self) == bool(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(bool(self))

    def __str__(self) -> str:
        return str(bool(self))

    def __repr__(self) -> str:
        """Does not look: a debugger must not send anything."""
        if not all(write.is_settled for write in self._writes):
            return "WriteResult(not sent or not answered yet)"
        return f"WriteResult({[_outcome_name(write) for write in self._writes]})"

    @property
    def outcomes(self) -> list[str]:
        """One per item: ADDED, REPLACED, ALREADY_THERE, NOT_FOUND, UPDATED, REMOVED."""
        self._look()
        return [_outcome_name(write) for write in self._writes]

    @property
    def item_ids(self) -> list[Optional[str]]:
        """One per item: its id in a store that is not unique, else None."""
        self._look()
        ids = [write.item_id for write in self._writes]
        return [str(uuid.UUID(bytes=each)) if each else None for each in ids]

    def _look(self) -> None:
        if not all(write.is_settled for write in self._writes):
            self._queue.flush(self._writes)
        for write in self._writes:
            if write.error is not None:
                raise write.error
            self._queue.mark_seen(write)


def _outcome_name(write: Write) -> str:
    if write.error is not None:
        return write.error.reason
    name: str = types_pb2.WriteOutcome.Name(write.outcome)
    return name.removeprefix("WRITE_OUTCOME_")


class WriteQueue:
    """The writes of one store in one transaction, in order. Confined to the transaction's thread.

    Invariant: at most one batch is under way, and all writes in it came before all pending ones.
    """

    def __init__(self, owner: Owner, store: str) -> None:
        self._owner = owner
        self._store = store
        self._pending: list[Write] = []
        self._pending_bytes = 0
        self._batch: list[Write] = []
        self._future: Any = None
        # Grows with every write, for readers that keep what they have read.
        self.version = 0

    def put(self, write: Write) -> None:
        """Collects; sends when there is enough for a batch. Raises what an earlier batch met."""
        self.version += 1
        self._pending.append(write)
        self._pending_bytes += write.size_bytes
        if len(self._pending) >= BATCH_ITEMS or self._pending_bytes >= BATCH_BYTES:
            self._settle(())
            self._send()

    def flush(self, looked_at: Sequence[Write] = ()) -> None:
        """Sends everything and waits. Raises the first failure.

        The transaction can go on after a failure only if it is of `looked_at` and nothing was
        written after that: the caller then knows exactly what has not happened.
        """
        self._owner.check_usable()
        self._settle(looked_at)
        while self._pending:
            self._send()
            self._settle(looked_at)

    def abandon(self) -> None:
        """Forgets what was not sent, before a rollback."""
        if self._future is not None:
            self._future.cancel()
            self._future = None
        self._pending, self._batch = [], []

    def mark_seen(self, write: Write) -> None:
        """Takes the write off the unseen outcomes."""
        if write.is_counted:
            write.is_counted = False
            self._owner.unseen -= 1

    def _send(self) -> None:
        """Starts the longest run of pending writes of one kind that fits into a batch."""
        kind = self._pending[0].kind
        size_bytes = 0
        end = 0
        for write in self._pending[:BATCH_ITEMS]:
            if write.kind is not kind or (end and size_bytes + write.size_bytes > BATCH_BYTES):
                break
            size_bytes += write.size_bytes
            end += 1
        self._batch, self._pending = self._pending[:end], self._pending[end:]
        self._pending_bytes -= size_bytes
        connection = self._owner.connection
        self._future = connection.start(self._method(kind), self._request(self._batch))

    def _settle(self, looked_at: Sequence[Write]) -> None:
        """Waits for the batch under way."""
        if self._future is None:
            return
        future, batch = self._future, self._batch
        self._future, self._batch = None, []
        try:
            self._take(batch, self._owner.connection.finish(future))
        except SopError as error:
            self._on_failure(batch, error, looked_at)

    def _on_failure(
        self, batch: list[Write], error: SopError, looked_at: Sequence[Write]
    ) -> None:
        if error.reason == "OVERLOADED":
            # Refused before anything was done: sent again, with the server's pause.
            self._run(batch, looked_at)
        elif len(batch) > 1 and error.reason in _OF_ONE_ITEM:
            # As if each item had been sent alone: what comes before the one at fault is written.
            half = len(batch) // 2
            self._pending = batch[half:] + self._pending
            self._run(batch[:half], looked_at)
            rest = len(batch) - half
            second, self._pending = self._pending[:rest], self._pending[rest:]
            self._run(second, looked_at)
        else:
            for write in batch:
                write.error, write.item = error, None
            is_last_looked_at = bool(looked_at) and batch[-1] is looked_at[-1]
            if self._pending or len(batch) > 1 or not is_last_looked_at:
                self._pending = []
                self._owner.fail(error)
            raise error

    def _run(self, batch: list[Write], looked_at: Sequence[Write]) -> None:
        connection = self._owner.connection
        try:
            answer = connection.call(self._method(batch[0].kind), self._request(batch))
        except SopError as error:
            if error.reason == "OVERLOADED":
                self._owner.fail(error)
                raise
            self._on_failure(batch, error, looked_at)
            return
        self._take(batch, answer)

    def _take(self, batch: list[Write], answer: Any) -> None:
        report = answer.report
        ids = report.item_ids or [b""] * len(batch)
        for write, outcome, item_id in zip(batch, report.outcomes, ids, strict=True):
            write.outcome, write.item_id, write.item = outcome, item_id, None
            if not write.is_good:
                write.is_counted = True
                self._owner.unseen += 1

    def _method(self, kind: WriteKind) -> Any:
        return getattr(self._owner.connection.btrees, kind.value)

    def _request(self, batch: list[Write]) -> Any:
        return batch[0].kind.request_type(
            database=self._owner.database_name,
            store=self._store,
            transaction_id=self._owner.token,
            items=[write.item for write in batch],
        )

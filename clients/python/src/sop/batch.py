"""Writes as they are collected, sent and answered: what both faces of the client share."""

from __future__ import annotations

import uuid
from enum import Enum
from typing import Any, Iterator, Optional, Sequence

from sop.errors import CancelledError, DeadlineExceededError, SopError, UnavailableError
from sop.v1 import btree_pb2, types_pb2

# A batch is sent when it has so many items or bytes; both are well below the server's limits.
BATCH_ITEMS = 1000
BATCH_BYTES = 1 << 20
# A larger value goes alone, in parts; the server gives it back so, too.
LARGE_VALUE_BYTES = 1 << 20
LARGEST_VALUE_BYTES = 64 << 20
_PART_BYTES = 256 << 10
# What a message adds to the bytes of key and value, about.
_ITEM_OVERHEAD_BYTES = 32

# Failures that one item causes: the batch is then narrowed down to it. All others concern the
# store, the transaction or the server.
OF_ONE_ITEM = frozenset(
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

    __slots__ = (
        "kind", "item", "size_bytes", "large_value", "outcome", "item_id", "error", "is_counted"
    )  # fmt: skip

    def __init__(self, kind: WriteKind, item: types_pb2.WriteItem) -> None:
        self.kind = kind
        self.item: Optional[types_pb2.WriteItem] = item
        # Of one that goes alone: the value, which is not in `item` then.
        self.large_value: Optional[bytes] = None
        if len(item.value.content) > LARGE_VALUE_BYTES:
            self.large_value = item.value.content
            item.value.ClearField("content")
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

    @property
    def outcome_name(self) -> str:
        """Such as ADDED, or the reason of its failure."""
        if self.error is not None:
            return self.error.reason
        return outcome_name(self.outcome)


def is_effect_unknown(error: SopError) -> bool:
    """Whether writes that failed so may be in their transaction all the same."""
    return isinstance(error, (UnavailableError, DeadlineExceededError, CancelledError))


def parts_of(write: Write, store: str) -> Iterator[btree_pb2.PutValueRequest]:
    """What PutValue is sent for a large value; database and transaction are for the first."""
    value = memoryview(write.large_value or b"")
    kind: btree_pb2.PutKind = getattr(btree_pb2, f"PUT_KIND_{write.kind.name}")
    yield btree_pb2.PutValueRequest(store=store, kind=kind, item=write.item)
    for start in range(0, len(value), _PART_BYTES):
        part = bytes(value[start : start + _PART_BYTES])
        yield btree_pb2.PutValueRequest(content=part, end=start + len(part) == len(value))


def outcome_name(outcome: int) -> str:
    """Such as ADDED."""
    name: str = types_pb2.WriteOutcome.Name(outcome)
    return name.removeprefix("WRITE_OUTCOME_")


def first_batch(pending: Sequence[Write]) -> int:
    """How many of these are the longest run of one kind that fits into a batch."""
    kind = pending[0].kind
    size_bytes = 0
    end = 0
    for write in pending[:BATCH_ITEMS]:
        if write.kind is not kind or (end and size_bytes + write.size_bytes > BATCH_BYTES):
            break
        size_bytes += write.size_bytes
        end += 1
    return end


def are_settled(writes: Sequence[Write]) -> bool:
    """Whether the server has answered all of them."""
    return all(write.is_settled for write in writes)


def repr_of(writes: Sequence[Write]) -> str:
    """What a debugger shows: it does not send anything."""
    if not are_settled(writes):
        return "WriteResult(not sent or not answered yet)"
    return f"WriteResult({[write.outcome_name for write in writes]})"


def outcome_names(writes: Sequence[Write]) -> list[str]:
    """The outcome of each."""
    return [write.outcome_name for write in writes]


def item_ids(writes: Sequence[Write]) -> list[Optional[str]]:
    """The id of each in a store that is not unique, else None."""
    ids = [write.item_id for write in writes]
    return [str(uuid.UUID(bytes=each)) if each else None for each in ids]

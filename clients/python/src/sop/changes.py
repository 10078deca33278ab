"""What a watch tells: the changes of a store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any, Generic, Optional

from sop.decoding import ItemDecoder
from sop.options import Item, K, V
from sop.v1 import btree_pb2


class ChangeKind(Enum):
    """What happened to an item. StoreRemoved is the last change of a store."""

    Added = btree_pb2.CHANGE_KIND_ADDED
    Updated = btree_pb2.CHANGE_KIND_UPDATED
    Removed = btree_pb2.CHANGE_KIND_REMOVED
    KeyUpdated = btree_pb2.CHANGE_KIND_KEY_UPDATED
    StoreRemoved = btree_pb2.CHANGE_KIND_STORE_REMOVED


@dataclass
class Change(Generic[K, V]):
    """One committed change.

    `item` is as the commit left it, None when the store was removed; its version is the commit.
    Its value is None if only keys were asked for, in Removed and KeyUpdated, and where
    `value_left_out` says that it is above 64 KiB. `ordinal` counts the changes of one commit.
    `position` is what to go on from once the change is dealt with.
    """

    kind: ChangeKind
    item: Optional[Item[K, V]]
    version: int
    previous_version: int
    ordinal: int
    commit_time: datetime
    position: bytes
    value_left_out: bool = False


def change_of(message: btree_pb2.Change, decoder: ItemDecoder, keys_only: bool) -> Change[Any, Any]:
    """The change of a message."""
    kind = ChangeKind(message.kind)
    item = None if kind is ChangeKind.StoreRemoved else decoder.of_message(message.item)
    has_value = kind in (ChangeKind.Added, ChangeKind.Updated) and not keys_only
    return Change(
        kind=kind,
        item=item,
        version=message.item.version,
        previous_version=message.previous_version,
        ordinal=message.ordinal,
        commit_time=message.commit_time.ToDatetime(timezone.utc),
        position=message.position,
        value_left_out=has_value and not message.item.HasField("value"),
    )

"""The client for asyncio: what `sop` has, with calls to be awaited. Start with Database.

    async with sop.aio.Database(sop.DatabaseOptions(name="shop")) as db:
        async with db.begin_transaction() as t:
            users = await db.new_btree("users", t)
            await users.add(sop.Item("ann", {"age": 30}))
            async for item in users:
                print(item.key, item.value)

The modules here are the source of those of the same name in `sop`, which the build derives.
"""

from sop.aio import ai, btree, database, session, transaction
from sop.aio.btree import (
    Arrays,
    Btree,
    BtreeOptions,
    Change,
    ChangeKind,
    Descending,
    IndexFieldSpecification,
    IndexSpecification,
    Item,
    KeyRange,
    Page,
    PagingDirection,
    PagingInfo,
    Relation,
    RideOn,
    StoreInfo,
    Timestamp,
    ValueDataSize,
    Watch,
    WriteResult,
)
from sop.aio.database import Database, DatabaseOptions, DatabaseType, RedisCacheConfig
from sop.aio.session import PendingCommit, Session
from sop.aio.transaction import (
    Durability,
    Isolation,
    Transaction,
    TransactionMode,
    TransactionOptions,
)
from sop.context import Context

ForWriting = TransactionMode.ForWriting
ForReading = TransactionMode.ForReading
NoCheck = TransactionMode.NoCheck

__all__ = [
    "Arrays",
    "Btree",
    "BtreeOptions",
    "Change",
    "ChangeKind",
    "Context",
    "Database",
    "DatabaseOptions",
    "DatabaseType",
    "Descending",
    "Durability",
    "ForReading",
    "ForWriting",
    "IndexFieldSpecification",
    "IndexSpecification",
    "Isolation",
    "Item",
    "KeyRange",
    "NoCheck",
    "Page",
    "PagingDirection",
    "PagingInfo",
    "PendingCommit",
    "RedisCacheConfig",
    "Relation",
    "RideOn",
    "Session",
    "StoreInfo",
    "Timestamp",
    "Transaction",
    "TransactionMode",
    "TransactionOptions",
    "ValueDataSize",
    "Watch",
    "WriteResult",
    "ai",
    "btree",
    "database",
    "session",
    "transaction",
]

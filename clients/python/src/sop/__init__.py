"""Client of SOP Server: transactional B-trees over gRPC. Start with Database."""

from sop import ai, btree, database, errors, session, testing, transaction
from sop.btree import (
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
from sop.context import Context
from sop.database import Database, DatabaseOptions, DatabaseType, RedisCacheConfig
from sop.errors import *  # noqa: F401,F403
from sop.session import PendingCommit, Session
from sop.transaction import (
    Durability,
    Isolation,
    Transaction,
    TransactionMode,
    TransactionOptions,
)

from sop import aio  # isort: skip: it uses all of the above

ForWriting = TransactionMode.ForWriting
ForReading = TransactionMode.ForReading
NoCheck = TransactionMode.NoCheck

__version__ = "0.1.0"
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
    "aio",
    "btree",
    "database",
    "errors",
    "session",
    "testing",
    "transaction",
]
__all__ += errors.__all__

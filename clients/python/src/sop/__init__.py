"""Client of SOP Server: transactional B-trees over gRPC. Start with Database."""

from sop import ai, btree, database, errors, testing, transaction
from sop.btree import (
    Btree,
    BtreeOptions,
    IndexFieldSpecification,
    IndexSpecification,
    Item,
    PagingDirection,
    PagingInfo,
    Relation,
    StoreInfo,
    Timestamp,
    ValueDataSize,
    WriteResult,
)
from sop.context import Context
from sop.database import Database, DatabaseOptions, DatabaseType, RedisCacheConfig
from sop.errors import *  # noqa: F401,F403
from sop.errors import SopError
from sop.transaction import (
    Durability,
    Isolation,
    Transaction,
    TransactionMode,
    TransactionOptions,
)

ForWriting = TransactionMode.ForWriting
ForReading = TransactionMode.ForReading
NoCheck = TransactionMode.NoCheck

__version__ = "0.1.0"
__all__ = [
    "Btree",
    "BtreeOptions",
    "Context",
    "Database",
    "DatabaseOptions",
    "DatabaseType",
    "Durability",
    "ForReading",
    "ForWriting",
    "IndexFieldSpecification",
    "IndexSpecification",
    "Isolation",
    "Item",
    "NoCheck",
    "PagingDirection",
    "PagingInfo",
    "RedisCacheConfig",
    "Relation",
    "SopError",
    "StoreInfo",
    "Timestamp",
    "Transaction",
    "TransactionMode",
    "TransactionOptions",
    "ValueDataSize",
    "WriteResult",
    "ai",
    "btree",
    "database",
    "errors",
    "testing",
    "transaction",
    *errors.__all__,
]

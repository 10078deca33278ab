"""What stores and pages are asked for: options, relations, ranges, paging."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, IntEnum
from typing import Any, Generic, Mapping, Optional, Sequence, TypeVar, Union

from sop.keys import IndexFieldSpecification, IndexSpecification, schema_of
from sop.scalars import to_key
from sop.v1 import btree_pb2, database_pb2, transaction_pb2, types_pb2

K = TypeVar("K")
V = TypeVar("V")


class _NotGiven:
    """Where None is a value like others."""

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Any = _NotGiven()


class ValueDataSize(Enum):
    """How large values are expected to be, which decides where they are kept."""

    Small = types_pb2.VALUE_SIZE_SMALL
    Medium = types_pb2.VALUE_SIZE_MEDIUM
    Big = types_pb2.VALUE_SIZE_BIG


class PagingDirection(IntEnum):
    """Which way a page is read."""

    Forward = 0
    Backward = 1


@dataclass
class PagingInfo:
    """Which items get_keys and get_items return.

    They begin at the cursor, or at the first item (Backward: the last) when it is nowhere.
    `page_offset` pages of `page_size` items are passed over; `fetch_count` items are returned,
    `page_size` if it is 0.
    """

    page_offset: int = 0
    page_size: int = 20
    fetch_count: int = 0
    direction: int = PagingDirection.Forward


@dataclass
class Item(Generic[K, V]):
    """A key with its value.

    `id` tells items of equal keys apart in stores that are not unique. `version` is of the commit
    that last wrote the item, 0 if this transaction did; None in items that were not read.
    """

    key: K
    value: V = None  # type: ignore[assignment]
    id: Optional[str] = None
    version: Optional[int] = None


@dataclass
class KeyRange(Generic[K]):
    """A part of a store: the keys in [begin, end) that start with `prefix`.

    A record as a bound, or as the prefix, may have only the first fields of the index and then
    stands for all keys that begin with these. With `partial_last_field` the last field of the
    prefix, a text or bytes, is itself only a beginning.
    """

    begin: Optional[K] = None
    end: Optional[K] = None
    prefix: Optional[K] = None
    begin_exclusive: bool = False
    end_inclusive: bool = False
    partial_last_field: bool = False

    def to_message(self) -> types_pb2.KeyRange:
        """As the server wants it."""
        message = types_pb2.KeyRange(
            begin_exclusive=self.begin_exclusive,
            end_inclusive=self.end_inclusive,
            partial_last_field=self.partial_last_field,
        )
        for bound, given in (("begin", self.begin), ("end", self.end), ("prefix", self.prefix)):
            if given is not None:
                getattr(message, bound).CopyFrom(to_key(given))
        return message


@dataclass
class Page(Generic[K, V]):
    """Items of one read, in its direction. `token` goes on behind them with `Btree.pages`, in
    this or in another transaction, also of another process; None if nothing follows.
    """

    items: list[Item[K, V]]
    token: Optional[bytes] = None


@dataclass
class Relation:
    """A foreign key: fields of this store that name an item of another one."""

    source_fields: Sequence[str]
    target_store: str
    target_fields: Sequence[str]


@dataclass
class BtreeOptions:
    """What a store should be. What is None takes its default, or whatever the store has.

    `is_primitive_key` is accepted as the predecessor's; whether keys are records follows from the
    index specification or from the first item. `key_types` says of which type the fields of keys
    are, before the first item does: {"region": str, "number": int}, or {"": int} for scalars; any
    other item is then refused. A dataclass as index specification says it by its annotations.
    With `feed` changes are recorded for Btree.watch; it cannot be turned on later.
    """

    name: str = ""
    is_unique: Optional[bool] = None
    slot_length: Optional[int] = None
    description: Optional[str] = None
    is_primitive_key: Optional[bool] = None
    value_data_size: Optional[ValueDataSize] = None
    index_specification: Optional[IndexSpecification] = None
    relations: Sequence[Relation] = field(default_factory=list)
    key_types: Mapping[str, Union[type, str]] = field(default_factory=dict)
    feed: Optional[bool] = None

    def set_value_data_size(self, size: ValueDataSize) -> None:
        """Says how large values are expected to be."""
        self.value_data_size = size

    def to_message(self) -> types_pb2.BtreeOptions:
        """Only what was given."""
        message = types_pb2.BtreeOptions()
        if self.is_unique is not None:
            message.unique = self.is_unique
        if self.slot_length is not None:
            message.slot_length = self.slot_length
        if self.description is not None:
            message.description = self.description
        if self.feed is not None:
            message.feed = self.feed
        if self.value_data_size is not None:
            message.value_size = self.value_data_size.value
        if self.index_specification is not None:
            message.index.CopyFrom(self.index_specification.to_message())
        if self.key_types:
            message.schema.CopyFrom(schema_of(self.key_types))
        for relation in self.relations:
            message.relations.add(
                source_fields=relation.source_fields,
                target_store=relation.target_store,
                target_fields=relation.target_fields,
            )
        return message


@dataclass
class StoreInfo(BtreeOptions):
    """A store as it is: every option with the value in effect, and the exact number of items.

    `key_types` names types by the words of the API: int64, string, ...
    """

    count: int = 0

    @staticmethod
    def from_message(store: types_pb2.Store) -> "StoreInfo":
        """From what the server says."""
        options, shape = store.options, store.schema.shape
        is_record = shape == types_pb2.KEY_SHAPE_RECORD
        by_name = {f.name: types_pb2.ScalarType.Name(f.type) for f in store.schema.fields}
        return StoreInfo(
            name=store.name,
            is_unique=options.unique,
            slot_length=options.slot_length if options.HasField("slot_length") else None,
            description=options.description,
            is_primitive_key=None if shape == types_pb2.KEY_SHAPE_UNSPECIFIED else not is_record,
            value_data_size=ValueDataSize(options.value_size or types_pb2.VALUE_SIZE_MEDIUM),
            index_specification=_index_of(store),
            relations=[
                Relation(list(r.source_fields), r.target_store, list(r.target_fields))
                for r in options.relations
            ],
            count=store.item_count,
            feed=options.feed,
            key_types={n: t.removeprefix("SCALAR_TYPE_").lower() for n, t in by_name.items()},
        )


def watch_request(
    store: str, position: Optional[bytes], within: Optional[KeyRange[Any]], keys_only: bool
) -> btree_pb2.WatchRequest:
    """What Btree.watch and Database.watch ask for."""
    keys, items = types_pb2.ITEM_CONTENT_KEYS, types_pb2.ITEM_CONTENT_ITEMS
    request = btree_pb2.WatchRequest(
        store=store, position=position or b"", content=keys if keys_only else items
    )
    if within is not None:
        request.range.CopyFrom(within.to_message())
    return request


def _index_of(store: types_pb2.Store) -> Optional[IndexSpecification]:
    fields = store.options.index.fields
    if not fields:
        return None
    return IndexSpecification(
        [
            IndexFieldSpecification(f.name, f.ascending if f.HasField("ascending") else True)
            for f in fields
        ]
    )


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
    defaults are 15 minutes and 60 s, its limits an hour each, and a day for `max_duration` of a
    reader.
    """

    mode: TransactionMode = TransactionMode.ForWriting
    isolation: Isolation = Isolation.Serializable
    durability: Durability = Durability.Durable
    max_duration: Optional[float] = None
    idle_limit: Optional[float] = None

    def to_message(self) -> transaction_pb2.BeginRequest:
        """As the server wants it; the database is not named yet."""
        is_writer = self.mode == TransactionMode.ForWriting
        request = transaction_pb2.BeginRequest(
            mode=types_pb2.TRANSACTION_MODE_READ_WRITE
            if is_writer
            else types_pb2.TRANSACTION_MODE_READ_ONLY,
            isolation=self.isolation.value,
        )
        if self.max_duration is not None:
            request.max_duration.FromTimedelta(timedelta(seconds=self.max_duration))
        if self.idle_limit is not None:
            request.idle_limit.FromTimedelta(timedelta(seconds=self.idle_limit))
        return request


def options_in_mode(
    options: Optional[TransactionOptions], mode: Union[TransactionMode, int, None]
) -> TransactionOptions:
    """`options`, by default those of a writer, in `mode` if it is given."""
    chosen = options or TransactionOptions()
    return chosen if mode is None else replace(chosen, mode=TransactionMode(mode))


class DatabaseType(Enum):
    """Who coordinates several servers, if any. Clustered is not in this release of the server."""

    Standalone = database_pb2.DATABASE_TYPE_STANDALONE
    Clustered = database_pb2.DATABASE_TYPE_CLUSTERED


@dataclass
class RedisCacheConfig:
    """The coordinator of a Clustered database: redis://HOST:PORT/DB."""

    url: str = ""


@dataclass
class DatabaseOptions:
    """Which database, on which server.

    `stores_folders` names where the *server* keeps it; `address` is the server's, by default
    SOP_ADDRESS, else localhost:7373. Without folder, name and keyspace it is `default`.
    `patience` is how many seconds a lost connection is tried anew.
    """

    stores_folders: Sequence[str] = field(default_factory=list)
    type: DatabaseType = DatabaseType.Standalone
    keyspace: str = ""
    redis_config: Optional[RedisCacheConfig] = None
    name: str = ""
    address: Optional[str] = None
    patience: float = 15.0

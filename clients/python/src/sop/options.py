"""What stores and pages are asked for: options, index specifications, relations, paging."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Generic, Optional, Sequence, TypeVar

from sop.v1 import types_pb2

K = TypeVar("K")
V = TypeVar("V")


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
class IndexFieldSpecification:
    """A field that takes part in the order of a store."""

    field_name: str
    ascending_sort_order: bool = True


@dataclass
class IndexSpecification:
    """The fields that make the order, most significant first; all others ride on."""

    index_fields: Sequence[IndexFieldSpecification] = ()

    def to_message(self) -> types_pb2.IndexSpecification:
        """As the server wants it."""
        message = types_pb2.IndexSpecification()
        for each in self.index_fields:
            message.fields.add(name=each.field_name, ascending=each.ascending_sort_order)
        return message


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
    index specification or from the first item.
    """

    name: str = ""
    is_unique: Optional[bool] = None
    slot_length: Optional[int] = None
    description: Optional[str] = None
    is_primitive_key: Optional[bool] = None
    value_data_size: Optional[ValueDataSize] = None
    index_specification: Optional[IndexSpecification] = None
    relations: Sequence[Relation] = field(default_factory=list)

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
        if self.value_data_size is not None:
            message.value_size = self.value_data_size.value
        if self.index_specification is not None:
            message.index.CopyFrom(self.index_specification.to_message())
        for relation in self.relations:
            message.relations.add(
                source_fields=relation.source_fields,
                target_store=relation.target_store,
                target_fields=relation.target_fields,
            )
        return message


@dataclass
class StoreInfo(BtreeOptions):
    """A store as it is: every option with the value in effect, and the exact number of items."""

    count: int = 0
    key_types: dict[str, str] = field(default_factory=dict)

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
            key_types={n: t.removeprefix("SCALAR_TYPE_").lower() for n, t in by_name.items()},
        )


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

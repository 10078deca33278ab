"""Adding many items at once, as packed pages."""

from __future__ import annotations

from typing import Any

from sop.aio.reader import Reader
from sop.batch import WriteKind
from sop.frames import ColumnsToAdd
from sop.options import Item
from sop.v1 import types_pb2

_WRITTEN = (types_pb2.WRITE_OUTCOME_ADDED, types_pb2.WRITE_OUTCOME_REPLACED)


async def add_columns(store: Any, reader: Reader, columns: ColumnsToAdd) -> int:
    """Adds the items of columns to a Btree, whose Reader is given; how many were written."""
    kind = WriteKind.UPSERT if columns.replace else WriteKind.ADD
    add = store.upsert if columns.replace else store.add
    begin = written = 0
    if len(columns) and not columns.fits(await reader.schema()):
        # The first one tells the store fields and types of its keys: one that has all of them.
        columns.move_fullest_first()
        written = 1 if await (await add(columns.first())) else 0
        begin = 1
    schema = await reader.schema()
    for request in columns.requests(schema, begin):
        if isinstance(request, Item):
            written += 1 if await (await add(request)) else 0
        else:
            report = await reader.queue.put_page(kind, request)
            written += sum(outcome in _WRITTEN for outcome in report.outcomes)
    return written

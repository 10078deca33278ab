from dataclasses import dataclass
import time
from sop import Context, BtreeOptions, Item, ValueDataSize, PagingInfo
from sop.btree import IndexSpecification, IndexFieldSpecification
from sop.ai import Database, DatabaseType
from sop.database import DatabaseOptions

# 1. Define Key with "Ride-On" Metadata
# Only 'doc_id' is indexed. 'is_deleted' rides along.
@dataclass
class DocKey:
    doc_id: int
    is_deleted: bool = False
    timestamp: int = 0

ctx = Context()
db = Database(DatabaseOptions(stores_folders=["/tmp/sop_meta_db"], type=DatabaseType.Standalone))

with db.begin_transaction(ctx) as t:
    bo = BtreeOptions("documents", is_unique=True)
    bo.is_primitive_key = False
    # Use Big values (implies we want to avoid fetching them unless necessary)
    bo.set_value_data_size(ValueDataSize.Big)

    # Index ONLY on doc_id
    idx_spec = IndexSpecification(
        index_fields=(
            IndexFieldSpecification("doc_id", ascending_sort_order=True),
        )
    )

    store = db.new_btree(ctx, "documents", t, options=bo, index_spec=idx_spec)

    # Add Data
    k1 = DocKey(doc_id=100, is_deleted=False, timestamp=int(time.time()))
    store.add(ctx, Item(key=k1, value="Large Content A..."))

    k2 = DocKey(doc_id=101, is_deleted=True, timestamp=int(time.time()))
    store.add(ctx, Item(key=k2, value="Large Content B..."))

with db.begin_transaction(ctx) as t:
    store = db.open_btree(ctx, "documents", t)
    if store.first(ctx):
        # get_keys fetches ONLY the keys. Values remain on disk.
        keys = store.get_keys(ctx, PagingInfo(page_size=100))

        for item in keys:
            status = "[DELETED]" if item.key['is_deleted'] else "[ACTIVE]"
            print(f"Doc {item.key['doc_id']}: {status}")

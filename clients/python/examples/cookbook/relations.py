import sop
from sop.btree import BtreeOptions, Relation

ctx = sop.Context()
db = sop.Database(sop.DatabaseOptions(stores_folders=["/tmp/sop_data"]))

with db.begin_transaction(ctx) as t:
    # Register: 'orders.user_id' -> 'users.id'
    opts = BtreeOptions(
        relations=[
            Relation(
                source_fields=["user_id"],
                target_store="users",
                target_fields=["id"]
            )
        ]
    )
    order_store = db.new_btree(ctx, "orders", t, options=opts)

# Create the Link Store for M:N mapping
with db.begin_transaction(ctx) as t:
    link_store = db.new_btree(ctx, "student_classes", t)

    # Add a link (Student 123 -> Class ABC)
    link_store.add(ctx, sop.Item(key="s123:cABC", value=""))

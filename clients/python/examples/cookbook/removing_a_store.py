import sop
from sop import btree

# 1. Initialize Database
ctx = sop.Context()
db = sop.Database(sop.DatabaseOptions(stores_folders=["/tmp/sop_data"]))

# 2. Create a store to delete
with db.begin_transaction(ctx) as t:
    bo = btree.BtreeOptions("temp_store")
    store = db.new_btree(ctx, "temp_store", t, bo)
    store.add(ctx, sop.btree.Item(key="foo", value="bar"))
    print("Created 'temp_store' and added data.")

# 3. Remove the store
# Note: RemoveBtree is a database-level operation and does not require an active transaction.
try:
    db.remove_btree(ctx, "temp_store")
    print("Successfully removed 'temp_store'.")
except Exception as e:
    print(f"Failed to remove store: {e}")

# 4. Verify removal
with db.begin_transaction(ctx) as t:
    try:
        store = db.open_btree(ctx, "temp_store", t)
        print("Store still exists (unexpected).")
    except Exception:
        print("Store not found (expected).")

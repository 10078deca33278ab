from dataclasses import dataclass
from sop import Context, BtreeOptions, Item, ValueDataSize, PagingInfo
from sop.btree import IndexSpecification, IndexFieldSpecification
from sop.ai import Database, DatabaseType
from sop.database import DatabaseOptions

# 1. Define Key Structure (Region -> Dept -> ID)
@dataclass
class UserKey:
    region: str
    department: str
    employee_id: int

# 2. Define Value Structure
@dataclass
class UserProfile:
    name: str
    role: str

ctx = Context()
db = Database(DatabaseOptions(stores_folders=["/tmp/sop_complex_db"], type=DatabaseType.Standalone))

with db.begin_transaction(ctx) as t:
    # Configure B-Tree for Complex Keys
    bo = BtreeOptions("employees", is_unique=True)
    bo.is_primitive_key = False
    bo.set_value_data_size(ValueDataSize.Small)

    # Define Index Hierarchy: Region -> Department -> EmployeeID
    idx_spec = IndexSpecification(
        index_fields=(
            IndexFieldSpecification("region", ascending_sort_order=True),
            IndexFieldSpecification("department", ascending_sort_order=True),
            IndexFieldSpecification("employee_id", ascending_sort_order=True),
        )
    )

    store = db.new_btree(ctx, "employees", t, options=bo, index_spec=idx_spec)

    # Add Data
    k1 = UserKey(region="US", department="Eng", employee_id=101)
    store.add(ctx, Item(key=k1, value=UserProfile(name="Alice", role="Dev")))

    k2 = UserKey(region="US", department="Sales", employee_id=202)
    store.add(ctx, Item(key=k2, value=UserProfile(name="Bob", role="Manager")))

print("Added users.")

# Querying
with db.begin_transaction(ctx) as t:
    store = db.open_btree(ctx, "employees", t)

    # Range Scan: Find all "US" employees
    # Since 'region' is the first index field, we can scan efficiently.
    if store.first(ctx):
        items = store.get_items(ctx, PagingInfo(page_size=100))
        for item in items:
            if item.key['region'] == "US":
                print(f"Found: {item.value['name']} in {item.key['department']}")

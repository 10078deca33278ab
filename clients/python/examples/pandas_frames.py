"""pandas in and out: key fields and the members of JSON values are columns."""

import pandas as pd

import sop

sales = pd.DataFrame(
    {
        "country": ["PT", "PT", "ES", "ES"],
        "day": pd.to_datetime(["2024-05-01", "2024-05-02", "2024-05-01", "2024-05-02"]),
        "units": [3, 5, 8, 13],
        "note": [None, "sunny", None, None],
    }
)

db = sop.Database(sop.DatabaseOptions(name="examples"))
with db.begin_transaction() as t:
    store = db.new_btree("sales", t, index_spec="country,day:desc")
    store.add_frame(sales, replace=True)

with db.begin_transaction(sop.ForReading) as t:
    store = db.open_btree("sales", t)
    frame = store.to_pandas()
    print(frame.to_string(index=False))
    print(frame.groupby("country")["units"].sum().to_dict())
    print(len(store.to_pandas(sop.KeyRange(prefix={"country": "PT"}))), "days in PT")

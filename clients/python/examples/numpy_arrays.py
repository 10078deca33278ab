"""numpy in and out: whole columns, not item by item."""

import numpy as np

import sop

db = sop.Database(sop.DatabaseOptions(name="examples"))
with db.begin_transaction() as t:
    walk = db.new_btree("walk", t)
    steps = np.arange(100_000)
    places = np.stack([steps * 0.5, steps % 7], axis=1)
    walk.add_arrays(steps, places, replace=True)

with db.begin_transaction(sop.ForReading) as t:
    walk = db.open_btree("walk", t)
    found = walk.to_numpy(value_type=np.float64)
    print(found.key.dtype, found.values.shape)
    print(found.values[:, 0].max(), found.values[:7, 1].tolist())

    # A range of it, page by page in bounded memory.
    total = 0.0
    for page in walk.array_pages(sop.KeyRange(begin=50_000), value_type=np.float64):
        total += page.values[:, 0].sum()
    print(f"{total:.0f}")

"""A store whose keys are not unique: items of equal keys are told apart by their ids."""

import sop

db = sop.Database(sop.DatabaseOptions(name="examples"))
with db.begin_transaction() as t:
    visits = db.new_btree("visits", t, sop.BtreeOptions(is_unique=False))
    added = visits.add([sop.Item("ann", f"visit {n}") for n in (1, 2, 3)])
    first, second, third = added.item_ids
    print([item.value for item in visits.items(begin="ann", end="ann\0")])

    # find goes to the first of them, find_with_id to that very one.
    if second and visits.find_with_id("ann", second):
        visits.update_current_value("the second visit")
    visits.remove(sop.Item("ann", id=first))
    visits.remove("ann", "visit 3")
    print([item.value for item in visits])
    print(visits.count())

"""A session: many small transactions from one thread, none of which waits for the others."""

import sop

db = sop.Database(sop.DatabaseOptions(name="examples"))
with db.begin_transaction() as t:
    orders = db.new_btree("orders", t)

with db.session() as session:
    commits = []
    for number in range(500):
        t = session.begin_transaction()  # sent, not waited for
        orders.in_transaction(t).upsert(sop.Item(number, {"state": "paid"}))
        commits.append(t.commit_later())  # sent, too
    for each in commits:
        each.result()  # raises what went wrong, such as ConflictError
    print(len(commits), "transactions committed")

    # A failed one harms no other.
    bad, good = session.begin_transaction(), session.begin_transaction()
    orders.in_transaction(bad).add(sop.Item("no number", {}))
    orders.in_transaction(good).upsert(sop.Item(500, {"state": "new"}))
    pending = bad.commit_later(), good.commit_later()
    try:
        pending[0].result()
    except sop.KeyTypeDiffersError as error:
        print(f"{error.reason}: rolled back")
    pending[1].result()

with db.begin_transaction(sop.ForReading) as t:
    print(db.open_btree("orders", t).count(), "orders")

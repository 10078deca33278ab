"""Threads that change the same item: run() repeats what was aborted, exactly once in effect."""

import threading

import sop

db = sop.Database(sop.DatabaseOptions(name="examples"))


def reset(t: sop.Transaction) -> None:
    db.new_btree("counters", t).upsert(sop.Item("visitors", 0))


def count_one(t: sop.Transaction) -> None:
    counters = db.open_btree("counters", t)
    if counters.find("visitors"):
        visitors: int = counters.get_current_value() or 0
        counters.update_current_value(visitors + 1)


def count_ten() -> None:
    for _ in range(10):
        db.run(count_one)


db.run(reset)
threads = [threading.Thread(target=count_ten) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

with db.begin_transaction(sop.ForReading) as t:
    counters = db.open_btree("counters", t)
    counters.find("visitors")
    print(f"{counters.get_current_value()} visitors")

# Without run() the one who comes second is told so.
try:
    with db.begin_transaction() as t:
        counters = db.open_btree("counters", t)
        counters.find("visitors")
        db.run(count_one)
        counters.update_current_value(0)
except sop.ConflictError as error:
    print(f"conflict in {error.metadata['store']}")
